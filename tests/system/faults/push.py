#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""The control plane dies, or loses something, while it loads a configuration and pushes the rules.

usage: push.py BUILD SHIM

It is killed at, or denied, its k-th allocation or system call (deny_shim.c) from a `config.load` to
the moment when the dataplane has the new rules; its journal has faults.py of its own. The next one
must find the old intent or the new one, complete: the new one when the change was answered, the
old one when it was refused; and the dataplane comes to have the same. Calls flow all the while, and
none fails. PHX_FAULTS_LONG=1 tries every k, else a sample, of every function first.
"""

import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import deny  # noqa: E402
import faults  # noqa: E402

SECONDS = 1e9 if os.environ.get("PHX_FAULTS_LONG") else 5  # for each action
RULE = {"action": "allow", "labels": {"tier": "x" * 200}}


def document(n):
    """Every intent lets all attach and register, so that calls go on."""
    rules = [dict(RULE, name=f"r{i}", uid=100000 + i + n) for i in range(40)]
    everybody = {"name": "all", "action": "allow"}
    return {"version": 1, "attach": rules + [everybody], "register": [everybody],
            "peers": [{"name": f"p{n}", "network": "10.0.0.0/8"}]}


class Bed:
    def __init__(self, build, shim):
        self.build, self.shim = build, shim
        self.top = tempfile.mkdtemp(prefix="phx-push.")
        self.run = os.path.join(self.top, "run")
        os.mkdir(self.run, 0o755)
        self.deny = deny.Deny(self.top + "/deny")
        self.dataplane = subprocess.Popen(
            [os.path.join(build, "dataplane/phoenix-dataplane"), "--rundir", self.run],
            stderr=self.log("dataplane"))
        self.count = 0
        self.load, self.planes = [], []

    def log(self, name):
        return open(os.path.join(self.top, name + ".log"), "ab")

    def plane(self, shimmed=False):
        env = {"LD_PRELOAD": self.shim, "PHX_DENY_FILE": self.top + "/deny"} if shimmed else None
        plane = faults.Plane(self.build, self.run, self.top, env)
        self.planes = [p for p in self.planes if p.process.poll() is None] + [plane]
        return plane

    def ask(self, method, params=None, name="control.sock"):
        """The answer; None when there was none: it has died, or was short of something."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(deny.DEADLINE_S)
            try:
                s.connect(os.path.join(self.run, name))
                s.sendall(json.dumps({"jsonrpc": "2.0", "id": 1, "method": method,
                                      "params": params or {}}).encode() + b"\n")
                line = s.makefile().readline()
            except (ConnectionError, FileNotFoundError):
                return None
        return json.loads(line) if line.endswith("\n") else None

    def rules(self):
        """What the dataplane has: generation and document."""
        answer = self.ask("rules.get", {"document": True}, "dataplane.sock")
        return answer["result"] if answer is not None else {"generation": None}

    def in_step(self):
        """Until the dataplane has what the control plane says; the intent."""
        answer = deny.until("config.get is refused", lambda: (
            self.ask("config.get") or {}).get("result"))  # it may be short of something just now
        deny.until(lambda: f"not pushed: {self.rules()}",
                   lambda: self.rules()["generation"] == answer["generation"])
        document = self.rules()["document"]
        names = {section: [x["name"] for x in document.get(section, [])]
                 for section in ("attach", "peers")}
        for section, want in names.items():
            assert want == [x["name"] for x in answer["config"][section]], (section, want)
        return answer["config"]

    def start_load(self):
        book = os.path.join(self.top, "book")
        ledger = os.path.join(self.build, "tests/ledger/ledger")
        subprocess.run([ledger, "new", book], check=True)
        for args in (["server", book, "push"], ["client", book, "local:push", "--rate", "200",
                     "--seconds", "1000", "--strict", "--wait-for-ready"]):
            self.load.append(subprocess.Popen([ledger, *args, "--rundir", self.run],
                                              stdout=self.log("load"), stderr=self.log("load")))
        self.book = book

    def end_load(self):
        for process in reversed(self.load):
            process.terminate()
            status = process.wait(deny.DEADLINE_S)
            assert status == 0, f"the load ended with {status}"
        done = subprocess.run([os.path.join(self.build, "tests/ledger/ledger"), "check", self.book,
                               "--at-least", "500"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        result = json.loads(done.stdout)
        assert result["ok"] == result["ended"], result
        return result["ok"]

    def change(self):
        """Loads the next document: the answer, None when it died; what it was and is to be."""
        old, self.count = document(self.count), self.count + 1
        new = document(self.count)
        answer = self.ask("config.load", {"config": new, "mode": "replace"})
        return answer, old["peers"], new["peers"]

    def once(self, k, function, action):
        plane = self.plane(shimmed=True)
        self.in_step()
        self.deny.arm(k, function, action)
        answer, old, new = self.change()
        ok = answer is not None and "result" in answer
        if action == deny.Deny.FAIL:
            self.deny.disarm()
            now = self.in_step()["peers"]  # asserts that it lives
            assert now in ([new] if ok else [old] if answer is not None else [old, new]), answer
        elif ok:
            # It dies on the way to the dataplane, or the rules arrive.
            generation = answer["result"]["generation"]
            deny.until("neither dead nor pushed", lambda: plane.process.poll() is not None
                       or self.rules()["generation"] == generation)
        fired = self.deny.fired
        self.deny.disarm()
        status = plane.stop()
        assert status in (0, -signal.SIGKILL), f"it ended with {status}"
        plane = self.plane()
        found = self.in_step()["peers"]
        allowed = [new] if ok else [old] if answer is not None else [old, new]
        assert found in allowed, f"found {found}, answered {answer}"
        self.count -= found == old
        assert plane.stop() == 0
        return fired

    def run_all(self, name, action):
        self.deny.arm(0, action=action)
        self.once(0, "", action)
        ks, total = self.deny.order(), self.deny.calls
        assert total > 10, "hardly anything was counted"
        end, hits, tried = time.monotonic() + SECONDS, {}, 0
        for k, function in ks:
            if time.monotonic() > end:
                break
            try:
                if self.once(k, function, action):
                    hits[function] = hits.get(function, 0) + 1
            except (AssertionError, OSError, KeyError) as e:
                raise AssertionError(f"{name} at call {k} of {function}: {e}") from e
            tried += 1
        print(f"{name}: {sum(hits.values())} of {total} calls: "
              + ", ".join(f"{h} {n}" for h, n in sorted(hits.items())), flush=True)
        assert hits, "nothing happened"

    def end(self):
        for process in [*(p.process for p in self.planes), *self.load, self.dataplane]:
            process.kill()
            process.wait()
        shutil.rmtree(self.top)


def main():
    seed = os.environ.get("PHX_FAULTS_SEED") or str(random.randrange(1 << 30))
    random.seed(seed)
    print(f"seed {seed}", flush=True)
    bed = Bed(*sys.argv[1:3])
    try:
        plane = bed.plane()
        assert "result" in plane.call("config.load", {"config": document(0), "mode": "replace"})
        bed.in_step()
        bed.start_load()
        assert plane.stop() == 0
        bed.run_all("killed", deny.Deny.KILL)
        bed.run_all("denied", deny.Deny.FAIL)
        calls = bed.end_load()
        bed.dataplane.terminate()
        assert bed.dataplane.wait(deny.DEADLINE_S) == 0
        print(f"{calls} calls meanwhile, all OK")
    except BaseException:
        for name in ("log", "dataplane.log", "load.log"):
            path = os.path.join(bed.run if name == "log" else bed.top, name)
            if os.path.exists(path):
                with open(path, encoding="utf-8", errors="replace") as log:
                    sys.stderr.write(f"--- {path}\n" + "".join(log.readlines()[-15:]))
        raise
    finally:
        bed.end()


if __name__ == "__main__":
    main()
