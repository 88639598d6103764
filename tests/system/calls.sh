#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The call suite (calls/) over one path:  calls.sh local1|local2|tcp [CASE...]
#   local1  one dataplane, one worker        local2  one dataplane, two workers
#   tcp     two dataplanes, one worker each, joined by a listener on the loopback
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

dp=$build/dataplane/phoenix-dataplane
suite=$build/tests/system/calls/calls
need_program dataplane/phoenix-dataplane
need_program tests/system/calls/calls

mode=$1
shift
a=$scratch/a b=$scratch/b

dataplane() { # NAME DIR RULES [OPTION]...
	local name=$1 dir=$2 rules=$3
	shift 3
	mkdir -p "$dir"
	start "$name" "$dp" --rundir "$dir" --standalone "$rules" "$@"
	wait_for 10 test -S "$dir/app.sock"
}
# Memory objects of applications that a dataplane has mapped.
objects() { grep -c memfd: "/proc/${pid[$1]}/maps" || true; }
no_objects() { [ "$(objects "$1")" -le "${objects_before[$1]}" ]; }
declare -A objects_before=()

# One client is there before its server, and both before the dataplane.
early() {
	mkdir -p "$a" "$b"
	start early "$suite" "$target" "$b" "$a" "${suite}_v2" client_before_server
	wait_for 5 grep -q client_before_server "$scratch/early.log"
}
early_ended() { gone "${pid[early]}"; }

case $mode in
local1)
	b=$a target=local:
	early
	dataplane dpa "$a" default
	;;
local2)
	b=$a target=local:
	early
	dataplane dpa "$a" default --workers 2
	;;
tcp)
	port=$(free_port)
	target=tcp://127.0.0.1:$port
	cat >"$scratch/rules.json" <<-END
		{"version": 1, "generation": "1", "attach": [{"name": "all", "action": "allow"}],
		"register": [{"name": "all", "action": "allow"}], "listeners":
		[{"name": "main", "transport": "tcp", "address": "127.0.0.1:$port"}]}
	END
	early
	dataplane dpb "$b" "$scratch/rules.json"
	dataplane dpa "$a" default
	;;
*)
	fail "unknown mode $mode"
	;;
esac

wait_for 30 early_ended
wait "${pid[early]}" || fail "a client that was there before the dataplane failed"
unset 'pid[early]'
for d in "${!pid[@]}"; do
	objects_before[$d]=$(objects "$d")
done
"$suite" "$target" "$b" "$a" "${suite}_v2" "$@" || fail "the suite failed over $mode"

for d in dpa dpb; do
	[ -n "${pid[$d]:-}" ] || continue
	alive "$d" || fail "$d has died"
	wait_for 10 no_objects "$d"
	stop "$d"
	[ "$status" = 0 ] || fail "$d ended with $status"
done
