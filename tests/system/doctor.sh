#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# phoenix-cli doctor: without daemons, with them, and with what is wrong.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program cli/phoenix-cli
need_program controlplane/phoenix-controlplane
need_program dataplane/phoenix-dataplane
cli=$build/cli/phoenix-cli
rundir=$scratch/run
unset PHOENIX_SOCKET PHOENIX_INSTANCE PHOENIX_RUNDIR

# doctor CODE ARG...: its rows in $scratch/out
doctor() {
	local want=$1 rc=0
	shift
	"$cli" -j --rundir "$rundir" "$@" doctor >"$scratch/out" 2>"$scratch/err" </dev/null || rc=$?
	[ "$rc" = "$want" ] || fail "doctor: exit status $rc, not $want: $(cat "$scratch/out" "$scratch/err")"
	jq -e 'length > 10 and all(.[]; (.id | length > 0) and (.level | IN("ok", "warn", "fail"))
		and (.found | length > 0) and (.needed | length > 0)
		and (.level == "ok" or (.fix | length > 0)))' "$scratch/out" >/dev/null ||
		fail "doctor: $(cat "$scratch/out")"
}
is() { jq -e "INDEX(.id) | $1" "$scratch/out" >/dev/null || fail "not $1: $(cat "$scratch/out")"; }

echo "- nothing runs: no failure, EAL is tried"
doctor 0
is '.rundir.level == "warn" and (.rundir.found | contains("No such file"))'
is '.["app.sock"] | .level == "warn" and (.fix | startswith("start it: phoenix-dataplane --rundir "))'
is '.["control.sock"].level == "warn"'
is '.eal.level == "ok" and .dataplane_program.level == "ok"'
is '(.cpus, .huge_pages, .memlock, .memfd, .kernel, .rdma, .clock) | .level != "fail"'
[ ! -e "$rundir" ] || fail "doctor made the run directory"
compgen -G '/tmp/phoenix-doctor.*' >/dev/null && fail "doctor left a directory behind"
"$cli" --rundir "$rundir" doctor >"$scratch/text"
grep -qE '^[0-9]+ checks, [0-9]+ warnings, 0 failed$' "$scratch/text" || fail "$(cat "$scratch/text")"
grep -q '^ *fix: *start it: phoenix-controlplane' "$scratch/text" || fail "$(cat "$scratch/text")"
status=0
"$cli" doctor me 2>"$scratch/err" || status=$?
[ "$status" = 2 ] || fail "doctor me: $status"

echo "- the program is missing, or says something else"
mkdir "$scratch/alone"
cp "$cli" "$scratch/alone/"
cli=$scratch/alone/phoenix-cli
PATH=/usr/bin:/bin doctor 1
is '.dataplane_program | .level == "fail" and .found == "not found"'
printf '#!/bin/sh\necho "phoenix-dataplane 9.9.9"\n' >"$scratch/alone/phoenix-dataplane"
chmod +x "$scratch/alone/phoenix-dataplane"
doctor 0
is '.dataplane_program | .level == "warn" and .found == "phoenix-dataplane 9.9.9"'
printf '#!/bin/sh\n[ "$1" = --version ] || exec sh -c "echo no memory for it; exit 2"\necho "phoenix-dataplane 9.9.9"\n' \
	>"$scratch/alone/phoenix-dataplane"
doctor 1
is '.eal | .level == "fail" and .found == "no memory for it"'
cli=$build/cli/phoenix-cli

echo "- a control plane without a dataplane"
mkdir -m 0755 "$rundir"
start controlplane "$build/controlplane/phoenix-controlplane" --rundir "$rundir"
wait_for 10 "$cli" --rundir "$rundir" -q status
doctor 0
is '.["control.sock"].found | startswith("phoenix-control")'
is '.control_plane.level == "ok" and .version_controlplane.level == "ok"'
is '.in_step.level == "warn" and .eal.level == "ok"'
is '.statedir | .level == "ok" and (.found | contains("MiB free"))'

echo "- both"
start dataplane "$build/dataplane/phoenix-dataplane" --rundir "$rundir"
in_step() { "$cli" -j --rundir "$rundir" status | jq -e '.state == "running"'; }
wait_for 20 in_step
doctor 0
is '.in_step | .level == "ok" and (.found | startswith("in step, generation"))'
is '.["app.sock"].found | startswith("phoenix-data")'
is '.["dataplane.sock"].level == "ok"'
is 'has("eal") | not'
is '.version_dataplane.level == "ok" and (.memory.found | endswith(" pages")) and (.workers.found | startswith("1,"))'

echo "- what is wrong is a failure"
chmod 0777 "$rundir"
doctor 1
is ".rundir | .level == \"fail\" and .fix == \"chmod 0755 $rundir\""
chmod 0755 "$rundir"
kill -STOP "${pid[controlplane]}"
doctor 1
is '.control_plane | .level == "fail" and (.found | contains("no answer in time"))'
kill -CONT "${pid[controlplane]}"
kill -STOP "${pid[dataplane]}"
doctor 1
is '.dataplane_answers | .level == "fail" and (.found | contains("no answer in time"))'
kill -CONT "${pid[dataplane]}"
stop dataplane KILL
doctor 1
is '.["app.sock"] | .level == "fail" and (.found | contains("a daemon has died"))'
stop controlplane
[ "$status" = 0 ] || fail "the control plane ended with $status"
echo passed
