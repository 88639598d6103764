#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# An application that stops receiving stops only itself. Nine others, in an open loop at half of what
# they can do together, complete all that they offer, with it and without it in turn; how much
# longer their slowest calls take is printed as a ratio.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program dataplane/phoenix-dataplane
need_program cli/phoenix-cli
need_program tests/system/processes/processes
roles=$build/tests/system/processes/processes
bench=$build/tests/bench/phoenix-bench
dir=$scratch/run
others=9
seconds=1
rounds=3
# A dozen programs on few cores that others use as well: the 99th percentile of one round is several
# times that of the next, with or without the deaf one. Had it held the worker or a link up, calls
# would have waited for a deadline or for ever, so a ratio counts from a tenth of a second on.
ratio_most=50
quick_us=100000
complete_least=97 # percent; what is under way at either end of a window counts in one of them
mkdir "$dir"
cli() { timeout 20 "$build/cli/phoenix-cli" --rundir "$dir" -j "$@"; }
answers() { cli system status | jq -e '.state == "running"'; }

start dp "$build/dataplane/phoenix-dataplane" --rundir "$dir"
start cp "$build/controlplane/phoenix-controlplane" --rundir "$dir"
wait_for 10 answers
start server "$bench" server g --rundir "$dir"
start adder "$roles" serve "$dir" add
wait_for 10 grep -q ready "$scratch/server.log"
wait_for 10 grep -q ready "$scratch/adder.log"

# run NAME OPTION...: the nine at once; their lines of results in $scratch/NAME
run() {
	local name=$1 i
	shift
	for ((i = 0; i < others; i++)); do
		start "other$i" "$bench" client local:g --rundir "$dir" -z $seconds --json "$@"
	done
	for ((i = 0; i < others; i++)); do
		wait_quiet 60 gone "${pid[other$i]}" || fail "other $i hangs"
		wait "${pid[other$i]}" || fail "other $i failed"
		unset "pid[other$i]"
		cat "$scratch/other$i.log" >>"$scratch/$name"
	done
}
# median of what a filter says of the results of a run
median() { jq -s "[.[] | $2] | sort | .[length / 2 | floor]" "$scratch/$1"; }

run capacity -c 2
capacity=$(jq -s '[.[].rate] | add | floor' "$scratch/capacity")
rate=$((capacity / 2 / others))
echo "together $capacity calls a second; each of $others offers $rate"
# It goes on calling the deaf one all the time; while that is not there, it waits for it.
start feed "$roles" feed "$dir" local:deaf
wait_for 10 grep -q feeding "$scratch/feed.log"

for ((round = 1; round <= rounds; round++)); do
	run "without$round" --rate $rate
	start deaf "$roles" deaf "$dir" local:add
	wait_for 20 grep -q 'deaf with' "$scratch/deaf.log"
	run "with$round" --rate $rate
	gone "${pid[deaf]}" && fail "the deaf one has ended"
	deaf=$(cli app list | jq -r '.[] | select(.claimed_name == "deaf") | .app')
	[ -n "$deaf" ] || fail "the deaf one was detached"
	waiting=$(cli app get "$deaf" | jq '[.queues[].requests_waiting] | add')
	[ "$waiting" -gt 0 ] || fail "nothing waits for the deaf one"
	stop deaf
done

offered=$((rate * seconds * others))
declare -A best=()
for name in without with; do
	for ((round = 1; round <= rounds; round++)); do
		errors=$(jq -s '[.[].errors[]] | add // 0' "$scratch/$name$round")
		calls=$(jq -s '[.[].calls] | add' "$scratch/$name$round")
		p99=$(median $name$round '.p99_us | floor')
		echo "$name: $calls of $offered calls, p50 $(median $name$round .p50_us) us, p99 $p99 us"
		[ "$errors" = 0 ] || fail "$errors calls of the others failed"
		[ $((calls * 100)) -ge $((offered * complete_least)) ] || fail "not all that was offered"
		[ "$p99" -ge "${best[$name]:-$p99}" ] || best[$name]=$p99
		best[$name]=${best[$name]:-$p99}
	done
done
ratio=$(jq -n "${best[with]} / ${best[without]} * 100 | round / 100")
echo "the deaf one: $waiting requests wait for it; $(cat "$scratch/deaf.log")"
echo "p99 of the quietest rounds: ${best[with]} us with it, ${best[without]} us without: ratio $ratio"
jq -en "$ratio < $ratio_most or ${best[with]} < $quick_us" >"$scratch/out" || fail "too slow"
for name in feed adder server cp dp; do
	stop $name
done
[ "$status" = 0 ] || fail "the dataplane ended with $status"
