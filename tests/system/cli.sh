#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# phoenix-cli against a control plane: exit codes, JSON for success and failure, batches.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program cli/phoenix-cli
need_program controlplane/phoenix-controlplane
cli=$build/cli/phoenix-cli
here=$(cd "$(dirname "$0")" && pwd)
rundir=$scratch/run
mkdir -m 0755 "$rundir"
unset PHOENIX_SOCKET PHOENIX_INSTANCE
export PHOENIX_RUNDIR=$rundir

# run CODE ARG...: phoenix-cli ARG... must exit with CODE; stdout in $out, stderr in $err
out='' err=''
run() {
	local want=$1 rc=0
	shift
	"$cli" "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || rc=$?
	out=$(cat "$scratch/out") err=$(cat "$scratch/err")
	[ "$rc" = "$want" ] || fail "phoenix-cli $*: exit status $rc, not $want: $out $err"
}

# json CODE ARG...: the same with -j: exactly one document on stdout, nothing on stderr
json() {
	local want=$1
	shift
	run "$want" -j "$@"
	[ -z "$err" ] || fail "phoenix-cli -j $*: stderr: $err"
	jq -es 'length == 1' "$scratch/out" >/dev/null || fail "phoenix-cli -j $*: $out"
	if [ "$want" != 0 ]; then
		jq -e '.error | (.code != 0) and (.message | length > 0) and .data.status' \
			"$scratch/out" >/dev/null || fail "phoenix-cli -j $*: no error: $out"
	fi
}

# both CODE ARG...: as text and as JSON; a failure says nothing on stdout as text
both() {
	run "$@"
	if [ "$1" != 0 ]; then
		[ -z "$out" ] || fail "$*: stdout: $out"
		[ -n "$err" ] || fail "$*: no word on stderr"
	fi
	json "$@"
}

is() { jq -e "$1" "$scratch/out" >/dev/null || fail "not $1: $out"; }
has() { [[ $out == *"$1"* ]] || fail "no '$1' in: $out"; }
err_has() { [[ $err == *"$1"* ]] || fail "no '$1' in: $err"; }
running() { "$cli" -j status; }

echo "- nobody there: 3"
both 3 status
is '.error.data | .running == false and (.path | endswith("/control.sock"))'
run 3 status
err_has "no control plane runs there"
err_has "phoenix-controlplane --rundir $rundir"
run 3 -r 2 -s "$scratch/nowhere" status
err_has "$scratch/nowhere"
run 2 --rundir "$rundir" -i name status
run 2 -i 'bad/name' status
both 2 -s "$(printf 'x%.0s' {1..200})" status

start controlplane "$build/controlplane/phoenix-controlplane" --rundir "$rundir"
wait_for 10 running

echo "- done: 0"
both 0 status
is '.state == "degraded" and .dataplane.up == false'
run 0 peer add rack1 network 10.0.0.0/24
has "changed:    yes"
json 0 peer add rack1 network 10.0.0.0/24
is '.changed == false'
json 0 peer list
is '. == [{"name": "rack1", "network": "10.0.0.0/24"}]'
json 0 rpc peer.list
is '.peers | length == 1'
run 0 peer
has $'NAME   NETWORK\nrack1  10.0.0.0/24'
run 0 peer -o network
[ "$out" = $'NETWORK\n10.0.0.0/24' ] || fail "$out"
json 0 listener
is '. == []'
run 0 -p peer
is 'length == 1'
[ "$(wc -l <"$scratch/out")" -gt 3 ] || fail "-p: one line"
run 0 -q peer add rack2 network 10.0.2.0/24
[ -z "$out$err" ] || fail "-q: $out$err"
run 0 -n peer del rack2
has "dry run"
run 0 -v -j peer list
is 'length == 2'
[ "$err" = '{"jsonrpc":"2.0","id":1,"method":"peer.list","params":{}}' ] || fail "-v: $err"
run 78 -v app list # the dataplane may take as long as the shell waits
err_has '"params":{"timeout_ms":9500}}'
run 78 -v -t 200ms app list
err_has '"params":{"timeout_ms":180}}'
run 78 -v app list timeout_ms 30
err_has '"params":{"timeout_ms":30}}'
run 0 lis
has TRANSPORT
env PHOENIX_RUNDIR=/nonexistent "$cli" --rundir "$rundir" status >"$scratch/out"
env PHOENIX_RUNDIR=/nonexistent "$cli" -s "$rundir/control.sock" status >"$scratch/out"
env -u PHOENIX_RUNDIR XDG_RUNTIME_DIR="$scratch" "$cli" status >"$scratch/out" 2>&1 && fail "default"
mkdir "$scratch/phoenix"
ln -s "$rundir" "$scratch/phoenix/lab"
env -u PHOENIX_RUNDIR XDG_RUNTIME_DIR="$scratch" "$cli" -i lab status >"$scratch/out"
env -u PHOENIX_RUNDIR XDG_RUNTIME_DIR="$scratch" PHOENIX_INSTANCE=lab "$cli" status >"$scratch/out"

