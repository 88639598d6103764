#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The policies of the command line: calls pass them on one and on two workers, with messages
# of all sizes, and what is not there is refused.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

dp=$build/dataplane/phoenix-dataplane
bench=$build/tests/bench/phoenix-bench
need_program dataplane/phoenix-dataplane
need_program tests/bench/phoenix-bench

dir=$scratch/run
mkdir "$dir"

calls() { # CALLS [OPTION]...
	local n
	n=$(timeout 60 "$bench" client local:g --rundir "$dir" --json -n "$@" | jq .calls)
	[ "$n" -ge "$1" ] || fail "$1 calls wanted, $n made"
}

for workers in 1 2; do
	echo "calls pass sixteen policies, $workers workers"
	options=()
	for _ in {1..16}; do options+=(--policy null); done
	start dataplane "$dp" --rundir "$dir" --standalone default --workers "$workers" "${options[@]}"
	wait_for 10 test -S "$dir/app.sock"
	start server "$bench" server g --rundir "$dir"
	wait_for 10 grep -q ready "$scratch/server.log"
	calls 5000 -c 32
	calls 500 -c 8 --size 8192 --reply 8192
	calls 20 -c 2 --size 1048576 --reply 200000
	stop server
	stop dataplane
	[ "$status" = 0 ] || fail "the dataplane ended with $status"
done

echo "a policy that is not there is an error of usage"
rc=0
"$dp" --rundir "$dir" --standalone default --policy nonsense 2>"$scratch/refused.log" || rc=$?
[ "$rc" = 2 ] || fail "exit status 2 wanted, $rc seen"
grep -q 'no such policy' "$scratch/refused.log" || fail "no reason given"
