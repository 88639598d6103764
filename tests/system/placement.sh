#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Sessions move between two workers while calls flow: none is lost or repeated, and the pause is
# reported. Rebalancing plans, then moves.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program dataplane/phoenix-dataplane
need_program cli/phoenix-cli
dir=$scratch/run
mkdir "$dir"
cli() { timeout 20 "$build/cli/phoenix-cli" --rundir "$dir" -j "$@"; }
bench() { timeout 60 "$build/tests/bench/phoenix-bench" "$@" --rundir "$dir"; }
answers() { cli system status | jq -e '.state == "running"'; }
app_of() { cli app list | jq -r --arg n "$1" '.[] | select(.claimed_name == $n) | .app'; }
worker_of() { cli placement list | jq -r --arg a "$1" '.[] | select(.app == $a) | .worker'; }

start dp "$build/dataplane/phoenix-dataplane" --rundir "$dir" --workers 2
start cp "$build/controlplane/phoenix-controlplane" --rundir "$dir"
wait_for 10 answers
start server "$build/tests/bench/phoenix-bench" server g --rundir "$dir" --name server
wait_for 10 grep -q ready "$scratch/server.log"
start client "$build/tests/bench/phoenix-bench" client local:g --rundir "$dir" --name client \
	-c 16 -z 9 --warm 0 --json
attached() { [ -n "$(app_of "$1")" ]; }
wait_for 10 attached server
wait_for 10 attached client
server=$(app_of server) client=$(app_of client)

echo "each session goes back and forth under load"
moves=0 worst=0
end=$((SECONDS + 5)) i=0
while [ $SECONDS -lt $end ]; do
	i=$((i + 1))
	for app in "$client" "$server"; do
		to=$((1 - $(worker_of "$app")))
		out=$(cli placement set "$app" worker $to) || fail "move $i of $app: $out"
		[ "$(jq .changed <<<"$out")" = true ] || fail "move $i of $app changed nothing: $out"
		us=$(jq .pause_us <<<"$out")
		moves=$((moves + 1)) worst=$((us > worst ? us : worst))
	done
done
[ "$(cli placement set "$client" worker "$(worker_of "$client")" | jq .changed)" = false ] ||
	fail "a move to where it is changed something"
wait_quiet 30 gone "${pid[client]}" || fail "the client hangs"
wait "${pid[client]}" || fail "the client failed"
unset 'pid[client]'
errors=$(jq '.errors // {} | if type == "object" then ([.[]] | add // 0) else . end' "$scratch/client.log")
[ "$errors" = 0 ] || fail "$errors calls failed"
n=$(jq .calls "$scratch/client.log")
[ "$n" -gt 1000 ] || fail "only $n calls"
[ $moves -ge 10 ] || fail "only $moves moves"
echo "$moves moves under $n calls, longest pause $worst us, no call failed"

echo "refusals"
rc=0
cli placement set "$server" worker 7 >"$scratch/out" || rc=$?
[ $rc = 67 ] || fail "worker 7: $rc $(cat "$scratch/out")"
rc=0
cli placement set app-999 worker 0 >"$scratch/out" || rc=$?
[ $rc = 69 ] || fail "app-999: $rc $(cat "$scratch/out")"

echo "rebalance"
start a "$build/tests/bench/phoenix-bench" client local:g --rundir "$dir" --name a -c 4 -z 12 --json
start b "$build/tests/bench/phoenix-bench" client local:g --rundir "$dir" --name b -c 4 -z 12 --json
wait_for 10 attached a
wait_for 10 attached b
for n in a b server; do
	cli placement set "$(app_of $n)" worker 0 >"$scratch/out" || fail "$(cat "$scratch/out")"
done
# On a busy machine a window may pass in which nothing runs.
planned() {
	plan=$(cli placement rebalance dry_run true window_ms 1000) || fail "plan: $plan"
	jq -e '.moves | length > 0' <<<"$plan"
}
wait_for 10 planned
[ "$(jq .changed <<<"$plan")" = false ] || fail "plan: $plan"
[ "$(worker_of "$(app_of a)")$(worker_of "$(app_of b)")$(worker_of "$server")" = 000 ] ||
	fail "a plan moved something"
balanced() {
	done_=$(cli placement rebalance window_ms 1000) || fail "rebalance: $done_"
	jq -e .changed <<<"$done_"
}
wait_for 15 balanced
jq -e '.spread_after_us < .spread_before_us' <<<"$done_" >/dev/null || fail "rebalance: $done_"
for n in a b; do
	wait_quiet 30 gone "${pid[$n]}" || fail "$n hangs"
	wait "${pid[$n]}" || fail "$n failed: $(cat "$scratch/$n.log")"
	unset "pid[$n]"
done

echo "what takes longer than an answer usually may, and moves that cannot be made"
cli rpc placement.rebalance '{"window_ms":2500,"dry_run":true}' >"$scratch/out" ||
	fail "a window of 2.5 s: $(cat "$scratch/out")"
start a "$build/tests/bench/phoenix-bench" client local:g --rundir "$dir" --name a -c 4 -z 60
start b "$build/tests/bench/phoenix-bench" client local:g --rundir "$dir" --name b -c 4 -z 60
wait_for 10 attached a
wait_for 10 attached b
for n in a b server; do
	cli placement set "$(app_of $n)" worker 0 >"$scratch/out" || fail "$(cat "$scratch/out")"
