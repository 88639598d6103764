#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# Links between two dataplanes over TCP: admission, refusals, names, this host itself, loss and
# return of the peer while calls flow, and garbage on a listener.
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

dp=$build/dataplane/phoenix-dataplane
bench=$build/tests/bench/phoenix-bench
need_program dataplane/phoenix-dataplane
need_program tests/bench/phoenix-bench

a=$scratch/a b=$scratch/b port=$(free_port)
mkdir "$a" "$b"

# document FILE LISTENER...: rules that let everybody in, and listeners as JSON
document() {
	local file=$1
	shift
	jq -n --argjson l "[$(IFS=,; echo "$*")]" '{version: 1, generation: "1",
		attach: [{name: "all", action: "allow"}],
		register: [{name: "all", action: "allow"}], listeners: $l,
		peers: [{name: "nobody", network: "192.0.2.0/24"}]}' >"$file"
}

dataplane() { # NAME DIR RULES [OPTION]...
	local name=$1 dir=$2 rules=$3
	shift 3
	start "$name" "$dp" --rundir "$dir" --standalone "$rules" "$@"
	wait_for 10 test -S "$dir/app.sock"
}
server() { # NAME DIR GROUP
	start "$1" "$bench" server "$3" --rundir "$2"
	wait_for 10 grep -q ready "$scratch/$1.log"
}
calls() { # TARGET [OPTION]...: how many calls succeeded
	local target=$1
	shift
	timeout 60 "$bench" client "$target" --rundir "$a" --json "$@" | jq .calls
}
says() { grep -q -- "$2" "$scratch/$1.log"; }

port9=$(free_port)
document "$scratch/rules.json" "{\"name\":\"main\",\"transport\":\"tcp\",\"address\":\"127.0.0.1:$port\"}" \
	"{\"name\":\"nine\",\"transport\":\"tcp\",\"address\":\"127.0.0.9:$port9\"}"
document "$scratch/closed.json" "{\"name\":\"main\",\"transport\":\"tcp\",\"address\":\"127.0.0.1:$port\",\"peers\":[\"nobody\"]}"

echo "calls cross a link between two dataplanes with two workers each"
dataplane dpb "$b" "$scratch/rules.json" --workers 2
dataplane dpa "$a" default --workers 2
server srv1 "$b" one
server srv2 "$b" two
n=$(calls "tcp://127.0.0.1:$port/one" -n 5000)
[ "$n" = 5000 ] || fail "5000 calls wanted, $n made"
n=$(calls "tcp://localhost:$port/two" -n 1000 -c 16)
[ "$n" -ge 1000 ] || fail "1000 calls by name wanted, $n made"
# Two workers here and two there: a link for each pair that has channels.
wait_for 5 says dpb 'worker 1 to'

echo "a listener survives garbage, silence and half a link"
printf 'GET / HTTP/1.1\r\n\r\n' | nc -q1 -w 3 127.0.0.1 "$port" >/dev/null || true
wait_for 5 says dpb 'not a Phoenix dataplane'
head -c 100000 /dev/urandom | nc -q1 -w 3 127.0.0.1 "$port" >/dev/null || true
start silent nc 127.0.0.1 "$port"
wait_for 10 says dpb 'no hello came in time'
n=$(calls "tcp://127.0.0.1:$port/one" -n 500)
[ "$n" = 500 ] || fail "calls after garbage: $n"

