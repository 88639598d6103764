#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# The intent as one document: shown, saved, compared, checked, taken over; no dataplane runs.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program cli/phoenix-cli
need_program controlplane/phoenix-controlplane
cli=$build/cli/phoenix-cli
rundir=$scratch/run
mkdir -m 0755 "$rundir"
unset PHOENIX_SOCKET PHOENIX_INSTANCE
export PHOENIX_RUNDIR=$rundir

# run CODE ARG...: phoenix-cli -j ARG... must exit with CODE; its answer in $out
out=''
run() {
	local want=$1 rc=0
	shift
	"$cli" -j "$@" >"$scratch/out" 2>"$scratch/err" </dev/null || rc=$?
	out=$(cat "$scratch/out" "$scratch/err")
	[ "$rc" = "$want" ] || fail "phoenix-cli $*: exit status $rc, not $want: $out"
}
is() { jq -e "$1" "$scratch/out" >/dev/null || fail "not $1: $out"; }
running() { "$cli" -j status; }
restart() {
	stop controlplane
	[ "$status" = 0 ] || fail "the control plane ended with $status"
	start controlplane "$build/controlplane/phoenix-controlplane" --rundir "$rundir" "$@"
	wait_for 10 running
}

start controlplane "$build/controlplane/phoenix-controlplane" --rundir "$rundir"
wait_for 10 running

echo "- save, restart, load, save: the same bytes"
run 0 app rule_set web action allow uid 1000 labels.tier=front labels.app=web before local
run 0 service rule_set pay action owner service 'pay.*'
run 0 peer add rack2 network 10.0.2.0/24
run 0 peer add rack1 network 10.0.1.0/24
run 0 listener add web transport tcp address 127.0.0.1:5000 peers rack2,rack1
run 0 config save "$scratch/a.json"
is ".path == \"$scratch/a.json\" and .bytes > 300"
[ "$(stat -c %a "$scratch/a.json")" = 640 ] || fail "mode $(stat -c %a "$scratch/a.json")"
jq -e 'has("generation") | not' "$scratch/a.json" >/dev/null || fail "$(cat "$scratch/a.json")"
restart
run 0 config save "$scratch/b.json"
cmp "$scratch/a.json" "$scratch/b.json"
# A control plane without a past, which loads it and starts again.
stop controlplane
rm "$rundir/intent.journal"
start controlplane "$build/controlplane/phoenix-controlplane" --rundir "$rundir"
wait_for 10 running
run 0 config load "$scratch/a.json" mode replace
is '.changed and (.plan | length > 4)'
restart
run 0 config save "$scratch/c.json"
cmp "$scratch/a.json" "$scratch/c.json"
run 0 config load "$scratch/a.json" mode replace
is '.changed == false and .plan == []'
[ -z "$(find "$scratch" "$rundir" -name '*.new')" ] || fail "temporary files are left"

echo "- the file of --config, for an empty journal only"
stop controlplane
rm "$rundir/intent.journal"
cp "$scratch/a.json" "$scratch/site.json"
start controlplane "$build/controlplane/phoenix-controlplane" --rundir "$rundir" \
	--config "$scratch/site.json"
wait_for 10 running
run 0 config diff
is '.plan == []'
run 0 peer add rack3 network 10.0.3.0/24
run 0 config diff
is '[.plan[] | {op, kind, name}] == [{"op": "remove", "kind": "peer", "name": "rack3"}]'
run 0 config save
is ".path == \"$scratch/site.json\""
run 0 config diff
is '.plan == []'
restart --config "$scratch/a.json"
run 0 peer list
is '[.[].name] == ["rack1", "rack2", "rack3"]'
stop controlplane
rm "$rundir/intent.journal"
echo '{"version":1,' >"$scratch/bad.json"
for f in "$scratch/bad.json" "$scratch/nowhere.json" /dev/null; do
	rc=0
	"$build/controlplane/phoenix-controlplane" --rundir "$rundir" --config "$f" \
		2>"$scratch/err" || rc=$?
	[ "$rc" = 2 ] || fail "--config $f: exit status $rc: $(cat "$scratch/err")"
	grep -q "$f" "$scratch/err" || fail "--config $f is not named: $(cat "$scratch/err")"
