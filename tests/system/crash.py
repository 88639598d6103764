#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Daemons that die of a fatal signal say where, with the names of our functions and of the thread,
and die of that signal.

usage: crash.py BUILD
"""

import ctypes
import os
import re
import signal
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rpc  # noqa: E402
from flow import Host  # noqa: E402

TGKILL = {"x86_64": 234, "aarch64": 131}[os.uname().machine]


def threads(pid):
    """Name of each thread."""
    names = {}
    for tid in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{tid}/comm", encoding="ascii") as f:
            names[int(tid)] = f.read().strip()
    return names


def dies(bed, name, sig, words, tid=None):
    print(f"- {name} of {sig.name}{' in a worker' if tid else ''}")
    program = bed.programs.pop(name)
    before = len(bed.log(name))
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.syscall(TGKILL, program.pid, tid or program.pid, int(sig)) == 0
    assert program.wait(rpc.DEADLINE_S) == -sig, program.returncode
    lines = bed.log(name)[before:].splitlines()
    first, *frames = [line for line in lines if "err crash: " in line]
    assert sig.name in first and re.search(r"build id [0-9a-f]{16,}$", first), first
    found = [m[1] for m in (re.search(r"crash: #\d+ ([\w.]+)\+0x", f) for f in frames) if m]
    for word in words:
        assert any(word in x for x in [first, *found]), (word, lines)
    return found


def is_sanitized(build):
    with open(os.path.join(build, "dataplane/phoenix-dataplane"), "rb") as f:
        program = f.read()
    return b"__asan_init" in program or b"__tsan_init" in program


def main():
    if is_sanitized(sys.argv[1]):
        print("skipped: the sanitizer has its own report")
        sys.exit(77)
    with rpc.Bed(sys.argv[1]) as bed:
        Host(bed, "a")
        found = dies(bed, "a.dp", signal.SIGSEGV, ["daemon_run", "main", "phoenix-datapla"])
        assert len(found) >= 3, found
        found = dies(bed, "a.cp", signal.SIGABRT, ["loop_run", "main", "phoenix-control"])
        assert len(found) >= 2, found
        Host(bed, "b")
        pid = bed.programs["b.dp"].pid
        worker = next(t for t, n in threads(pid).items() if re.search(r"worker-1$", n))
        dies(bed, "b.dp", signal.SIGBUS, ["worker_main", "worker-1"], worker)
    print("passed")


if __name__ == "__main__":
    main()