stop dpa
if unshare -m true 2>/dev/null; then # to have names of our own
	echo "all addresses of a name are tried, and one that moved is found"
	hosts() { printf '%s\n' '127.0.0.1 two.test' '127.0.0.9 two.test' "$1" >"$scratch/hosts"; }
	hosts '127.0.0.1 moved.test'
	printf '%s\n' 'nameserver 127.0.0.9' 'options timeout:30 attempts:3' >"$scratch/resolv.conf"
	start dns sh -c 'exec nc -u -l 127.0.0.9 53 >"$0"' "$scratch/question" # never answers
	start dpa unshare -m sh -c 'mount --bind "$0/hosts" /etc/hosts &&
		mount --bind "$0/resolv.conf" /etc/resolv.conf && exec "$@"' "$scratch" \
		"$dp" --rundir "$a" --standalone default
	wait_for 10 test -S "$a/app.sock"
	n=$(calls "tcp://two.test:$port9/one" -n 100)
	[ "$n" = 100 ] || fail "calls to the second address: $n"
	start moved "$bench" client "tcp://moved.test:$port9/one" --rundir "$a" --json -n 100
	wait_for 10 says dpa "moved.test:$port9: connect: Connection refused"
	hosts '127.0.0.9 moved.test'
	wait_quiet 20 gone "${pid[moved]}" || fail "nobody found the name that moved"
	n=$(jq .calls "$scratch/moved.log")
	[ "$n" = 100 ] || fail "calls to the name that moved: $n"

	echo "the end does not wait for a name server"
	start slow "$bench" client "tcp://slow.test:$port9/one" --rundir "$a" -n 1
	wait_for 10 test -s "$scratch/question"
	stop dpa
	[ "$status" = 0 ] || fail "dpa ended with $status"
	wait_quiet 20 gone "${pid[slow]}" || fail "the call to a name that nobody knows hangs"
fi

echo "the own listener is this host: no socket"
dataplane dpa "$a" "$scratch/closed.json" 2>/dev/null
wait_for 5 says dpa 'cannot listen on'
stop dpa
port2=$(free_port)
document "$scratch/self.json" "{\"name\":\"me\",\"transport\":\"tcp\",\"address\":\"127.0.0.1:$port2\"}"
dataplane dpa "$a" "$scratch/self.json"
server own "$a" mine
n=$(calls "tcp://127.0.0.1:$port2/mine" -n 1000)
[ "$n" = 1000 ] || fail "calls to this host: $n"
says dpa 'is this host' || fail "the own listener was not recognised"

echo "the peer dies and comes back while calls flow"
start load "$bench" client "tcp://127.0.0.1:$port/one" --rundir "$a" -z 6 -c 8 --json --warm 0
wait_for 10 says dpa "to 127.0.0.1:$port"
p=${pid[dpb]}
unset 'pid[dpb]'
kill -KILL "$p"
wait "$p" 2>/dev/null || true
wait_for 5 says dpa 'lost: W_RESET'
wait_for 5 says dpa 'Connection refused'
rm -f "$b"/*.sock
dataplane dpb "$b" "$scratch/rules.json"
stop srv1 && stop srv2
server srv1 "$b" one
n=$(calls "tcp://127.0.0.1:$port/one" -n 1000)
[ "$n" = 1000 ] || fail "calls after the peer came back: $n"
wait_quiet 20 gone "${pid[load]}" || fail "the load hangs"

echo "a peer that is not admitted is told so"
stop dpb
dataplane dpb "$b" "$scratch/closed.json"
timeout 20 "$bench" client "tcp://127.0.0.1:$port/one" --rundir "$a" -n 1 >/dev/null 2>&1 || true
wait_for 10 says dpa 'not an admitted peer'
says dpb 'is no admitted peer' || fail "the listener said nothing"

echo "targets that cannot be"
for t in udp://127.0.0.1:1 tcp://127.0.0.1 tcp://:5 tcp://127.0.0.1:0 tcp://127.0.0.1:99999 'tcp://a:b:1'; do
	if timeout 10 "$bench" client "$t" --rundir "$a" -n 1 >"$scratch/bad.log" 2>&1; then
		fail "$t was accepted"
	fi
	grep -q INVALID_ARGUMENT "$scratch/bad.log" || fail "$t: $(cat "$scratch/bad.log")"
done
timeout 20 "$bench" client tcp://no-such-host.invalid:1 --rundir "$a" -n 1 >/dev/null 2>&1 || true
wait_for 10 says dpa 'no-such-host.invalid:1: '
for d in dpa dpb; do
	stop $d
	[ "$status" = 0 ] || fail "$d ended with $status"
done
left=$(find "$a" "$b" -mindepth 1 ! -name "*.lock") # a lock file that is removed locks nobody
[ -z "$left" ] || fail "left behind: $left"