done
start controlplane "$build/controlplane/phoenix-controlplane" --rundir "$rundir"
wait_for 10 running

echo "- plans: merge and replace"
run 0 peer add old network 10.9.0.0/16
run 0 config load "$scratch/a.json" mode replace dry_run yes
is '.changed and ([.plan[].op] | index("add") != null and index("remove") != null)'
run 0 peer list
is '[.[].name] == ["old"]'
run 0 config load "$scratch/a.json"
is '[.plan[] | select(.op == "remove")] == []'
run 0 app rule_list
is '[.[].name] == ["local", "web"]'
run 0 config get section listeners
is '.config | keys == ["listeners", "version"]'
run 69 config get section listener
is '.error.data.candidates == ["listeners"]'
jq '.listeners[0].address = "127.0.0.1:5001"' "$scratch/a.json" >"$scratch/d.json"
run 0 config diff "$scratch/d.json"
is '.plan | map(select(.kind == "listener")) | .[0] | .op == "change" and .disruptive
	and .from.address == "127.0.0.1:5000" and .to.address == "127.0.0.1:5001"'
is '.plan | map(select(.kind == "app_rule_order")) | .[0]
	| .from == ["local", "web"] and .to == ["web", "local"] and (.disruptive | not)'
run 0 config load "$scratch/d.json" mode replace
run 0 config diff "$scratch/d.json"
is '.plan == []'
generation=$(jq -r .generation "$scratch/out")
run 74 config load "$scratch/a.json" if_generation $((generation - 1))

echo "- all or nothing"
jq '.peers += [{"name": "rack9", "network": "10.0.9.0/24"}] | .listeners[0].peers = ["nobody"]' \
	"$scratch/a.json" >"$scratch/e.json"
run 67 config load "$scratch/e.json"
is '.error.data.field == "listeners.web.peers"'
run 0 config diff "$scratch/d.json"
is ".plan == [] and .generation == \"$generation\""

echo "- documents that are wrong"
echo '{"version":1,"listners":[],"peers":[{"name":"a","netwrk":"10.0.0.0/8"},
	{"name":"b","network":"10.0.0.0/99"}]}' >"$scratch/f.json"
run 67 config validate "$scratch/f.json"
is '.errors | map(.pointer) == ["/listners", "/peers/0/netwrk", "/peers/1/network"]'
is '.errors[1].hint == "did you mean network"'
echo '{"version":1,"peers":[{"name":"a","network":"::1"},{"name":"a","network":"::2"}]}' >"$scratch/f.json"
run 67 config validate "$scratch/f.json"
is '[.errors[].pointer] == ["/peers/1/name"]'
run 0 config validate "$scratch/a.json"
is '.errors == []'
run 67 config load "$scratch/f.json"
for text in '{"version":2}' '{}' '{"version":1,"peers":{}}' '{"version":1,"extra":1}'; do
	echo "$text" >"$scratch/f.json"
	run 67 config load "$scratch/f.json" mode replace
done
run 0 config diff "$scratch/d.json"
is '.plan == []'

echo "- files that cannot be written change nothing"
mkdir "$scratch/dir.json"
run 73 config save "$scratch/dir.json"
run 73 config save "$scratch/no/such/dir.json"
run 73 config save /dev/null
ln -s /dev/full "$scratch/link.json"
run 73 config save "$scratch/link.json"
(cd "$scratch" && "$cli" -j config save here.json >out) || fail "a relative path"
is ".path | endswith(\"/here.json\")"
if [ "$(id -u)" = 0 ] && mount -t tmpfs -o size=4k none "$scratch/dir.json" 2>/dev/null; then
	head -c 4096 /dev/zero >"$scratch/dir.json/full" || true
	run 72 config save "$scratch/dir.json/site.json"
	[ "$(ls "$scratch/dir.json")" = full ] || { umount "$scratch/dir.json"; fail "left behind"; }
	umount "$scratch/dir.json"
fi

stop controlplane
[ "$status" = 0 ] || fail "the control plane ended with $status"
echo passed
