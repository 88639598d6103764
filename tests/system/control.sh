#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What operators see is what happened: a known number of calls shows up in every view, as text and as
# JSON; wrong questions are refused with names that exist; and the control plane dies and comes
# back under load without a call noticing.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program dataplane/phoenix-dataplane
need_program cli/phoenix-cli
dir=$scratch/run
mkdir "$dir"
bench=$build/tests/bench/phoenix-bench
text() { timeout 20 "$build/cli/phoenix-cli" --rundir "$dir" "$@"; }
cli() { text -j "$@"; }
running() { cli system status | jq -e '.state == "running"'; }
# is VALUE JQ COMMAND...: what the command's JSON says
is() {
	local want=$1 query=$2 got
	shift 2
	got=$(cli "$@" | jq -c "$query") || fail "phoenix-cli $*"
	[ "$got" = "$want" ] || fail "phoenix-cli $*: $query is $got, not $want"
}
refused() { # CODE REASON COMMAND...
	local code=$1 status_name=$2 rc=0
	shift 2
	cli "$@" >"$scratch/out" || rc=$?
	[ $rc = "$code" ] || fail "phoenix-cli $*: exit $rc, not $code: $(cat "$scratch/out")"
	[ "$(jq -r .error.data.status "$scratch/out")" = "$status_name" ] || fail "$(cat "$scratch/out")"
}

start dp "$build/dataplane/phoenix-dataplane" --rundir "$dir"
start cp "$build/controlplane/phoenix-controlplane" --rundir "$dir"
wait_for 10 running
start server "$bench" server g --rundir "$dir" --name server
wait_for 10 grep -q ready "$scratch/server.log"
timeout 60 "$bench" client local:g --rundir "$dir" --name first -n 5000 -z 50 --warm 0 --json >"$scratch/first.json"
n=$(jq .calls "$scratch/first.json")
ended() { cli app history | jq -e '.apps[] | select(.claimed_name == "first")'; }
wait_for 10 ended

echo "counts agree with what the client did"
server=$(cli app list | jq -r '.[] | select(.claimed_name == "server") | .app')
# One call before the measurement opens the channel; the client may have started a few more.
total=$(cli app list | jq '.[] | select(.claimed_name == "server") | .requests_total')
[ "$total" -ge "$n" ] && [ "$total" -le $((n + 2)) ] || fail "$total requests for $n calls"
is "[[\"client\",$total],[\"server\",$total]]" '[.series[] | [.side, .calls_total]] | sort' \
	stats get group_by side
is '[["OK","phoenix.bench.Echo"]]' '[.series[] | [.status, .service]] | unique' stats get
is true '.series | all(.p50_us > 0 and .p50_us <= .p99_us and .p99_us <= .p999_us)' stats get
is '["g","phoenix.bench.Echo",1,"up"]' '.[0] | [.group, .service, .instances, .state]' service list
is 0 '[.[] | select(.inflight != 0 or .serving != 0)] | length' app list
# Who detaches and exits at once may be seen as gone before the goodbye is read.
is true '[.apps[] | select(.claimed_name == "first")][0].reason | . == "DETACHED" or . == "APP_EXIT"' app history
is '[]' . channel list
is '[]' . link list
is "\"$server\"" .app app get "$server"
is "\"$server\"" .app app get server
is 1 '.registered | length' app get server
is true '.app_bytes > 0 and .app_bytes <= .app_limit_bytes' mem get
is 0 '.apps[0].lent_blocks' mem get
is '"session"' "[.[] | select(.object == \"$server\")][0].kind" engine list
is '["control","worker"]' 'map(.role)' lcore list
for noun in status app service link channel engine lcore stats mem placement; do
	text $noun >"$scratch/text" 2>&1 || fail "phoenix-cli $noun: $(cat "$scratch/text")"
	[ -s "$scratch/text" ] || fail "phoenix-cli $noun says nothing"
done
text app | grep -q "^$server .*attached" || fail "text and JSON of app differ"

echo "wrong questions"
refused 69 NOT_FOUND app get nobody
refused 69 NOT_FOUND link get link-9
refused 69 NOT_FOUND channel get chan-9-9
refused 69 NOT_FOUND app detach app-999
cli app get serve >"$scratch/out" && fail "app get serve"
[ "$(jq -r '.error.data.candidates[0]' "$scratch/out")" = server ] || fail "$(cat "$scratch/out")"

echo "the control plane dies and comes back under load"
start load "$bench" client local:g --rundir "$dir" --name load -c 8 -z 4 --warm 0 --json
loading() { cli channel list | jq -e '.[0].state == "open"'; }
wait_for 10 loading
p=${pid[cp]}
unset 'pid[cp]'
kill -KILL "$p"
wait "$p" 2>/dev/null || true
rc=0
cli system status >"$scratch/out" 2>&1 || rc=$?
[ $rc = 3 ] || fail "without a control plane: exit $rc"
start cp "$build/controlplane/phoenix-controlplane" --rundir "$dir"
wait_for 10 running
is true .resynced system status
wait_quiet 20 gone "${pid[load]}" || fail "the load hangs"
wait "${pid[load]}" || fail "the load failed"
unset 'pid[load]'
is_clean=$(jq -c .errors "$scratch/load.log")
[ "$is_clean" = '{}' ] || fail "calls failed: $is_clean"

echo "an application that is told to go, goes"
is true .changed app detach server reason maintenance
ended_server() { cli app history | jq -e '.apps[] | select(.claimed_name == "server" and .text == "maintenance")'; }
wait_for 10 ended_server
is '"down"' '.[0].state' service list
stop cp
stop dp
[ "$status" = 0 ] || fail "the dataplane ended with $status"
