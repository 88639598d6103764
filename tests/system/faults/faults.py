#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The control plane is killed at, or loses, each system call on its files in turn.

usage: faults.py BUILD SHIM

After every fault a new control plane must find the old intent or the new one, complete: the new
one when the change was answered, the old one when it was refused. One that goes on after a fault
must say the same as its journal, and its next change must last.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

KINDS = ("kill", "killed", "torn", "eio", "enospc", "full")
DEADLINE_S = 20
JOURNAL = "intent.journal"


class Plane:
    """A control plane on a state directory, with a fault or without."""

    def __init__(self, build, run, state, env=None):
        self.socket = os.path.join(run, "control.sock")
        with open(os.path.join(run, "log"), "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(build, "controlplane/phoenix-controlplane"), "--rundir", run,
                 "--statedir", state], env=dict(os.environ, **(env or {})), stderr=log)

    def call(self, method, params=None):
        """The result or the error; None when the control plane has died."""
        until = time.monotonic() + DEADLINE_S
        while time.monotonic() < until:
            with socket.socket(socket.AF_UNIX) as s:
                try:
                    s.connect(self.socket)
                except OSError:
                    if self.process.poll() is not None:
                        return None
                    time.sleep(0.001)  # until it listens, or has ended
                    continue
                s.settimeout(DEADLINE_S)
                try:
                    s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                          "params": params or {}}).encode() + b"\n")
                    reader = s.makefile()
                    line = reader.readline()
                except (ConnectionError, BrokenPipeError):
                    line = ""
                if line == "":
                    # It may have been listening and died, or have hung up because it stops.
                    self.process.wait(DEADLINE_S)
                    return None
                return json.loads(line)
        raise AssertionError(f"{method}: no answer")

    def config(self):
        answer = self.call("config.get")
        return None if answer is None else answer["result"]["config"]

    def stop(self):
        """Exit status; negative when a signal ended it."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(DEADLINE_S)


class Bed:
    def __init__(self, build, shim):
        self.build, self.shim = build, shim
        self.top = tempfile.mkdtemp(prefix="phx-faults.")
        self.run, self.state = os.path.join(self.top, "run"), os.path.join(self.top, "state")
        self.mark = os.path.join(self.top, "mark")
        os.mkdir(self.run, 0o755)
        self.faults = 0

    def start(self, fault=None):
        env = None
        if fault is not None:
            env = {"LD_PRELOAD": self.shim, "PHX_FAULT_DIR": self.state,
                   "PHX_FAULT_AT": str(fault[1]), "PHX_FAULT_KIND": fault[0],
                   "PHX_FAULT_MARK": self.mark}
        return Plane(self.build, self.run, self.state, env)

    def fresh(self, base):
        shutil.rmtree(self.state, ignore_errors=True)
        shutil.copytree(base, self.state)
        if os.path.exists(self.mark):
            os.unlink(self.mark)

    def found(self):
        """What a new control plane finds."""
        plane = self.start()
        config = plane.config()
        status = plane.stop()
        assert config is not None and status == 0, f"cannot start again: {status}"
        return config


def config_of(bed, base, change):
    """The intent before and after the change, without any fault."""
    bed.fresh(base)
    plane = bed.start()
    old = plane.config()
    answer = plane.call(*change)
    assert "result" in answer, answer
    new = plane.config()
    assert plane.stop() == 0
    return old, new


def check(bed, plane, change, old, new):
    """One run: the change, and what is found in this process and in the next."""
    answer = plane.call(*change)
    ok = answer is not None and "result" in answer
    if answer is not None:
        now = plane.config()
        assert now is not None and now == (new if ok else old), f"in memory: {now}"
    status = plane.stop()
    if answer is not None:
        assert status == 0, status
    elif status != -signal.SIGKILL:
        assert 1 <= status <= 4, status  # it would not start, and said so
    found = bed.found()
    allowed = [new] if ok else [old] if answer is not None else [old, new]
    assert found in allowed, f"found {found}, answered {answer}"
    # And from there the same change lasts.
    plane = bed.start()
    answer = plane.call(*change)
    assert answer is not None and "result" in answer, answer
    plane.stop()
    assert bed.found() == new


def matrix(bed, name, base, change):
    old, new = config_of(bed, base, change)
    assert old != new
    for kind in KINDS:
        k = 0
        while True:
            k += 1
            bed.fresh(base)
            plane = bed.start((kind, k))
            try:
                check(bed, plane, change, old, new)
            except AssertionError as e:
                raise AssertionError(f"{name}: {kind} at call {k}: {e}") from e
            finally:
                plane.stop()
            if not os.path.exists(bed.mark):
                break
            bed.faults += 1
        assert k > 3, f"{name}: {kind}: only {k} calls were seen"
    print(f"- {name}: ok, {bed.faults} faults so far")


def saved(bed, base):
    """config.save: the file is the old one or the new one, and nothing is left beside it."""
    bed.fresh(base)
    plane = bed.start()
    path = os.path.join(bed.state, "site.json")
    assert "result" in plane.call("config.save", {"path": path})
    new = open(path, encoding="utf-8").read()
    plane.stop()
    assert json.loads(new)["version"] == 1
    for kind in KINDS:
        k, seen = 0, 0
        while True:
            k += 1
            bed.fresh(base)
            with open(path, "w", encoding="utf-8") as f:
                f.write("old\n")
            plane = bed.start((kind, k))
            answer = plane.call("config.save", {"path": path})
            plane.stop()
            text = open(path, encoding="utf-8").read()
            where = f"config.save: {kind} at call {k}"
            assert text in ("old\n", new), f"{where}: {text!r}"
            if answer is not None and "result" in answer:
                assert text == new, where
            if answer is not None:
                left = [n for n in os.listdir(bed.state) if n.endswith(".new")]
                assert left == [], f"{where}: left behind {left}"
            if not os.path.exists(bed.mark):
                break
            bed.faults += 1
            seen += 1
        assert seen > 3, f"{kind}: {seen}"
    print(f"- config.save: ok, {bed.faults} faults so far")


def bases(bed):
    """State directories to begin with: name -> path."""
    out = {name: os.path.join(bed.top, name) for name in ("empty", "some", "torn", "large")}
    os.mkdir(out["empty"])
    for name in ("some", "large"):
        bed.fresh(out["empty"])
        plane = bed.start()
        for i in range(3):
            params = {"name": f"p{i}", "network": f"10.{i}.0.0/16"}
            assert "result" in plane.call("peer.add", params)
        # Above this size the next change rewrites the journal.
        labels = {f"label{i}": "x" * 250 for i in range(16)}
        size = 0
        while name == "large" and size < 4 << 20:
            rules = [{"name": f"r{i}", "action": "deny", "uid": size % 1000, "labels": labels}
                     for i in range(220)]
            load = {"config": {"version": 1, "attach": rules}}
            assert "result" in plane.call("config.load", load)
            size = os.path.getsize(os.path.join(bed.state, JOURNAL))
        plane.stop()
        shutil.copytree(bed.state, out[name])
    shutil.copytree(out["some"], out["torn"])
    with open(os.path.join(out["torn"], JOURNAL), "r+b") as f:
        f.truncate(os.path.getsize(f.name) - 3)
    return out


def main():
    bed = Bed(*sys.argv[1:3])
    change = ("peer.add", {"name": "new", "network": "10.99.0.0/16"})
    try:
        base = bases(bed)
        matrix(bed, "one record behind others", base["some"], change)
        matrix(bed, "a damaged journal", base["torn"], change)
        matrix(bed, "the first record", base["empty"], change)
        matrix(bed, "a compaction", base["large"], change)
        saved(bed, base["some"])
    except Exception:
        with open(os.path.join(bed.run, "log"), encoding="utf-8") as log:
            sys.stderr.write("".join(log.readlines()[-20:]))
        raise
    finally:
        shutil.rmtree(bed.top)
    print(f"{bed.faults} faults survived")


if __name__ == "__main__":
    main()
