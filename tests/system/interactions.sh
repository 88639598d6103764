#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What an operator does in a day, against a host that carries calls: the fifteen interactions of
# the guide. Those that need a terminal are in interactions.py. Not here, because nothing is
# behind them yet: 8 shadow mode of policies, 9 policy test, 10 upgrade of an engine under load.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program cli/phoenix-cli
need_program controlplane/phoenix-controlplane
need_program dataplane/phoenix-dataplane
need_program tests/bench/phoenix-bench
cli=$build/cli/phoenix-cli
here=$(cd "$(dirname "$0")" && pwd)
rundir=$scratch/run
mkdir -m 0755 "$rundir"
unset PHOENIX_SOCKET PHOENIX_INSTANCE
export PHOENIX_RUNDIR=$rundir NO_COLOR=1
cd "$scratch"

# expect CODE ARG...: exit status; stdout in $out, stderr in $err
out='' err=''
expect() {
	local want=$1 rc=0
	shift
	"$cli" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || rc=$?
	out=$(cat "$scratch/out") err=$(cat "$scratch/err")
	[ "$rc" = "$want" ] || fail "phoenix-cli $*: exit status $rc, not $want: $out $err"
}
is() { jq -e "$1" "$scratch/out" >/dev/null || fail "not $1: $out"; }
has() { [[ $out == *"$1"* ]] || fail "no '$1' in: $out"; }

start controlplane "$build/controlplane/phoenix-controlplane" --rundir "$rundir"
start dataplane "$build/dataplane/phoenix-dataplane" --rundir "$rundir"
in_step() { "$cli" -j status | jq -e '.state == "running"'; }
wait_for 20 in_step
first=$("$cli" -j app rule_list | jq -r ".[0].name")
expect 0 app rule_set benches action allow uid "$(id -u)" app bench before "$first"
start server "$build/tests/bench/phoenix-bench" server g --rundir "$rundir"
registered() { "$cli" -j service list | jq -e 'length == 1'; }
wait_for 20 registered
start client "$build/tests/bench/phoenix-bench" client local:g --rundir "$rundir" -c 8 -z 600 --gap 200
calls() { "$cli" -j app list | jq -e 'map(.calls_total) | max > 1000'; }
wait_for 20 calls

echo "- 1: one-shot, for people"
expect 0 app
[[ ${out%%$'\n'*} =~ ^APP\ +NAME\ .*PID.*SERVICES.*INFLIGHT ]] || fail "$out"
grep -qE '^app-[0-9]+ +bench ' "$scratch/out" || fail "$out"
expect 0 service
has phoenix.bench.Echo

echo "- 2: one-shot, for jq"
name=$("$cli" -j app list | jq -r '.[] | select(.calls_total > 10) | .name')
[ "$name" = bench ] || fail "name: $name"

echo "- 3: completion of verbs and of live names, on a terminal"
apps=$("$cli" -j app list | jq -r '.[].app' | paste -sd ' ')
# shellcheck disable=SC2086
python3 "$here/interactions.py" "$cli" "$rundir" $apps >"$scratch/terminal.log" 2>&1 ||
	fail "$(cat "$scratch/terminal.log")"
out=$(COMP_LINE="phoenix-cli app get app" "$cli" --bash-complete phoenix-cli app get | paste -sd ' ')
[ "$out" = "$apps app" ] || fail "bash: $out, not $apps"

echo "- 4: the same from a script, twice"
expect 0 -j peer add rack1 network 10.0.0.0/24
is '.changed == true and (.generation | tonumber > 0)'
expect 0 -j peer add rack1 network 10.0.0.0/24
is '.changed == false'

echo "- 5 and 6: an error with candidates, for people and for programs"
expect 69 peer del rack2
[ "${err%%$'\n'*}" = "error: no peer named 'rack2' (NOT_FOUND); did you mean: rack1" ] || fail "$err"
expect 69 -j peer del rack2
[ "$(jq -r '.error.data.candidates[0]' "$scratch/out")" = rack1 ] || fail "$out"
expect 69 app detach app-99
[[ $err == *"no app named 'app-99'"* ]] || fail "$err"

echo "- 7: a usage error points at the word; nothing is sent"
expect 2 -v peer add rack2 netwrk 10.0.2.0/24
[[ $err == "* peer add rack2 netwrk 10.0.2.0/24"$'\n'"*                ^ "* ]] || fail "$err"
[[ $err == *"expected: network, "* && $err != *jsonrpc* ]] || fail "$err"

echo "- 11: a batch that stops at the first error and echoes"
cat >site.phx <<'END'
peer add rack3 network 10.0.3.0/24
app rule_set web action allow labels @missing.json
peer add rack4 network 10.0.4.0/24
END
expect 1 -x -f site.phx
[[ $err == "+ peer add rack3 network 10.0.3.0/24"$'\n'"+ app rule_set web"* ]] || fail "$err"
[[ $err == *"site.phx:2: error: cannot read missing.json: No such file or directory"* ]] || fail "$err"
expect 0 -j peer list
is 'map(.name) == ["rack1", "rack3"]'

echo "- 12: configuration as code"
expect 0 config save "$scratch/site.json"
jq '.peers |= map(select(.name == "rack1") | .network = "10.0.9.0/24")' site.json >new.json
expect 0 config load new.json mode replace -n
has "dry run"
grep -qE 'change +peer +rack1' "$scratch/out" || fail "$out"
grep -qE 'remove +peer +rack3' "$scratch/out" || fail "$out"
expect 0 -j config diff site.json
is '.plan == []'
expect 0 config load new.json mode replace
expect 0 -j config diff new.json
is '.plan == []'

