#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The dataplane loses each allocation and system call on its creation paths in turn.

usage: deny.py BUILD SHIM [SCENARIO...]

A scenario is run once to count the calls that it makes in the dataplane, then again and again with
the k-th of them failing (deny_shim.c). Whatever fails: the dataplane lives, what was asked is
done or refused with a reason, in time; and afterwards the same works, nothing is left mapped or
open, and `mem get` reads as before. PHX_FAULTS_LONG=1 tries every k, else a sample.
"""

import itertools
import json
import mmap
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time

import shutil

DEADLINE_S = 30
SECONDS = 1e9 if os.environ.get("PHX_FAULTS_LONG") else 6  # for each scenario
RULES = {"version": 1, "generation": "1", "attach": [{"name": "all", "action": "allow"}],
         "register": [{"name": "all", "action": "allow"}]}


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def until(what, holds):
    """Polls; the deadline ends it."""
    end = time.monotonic() + DEADLINE_S
    while True:
        value = holds()
        if value:
            return value
        assert time.monotonic() < end, what() if callable(what) else what
        time.sleep(0.002)  # between two looks


class Deny:
    """The file that the shim reads, see fault_deny.h."""

    HIT, LOG, ENTRY, ENTRIES = 56, 88, 16, 65536
    FAIL, KILL, STOP, ORPHAN = 0, 1, 2, 3

    def __init__(self, path):
        size = self.LOG + self.ENTRY * self.ENTRIES
        with open(path, "wb") as f:
            f.truncate(size)
        with open(path, "r+b") as f:
            self.map = mmap.mmap(f.fileno(), size)

    def _get(self, at):
        return struct.unpack_from("I", self.map, at)[0]

    def arm(self, k, function="", action=FAIL):
        struct.pack_into("IIIII", self.map, 4, action, k, 0, 0, 1)
        self.map[24:56] = function.encode().ljust(32, b"\0")
        self.map[self.HIT:self.LOG] = bytes(32)
        struct.pack_into("I", self.map, 0, 1)

    def disarm(self):
        struct.pack_into("I", self.map, 0, 0)

    calls = property(lambda self: self._get(12))
    fired = property(lambda self: self._get(16))
    hit = property(lambda self: self._text(self.HIT, 32))

    def _text(self, at, size):
        return self.map[at:at + size].split(b"\0")[0].decode()

    def order(self):
        """(k, function) for all calls counted, shuffled, those of every function in turn first. How
        often a socket is read varies from run to run, so each function is counted by itself."""
        by = {}
        for k in range(1, min(self.calls, self.ENTRIES) + 1):
            of = by.setdefault(self._text(self.LOG + (k - 1) * self.ENTRY, self.ENTRY), [])
            of.append((len(of) + 1, self._text(self.LOG + (k - 1) * self.ENTRY, self.ENTRY)))
        for ks in by.values():
            random.shuffle(ks)
        return [k for rank in itertools.zip_longest(*by.values()) for k in rank if k is not None]


class Dataplane:
    def __init__(self, build, run, rules, env=None):
        self.run = run
        os.makedirs(run, exist_ok=True)
        self.log_path = run + ".log"
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                [os.path.join(build, "dataplane/phoenix-dataplane"), "--rundir", run],
                env=dict(os.environ, **(env or {})), stdout=log, stderr=log)
        until("a dataplane does not serve", lambda: self.push(rules))

    def push(self, rules):
        """The socket may be there from one that was killed."""
        if not os.path.exists(self.run + "/dataplane.sock"):
            return False
        try:
            answer = self.call("rules.push", {"document": rules})
        except (FileNotFoundError, ConnectionRefusedError):
            return False  # taken away just now
        assert answer is None or "result" in answer, answer
        return answer is not None

    def log(self):
        with open(self.log_path) as f:
            return f.read()

    def call(self, method, params=None):
        """The answer; None when the connection was closed instead."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(DEADLINE_S)
            try:
                s.connect(self.run + "/dataplane.sock")
                s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                      "params": params or {}}).encode() + b"\n")
                line = s.makefile().readline()
            except (ConnectionError, BrokenPipeError):
                line = ""
        return json.loads(line) if line.endswith("\n") else None

    def gauges(self):
        """What must come back to where it was."""
        mem = self.call("mem.get")
        assert mem is not None and "result" in mem, mem
        mem = mem["result"]
        pid = self.process.pid
        with open(f"/proc/{pid}/maps") as f:
            maps = f.read()
        return {"fds": len(os.listdir(f"/proc/{pid}/fd")), "memfds": maps.count("memfd:"),
                "app_bytes": mem["app_bytes"], "apps": len(mem["apps"]),
                "blocks": [(p["name"], p["lcore"], p["used"]) for p in mem["pools"]],
                "links": sum(x["state"] == "up" for x in self.call("link.list")["result"]["links"])}

    def memory(self):
        """Those of them that links do not hold."""
        return {k: v for k, v in self.gauges().items() if k not in ("fds", "links")}

    def alive(self):
        return self.process.poll() is None

    def stop(self):
        self.process.terminate()
        return self.process.wait(DEADLINE_S)


