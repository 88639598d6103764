#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Daemons that run short while they serve: descriptors, memory, a full disk, a file system that
# turns read-only; and run directories in which something stands in the way. What is new is refused
# with a reason, what flows goes on, and with room everything works again.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

# A mount namespace of its own, for the file systems that get full.
if [ "$(id -u)" = 0 ] && [ -z "${PHX_LIMITS_INSIDE:-}" ] && unshare -m true 2>/dev/null; then
	rm -rf "$scratch"
	trap - EXIT
	PHX_LIMITS_INSIDE=1 exec unshare -m "$0" "$@"
fi
need_program dataplane/phoenix-dataplane
need_program controlplane/phoenix-controlplane
need_program tests/bench/phoenix-bench
need_program cli/phoenix-cli
dp=$build/dataplane/phoenix-dataplane
cp=$build/controlplane/phoenix-controlplane
run=$scratch/run
unset PHOENIX_SOCKET PHOENIX_INSTANCE
bench() { timeout 60 "$build/tests/bench/phoenix-bench" "$@" --rundir "$run"; }
cli() { timeout 20 "$build/cli/phoenix-cli" --rundir "$run" -j "$@"; }
# expect CODE TEXT ARG...: phoenix-cli ends with CODE and says TEXT
expect() {
	local want=$1 text=$2 rc=0
	shift 2
	cli "$@" >"$scratch/out" 2>&1 || rc=$?
	[ "$rc" = "$want" ] || fail "$*: exit status $rc, not $want: $(cat "$scratch/out")"
	grep -q -- "$text" "$scratch/out" || fail "$* does not say '$text': $(cat "$scratch/out")"
}
# refuses CODE TEXT PROGRAM...: it does not start, and says why
refuses() {
	local want=$1 text=$2 rc=0
	shift 2
	timeout 20 "$@" >"$scratch/refuses.log" 2>&1 || rc=$?
	[ "$rc" = "$want" ] || fail "$*: exit status $rc, not $want: $(cat "$scratch/refuses.log")"
	grep -qF -- "$text" "$scratch/refuses.log" || fail "$* does not say '$text'"
}
running() { cli status | jq -e '.state == "running"'; }
calls() { # NAME: so many has it made; of the dataplane itself
	PHOENIX_SOCKET=$run/dataplane.sock timeout 20 "$build/cli/phoenix-cli" -j app list | jq -e --arg n "$1" '.[] | select(.claimed_name == $n) | .calls_total'
}
flows() { # the load makes calls
	local n
	n=$(calls load)
	more() { [ "$(calls load)" -gt $((n + 20)) ]; }
	wait_for 10 more
	alive load || fail "the load ended"
}
works() { bench client local:g -n 20 --warm 0 >"$scratch/works.out" 2>&1; }

echo "- what stands in the way of a socket is refused, and stays"
for what in file directory link; do
	for name in app.sock dataplane.sock dataplane.lock; do
		rm -rf "$run"
		mkdir -m 0755 "$run"
		case $what in
		file)
			[ $name != dataplane.lock ] || continue # one that was left behind
			echo mine >"$run/$name"
			;;
		directory) mkdir "$run/$name" ;;
		link) ln -s /nowhere "$run/$name" ;;
		esac
		before=$(stat -c '%F %i' "$run/$name")
		code=3
		[ $name != dataplane.lock ] || code=2
		refuses $code "$name" "$dp" --rundir "$run" --standalone default
		[ "$(stat -c '%F %i' "$run/$name")" = "$before" ] || fail "$name, a $what, was touched"
		[ "$(find "$run" -mindepth 1 ! -name "$name" ! -name "*.lock" | wc -l)" = 0 ] ||
			fail "$name, a $what: left behind: $(ls "$run")"
	done
done

echo "- neither locked memory nor much address space is needed to begin; too little is said"
rm -rf "$run"
mkdir -m 0755 "$run"
(ulimit -l 0 && exec "$dp" --rundir "$run") >"$scratch/dp.log" 2>&1 &
pid[dp]=$!
wait_for 20 test -S "$run/dataplane.sock"
stop dp
[ "$status" = 0 ] || fail "without locked memory: $status"
(ulimit -v 200000 && refuses 4 'memory' "$dp" --rundir "$run") || exit 1
left=$(find "$run" -mindepth 1 ! -name "*.lock")
[ -z "$left" ] || fail "left behind: $left"

