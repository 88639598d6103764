#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What other tools can see of a dataplane: DPDK's trace of events.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program dataplane/phoenix-dataplane
echo "events in DPDK's trace"
mkdir "$scratch/run" "$scratch/ctf"
start dp "$build/dataplane/phoenix-dataplane" '--trace=phoenix.*' --trace-dir="$scratch/ctf" \
	-l 0-1 --no-huge -m256 --no-pci --no-shconf -- --rundir "$scratch/run" --standalone default
wait_for 20 test -S "$scratch/run/app.sock"
start server "$build/tests/bench/phoenix-bench" server g --rundir "$scratch/run"
wait_for 20 grep -q ready "$scratch/server.log"
stop server
stop dp
[ "$status" = 0 ] || fail "the dataplane ended with $status"
grep -q 'name = "phoenix.event"' "$scratch"/ctf/*/metadata || fail "no trace point"
for word in app.attached app-1 service.up app.detached; do
	cat "$scratch"/ctf/*/channel* | tr '\0' '\n' | grep -qax "$word" || fail "$word is not in the trace"
done
