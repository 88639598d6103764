#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Clients, servers and dataplanes are killed and stopped while every session is moved from worker to
# worker all the time, at both hosts: the ledger is clean, and nothing of the dead is left.
# shellcheck source=tests/system/faults_bed.sh
. "$(dirname "$0")/faults_bed.sh"

a=$scratch/a b=$scratch/b port=$(free_port)
rules() { # a|b PORT
	jq -n --arg at "127.0.0.1:$2" '{version: 1, generation: "1",
		attach: [{name: "all", action: "allow"}], register: [{name: "all", action: "allow"}],
		listeners: [{name: "main", transport: "tcp", address: $at}]}' >"$scratch/rules_$1.json"
}

host() { # a|b
	mkdir -p "${!1}"
	start "dp$1" "$dp" --rundir "${!1}" --standalone "$scratch/rules_$1.json" --workers 2
	serves() { ask "${!1}" system status; }
	wait_for 20 serves "$1"
}
ask() { # DIR COMMAND...: of the dataplane itself
	local dir=$1
	shift
	PHOENIX_SOCKET=$dir/dataplane.sock timeout 10 "$build/cli/phoenix-cli" -j "$@"
}
moving() { # a|b
	start "mover_$1" python3 "$(dirname "$0")/faults/mover.py" "${!1}" 2
	wait_for 10 grep -q ready "$scratch/mover_$1.log"
}
begin() { # ROW
	row "$1"
	serve server "$b" victim "$book"
	victims "tcp://127.0.0.1:$port/victim" "$a"
	moving a
	moving b
	progress $((100 + RANDOM % 400)) 20
}
end() { # KILLED
	local x n
	progress 300 20
	for x in a b; do
		stop "mover_$x"
		n=$(awk '/moves$/ { print $1 }' "$scratch/mover_$x.log")
		[ "${n:-0}" -gt 0 ] || fail "$row_name: nothing moved at $x"
		echo "$row_name: $n moves at $x"
	done
	judge "$1"
	for x in a b; do
		empty() {
			local mem
			mem=$(ask "${!1}" mem get)
			jq -e '.app_bytes == 0 and .apps == [] and all(.pools[]; .used == 0)' <<<"$mem" ||
				{ echo "$mem"; return 1; }
		}
		wait_for 5 empty "$x"
	done
}

need_program cli/phoenix-cli
rules b "$port"
rules a "$(free_port)"
host b
host a

for ((round = 0; round < rounds; round++)); do
	begin 'kill client that moves'
	kill_hard open
	end 1

	begin 'kill server that moves'
	kill_hard server
	serve server "$b" victim "$book"
	end 0

	begin 'stop client that moves'
	kill -STOP "${pid[open]}"
	progress 300
	kill -CONT "${pid[open]}"
	end 0

	begin 'kill local dataplane that moves'
	kill_hard dpa
	host a
	end 0

	begin 'kill remote dataplane that moves'
	kill_hard dpb
	host b
	end 0
done
for x in a b; do
	stop "dp$x"
	[ "$status" = 0 ] || fail "dp$x ended with $status"
done
