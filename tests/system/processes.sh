#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What idle channels cost in memory, of dataplanes and applications together: less than 4 KiB each
# beyond the first. Then 1,000 channels from 100 processes to one server whose handlers run on a
# pool. All of it under `ulimit -n 1024`.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program dataplane/phoenix-dataplane
need_program controlplane/phoenix-controlplane
need_program cli/phoenix-cli
need_program tests/system/processes/processes
roles=$build/tests/system/processes/processes
most=4096 # bytes of one channel
a=$scratch/a b=$scratch/b
mkdir "$a" "$b"
mkfifo "$scratch/idle.in" "$scratch/crowd.in"
ulimit -n 1024

# start_fed NAME ROLE...: what is written to $scratch/NAME.in is its input
# shellcheck disable=SC2016 # for the other bash
start_fed() { start "$1" bash -c 'exec "$@" <>"$0"' "$scratch/$1.in" "$roles" "${@:2}"; }
dataplane() { # NAME DIR OPTION...
	start "$1" "$build/dataplane/phoenix-dataplane" --rundir "$2" "${@:3}"
	wait_for 10 test -S "$2/app.sock"
}
# KiB of all programs; shared memory is divided among those who share it
resident() {
	local p
	for p in "${pid[@]}"; do
		cat "/proc/$p/smaps_rollup"
	done | awk '/^Pss:/ { n += $2 } END { print n }'
}

idle() { # TARGET SERVER-DIR: the dataplanes are there; ends all that was started
	local n each p
	local -A kib=()
	start server "$roles" serve "$2" add
	wait_for 10 grep -q ready "$scratch/server.log"
	start_fed idle idle "$a" "$1"
	exec 9>"$scratch/idle.in"
	for n in 1 100 1000; do
		echo $n >&9
		wait_for 30 grep -qx "have $n" "$scratch/idle.log"
		kib[$n]=$(resident)
	done
	exec 9>&-
	for n in 100 1000; do
		each=$(((kib[$n] - kib[1]) * 1024 / (n - 1)))
		echo "$n channels: ${kib[$n]} KiB, $each B each beyond the first (${kib[1]} KiB)"
		if [ $each -le 0 ] || [ $each -ge $most ]; then
			fail "not between 0 and $most B"
		fi
	done
	for p in idle server dpa dpb; do
		[ -z "${pid[$p]:-}" ] || stop "$p"
	done
}

for workers in 1 2; do
	echo "idle channels on one host, $workers workers"
	dataplane dpa "$a" --standalone default --workers $workers
	idle local:add "$a"
done

echo "idle channels between two hosts"
port=$(free_port)
cat >"$scratch/rules.json" <<-END
	{"version": 1, "generation": "1", "attach": [{"name": "all", "action": "allow"}],
	"register": [{"name": "all", "action": "allow"}], "listeners":
	[{"name": "main", "transport": "tcp", "address": "127.0.0.1:$port"}]}
END
dataplane dpb "$b" --standalone "$scratch/rules.json"
dataplane dpa "$a" --standalone default
idle "tcp://127.0.0.1:$port/add" "$b"

echo "100 processes with 10 channels each"
cli() { timeout 20 "$build/cli/phoenix-cli" --rundir "$a" -j "$@"; }
answers() { cli system status | jq -e '.state == "running"'; }
dataplane dp "$a"
start cp "$build/controlplane/phoenix-controlplane" --rundir "$a"
wait_for 10 answers
start server "$roles" serve "$a" add 2
wait_for 10 grep -q ready "$scratch/server.log"
start_fed crowd crowd "$a" local:add 100 10 5
wait_for 60 grep -qE 'open|failed' "$scratch/crowd.log"
grep -q open "$scratch/crowd.log" || fail "not everybody could open channels and call"
n=$(cli app list | jq '[.[] | select(.claimed_name == "member")] | length')
[ "$n" = 100 ] || fail "$n of 100 applications"
n=$(cli channel list | jq length)
[ "$n" = 1000 ] || fail "$n of 1000 channels"
fds=$(find "/proc/${pid[dp]}/fd" | wc -l)
echo >"$scratch/crowd.in"
wait_quiet 60 gone "${pid[crowd]}" || fail "the crowd hangs"
wait "${pid[crowd]}" || fail "a call of the crowd was wrong"
unset 'pid[crowd]'
echo "10,000 calls right; the dataplane had $fds of 1024 descriptors"
stop server
[ "$status" = 0 ] || fail "the server ended with $status"
stop cp
stop dp
[ "$status" = 0 ] || fail "the dataplane ended with $status"
