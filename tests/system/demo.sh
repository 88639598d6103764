#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# scripts/demo: on one host, without root, between two namespaces, and stopped in the middle.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

demo=$(dirname "$0")/../../scripts/demo readme=$(dirname "$0")/../../README.md
for p in dataplane/phoenix-dataplane controlplane/phoenix-controlplane cli/phoenix-cli tests/bench/phoenix-bench; do
	need_program "$p"
done
chmod 755 "$scratch"
meson install -C "$build" --no-rebuild --quiet --destdir "$scratch/root" >"$scratch/install.log" 2>&1 ||
	fail "meson install failed"
mkdir -m 1777 "$scratch/tmp" # where the demos put what they make
export TMPDIR=$scratch/tmp

# said NAME: the steps of the README were taken, all of them, and did what they tell
said() {
	local what
	while read -r what; do
		grep -qFx "   $what" "$scratch/$1.log" || fail "$1 does not take the step '$what'"
	done < <(awk '$1 ~ /^```/ { on = NF == 2 && $2 == "ten-minutes"; next } on' "$readme")
	for what in 'Hello Ada' 'Eve may not attach' 'the same, byte for byte' 'resynced:   yes'; do
		grep -qFx "   $what" "$scratch/$1.log" || fail "$1 does not say '$what' in the first ten minutes"
	done
}

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
said one-host

if [ "$(id -u)" = 0 ]; then
	shown without-root setpriv --reuid 65534 --regid 65534 --clear-groups "$demo" --installed "$scratch/root" --seconds 1
	[ "$status" = 0 ] || fail "one host must do without root"
	said without-root
fi

# stopped NAME SECONDS CMD...: stopped in the middle, when CMD succeeds, it takes everything down
stopped() {
	local name=$1 p
	start "$name" "$demo" --installed "$scratch/root" --seconds "$2"
	wait_for 60 "${@:3}"
	p=${pid[$name]}
	unset "pid[$name]"
	kill -TERM "$p"
	wait_for 30 gone "$p"
	status=0
	wait "$p" || status=$?
	[ "$status" = 130 ] || fail "$name: exit status $status"
	empty || fail "$name: left $(ls "$TMPDIR")"
	none_of || fail "$name: processes are left"
}
step_load_runs() { ls "$TMPDIR"/phoenix-demo.*/ten-minutes/load.txt; }
stopped in-its-load 60 grep -q '^== starting a load' "$scratch/in-its-load.log"
stopped in-the-steps 1 step_load_runs

status=0
"$demo" --no-such-option >/dev/null 2>&1 || status=$?
[ "$status" = 2 ] || fail "an unknown option gives $status"

if [ "$(id -u)" != 0 ]; then
	echo "two hosts: not tried, needs root"
else
	shown two-hosts "$demo" --two-hosts --installed "$scratch/root" --seconds 1
	[ "$status" = 0 ] || skip "one host works; $(tail -n 1 "$scratch/two-hosts.log")"
fi