done
calls() { cli app list | jq '[.[].calls_total] | add'; }
before=$(calls)
cli placement rebalance window_ms 2500 >"$scratch/rebalance" &
pid[rebalance]=$!
busy() { [ "$(calls)" -gt $((before + 300000)) ]; } # well into the window
wait_for 10 busy
kill -STOP "${pid[server]}" # its calls do not end any more
wait_quiet 20 gone "${pid[rebalance]}" || fail "the rebalance hangs"
wait "${pid[rebalance]}" || fail "rebalance: $(cat "$scratch/rebalance")"
unset 'pid[rebalance]'
kill -CONT "${pid[server]}"
jq -e '(.moves | length) > 0 and .changed == ([.moves[] | select(.moved)] != [])
	and ([.moves[] | select(.moved | not)] | all(.error | length > 0))' \
	"$scratch/rebalance" >/dev/null || fail "rebalance: $(cat "$scratch/rebalance")"
stop a
stop b
stop server
stop cp
stop dp
[ "$status" = 0 ] || fail "the dataplane ended with $status"

echo "between two hosts: the client moves at one, the server at the other"
far=$scratch/far port=$(free_port)
mkdir "$far"
far_cli() { timeout 20 "$build/cli/phoenix-cli" --rundir "$far" -j "$@"; }
both() { answers && far_cli system status | jq -e '.state == "running"'; }
start dp "$build/dataplane/phoenix-dataplane" --rundir "$dir" --workers 2
start cp "$build/controlplane/phoenix-controlplane" --rundir "$dir"
start dpf "$build/dataplane/phoenix-dataplane" --rundir "$far" --workers 2
start cpf "$build/controlplane/phoenix-controlplane" --rundir "$far"
wait_for 10 both
far_cli listener add main transport tcp address "127.0.0.1:$port" >"$scratch/out" ||
	fail "$(cat "$scratch/out")"
start server "$build/tests/bench/phoenix-bench" server g --rundir "$far" --name server
wait_for 10 grep -q ready "$scratch/server.log"
start client "$build/tests/bench/phoenix-bench" client "tcp://127.0.0.1:$port/g" --rundir "$dir" \
	--name client -c 16 -z 6 --warm 0 --json
wait_for 10 attached client
client=$(app_of client)
server=$(far_cli app list | jq -r '.[] | select(.claimed_name == "server") | .app')
end=$((SECONDS + 4)) moves=0 worst=0 a=$(worker_of "$client") b=0
b=$(far_cli placement list | jq -r --arg a "$server" '.[] | select(.app == $a) | .worker')
while [ $SECONDS -lt $end ]; do
	a=$((1 - a)) b=$((1 - b))
	out=$(cli placement set "$client" worker $a) || fail "move of the client: $out"
	us=$(jq .pause_us <<<"$out")
	worst=$((us > worst ? us : worst))
	out=$(far_cli placement set "$server" worker $b) || fail "move of the server: $out"
	us=$(jq .pause_us <<<"$out")
	worst=$((us > worst ? us : worst))
	moves=$((moves + 2))
done
wait_quiet 30 gone "${pid[client]}" || fail "the client hangs"
wait "${pid[client]}" || fail "the client failed"
unset 'pid[client]'
[ "$(jq -c .errors "$scratch/client.log")" = '{}' ] || fail "calls failed"
n=$(jq .calls "$scratch/client.log")
[ "$n" -gt 1000 ] && [ $moves -ge 6 ] || fail "only $n calls, $moves moves"
echo "$moves moves under $n calls, longest pause $worst us, no call failed"
for n in client server cpf dpf cp dp; do
	[ -z "${pid[$n]:-}" ] || stop $n
done

echo "rules say where sessions go"
start dp "$build/dataplane/phoenix-dataplane" --rundir "$dir" --workers 3
start cp "$build/controlplane/phoenix-controlplane" --rundir "$dir"
wait_for 10 answers
rule() { cli app rule_set local action allow "$@" >"$scratch/out" || fail "$(cat "$scratch/out")"; }
# A server that stays, in the name of the rule as it is now.
join() {
	start "$1" "$build/tests/bench/phoenix-bench" server "$1" --rundir "$dir" --name "$1"
	wait_for 10 grep -q ready "$scratch/$1.log"
}
# NAME WORKER PLACEMENT FIXED
expect_at() {
	local got
	got=$(cli placement list | jq -r --arg a "$(app_of "$1")" \
		'.[] | select(.app == $a) | "\(.worker) \(.placement) \(.fixed)"')
	[ "$got" = "$2 $3 $4" ] || fail "$1 is on $got, not on $2 $3 $4"
}
rule app packs placement packed
join p1
join p2
expect_at p1 0 packed false
expect_at p2 0 packed false
rule app alone placement dedicated
join d1
expect_at d1 1 dedicated false
rule app many placement shared
join s1
join s2
expect_at s1 2 shared false
expect_at s2 2 shared false # worker 0 has two, worker 1 belongs to another
rule app many placement spread
join s3
expect_at s3 0 spread false # its like is on worker 2
rule app nailed worker 2
join w2
join w3 # so that worker 0 is the emptier one
expect_at w2 2 shared true
rule app alone placement dedicated
join d2
expect_at d2 0 dedicated false
rule app alone placement dedicated
join d3
expect_at d3 2 shared false # the last shared one stays shared
grep -q "rule local cannot be followed with 3 workers" "$scratch/dp.log" || fail "no warning"
rule app lost worker 60
join w60
expect_at w60 2 shared false
out=$(cli placement rebalance window_ms 50)
for n in p1 p2 s3; do
	expect_at $n 2 "$(cli placement list | jq -r --arg a "$(app_of $n)" '.[] | select(.app == $a) | .placement')" false
done
expect_at d2 0 dedicated false
expect_at w2 2 shared true
echo "who stood on a worker that another got for itself has left it: $(jq -c '[.moves[].app]' <<<"$out")"
