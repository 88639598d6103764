#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What other tools can see of a dataplane: static probes where they are built, and DPDK's trace of
# events.
# usage: tracepoints.sh yes|no   (were the probes built?)
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program dataplane/phoenix-dataplane
usdt=${1:?yes or no}
header=$(dirname "$0")/../../dataplane/core/probe.h

echo "static probes: $usdt"
readelf -n "$build/dataplane/phoenix-dataplane" | awk '
	/Provider:/ { ours = $2 == "phoenix" }
	/Name:/ && ours { print $2 }' | sort -u >"$scratch/there"
# Those that the header lists, each with its arguments.
grep -oE '\b(call|request)_[a-z]+\([a-z]' "$header" | tr -d '(' | sed 's/.$//' | sort -u >"$scratch/listed"
[ "$(wc -l <"$scratch/listed")" = 13 ] || fail "probe.h lists: $(cat "$scratch/listed")"
if [ "$usdt" = yes ]; then
	diff "$scratch/listed" "$scratch/there" || fail "listed and built probes differ"
else
	[ ! -s "$scratch/there" ] || fail "there are probes: $(cat "$scratch/there")"
fi

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
