#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Starting the dataplane: what it says, and with which exit code, where it cannot; and the options
# that no other test gives.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

dp=$build/dataplane/phoenix-dataplane
bench=$build/tests/bench/phoenix-bench
need_program dataplane/phoenix-dataplane
need_program tests/bench/phoenix-bench
run=$scratch/run

# refuses CODE TEXT ARG...
refuses() {
	local want=$1 text=$2 rc=0
	shift 2
	timeout 20 "$dp" "$@" >"$scratch/refuses.log" 2>&1 || rc=$?
	[ "$rc" = "$want" ] || fail "phoenix-dataplane $*: exit status $rc, not $want"
	grep -qF -- "$text" "$scratch/refuses.log" || fail "phoenix-dataplane $* does not say '$text'"
}

echo "- options out of range"
refuses 2 '--max-message must be 64K to 1G' --rundir "$run" --max-message 2G
refuses 2 '--max-message must be 64K to 1G' --rundir "$run" --max-message 4K
refuses 2 '--app-memory must be 1M to 16T' --rundir "$run" --app-memory x

echo "- a run directory that others may write"
mkdir -m 0777 "$scratch/open"
chmod 0777 "$scratch/open"
refuses 2 'with mode 777' --rundir "$scratch/open"

echo "- too few descriptors, before EAL aborts for want of them"
few() { (ulimit -n 12 && refuses 4 '12 open files are allowed, 64 are needed' --rundir "$run"); }
few || exit 1

echo "- as many descriptors as may be had"
(ulimit -Sn 256 && exec "$dp" --rundir "$run" --standalone default --max-message 1M) \
	>"$scratch/dp.log" 2>&1 &
pid[dp]=$!
wait_for 20 test -S "$run/app.sock"
read -r soft hard < <(awk '/^Max open files/ { print $4, $5 }' "/proc/${pid[dp]}/limits")
[ "$soft" = "$hard" ] || fail "$soft of $hard descriptors"

echo "- a second one in the same directory"
refuses 3 'another dataplane runs there' --rundir "$run" --standalone default

echo "- the largest message"
start server "$bench" server g --rundir "$run"
wait_for 10 grep -q ready "$scratch/server.log"
large() { timeout 60 "$bench" client local:g --rundir "$run" -n 1 --warm 0 --size "$1" 2>&1; }
large 1000000 >"$scratch/large.log" || fail "1000000 bytes do not pass"
large 1100000 >"$scratch/large.log" && fail "1100000 bytes pass"
grep -q 'the largest is 1048576 bytes' "$scratch/large.log" || fail "no reason"
stop dp
[ "$status" = 0 ] || fail "exit status $status"