echo "- both daemons serve a load"
state=$scratch/state
mkdir -m 0755 "$state"
inside=${PHX_LIMITS_INSIDE:-}
trap 'rc=$?; set +e; [ -z "$inside" ] || umount -l "$state"; (exit $rc); cleanup' EXIT
[ -z "$inside" ] || mount -t tmpfs -o size=64k,mode=0755 none "$state"
start dp "$dp" --rundir "$run"
start cp "$cp" --rundir "$run" --statedir "$state"
wait_for 20 running
start server "$build/tests/bench/phoenix-bench" server g --rundir "$run" --name server
wait_for 10 grep -q ready "$scratch/server.log"
start load "$build/tests/bench/phoenix-bench" client local:g --rundir "$run" --name load -z 600 \
	--gap 1000 --warm 0
wait_for 10 calls load
flows

echo "- the dataplane has no descriptors left"
n=$(find "/proc/${pid[dp]}/fd" -mindepth 1 | wc -l)
limits=$(prlimit --pid "${pid[dp]}" --nofile --noheadings -o SOFT,HARD)
prlimit --pid "${pid[dp]}" --nofile=$((n + 3)):
works && fail "an application attached with no descriptors left"
flows
prlimit --pid "${pid[dp]}" --nofile="${limits%% *}":
wait_for 10 works

echo "- the dataplane gets no memory any more"
prlimit --pid "${pid[dp]}" --as=$((1 << 20)):
works && fail "an application attached without memory"
grep -q RESOURCE_EXHAUSTED "$scratch/works.out" || fail "no reason: $(cat "$scratch/works.out")"
flows
prlimit --pid "${pid[dp]}" --as=unlimited:
wait_for 10 works

echo "- the control plane has no descriptors left"
limits=$(prlimit --pid "${pid[cp]}" --nofile --noheadings -o SOFT,HARD)
prlimit --pid "${pid[cp]}" --nofile=3: # it may use those that it has
cli status >"$scratch/out" 2>&1 && fail "answered without descriptors"
prlimit --pid "${pid[cp]}" --nofile="${limits%% *}":
wait_for 10 running
flows

if [ -n "$inside" ]; then
	echo "- the disk of the journal is full: changes are refused, and kept again when it is not"
	expect 0 changed peer add before network 10.1.0.0/16
	cat /dev/zero >"$state/filler" 2>/dev/null || true
	rc=0 i=0
	while [ $rc = 0 ]; do # a page of the journal may have room
		i=$((i + 1))
		[ $i -lt 200 ] || fail "a full disk takes everything"
		cli peer add "full$i" network 10.2.0.0/16 >"$scratch/out" 2>&1 || rc=$?
	done
	[ "$rc" = 72 ] || fail "a full disk: exit status $rc: $(cat "$scratch/out")"
	cli peer list | jq -e --arg n "full$i" 'all(.[]; .name != $n)' >/dev/null ||
		fail "a refused change is in force"
	flows
	rm "$state/filler"
	expect 0 changed peer add after network 10.3.0.0/16

	echo "- the file system turns read-only"
	# The journal is open for writing, so this needs what an error of a disk does by itself.
	stop cp
	mount -o remount,ro "$state"
	refuses 4 'Read-only' "$cp" --rundir "$run" --statedir "$state"
	flows
	mount -o remount,rw "$state"
	start cp "$cp" --rundir "$run" --statedir "$state"
	wait_for 20 running
	cli peer list | jq -e 'map(.name) | index("before") != null and index("after") != null' \
		>/dev/null || fail "the intent was lost: $(cli peer list)"

	echo "- a disk that is full at the start"
	stop cp
	rm "$state"/intent.journal*
	cat /dev/zero >"$state/filler" 2>/dev/null || true
	refuses 4 'No space' "$cp" --rundir "$run" --statedir "$state"
	rm "$state/filler"
	start cp "$cp" --rundir "$run" --statedir "$state"
	wait_for 20 running
else
	echo "  (full and read-only file systems cannot be tried here: no mount namespace)"
fi

echo "- the socket of the control plane is gone: a second one does not start, a restart brings it back"
rm "$run/control.sock"
refuses 3 'control.sock' "$cp" --rundir "$run" --statedir "$state"
flows
stop cp
start cp "$cp" --rundir "$run" --statedir "$state"
wait_for 20 running
flows
stop load
for n in server cp dp; do
	stop $n
	[ "$status" = 0 ] || fail "$n ended with $status"
done