echo "- 13: where the cycles go"
expect 0 top -n 2 -d 0.2
[ "$(grep -c '^LCORE ' "$scratch/out")" = 2 ] || fail "$out"
expect 0 -j top -n 1 -d 0.2
is '.interval_ms >= 150 and (.lcores | any(.busy_pct > 0)) and (.apps | any(.calls_rps > 0))'
status=0
"$cli" top -n 1 >/dev/full 2>"$scratch/err" || status=$?
[ "$status" = 1 ] || fail "top into a full device: $status"
expect 2 top -n none
expect 2 top -d 0
expect 2 top -n
expect 2 top more
# ^C ends it, whatever it does just then.
env --default-signal=INT "$cli" -j top >"$scratch/top" &
pid[top]=$!
wait_for 10 grep -q interval_ms "$scratch/top"
stop top INT
[ "$status" = 130 ] || fail "top and ^C: $status"

echo "- 14: five calls through every stage"
expect 0 trace rpc --count 5 method phoenix.bench.Echo/Call
[ "$(grep -cE '^ +server +application ' "$scratch/out")" = 5 ] || fail "$out"
expect 0 -j trace rpc count 3 app "$("$cli" -j app list | jq -r '.[] | select(.calls_total > 10) | .app')"
is '(.calls | length) == 3 and all(.calls[]; ([.stages[].took_ns] | add) as $sum
	| ($sum - .total_ns | fabs) <= 0.05 * .total_ns)'
expect 0 -j trace rpc method no.Such/Method duration_ms 50
is '.ended_by == "duration" and .calls == []'
expect 69 trace rpc app nobody
expect 2 trace rpc count 0
expect 2 -n trace rpc

echo "- levels of the logs, of both daemons while they run"
expect 0 -j log get
is '[.levels[] | select(.component == "daemon")] == [{daemon: "dataplane", component: "daemon", level: "info"}]'
is '.levels | any(.daemon == "controlplane" and .component == "reconcile")'
expect 0 log get attach
grep -qE '^dataplane +attach +info' "$scratch/out" || fail "$out"
expect 0 -j log set attach level debug
is '.changed and .levels == [{daemon: "dataplane", component: "attach", level: "debug"}]'
expect 0 -j log set attach level debug
is '.changed == false'
expect 0 -j log get
is '[.levels[] | select(.level == "debug")] | length == 1'
expect 0 -j log set '*' level warn daemon controlplane
is '.changed and ([.levels[].daemon] | unique) == ["controlplane"]'
expect 0 -q log set '*' level info
expect 0 -j log get
is '([.levels[].level] | unique) == ["info"]'
expect 69 log set atach level debug
expect 2 log set attach level loud
expect 2 log set attach
expect 2 -n log set attach level debug

echo "- 15: without our tools"
[ -n "$(command -v nc)" ] || skip "nc is not installed, all others passed"
echo '{"jsonrpc":"2.0","id":1,"method":"lcore.list"}' | nc -U -q1 "$rundir/control.sock" >"$scratch/out"
is '.id == 1 and (.result.lcores | length > 1)'

echo "- 15: events, as they happen"
env --default-signal=INT "$cli" -j monitor 'config.*' app.detached >"$scratch/events" 2>"$scratch/events.err" &
pid[monitor]=$!
# It is subscribed when it sees what happens; before that nothing is lost but for the test.
n=0
seen() {
	n=$((n + 1))
	"$cli" -q peer add "ev$n" network 10.9.0.0/16
	[ -s "$scratch/events" ]
}
wait_for 10 seen
expect 0 app detach "$("$cli" -j app list | jq -r '.[-1].app')"
wait_for 10 grep -q app.detached "$scratch/events"
stop monitor INT
[ "$status" = 130 ] || fail "monitor and ^C: $status"
[ ! -s "$scratch/events.err" ] || fail "monitor: $(cat "$scratch/events.err")"
jq -es 'all(.[]; .seq and .at and .object and (.type | test("^(config\\.|app.detached$)"))
	and (has("subscription") | not))' "$scratch/events" >/dev/null || fail "$(cat "$scratch/events")"
"$cli" monitor -n 1 >"$scratch/out" &
pid[monitor]=$!
one() {
	n=$((n + 1))
	"$cli" -q peer add "ev$n" network 10.9.0.0/16
	gone "${pid[monitor]}"
}
wait_for 10 one
stop monitor
[ "$status" = 0 ] && [ "$(wc -l <"$scratch/out")" = 1 ] || fail "monitor -n 1: $status $(cat "$scratch/out")"
expect 2 monitor -n
expect 2 monitor -n 0
expect 2 -j monitor 'a b'

echo "- a dataplane that does not answer in time, and one that is gone"
kill -STOP "${pid[dataplane]}"
expect 68 -t 300ms app list
expect 68 -t 300ms top -n 1 -d 0.1
kill -CONT "${pid[dataplane]}"
stop client
stop server
stop dataplane
expect 78 top -n 1
expect 78 trace rpc
"$cli" monitor 'none.*' 2>"$scratch/err" &
pid[monitor]=$!
connected() { ss -xp 2>/dev/null | grep -q "pid=${pid[monitor]},"; }
[ -z "$(command -v ss)" ] || wait_for 10 connected
stop controlplane
status=0
wait "${pid[monitor]}" || status=$?
unset 'pid[monitor]'
# Lost, or not even connected yet.
[ "$status" = 1 ] || [ "$status" = 3 ] || fail "monitor and a lost control plane: $status"
expect 3 top -n 1
echo passed
