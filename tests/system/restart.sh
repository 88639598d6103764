#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The dataplane is killed and started again under load, twenty times: applications find it by
# themselves, every call ends once with the right status, nothing leaks. Prints the time from the
# kill to the first good call.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program dataplane/phoenix-dataplane
restarts=${RESTARTS:-20}
dir=$scratch/run
mkdir "$dir"
program=$build/tests/system/restart/restart
dataplane() { start dp "$build/dataplane/phoenix-dataplane" --rundir "$dir" --standalone default; }
# descriptors, shared mappings and threads of a program
holds() {
	local p=${pid[$1]}
	echo "$(ls "/proc/$p/fd" | wc -l) $(grep -c /memfd: "/proc/$p/maps") $(ls "/proc/$p/task" | wc -l)"
}

dataplane
start server "$program" server "$dir" "$scratch/executed"
wait_for 20 grep -q ready "$scratch/server.log"
start client "$program" client "$dir" "$scratch/executed"
wait_for 20 grep -q ready "$scratch/client.log"

declare -A first=()
for ((i = 1; i <= restarts; i++)); do
	kill -KILL "${pid[dp]}"
	kill -USR1 "${pid[client]}"
	wait "${pid[dp]}" 2>/dev/null || true
	dataplane
	wait_for 30 grep -qx "back $i" "$scratch/client.log"
	alive server || fail "the server ended"
	for n in client server; do
		[ $i != 2 ] || first[$n]=$(holds $n)
	done
done

# The heaps may have grown with the load; what a session leaves behind would be ten regions each.
same() {
	local n=$1 fds maps tasks fds1 maps1 tasks1
	read -r fds maps tasks <<<"$(holds "$n")"
	read -r fds1 maps1 tasks1 <<<"${first[$n]}"
	echo "$n: $fds1 descriptors, $maps1 mappings, $tasks1 threads, then $fds, $maps, $tasks"
	[ "$fds" = "$fds1" ] && [ "$maps" -le $((maps1 + 8)) ] && [ "$tasks" -le "$tasks1" ]
}
wait_for 10 same client
wait_for 10 same server
cat "$scratch/wait.out"

stop client
[ $status = 0 ] || fail "client: $status"
stop server
[ $status = 0 ] || fail "server: $status"
result=$(tail -n 1 "$scratch/client.log")
[ "$(jq .outages <<<"$result")" = "$restarts" ] || fail "outages: $result"
[ "$(jq '.ok > 1000' <<<"$result")" = true ] || fail "hardly any load: $result"
echo "$result"
echo "from kill to first good call: median $(jq .first_good_ms.p50 <<<"$result") ms," \
	"longest $(jq .first_good_ms.max <<<"$result") ms, of $restarts restarts"
