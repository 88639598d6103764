# SPDX-License-Identifier: BSD-3-Clause
"""A program on a terminal of its own, driven by what stands there. No sleeps: every wait has a
deadline."""

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time

DEADLINE_S = 20
ROWS, COLUMNS = 50, 200  # wide: nothing wraps
ESCAPE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])")


class Terminal:
    def __init__(self, command, env):
        self.lines, self.column, self.seen, self.pending = [""], 0, 0, ""
        self.decode = codecs.getincrementaldecoder("utf-8")(errors="replace").decode
        self.pid, self.fd = 0, -1
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
            os.execve(command[0], command, env)

    def put(self, text):
        """What a vt100 does, as far as programs use it here: only the last line changes."""
        text = self.pending + text
        self.pending = ""
        while text:
            if text[0] == "\x1b":
                m = ESCAPE.match(text)
                if not m:
                    if len(text) > 16:
                        sys.exit(f"what escape is this: {text[:16]!r}")
                    self.pending = text
                    return
                self.escape(m[2], m[1])
                text = text[m.end() :]
                continue
            self.character(text[0])
            text = text[1:]

    def escape(self, kind, argument):
        count = int(argument) if argument.isdigit() else 1
        if kind == "C":
            self.column += count
        elif kind == "D":
            self.column = max(0, self.column - count)
        elif kind == "K":
            self.lines[-1] = self.lines[-1][: self.column]
        elif kind in "HJ":  # a new screen: leave what was there
            if self.lines[-1]:
                self.lines.append("")
            self.column = 0
        elif kind not in "mhl":
            sys.exit(f"escape {argument}{kind} is not known here")

    def character(self, c):
        line = self.lines[-1]
        if c == "\n":
            self.lines.append("")
            self.column = 0
        elif c == "\r":
            self.column = 0
        elif c == "\b":
            self.column = max(0, self.column - 1)
        elif c >= " ":
            line = line.ljust(self.column)
            self.lines[-1] = line[: self.column] + c + line[self.column + 1 :]
            self.column += 1

    def read(self, until):
        if not select.select([self.fd], [], [], max(0, until - time.monotonic()))[0]:
            return False
        try:
            data = os.read(self.fd, 4096)
        except OSError:  # the other end is closed
            return False
        self.put(self.decode(data))
        return bool(data)

    def text(self):
        return "\n".join(self.lines)[self.seen :]

    def expect(self, what):
        """Wait for the text, forget everything up to its end and return what came before."""
        until = time.monotonic() + DEADLINE_S
        while what not in self.text():
            if not self.read(until):
                sys.exit(f"no {what!r} in {self.text()!r}")
        before = self.text().split(what, 1)[0]
        self.seen += len(before) + len(what)
        return before

    def send(self, keys):
        os.write(self.fd, keys.encode())

    def sleeping(self):
        """Wait until the program waits itself."""
        until = time.monotonic() + DEADLINE_S
        while "(sleeping)" not in open(f"/proc/{self.pid}/status").read():
            if time.monotonic() > until:
                sys.exit("never waits")

    def end(self):
        until = time.monotonic() + DEADLINE_S
        while self.read(until):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


class Shell(Terminal):
    """phoenix-cli on a terminal, at its first prompt."""

    def __init__(self, command, env, rundir):
        super().__init__(command, env)
        self.prompt = f"phoenix ({os.path.basename(rundir)})> "
        self.expect(self.prompt)

    def line(self, text, *wants):
        """Enter a line; these texts must come, in this order, and then the prompt."""
        self.send(text + "\r")
        for want in wants:
            self.expect(want)
        return self.expect(self.prompt)

    def leave(self, keys="\x04"):
        self.send(keys)
        code = self.end()
        if code != 0:
            sys.exit(f"{keys!r}: exit status {code}")
