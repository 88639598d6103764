#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The shell of phoenix-cli on a terminal: lines, keys, history, ^C, ^D.

usage: cli_shell.py PHOENIX_CLI RUNDIR PID_OF_CONTROL_PLANE
"""

import os
import signal
import stat
import sys

from terminal import Shell, Terminal


def lines_and_signals(t, daemon):
    t.line("peer add shell1 network 10.8.0.0/16", "changed:    yes")
    t.line("pe li # abbreviated", "shell1  10.8.0.0/16")
    t.line("\x10\x10", "changed:    no")  # twice back in the history: the first line again
    t.line("peer lost", "^ 'lost' is no verb of peer")
    t.line("'open", "this quote is not closed")
    t.line("help peer", "forget a peer that no listener names")
    t.send("half a line\x03")
    t.expect(t.prompt)
    t.line("status", "state:      degraded")

    os.kill(daemon, signal.SIGSTOP)
    t.send("status\r")
    t.expect('"method":"system.status"')
    t.sleeping()  # it has been sent
    t.send("\x03")
    t.expect("interrupted")
    t.expect(t.prompt)
    # Completion gives up soon when nobody answers, and offers what the table knows.
    t.send("peer del \t")
    t.expect("dry_run")
    t.expect("peer del ")
    t.send("\x03")
    t.expect(t.prompt)
    os.kill(daemon, signal.SIGCONT)


def keys(t):
    t.line("lis\t\t", "listener", "NAME")  # completed, then what a listener list shows
    t.line("peer a\tshell2 n\t10.9.0.0/16", "peer add shell2 network 10.9.0.0/16", "yes")
    # Names that exist: what they have in common, then a list, then the only one.
    t.send("peer d\tsh\t")
    t.expect("peer del shell")
    t.send("\t")
    t.expect("shell1")
    t.expect("shell2")
    t.expect("peer del shell")
    t.line("2\t", "changed:    yes")
    t.send("listener add web transport t\t")
    t.expect("transport tcp ")
    t.send("?")
    t.expect("address")
    t.expect("peers")
    t.expect("if_generation")
    t.expect("listener add web transport tcp ")
    t.send("\x03")
    t.expect(t.prompt)
    t.send("?")
    t.expect("  doctor")
    t.expect("  history")
    t.expect(t.prompt)
    t.send("peer ?")
    t.expect("add")
    t.expect("del")
    t.expect("peer ")
    t.send("\x03")
    t.expect(t.prompt)
    # Literal within quotes and brackets and behind a backslash.
    t.line("rpc 'no.such?'", "rpc 'no.such?'", "no.such?")
    t.line('rpc no.such {"a":"?"}', '{"a":"?"}')
    t.line("rpc no.such\\?", "no.such\\?", "no.such?")
    t.line("peer add ürsula network 10.9.0.0/16", "ürsula", "must be a valid name")


def filters_and_words(t):
    t.line("peer list | count", "| count\n")
    before = t.line("peer list | grep shell1|rack")
    if "shell1" not in before or "NAME" in before:
        sys.exit(f"grep: {before!r}")
    t.line("peer list | json | grep network.:", '"network": "10.')
    t.line("peer list | sort", "after | comes grep PATTERN, json or count")
    t.line("peer list | g\tnothing | c\t", "| grep nothing | count", "0\n")
    t.line("| count", "a command is missing")
    t.line("output json")
    t.line("peer list | count", "\n")
    t.line("status", '{"state":"degraded"')
    t.line("output table")
    t.line("timing on")
    t.line("status", "state:      degraded", "time: ")
    t.line("timing off")
    t.line("timing perhaps", "usage: timing on|off")
    t.line("source /nonexistent", "cannot read /nonexistent")
    t.line("help", "in the shell:", "source")
    t.line("help doctor", "Looks at the host")


def history(t, path):
    t.line("peer list filter")
    t.line("peer add x network payload")
    t.line(" peer list", "NETWORK")
    t.line("history", "peer list filter\n")
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    if lines[-2:] != ["peer list filter", "history"]:
        sys.exit(f"history: {lines[-4:]}")
    if stat.S_IMODE(os.stat(path).st_mode) != 0o600:
        sys.exit("history can be read by others")
    t.line("status")
    t.line("status")  # once is enough
    with open(path, encoding="utf-8") as f:
        if f.read().splitlines()[-2:] != ["history", "status"]:
            sys.exit("history keeps the same line twice")
    t.line("!!", "state:")
    t.line("!1", "peer add shell1", "changed:")
    t.line("!9999", "no such line")
    t.line("!x", "no such line")


def reload(t, path):
    """A second shell has the lines of the first, and at most a thousand."""
    t.send("\x10")
    t.expect("exit-was-here")
    t.send("\x03")
    t.expect(t.prompt)
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    if len(lines) != 1000 or lines[-1] != "exit-was-here":
        sys.exit(f"history has {len(lines)} lines")


def main():
    cli, rundir, daemon = sys.argv[1], sys.argv[2], int(sys.argv[3])
    env = dict(os.environ, TERM="vt100", LC_ALL="C.UTF-8", PHOENIX_RUNDIR=rundir, HOME=rundir)
    env.pop("XDG_STATE_HOME", None)
    path = f"{rundir}/.local/state/phoenix/history"

    t = Shell([cli, "-v"], env, rundir)
    lines_and_signals(t, daemon)
    t.leave()
    t = Shell([cli], env, rundir)
    keys(t)
    filters_and_words(t)
    history(t, path)
    t.line("peer del shell1", "changed:    yes")
    t.leave("exit\r")

    with open(path, "a", encoding="utf-8") as f:
        f.writelines(f"line {n}\n" for n in range(2000))
        f.write("exit-was-here\n")
    env["XDG_STATE_HOME"] = f"{rundir}/.local/state"
    t = Shell([cli], env, rundir)
    reload(t, path)
    t.leave()
    # Keys of one's own, and a history that cannot be kept.
    with open(f"{rundir}/.editrc", "w", encoding="utf-8") as f:
        f.write('bind -v\nbind -s "^T" "status"\n')
    env["XDG_STATE_HOME"] = "/dev/null"
    t = Terminal([cli], env)
    t.expect("history is not kept: /dev/null/phoenix/history: Not a directory")
    t.expect("> ")
    t.send("pee\t")
    t.expect("peer ")
    t.send("\x03")
    t.expect("> ")
    t.send("\x14\r")
    t.expect("state:      degraded")
    t.expect("> ")
    t.send("quit\r")
    if t.end() != 0:
        sys.exit("quit")


main()
