#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The wall clock of every program jumps by days, back and forth: no call fails or ends early, no link
# is lost, no application is disconnected, and events keep their order by number.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program dataplane/phoenix-dataplane
need_program controlplane/phoenix-controlplane
need_program cli/phoenix-cli
need_program tests/ledger/ledger
shim=$build/tests/system/faults/clock_shim.so
[ -e "$shim" ] || skip "nothing can be preloaded into this build"
ledger=$build/tests/ledger/ledger
a=$scratch/a b=$scratch/b book=$scratch/book port=$(free_port)
cli() { timeout 20 "$build/cli/phoenix-cli" --rundir "$a" -j "$@"; }
running() { cli status | jq -e '.state == "running"'; }
jumping() { # NAME PROGRAM...
	local name=$1
	shift
	start "$name" env LD_PRELOAD="$shim" "$@"
}

jq -n --arg at "127.0.0.1:$port" '{version: 1, generation: "1",
	attach: [{name: "all", action: "allow"}], register: [{name: "all", action: "allow"}],
	listeners: [{name: "main", transport: "tcp", address: $at}]}' >"$scratch/rules.json"
jumping dpb "$build/dataplane/phoenix-dataplane" --rundir "$b" --standalone "$scratch/rules.json"
jumping dpa "$build/dataplane/phoenix-dataplane" --rundir "$a"
wait_for 20 test -S "$a/dataplane.sock" -a -S "$b/app.sock"
jumping cp "$build/controlplane/phoenix-controlplane" --rundir "$a"
wait_for 20 running
"$ledger" new "$book"
jumping server "$ledger" server "$book" g --rundir "$b"
wait_for 10 grep -q ready "$scratch/server.log"
jumping client "$ledger" client "$book" "tcp://127.0.0.1:$port/g" --rundir "$a" --rate 300 \
	--inflight 32 --hold-us 5000 --timeout-ms 2000 --wait-for-ready --strict --seconds 600
more() { "$ledger" wait "$book" --at-least "$1" --seconds 30; }
more 300 || fail "no calls"
for ((i = 0; i < 20; i++)); do # changes and events meanwhile
	cli peer add "p$i" network "10.$i.0.0/16" >"$scratch/out" || fail "$(cat "$scratch/out")"
	more 20 || fail "the calls stand still"
done
# Longer than a link keeps alive, and a session's silence.
more 1200 || fail "the calls stand still"
alive client || fail "the client ended: $(cat "$scratch/client.log")"

events=$(echo '{"jsonrpc":"2.0","id":1,"method":"event.history","params":{"limit":100}}' |
	nc -U -q1 "$a/control.sock" | jq '.result.events')
jq -e 'map(.seq) == (map(.seq) | sort) or map(.seq) == (map(.seq) | sort | reverse)' \
	<<<"$events" >/dev/null || fail "events are out of order: $events"
jq -e 'map(.at) | . != sort and . != (sort | reverse)' <<<"$events" >/dev/null ||
	fail "the clock did not jump: $events"
grep -E 'lost: |disconnected|timed out' "$scratch"/dp?.log && fail "somebody was given up"
for n in client server cp dpa dpb; do
	stop $n
	[ "$status" = 0 ] || fail "$n ended with $status"
done
"$ledger" check "$book" --at-least 1500 >"$scratch/verdict" || fail "$(cat "$scratch/verdict")"
jq -r '"\(.ok) calls under a jumping clock, slowest \(.slowest_ms) ms"' "$scratch/verdict"
