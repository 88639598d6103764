#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Processes die, or stop for a while, at each call of what they do from attach to detach.

usage: points.py BUILD SHIM [SCENARIO...]

A client and a server attach, upload schemas, make queues and regions, register, open a channel,
exchange a small and an announced message, and leave (creation.c). One of the processes is killed at
its k-th allocation or system call (deny_shim.c), which is any point in between: behind the hello,
between MAPPED and ready, while a heap grows, within a table, behind an announcement or a chunk.
  app_dies             the dataplanes have everything back in time, and serve the next
  app_orphans          the same, though a child of the dead one holds its sockets
  app_stops            others are served while it stands still, and it goes on
  local_dies           the client's dataplane; another one is started: the application finds it,
  remote_dies          or the server's; all ends in time with a reason, and the next calls are well
PHX_FAULTS_LONG=1 tries every k, else a sample, of every function first.
"""

import os
import random
import shutil
import signal
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import deny  # noqa: E402

SECONDS = {"local_dies": 6, "remote_dies": 6}  # a dataplane has to start each time
SECONDS_ELSE = 3
FREE_S = 2  # until all of an application that died is given back
KILLED = -9


class Points(deny.Bed):
    def __init__(self, build, shim):
        self.shim = shim
        super().__init__(build, shim)
        self.app = deny.Deny(self.top + "/deny-app")
        self.good_ms = []

    def program(self, server, client, target, shimmed=False, group="creation", timeout_ms=10000):
        env = dict(os.environ)
        if shimmed:
            env.update(LD_PRELOAD=self.shim, PHX_DENY_FILE=self.top + "/deny-app")
        return subprocess.Popen(
            [os.path.join(self.build, "tests/ledger/creation"), server.run, client.run,
             target + group, group, str(timeout_ms)],
            env=env, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def over(self, program, *allowed):
        """Its exit status, which must be one of these."""
        output = program.communicate(timeout=deny.DEADLINE_S)[0]
        assert program.returncode in allowed, f"{program.returncode}: {output}"
        return program.returncode

    def books(self):
        return {"a": self.a.memory(), "b": self.b.memory()}

    def given_back(self, before):
        began = time.monotonic()
        self.settled(self.books, before)
        took = time.monotonic() - began
        assert took < FREE_S, f"given back after {took:.1f} s only"

    # ---- applications ----

    def order_of(self, denied, start):
        """What is called from attach to detach, shuffled."""
        denied.arm(0, action=deny.Deny.KILL)
        self.over(start(), 0)
        denied.disarm()
        return denied.calls, denied.order()

    def start_dial(self):
        return self.program(self.b, self.a, f"tcp://{self.address}:{self.to_b.port}/", True)

    def app_dies(self):
        self.works(self.dial)
        total, ks = self.order_of(self.app, self.start_dial)
        self.rest()
        before = self.books()
        for k, function in self.sample(ks):
            self.app.arm(k, function, deny.Deny.KILL)
            self.over(self.start_dial(), KILLED, 0, 3)
            self.app.disarm()
            self.given_back(before)
            self.hit(self.app)
            if self.tried % 16 == 0:
                self.works(self.dial)
        self.works(self.dial)
        return total

    def app_orphans(self):
        self.works(self.dial)
        total, ks = self.order_of(self.app, self.start_dial)
        self.rest()
        before = self.books()
        for k, function in self.sample(ks):
            self.app.arm(k, function, deny.Deny.ORPHAN)
            program = self.start_dial()
            deny.until("neither dead nor over", lambda: program.poll() is not None)
            try:
                self.given_back(before)
            finally:
                self.app.disarm()
                if self.app.fired:
                    os.killpg(program.pid, signal.SIGKILL)  # the child
            self.over(program, KILLED, 0)
            self.hit(self.app)
        return total

    def app_stops(self):
        self.works(self.dial)
        total, ks = self.order_of(self.app, self.start_dial)
        self.rest()
        before = self.books()
        for k, function in self.sample(ks):
            self.app.arm(k, function, deny.Deny.STOP)
            stopped = self.start_dial()
            deny.until("neither stopped nor over",
                       lambda: self.app.fired or stopped.poll() is not None)
            other = self.program(self.a, self.a, "local:", group="other")
            self.over(other, 0)
            if stopped.poll() is None:
                stopped.send_signal(signal.SIGCONT)
            self.over(stopped, 0)
            self.hit(self.app)
            self.app.disarm()
            self.given_back(before)
        return total

    # ---- the dataplane ----

    def a_dies(self, start, scenario):
        self.works(scenario)
        total, ks = self.order_of(self.deny, start)
        for k, function in self.sample(ks):
            self.fresh()
            self.deny.arm(k, function, deny.Deny.KILL)
            program = start()
            deny.until("neither dead nor over",
                       lambda: not self.a.alive() or program.poll() is not None)
            if self.a.alive():
                self.over(program, 0, 3)  # fewer calls than when it was counted
                self.deny.disarm()
                continue
            died = time.monotonic()
            self.hit(self.deny)
            self.deny.disarm()
            self.start_a()
            self.over(program, 0, 3)
            self.fresh()  # no back-off
            self.works(scenario)
            self.good_ms.append((time.monotonic() - died) * 1000)
            self.rest()
        return total

    def local_dies(self):
        return self.a_dies(lambda: self.program(
            self.b, self.a, f"tcp://{self.address}:{self.to_b.port}/"), self.dial)

    def remote_dies(self):
        return self.a_dies(lambda: self.program(
            self.a, self.b, f"tcp://{self.address}:{self.to_a.port}/"), self.accept)

    def start_a(self):
        self.a.process.wait(deny.DEADLINE_S)
        self.a = deny.Dataplane(self.build, self.top + "/a", self.rules,
                                {"LD_PRELOAD": self.shim, "PHX_DENY_FILE": self.top + "/deny"})

    # ---- all ----

    def sample(self, ks):
        end = time.monotonic() + (
            1e9 if os.environ.get("PHX_FAULTS_LONG") else self.seconds)
        self.tried, self.hits, self.at = 0, {}, None
        for k, function in ks:
            if time.monotonic() > end:
                break
            self.at = f"{function} {k}"
            yield k, function
            self.tried += 1

    def hit(self, denied):
        if denied.fired:
            self.hits[denied.hit] = self.hits.get(denied.hit, 0) + 1

    def run(self, name):
        self.good_ms, self.at = [], "no point yet"
        self.seconds = SECONDS.get(name, SECONDS_ELSE)
        self.fresh()
        try:
            total = getattr(self, name)()
        except (AssertionError, OSError, ValueError, subprocess.TimeoutExpired) as e:
            raise AssertionError(f"{name}: at {self.at}: {e}\n{self.a.log()[-3000:]}") from e
        print(f"{name}: {sum(self.hits.values())} of {total} points: "
              + ", ".join(f"{h} {n}" for h, n in sorted(self.hits.items())), flush=True)
        assert self.hits, "nothing died"
        if self.good_ms:
            ms = sorted(self.good_ms)
            print(f"{name}: from the death to the next good call: median {ms[len(ms) // 2]:.0f} ms,"
                  f" longest {ms[-1]:.0f} ms, of {len(ms)}", flush=True)


def main():
    build, shim = sys.argv[1:3]
    seed = os.environ.get("PHX_FAULTS_SEED") or str(random.randrange(1 << 30))
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    bed = Points(build, shim)
    try:
        for name in sys.argv[3:] or ("app_dies", "app_orphans", "app_stops", "local_dies", "remote_dies"):
            bed.run(name)
    except BaseException:
        for p in (bed.a, bed.b, bed.to_a, bed.to_b):
            p.process.kill()
            p.process.wait()
        shutil.rmtree(bed.top)
        raise
    bed.stop()


if __name__ == "__main__":
    main()
