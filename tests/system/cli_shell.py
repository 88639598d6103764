#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The shell of phoenix-cli on a terminal: lines, history, ^C, ^D.

usage: cli_shell.py PHOENIX_CLI RUNDIR PID_OF_CONTROL_PLANE
"""

import os
import pty
import select
import signal
import sys
import time

DEADLINE_S = 20


class Terminal:
    def __init__(self, command, env):
        self.text, self.pid = "", 0
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(command[0], command, env)

    def read(self, until):
        if not select.select([self.fd], [], [], max(0, until - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self.fd, 4096)
        except OSError:  # the other end is closed
            return False
        self.text += data.decode(errors="replace")
        return bool(data)

    def expect(self, what):
        """Wait for the text and forget everything up to its end."""
        until = time.monotonic() + DEADLINE_S
        while what not in self.text:
            if not self.read(until):
                sys.exit(f"no {what!r} in {self.text!r}")
        self.text = self.text.split(what, 1)[1]

    def send(self, keys):
        os.write(self.fd, keys.encode())

    def end(self):
        until = time.monotonic() + DEADLINE_S
        while self.read(until):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def main():
    cli, rundir, daemon = sys.argv[1], sys.argv[2], int(sys.argv[3])
    env = dict(os.environ, TERM="vt100", PHOENIX_RUNDIR=rundir, HOME=rundir)
    t = Terminal([cli, "-v"], env)
    prompt = f"phoenix ({os.path.basename(rundir)})> "

    t.expect(prompt)
    t.send("peer add shell1 network 10.8.0.0/16\r")
    t.expect("changed:    yes")
    t.expect(prompt)
    t.send("pe li # abbreviated\r")
    t.expect("shell1  10.8.0.0/16")
    t.expect(prompt)
    t.send("\x10\x10\r")  # twice back in the history: the first line again
    t.expect("changed:    no")
    t.expect(prompt)
    t.send("peer lost\r")
    t.expect("^ 'lost' is no verb of peer")
    t.expect(prompt)
    t.send("'open\r")
    t.expect("this quote is not closed")
    t.expect(prompt)
    t.send("help peer\r")
    t.expect("forget a peer that no listener names")
    t.expect(prompt)
    t.send("half a line\x03")
    t.expect(prompt)
    t.send("status\r")
    t.expect("state:      degraded")
    t.expect(prompt)

    os.kill(daemon, signal.SIGSTOP)
    t.send("status\r")
    # It is waiting when it sleeps after the request was shown.
    t.expect('"method":"system.status"')
    until = time.monotonic() + DEADLINE_S
    while "(sleeping)" not in open(f"/proc/{t.pid}/status").read():
        if time.monotonic() > until:
            sys.exit("never waits")
    t.send("\x03")
    t.expect("interrupted")
    t.expect(prompt)
    os.kill(daemon, signal.SIGCONT)
    t.send("peer del shell1\r")
    t.expect("changed:    yes")
    t.expect(prompt)
    t.send("\x04")
    code = t.end()
    if code != 0:
        sys.exit(f"^D: exit status {code}")

    t = Terminal([cli], env)
    t.expect(prompt)
    t.send("exit\r")
    code = t.end()
    if code != 0:
        sys.exit(f"exit: exit status {code}")


main()
