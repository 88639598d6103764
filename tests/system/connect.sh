#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# A hundred connects to peers that cannot be reached end with DEADLINE_EXCEEDED in time, and the one
# thread that has started them makes calls meanwhile (processes/connect.c).
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

need_program dataplane/phoenix-dataplane
need_program tests/system/processes/processes
roles=$build/tests/system/processes/processes
dir=$scratch/run
mkdir "$dir"

start dp "$build/dataplane/phoenix-dataplane" --rundir "$dir" --standalone default
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

timeout 60 "$roles" connect "$dir" local:add "tcp://127.0.0.1:$(free_port)" \
	"tcp://127.0.0.1:$mute" "tcp://127.0.0.1:$full" "tcp://nobody.invalid:1" ||
	fail "connects over TCP"
alive mute || fail "the mute one has ended"
stop mute
stop server
[ "$status" = 0 ] || fail "the server ended with $status"
stop dp
[ "$status" = 0 ] || fail "the dataplane ended with $status"
