#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What networks do to the link of two dataplanes, through the chaos proxy and by taking the
# interface down: the ledger is clean, calls flow again, and pairs on other channels do not notice.
# shellcheck source=tests/system/faults_bed.sh
. "$(dirname "$0")/faults_bed.sh"

proxy=$build/tests/system/faults/chaosproxy
need_program tests/system/faults/chaosproxy
ns_pair
a=$scratch/a b=$scratch/b listen=$addr_b:7000 port=7001
jq -n --arg at "$listen" '{version: 1, generation: "1",
	attach: [{name: "all", action: "allow"}], register: [{name: "all", action: "allow"}],
	peers: [{name: "near", network: "10.77.0.0/16"}],
	listeners: [{name: "main", transport: "tcp", address: $at, peers: ["near"]}]}' >"$scratch/rules.json"
"$ledger" new "$innocents"

dataplane dpa "$a" default ip netns exec "$ns_a"
dataplane dpb "$b" "$scratch/rules.json" ip netns exec "$ns_b"
mkfifo "$scratch/orders"
in_b "$proxy" "$addr_b:$port" "$listen" <"$scratch/orders" >"$scratch/proxy.log" 2>&1 &
pid[proxy]=$!
exec 8>"$scratch/orders"
wait_for 5 grep -q ready "$scratch/proxy.log"
answers=1
order() {
	local answer
	echo "$*" >&8
	answers=$((answers + 1))
	answered() { [ "$(wc -l <"$scratch/proxy.log")" -ge $answers ]; }
	wait_for 5 answered
	answer=$(sed -n "${answers}p" "$scratch/proxy.log")
	[ "$answer" = ok ]
}
for x in a b; do
	serve "innocent_server_$x" "${!x}" "innocent_$x" "$innocents"
	innocent "innocent_$x" "local:innocent_$x" "${!x}"
done
# The same two dataplanes, another link: not through the proxy.
serve innocent_server_c "$b" innocent_c "$innocents"
innocent innocent_c "tcp://$listen/innocent_c" "$a"

begin() { # ROW
	row "$1"
	serve server "$b" victim "$book"
	victims "tcp://$addr_b:$port/victim" "$a"
	progress $((50 + RANDOM % 200))
}
well() { # CALLS: they flow again
	order clear
	progress 300 "${2:-15}"
	judge 0
}
lost() { grep -c "to $addr_b:$port lost: $1" "$scratch/dpa.log" || true; }

clock 50
for ((round = 0; round < rounds; round++)); do
	begin 'one byte at a time'
	order split 1
	progress 100
	well

	begin 'ten milliseconds late'
	order delay 10
	progress 100
	well

	begin 'slow reader'
	order rate 200000
	clock 200
	well

	for direction in up down; do
		for what in reset close; do
			begin "$what $direction"
			order "$what" "$direction" $((RANDOM % 20000))
			wait_for 10 order fired
			well
		done
		begin "corrupt $direction"
		order corrupt "$direction" $((RANDOM % 20000))
		wait_for 10 order fired
		well
		begin "stalled $direction"
		order stall "$direction"
		clock 600
		well
	done

	begin 'small packets'
	ip -n "$ns_a" link set "va$$" mtu 576
	ip -n "$ns_b" link set "vb$$" mtu 576
	progress 100
	well
	ip -n "$ns_a" link set "va$$" mtu 1500
	ip -n "$ns_b" link set "vb$$" mtu 1500

	for direction in up down; do
		begin "a hole in the stream $direction"
		order lose "$direction"
		clock 40
		well
	done

	begin 'half open'
	before=$(lost W_IDLE)
	order lose both
	idle() { [ "$(lost W_IDLE)" -gt "$before" ]; }
	begin_ns=$(date +%s%N)
	wait_for 10 idle
	took_ms=$((($(date +%s%N) - begin_ns) / 1000000))
	echo "half open: noticed after $took_ms ms"
	[ $took_ms -le 4500 ] || fail "a half-open peer was noticed after $took_ms ms only"
	well

	begin 'refused for a while'
	order refuse on
	order drop
	clock 300
	well
done

# The interface goes: innocents on the same wire go with it.
stop innocent_c
[ "$status" = 0 ] || fail "innocent_c ended with $status"
begin 'link down'
before=$(lost W_IDLE)
begin_ns=$(date +%s%N)
ip -n "$ns_a" link set "va$$" down
idle() { [ "$(lost W_IDLE)" -gt "$before" ]; }
wait_for 10 idle
took_ms=$((($(date +%s%N) - begin_ns) / 1000000))
echo "link down: noticed after $took_ms ms"
[ $took_ms -le 4500 ] || fail "a link that is down was noticed after $took_ms ms only"
ip -n "$ns_a" link set "va$$" up
well 300 30

for x in a b; do
	stop "innocent_$x"
	[ "$status" = 0 ] || fail "innocent_$x ended with $status: $(tail -n 3 "$scratch/innocent_$x.log")"
done
exec 8>&-
echo "$rows rows, $("$ledger" check "$innocents" | jq -r '"innocents: \(.accepted) calls, \(.ok) ok, slowest \(.slowest_ms) ms"')"
