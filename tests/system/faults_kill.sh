#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# SIGKILL and SIGSTOP of client, server, both dataplanes and the control plane under load, at
# random moments and at named points: the ledger is clean, and pairs on other channels do not notice.
# shellcheck source=tests/system/faults_bed.sh
. "$(dirname "$0")/faults_bed.sh"

need_program controlplane/phoenix-controlplane
a=$scratch/a b=$scratch/b port=$(free_port)
shim=$build/tests/system/faults/deny_shim.so
jq -n --arg at "0.0.0.0:$port" '{version: 1, generation: "1",
	attach: [{name: "all", action: "allow"}], register: [{name: "all", action: "allow"}],
	listeners: [{name: "main", transport: "tcp", address: $at}]}' >"$scratch/rules.json"
mkdir "$a"
"$ledger" new "$innocents"

start_a() { # no rules of its own, the control plane pushes them
	rm -f "$a"/app.sock "$a"/dataplane.sock
	start dpa "$dp" --rundir "$a"
	wait_for 10 test -S "$a/app.sock"
}
start_cp() {
	start cp "$build/controlplane/phoenix-controlplane" --rundir "$a"
	wait_for 10 test -S "$a/control.sock"
}
innocents_at() { # a|b
	serve "innocent_server_$1" "${!1}" "innocent_$1" "$innocents"
	innocent "innocent_$1" "local:innocent_$1" "${!1}"
}
innocents_leave() { # their dataplane is to die
	stop "innocent_$1"
	[ "$status" = 0 ] || fail "$row_name: innocent_$1 ended with $status: $(tail -n 3 "$scratch/innocent_$1.log")"
	stop "innocent_server_$1"
}
begin() { # ROW
	row "$1"
	serve server "$b" victim "$book"
	victims "tcp://127.0.0.1:$port/victim" "$a"
	progress $((50 + RANDOM % 400))
}
signal() { kill -s "$1" "${pid[$2]}"; }
# stop_long DATAPLANE OTHER: until the other has given the link up, and its applications are told
stop_long() {
	local before
	idle_of() { grep -c 'lost: W_IDLE' "$scratch/$1.log" || true; }
	given_up() { [ "$(idle_of "$1")" -gt "$2" ]; }
	before=$(idle_of "$2")
	signal STOP "$1"
	wait_for 15 given_up "$2" "$before"
	clock 100
	signal CONT "$1"
}

start_a
start_cp
dataplane dpb "$b" "$scratch/rules.json"
innocents_at a
innocents_at b
clock 50

for ((round = 0; round < rounds; round++)); do
	begin 'kill client'
	kill_hard open
	progress 300
	judge 1

	begin 'kill server'
	kill_hard server
	serve server "$b" victim "$book"
	progress 300
	judge 0

	begin 'stop client'
	signal STOP open
	clock 300
	signal CONT open
	progress 300
	judge 0

	begin 'stop server'
	signal STOP server
	clock 600
	signal CONT server
	progress 300
	judge 0

	begin 'kill control plane'
	kill_hard cp
	progress 300
	start_cp
	progress 300
	judge 0

	begin 'stop control plane'
	signal STOP cp
	progress 500
	signal CONT cp
	judge 0

	begin 'kill local dataplane'
	innocents_leave a
	kill_hard dpa
	clock 20
	start_a
	innocents_at a
	progress 300
	judge 0

	begin 'end local dataplane'
	innocents_leave a
	stop dpa
	[ "$status" = 0 ] || fail "$row_name: exit status $status"
	left=$(find "$a" -mindepth 1 ! -name '*.lock' ! -name control.sock ! -name 'intent.journal*')
	[ -z "$left" ] || fail "$row_name: left behind: $left"
	start_a
	innocents_at a
	progress 300
	judge 0

	# Its server comes back later than the link.
	begin 'kill remote dataplane'
	innocents_leave b
	signal STOP server
	before=$(grep -c 'link: link-.*, host ' "$scratch/dpa.log")
	linked() { [ "$(grep -c 'link: link-.*, host ' "$scratch/dpa.log")" -gt "$before" ]; }
	kill_hard dpb
	clock 20
	dataplane dpb "$b" "$scratch/rules.json"
	wait_for 10 linked
	innocents_at b
	clock 60
	signal CONT server
	progress 300
	judge 0
	[[ $endings != *UNIMPLEMENTED* ]] || fail "$row_name: a service that was there became unknown"

	begin 'stop remote dataplane'
	innocents_leave b
	stop_long dpb dpa
	innocents_at b
	progress 300
	judge 0

	begin 'stop local dataplane'
	innocents_leave a
	stop_long dpa dpb
	innocents_at a
	progress 300
	judge 0
done

# The local dataplane and a client die at their k-th call of each of these.
if [ -e "$shim" ]; then
	stop cp
	deny=$scratch/deny
	truncate -s 2M "$deny"
	arm() { # K FUNCTION: as fault_deny.h has it
		python3 - "$deny" "$1" "$2" <<-'END'
			import struct, sys
			with open(sys.argv[1], "r+b") as f:
			    f.seek(24)
			    f.write(sys.argv[3].encode().ljust(32, b"\0"))
			    f.seek(4)
			    f.write(struct.pack("5I", 1, int(sys.argv[2]), 0, 0, 1))
			    f.seek(0)
			    f.write(struct.pack("I", 1))
		END
	}
	disarm() { printf '\0\0\0\0' | dd of="$deny" conv=notrunc status=none; }
	points=(accept4 memfd_create epoll_ctl mmap sendmsg recvmsg connect setsockopt)
	innocents_leave a
	stop dpa
	start dpa env LD_PRELOAD="$shim" PHX_DENY_FILE="$deny" "$dp" --rundir "$a" --standalone default
	wait_for 10 test -S "$a/app.sock"
	for point in "${points[@]}"; do
		begin "kill local dataplane at $point"
		arm $((1 + RANDOM % 2)) "$point"
		# Whatever it has not done for a while: another session, another link.
		start other "$ledger" client "$book" "tcp://127.0.0.$((rows + 1)):$port/victim" --rundir "$a" \
			--seconds 1 --inflight 4 --size 400000 --timeout-ms 1000
		wait_for 10 gone "${pid[dpa]}"
		disarm
		kill_hard dpa
		rm -f "$a"/*.sock
		start dpa env LD_PRELOAD="$shim" PHX_DENY_FILE="$deny" "$dp" --rundir "$a" --standalone default
		wait_for 10 test -S "$a/app.sock"
		progress 100
		end_client other
		judge 0
	done
fi
for i in a b; do
	[ -z "${pid[innocent_$i]:-}" ] || innocents_leave "$i"
done
echo "$rows rows, $("$ledger" check "$innocents" | jq -r '"innocents: \(.accepted) calls, \(.ok) ok, slowest \(.slowest_ms) ms"')"