class Proxy:
    def __init__(self, build, port):
        self.port = free_port()
        self.process = subprocess.Popen(
            [os.path.join(build, "tests/system/faults/chaosproxy"), f"0.0.0.0:{self.port}",
             f"127.0.0.1:{port}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout.readline() == "ready\n"

    def order(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip() == "ok"

    def stop(self):
        self.process.stdin.close()
        self.process.wait(DEADLINE_S)


class Bed:
    def __init__(self, build, shim):
        self.build = build
        self.peers, self.address = 0, "127.0.0.1"
        self.top = tempfile.mkdtemp(prefix="phx-deny.")
        self.deny = Deny(self.top + "/deny")
        ports = [free_port(), free_port()]
        listener = [{"name": "main", "transport": "tcp", "address": f"127.0.0.1:{p}"} for p in ports]
        self.rules = dict(RULES, listeners=[listener[0]])
        self.a = Dataplane(build, self.top + "/a", self.rules,
                           {"LD_PRELOAD": shim, "PHX_DENY_FILE": self.top + "/deny"})
        self.b = Dataplane(build, self.top + "/b", dict(RULES, listeners=[listener[1]]))
        self.to_a, self.to_b = Proxy(build, ports[0]), Proxy(build, ports[1])

    def fresh(self):
        """Another address of the proxies: a peer that was not heard of yet, without back-off."""
        self.peers += 1
        self.address = f"127.0.{1 + self.peers // 250}.{1 + self.peers % 250}"

    def create(self, server, client, target):
        """True: all worked; False: refused with a reason."""
        done = subprocess.run([os.path.join(self.build, "tests/ledger/creation"), server.run,
                               client.run, target + "creation", "creation", "1500"],
                              capture_output=True, text=True)
        assert done.returncode in (0, 3), f"{done.returncode}: {done.stdout}{done.stderr}"
        return done.returncode == 0

    def cut(self):
        assert self.to_a.order("drop") and self.to_b.order("drop")

    def local(self):
        return self.create(self.a, self.a, "local:")

    def dial(self):
        return self.create(self.b, self.a, f"tcp://{self.address}:{self.to_b.port}/")

    def accept(self):
        return self.create(self.a, self.b, f"tcp://{self.address}:{self.to_a.port}/")

    def ask(self):
        """Each noun once, and rules that are pushed again."""
        good = True
        self.rules["generation"] = str(int(self.rules["generation"]) + 1)
        for method, params in (
                ("app.list", {}), ("app.history", {}), ("channel.list", {}), ("engine.list", {}),
                ("link.list", {}), ("mem.get", {}), ("stats.get", {}), ("service.list", {}),
                ("lcore.list", {}), ("placement.list", {}), ("event.poll", {}),
                ("rules.get", {"document": True}), ("rules.push", {"document": self.rules})):
            answer = self.a.call(method, params)
            good = good and answer is not None and "result" in answer
            if answer is not None and "error" in answer:
                assert answer["error"]["message"], answer
        return good

    def works(self, scenario):
        """Soon: a peer may be in back-off, a back-off lasts at most five seconds."""
        until(lambda: "it does not work any more", scenario)

    def settled(self, gauges, before):
        now = {}

        def same():
            now.update(gauges())
            return now == before

        until(lambda: f"left behind: {before} -> {now}", same)

    def run(self, name):
        scenario = getattr(self, name)
        # Twice: what is made once and kept is made by then.
        self.works(scenario)
        self.works(scenario)
        before = self.rest()
        self.fresh()
        self.deny.arm(0)
        self.works(scenario)
        self.deny.disarm()
        self.settled(self.a.memory, before)
        total, ks = self.deny.calls, self.deny.order()
        end, tried, refused, hits = time.monotonic() + SECONDS, 0, 0, {}
        for k, function in ks:
            if time.monotonic() > end:
                break
            self.fresh()
            self.deny.arm(k, function)
            try:
                refused += not scenario()
                self.deny.disarm()
                assert self.a.alive(), f"died of {self.a.process.poll()}"
                if self.deny.fired:
                    hits[self.deny.hit] = hits.get(self.deny.hit, 0) + 1
                self.works(scenario)
                self.settled(self.a.memory, before)
            except (AssertionError, OSError, ValueError) as e:
                self.deny.disarm()
                raise AssertionError(f"{name}: call {k} of {function} failed: {e}"
                                     f"\n{self.a.log()[-3000:]}") from e
            tried += 1
        print(f"{name}: {tried} of {total} calls failed in turn, {refused} refusals: "
              + ", ".join(f"{h} {n}" for h, n in sorted(hits.items())), flush=True)
        assert hits, "nothing failed"

    def rest(self):
        """The gauges when nothing goes on."""
        last = {}

        def same():
            before, now = dict(last), self.a.memory()
            last.update(now)
            return now["apps"] == 0 and now == before

        until(lambda: f"the dataplane does not come to rest: {last}", same)
        return last

    def stop(self):
        for proxy in (self.to_a, self.to_b):
            proxy.stop()
        for d in (self.a, self.b):
            status = d.stop()
            assert status == 0, f"a dataplane ended with {status}: {d.log()[-3000:]}"
        shutil.rmtree(self.top)


def main():
    build, shim = sys.argv[1:3]
    seed = os.environ.get("PHX_FAULTS_SEED") or str(random.randrange(1 << 30))
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    bed = Bed(build, shim)
    try:
        bed.works(bed.local)
        bed.rest()
        before = bed.a.gauges()
        for name in sys.argv[3:] or ("local", "dial", "accept", "ask"):
            bed.run(name)
        bed.cut()  # nobody dials a peer without channels again, and in time it is forgotten
        bed.settled(bed.a.gauges, before)
    except BaseException:
        for p in (bed.a, bed.b, bed.to_a, bed.to_b):
            p.process.kill()
            p.process.wait()
        shutil.rmtree(bed.top)
        raise
    bed.stop()


if __name__ == "__main__":
    main()
