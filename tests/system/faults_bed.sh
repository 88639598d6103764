#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# What the fault tests share: dataplanes, pairs of ledger clients and servers, and the judgement.
# Source it instead of lib.sh. PHX_FAULTS_LONG=1 repeats each row ten times.
#
#   dataplane NAME DIR RULES [PREFIX...]   serve_pair SERVER DIR GROUP BOOK
#   victims TARGET DIR [OPTION]...         two clients, open and closed loop, on $book
#   progress N       until N more calls of $book are OK
#   clock N          the same of the innocents, who are the clock while the victims stand still
#   row NAME         a new book
#   judge KILLED     ends the victims and checks their book and the innocents; how calls ended that
#                    are not OK is in $endings
# shellcheck source=tests/system/lib.sh
. "$(dirname "$0")/lib.sh"

# shellcheck disable=SC2034 # the sourcing test reads them
dp=$build/dataplane/phoenix-dataplane
ledger=$build/tests/ledger/ledger
rounds=1 # the sourcing test reads it
if [ -n "${PHX_FAULTS_LONG:-}" ]; then
	# shellcheck disable=SC2034
	rounds=10
fi
rows=0 book='' row_name='' endings='' innocents=$scratch/innocents
need_program dataplane/phoenix-dataplane
need_program tests/ledger/ledger

dataplane() {
	local name=$1 dir=$2 rules=$3
	shift 3
	mkdir -p "$dir"
	rm -f "$dir"/*.sock # of one that was killed
	start "$name" "$@" "$dp" --rundir "$dir" --standalone "$rules"
	wait_for 10 test -S "$dir/app.sock"
}

# kill_hard NAME: its end is not a failure
kill_hard() {
	local p=${pid[$1]}
	unset "pid[$1]"
	kill -KILL "$p" 2>/dev/null || true
	wait "$p" 2>/dev/null || true
}

serve() { # NAME DIR GROUP BOOK [PREFIX...]
	local name=$1 dir=$2 group=$3 of=$4
	shift 4
	start "$name" "$@" "$ledger" server "$of" "$group" --rundir "$dir"
	wait_for 10 grep -q ready "$scratch/$name.log"
}

innocent() { # NAME TARGET DIR
	start "$1" "$ledger" client "$innocents" "$2" --rundir "$3" --rate 200 --inflight 16 \
		--seconds 600 --strict --wait-for-ready --timeout-ms 5000
}

row() {
	row_name=$1
	rows=$((rows + 1))
	book=$scratch/book.$rows
	"$ledger" new "$book"
}

victims() {
	local target=$1 dir=$2
	shift 2
	start open "$ledger" client "$book" "$target" --rundir "$dir" --seconds 600 --rate 500 \
		--inflight 128 --size 20000 --hold-us 20000 --cancel 100 --timeout-ms 1500 --seed $RANDOM "$@"
	start closed "$ledger" client "$book" "$target" --rundir "$dir" --seconds 600 --inflight 8 \
		--size 200000 --timeout-ms 1500 --seed $RANDOM "$@"
}

progress() {
	"$ledger" wait "$book" --at-least "$1" --seconds "${2:-15}" >"$scratch/wait.out" 2>&1 ||
		fail "$row_name: no progress: $(cat "$scratch/wait.out")"
}
clock() {
	"$ledger" wait "$innocents" --at-least "$1" --seconds 20 >"$scratch/wait.out" 2>&1 ||
		fail "$row_name: the innocents stand still: $(cat "$scratch/wait.out")"
}

end_client() { # NAME: it ends by itself when its calls have
	[ -n "${pid[$1]:-}" ] || return 0
	stop "$1"
	[ "$status" = 0 ] || fail "$row_name: $1 ended with $status"
}

innocents_well() {
	local name
	for name in "${!pid[@]}"; do
		[[ $name != innocent* ]] || alive "$name" || fail "$row_name: $name was hurt"
	done
}

judge() {
	local killed=$1 line
	end_client open
	end_client closed
	innocents_well
	if [ -n "${pid[server]:-}" ]; then
		stop server
		[ "$status" = 0 ] || fail "$row_name: the server ended with $status"
	fi
	line=$("$ledger" check "$book" --killed "$killed" --at-least 100 2>"$scratch/check.log") ||
		fail "$row_name: the book is not clean: $line"
	echo "$row_name: $(jq -r '"\(.accepted) calls, \(.ok) ok, \(.maybe) maybe, \(.no) no, \(.abandoned) of killed clients, \(.endings)"' <<<"$line")"
	# shellcheck disable=SC2034 # the sourcing test reads it
	endings=$(jq -c .endings <<<"$line")
	rm -f "$book"
}
