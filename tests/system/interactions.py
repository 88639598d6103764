#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Interactions on a terminal while calls flow: live names, top on the full screen.

usage: interactions.py PHOENIX_CLI RUNDIR APP...
"""

import os
import sys

from terminal import Shell


def completion(t, apps):
    t.send("app g\t")
    t.expect("app get ")
    t.send("app-\t")
    for app in apps:
        t.expect(app)
    t.expect("app get app-")
    t.send("?")
    for app in apps:
        t.expect(app)
    t.expect("app get app-")
    t.send("\x03")
    t.expect(t.prompt)
    t.send("app list filter.na\t")
    t.expect("filter.name ")
    t.send("b\t")
    t.expect("bench ")
    t.line("| count", f"\n{len(apps)}")
    t.send("service list filter.service=\t")
    t.expect("filter.service=phoenix.bench.Echo ")
    t.line("", "phoenix.bench.Echo")


def top(t):
    """Tables by key, q; and the prompt is back."""
    t.send("top -d 0.1\r")
    t.expect("[l]cores")
    t.expect("BUSY%")
    t.send("a")
    t.expect("CALLS/S")
    t.expect("bench")
    t.send("\t")
    t.expect("[m]ethods")
    t.send("l")
    t.expect("SLEEP%")
    t.send("q")
    t.expect(t.prompt)
    t.send("top\r")
    t.expect("BUSY%")
    t.send("\x03")
    t.expect(t.prompt)
    t.line("peer list | count", "0")


def main():
    cli, rundir, apps = sys.argv[1], sys.argv[2], sys.argv[3:]
    env = dict(os.environ, TERM="vt100", PHOENIX_RUNDIR=rundir, HOME=rundir)
    t = Shell([cli], env, rundir)
    completion(t, apps)
    top(t)
    t.leave()


main()