echo "- usage: 2, and nothing is sent"
both 2
both 2 nonsense
both 2 peer add
both 2 peer add rack3 network 10.0.0.0/33
both 2 listener add x transport tcp address 127.0.0.1:5000 peers a,,b/c
both 2 -Z peer
both 2 -t never peer
both 2 -n app detach web
run 2 -o nam peer
err_has "did you mean: name"
run 2 l
err_has "ambiguous; did you mean: listener, link, lcore"
run 2 peer add rack3 netwrk 10.0.3.0/24
[ "$err" = "* peer add rack3 netwrk 10.0.3.0/24
*                ^ 'netwrk' is no parameter of peer.add; did you mean: network
* expected: network, timeout_ms, dry_run, if_generation" ] || fail "caret: $err"
run 2 -v peer add rack3 network x
[[ $err != *jsonrpc* ]] || fail "sent: $err"

echo "- local failures: 1"
both 1 app list filter @/nonexistent
both 1 -f /nonexistent
both 1 -f "$scratch"
"$cli" peer >/dev/full 2>"$scratch/err" && fail "a full device"
status=0
"$cli" peer >/dev/full 2>"$scratch/err" || status=$?
[ "$status" = 1 ] || fail "full device: $status"

echo "- what the server answers: 64 + N"
both 67 rpc peer.add '{"name":"x"}'
both 69 peer del rack9
is '.error.data.candidates | index("rack1") != null'
both 70 peer add rack1 network 10.9.0.0/16
run 0 listener add web transport tcp address 127.0.0.1:5000 peers rack1
both 73 peer del rack1
both 74 peer del rack2 if_generation 1
both 76 rpc no.such
both 78 app list
both 78 app some-app
if [ "$(id -u)" = 0 ] && [ -n "$(command -v setpriv)" ]; then
	chmod 0755 "$scratch"
	cp "$cli" "$scratch/phoenix-cli"
	nobody() { setpriv --reuid 65534 --regid 65534 --clear-groups "$@"; }
	nobody "$scratch/phoenix-cli" status 2>"$scratch/err" >"$scratch/out" && fail "0660"
	err=$(cat "$scratch/err")
	err_has "Permission denied"
	err_has "owner root, group root, mode 0660"
	err_has "the control plane runs, pid ${pid[controlplane]}"
	chmod 0666 "$rundir/control.sock"
	status=0
	nobody "$scratch/phoenix-cli" peer del rack2 2>"$scratch/err" || status=$?
	[ "$status" = 71 ] || fail "another user: exit status $status"
	nobody "$scratch/phoenix-cli" -j peer list >"$scratch/out"
	is 'length == 2'
fi
# Every status, from a server that answers what it is asked for.
start answers python3 "$here/cli_answers.py" "$scratch/answers"
wait_for 10 test -S "$scratch/answers"
for n in {1..16}; do
	both $((64 + n)) -s "$scratch/answers" rpc "code.$n"
	is ".error.code == $n"
done
both 1 -s "$scratch/answers" rpc code.99
both 77 -s "$scratch/answers" rpc malformed.error
both 1 -s "$scratch/answers" rpc hang.up
both 1 -s "$scratch/answers" rpc not.rpc
run 0 -s "$scratch/answers" app
has 'app-1  a\x1b[31mb'

echo "- no answer: 4; interrupted: 130"
kill -STOP "${pid[controlplane]}"
both 4 -t 0.1 status
echo status >"$scratch/one.phx"
both 4 -t 100ms -f "$scratch/one.phx"
interrupted() {
	env --default-signal=INT "$cli" "$@" status >"$scratch/out" 2>"$scratch/err" &
	pid[cli]=$!
	# It has been sent: the shell waits for an answer that does not come.
	wait_for 10 sh -c "grep -qs . '$scratch/err' && grep -q '^State:.S' /proc/${pid[cli]}/status"
	stop cli INT
	[ "$status" = 130 ] || fail "interrupted: exit status $status"
}
interrupted -v
interrupted -v -j
is '.error.data.status == "CANCELLED"'
kill -CONT "${pid[controlplane]}"
wait_for 10 running

echo "- batches"
cat >"$scratch/site.phx" <<'END'
# peers, then a mistake
peer add b1 network 10.1.0.0/16   # the first

peer add b2 netwrk 10.2.0.0/16
peer add b3 network 10.3.0.0/16
peer del nobody
END
run 2 -x -f "$scratch/site.phx"
err_has "+ peer add b1 network 10.1.0.0/16"
err_has "site.phx:4:"
json 0 peer list
is '[.[].name] == ["b1", "rack1", "rack2"]'
run 2 -k -f "$scratch/site.phx" # the first failure, not the last
err_has "site.phx:6: error: no peer named 'nobody'"
json 0 peer list
is '[.[].name] == ["b1", "b3", "rack1", "rack2"]'
run 2 -j -k -f "$scratch/site.phx"
jq -es 'length == 4 and .[0].changed == false and .[3].error.code == 5
	and (.[1].error.data.where | endswith("site.phx:4"))' "$scratch/out" >/dev/null || fail "$out"
[ -z "$err" ] || fail "$err"
# No abbreviations in files.
echo 'pe' | "$cli" -f - 2>"$scratch/err" && fail "abbreviation in a file"
printf 'peer add b4 network 10.4.0.0/16\npeer del b4' | "$cli" -j -f - >"$scratch/out"
jq -es 'map(.changed) == [true, true]' "$scratch/out" >/dev/null || fail "stdin"
printf 'peer del "b1' >"$scratch/open.phx"
both 2 -f "$scratch/open.phx"
printf 'peer\0list' >"$scratch/nul.phx"
both 2 -f "$scratch/nul.phx"
: >"$scratch/empty.phx"
run 0 -f "$scratch/empty.phx"

cat >"$scratch/site.json" <<'END'
{"jsonrpc":"2.0","id":7,"method":"peer.add","params":{"name":"j1","network":"10.7.0.0/16"}}
[{"method":"peer.del","params":{"name":"nobody"}},
 {"method":"peer.del",
  "params":{"name":"j1"}}]
{"method":"peer.list"}
END
run 69 -j -f "$scratch/site.json"
jq -es 'length == 2 and .[0].changed and .[1].error.code == 5' "$scratch/out" >/dev/null || fail "$out"
run 69 -j -k -f "$scratch/site.json"
jq -es 'length == 4 and .[0].changed == false and .[2].changed and (.[3].peers | length == 4)' \
	"$scratch/out" >/dev/null || fail "$out"
run 69 -x -f "$scratch/site.json"
err_has '+ {"jsonrpc":"2.0","id":7,"method":"peer.add"'
err_has "site.json:2: error: no peer named 'nobody'"
echo '{"method":"peer.list"} {"method":' >"$scratch/half.json"
run 2 -f "$scratch/half.json"
has NETWORK
echo '{"methods":"peer.list"}' >"$scratch/wrong.json"
both 2 -f "$scratch/wrong.json"
echo '{"method":"peer.list","param":{}}' >"$scratch/wrong.json"
both 2 -f "$scratch/wrong.json"

echo "- every command that only reads, as text and as JSON from the same call"
run 0 --dump-commands
is 'length > 20 and all(.[]; .summary and .example and .result)'
jq -r '.[] | select(.changes | not) | select([.params[] | select(.required)] == []) | .command' \
	"$scratch/out" >"$scratch/reads"
run 0 config save # what config diff and config validate look at
[ "$(wc -l <"$scratch/reads")" -gt 10 ] || fail "few commands: $(cat "$scratch/reads")"
while read -r -a words; do
	status=0
	"$cli" "${words[@]}" >"$scratch/out" 2>"$scratch/err" </dev/null || status=$?
	[ "$status" = 0 ] || [ "$status" = 78 ] || fail "${words[*]}: exit status $status"
	json "$status" "${words[@]}"
done <"$scratch/reads"
jq -r '.[].command' <("$cli" --dump-commands) | while read -r -a words; do
	"$cli" -h "${words[@]}" | grep -q '^example: phoenix-cli ' || fail "help of ${words[*]}"
done
run 0 -h
has "exit codes:"
run 0 -V
has "phoenix-cli "
both 2 -h no such
out=$(COMP_LINE='phoenix-cli -j peer a' "$cli" --bash-complete phoenix-cli a peer)
[ "$out" = add ] || fail "completion: $out"

echo "- the shell on a terminal"
python3 "$here/cli_shell.py" "$cli" "$rundir" "${pid[controlplane]}" >"$scratch/out" 2>&1 ||
	fail "$(cat "$scratch/out")"

stop controlplane
[ "$status" = 0 ] || fail "the control plane ended with $status"
both 3 status
echo passed
