#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A hundred connects to peers that cannot be reached end with DEADLINE_EXCEEDED in time, and the one
# thread that has started them makes calls meanwhile (processes/connect.c). The same while its
# session moves between two workers.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program dataplane/phoenix-dataplane
need_program controlplane/phoenix-controlplane
need_program cli/phoenix-cli
need_program tests/system/processes/processes
roles=$build/tests/system/processes/processes
dir=$scratch/run
mkdir "$dir"
cli() { timeout 20 "$build/cli/phoenix-cli" --rundir "$dir" -j "$@"; }
answers() { cli system status | jq -e '.state == "running"'; }

start dp "$build/dataplane/phoenix-dataplane" --rundir "$dir" --workers 2
start cp "$build/controlplane/phoenix-controlplane" --rundir "$dir"
wait_for 10 answers
start server "$roles" serve "$dir" add
wait_for 10 grep -q ready "$scratch/server.log"
# One who takes connections and never says a word, and one whose backlog is full.
start mute python3 -c 'import signal, socket
mute = socket.create_server(("127.0.0.1", 0), backlog=64)
full = socket.create_server(("127.0.0.1", 0), backlog=0)
there = [socket.socket() for _ in range(4)]
for s in there:
    s.setblocking(False)
    s.connect_ex(full.getsockname())
print(mute.getsockname()[1], full.getsockname()[1], "ready", flush=True)
signal.pause()'
wait_for 10 grep -q ready "$scratch/mute.log"
read -r mute full _ <"$scratch/mute.log"

connects() {
	start connect timeout 60 "$roles" connect "$dir" local:add "tcp://127.0.0.1:$(free_port)" \
		"tcp://127.0.0.1:$mute" "tcp://127.0.0.1:$full" "tcp://nobody.invalid:1"
}
connected() {
	wait_quiet 60 gone "${pid[connect]}" || fail "connects hang"
	wait "${pid[connect]}" || fail "connects over TCP"
	unset 'pid[connect]'
	cat "$scratch/connect.log"
}
connects
connected

echo "moving meanwhile"
app=''
attached() {
	app=$(cli app list | jq -r '.[] | select(.claimed_name == "connect") | .app')
	[ -n "$app" ]
}
connects
wait_for 10 attached
moves=0
until gone "${pid[connect]}"; do
	if cli placement set "$app" worker $((moves % 2)) >"$scratch/out" 2>&1; then
		moves=$((moves + 1))
	fi
done
connected
[ $moves -ge 2 ] || fail "only $moves moves: $(cat "$scratch/out")"
echo "$moves moves"
alive mute || fail "the mute one has ended"
stop mute
stop server
[ "$status" = 0 ] || fail "the server ended with $status"
stop cp
stop dp
[ "$status" = 0 ] || fail "the dataplane ended with $status"
