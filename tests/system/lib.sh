#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Helpers of the system tests: scratch folder, programs in the background, network
# namespaces, waiting with a deadline. Source it first; it sets errexit.
#
#   . "$(dirname "$0")/lib.sh"
#   start NAME CMD...        in the background; pid in ${pid[NAME]}, output in $scratch/NAME.log
#   stop NAME [SIGNAL]       end it and wait; its exit status in $status
#   wait_for SECONDS CMD...  until CMD succeeds, else fail with the last output
#   ns_pair                  namespaces $ns_a (10.77.N.1) and $ns_b (10.77.N.2) joined by veth
#   free_port                a TCP port that nothing listens on now
#   skip REASON / fail WHY   end the test with 77 / 1
# Everything started or created here is gone when the test ends, however it ends.
# shellcheck disable=SC2034 # the sourcing test reads status, addr_a, addr_b
set -euo pipefail

# tests/system/meson.build says where the programs are; by hand: BUILD=DIR test.sh
build=${BUILD:?set BUILD to the build directory}
scratch=$(mktemp -d "${TMPDIR:-/tmp}/phx-sys.XXXXXX")
declare -A pid=()
status=0
ns_a='' ns_b=''

skip() {
	echo "skipped: $*"
	exit 77
}

fail() {
	echo "failed: $*" >&2
	local f
	for f in "$scratch"/*.log; do
		[ -s "$f" ] || continue
		echo "--- ${f##*/}" >&2
		tail -n 30 "$f" >&2
	done
	exit 1
}

need_root() { [ "$(id -u)" = 0 ] || skip "needs root"; }

# need_program PATH: what the build left out is a skip, never a pass
need_program() { [ -x "$build/$1" ] || skip "$1 is not built"; }

start() {
	local name=$1
	shift
	"$@" >"$scratch/$name.log" 2>&1 &
	pid[$name]=$!
}

alive() { kill -0 "${pid[$1]:-0}" 2>/dev/null && [ "${pid[$1]:-0}" != 0 ]; }

# A child that does not end within ten seconds is killed, and that is a failure.
stop() {
	local name=$1 signal=${2:-TERM} p=${pid[$1]}
	unset "pid[$name]"
	kill -s "$signal" "$p" 2>/dev/null || true
	if ! wait_quiet 10 gone "$p"; then
		kill -KILL "$p" 2>/dev/null || true
		status=137
		fail "$name did not end after $signal"
	fi
	status=0
	wait "$p" || status=$?
}

# A zombie is gone too: only its status is left, which `wait` collects.
gone() {
	local s
	s=$(awk '{ sub(/.*\) /, ""); print $1 }' "/proc/$1/stat" 2>/dev/null) || return 0
	[ -z "$s" ] || [ "$s" = Z ]
}

# Polls 50 times a second; the deadline ends it, not the poll.
wait_quiet() {
	local until=$((SECONDS + $1))
	shift
	until "$@" >"$scratch/wait.out" 2>&1; do
		if [ $SECONDS -gt $until ]; then
			return 1
		fi
		read -rt 0.02 <> <(:) || true
	done
}
wait_for() {
	local s=$1
	shift
	wait_quiet "$s" "$@" || fail "$* not within $s s: $(tail -n 3 "$scratch/wait.out")"
}

free_port() {
	python3 -c 'import socket
s = socket.socket()
s.bind(("127.0.0.1", 0))
print(s.getsockname()[1])'
}

# Two namespaces with a veth pair; needs root and the right to create them.
ns_pair() {
	local n=$(($$ % 250))
	need_root
	ip netns add "phx-a-$$" 2>/dev/null || skip "cannot create network namespaces"
	ns_a=phx-a-$$
	ip netns add "phx-b-$$"
	ns_b=phx-b-$$
	ip link add "va$$" netns "$ns_a" type veth peer name "vb$$" netns "$ns_b" ||
		skip "cannot create a veth pair"
	ip -n "$ns_a" addr add "10.77.$n.1/24" dev "va$$"
	ip -n "$ns_b" addr add "10.77.$n.2/24" dev "vb$$"
	ip -n "$ns_a" link set "va$$" up
	ip -n "$ns_b" link set "vb$$" up
	ip -n "$ns_a" link set lo up
	ip -n "$ns_b" link set lo up
	addr_a=10.77.$n.1 addr_b=10.77.$n.2
}

in_a() { ip netns exec "$ns_a" "$@"; }
in_b() { ip netns exec "$ns_b" "$@"; }

cleanup() {
	local rc=$? p
	trap - EXIT INT TERM
	for p in "${pid[@]}"; do
		kill -TERM "$p" 2>/dev/null || true
	done
	for p in "${pid[@]}"; do
		wait_quiet 5 gone "$p" || kill -KILL "$p" 2>/dev/null || true
		wait "$p" 2>/dev/null || true
	done
	[ -z "$ns_a" ] || ip netns del "$ns_a" || true
	[ -z "$ns_b" ] || ip netns del "$ns_b" || true
	rm -rf "$scratch"
	exit "$rc"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
