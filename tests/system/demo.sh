#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# scripts/demo: on one host, without root, between two namespaces, and stopped in the middle.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

demo=$(dirname "$0")/../../scripts/demo
for p in dataplane/phoenix-dataplane controlplane/phoenix-controlplane cli/phoenix-cli tests/bench/phoenix-bench; do
	need_program "$p"
done
chmod 755 "$scratch"
meson install -C "$build" --no-rebuild --quiet --destdir "$scratch/root" >"$scratch/install.log" 2>&1 ||
	fail "meson install failed"
mkdir -m 1777 "$scratch/tmp" # where the demos put what they make
export TMPDIR=$scratch/tmp

# shown NAME CMD...: exit 0, everything is there, and nothing is left in its folder
shown() {
	local name=$1 rc=0 what
	shift
	"$@" >"$scratch/$name.log" 2>&1 || rc=$?
	[ $rc = 0 ] || [ $rc = 77 ] || fail "$name: exit status $rc"
	if [ $rc = 0 ]; then
		for what in '   Hello world' '   nothing'; do
			grep -qFx "$what" "$scratch/$name.log" || fail "$name does not say '$what'"
		done
		for what in status app service link channel engine lcore stats; do
			grep -qE "^\\\$ phoenix-cli $what( |\$)" "$scratch/$name.log" || fail "$name does not show $what"
		done
		! grep -q '^error: ' "$scratch/$name.log" || fail "$name: $(grep '^error: ' "$scratch/$name.log")"
		grep -qE 'rate [1-9][0-9]* /s' "$scratch/$name.log" || fail "$name shows no rate"
		grep -qE 'p50 [0-9.]+ +p99 [0-9.]+' "$scratch/$name.log" || fail "$name shows no percentiles"
	fi
	empty || fail "$name left $(ls "$TMPDIR")"
	status=$rc
}
empty() { [ -z "$(ls -A "$TMPDIR")" ]; }
none_of() { ! pgrep -f "$TMPDIR/phoenix-demo" >/dev/null; }

shown one-host "$demo" --installed "$scratch/root" --seconds 1
[ "$status" = 0 ] || fail "one host must always do"

if [ "$(id -u)" = 0 ]; then
	shown without-root setpriv --reuid 65534 --regid 65534 --clear-groups "$demo" --installed "$scratch/root" --seconds 1
	[ "$status" = 0 ] || fail "one host must do without root"
fi

# Stopped while the load runs: it takes everything down.
start stopped "$demo" --installed "$scratch/root" --seconds 60
wait_for 60 grep -q '^== starting a load' "$scratch/stopped.log"
p=${pid[stopped]}
unset 'pid[stopped]'
kill -TERM "$p"
wait_for 30 gone "$p"
status=0
wait "$p" || status=$?
[ "$status" = 130 ] || fail "stopped: exit status $status"
empty || fail "stopped: left $(ls "$TMPDIR")"
none_of || fail "stopped: processes are left"

status=0
"$demo" --no-such-option >/dev/null 2>&1 || status=$?
[ "$status" = 2 ] || fail "an unknown option gives $status"

if [ "$(id -u)" != 0 ]; then
	echo "two hosts: not tried, needs root"
else
	shown two-hosts "$demo" --two-hosts --installed "$scratch/root" --seconds 1
	[ "$status" = 0 ] || skip "one host works; $(tail -n 1 "$scratch/two-hosts.log")"
fi
