#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Jobs whose steps fail or whose object goes away by itself, other work that takes its time, and
what the shell makes of it all.

usage: jobs.py BUILD
"""

import json
import os
import re
import subprocess
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rpc  # noqa: E402

NOT_FOUND = {"code": 5, "message": "no link named 'link-1'", "data": {
    "status": "NOT_FOUND", "field": "link", "value": "link-1", "candidates": ["link-11"],
    "hint": "phoenix-cli link list", "retryable": False}}


class Plane:
    """A control plane over a dataplane whose flow.* answers are a list, the last one for ever, or a
    function of the act."""

    def __init__(self, bed):
        self.bed, self.run, self.answers, self.asked = bed, bed.path("run"), [], []
        self.release = threading.Event()
        self.release.set()
        os.mkdir(self.run)
        rpc.FakeDataplane(os.path.join(self.run, "dataplane.sock"), self.answer)
        bed.start("cp", "controlplane/phoenix-controlplane", "--rundir", self.run)
        self.c = bed.connect(os.path.join(self.run, "control.sock"))
        rpc.wait_for("rules", lambda: self.c.call("system.status")["state"] == "running")

    def answer(self, method, params):
        if method.startswith("placement."):
            self.asked.append((method, params))
            self.release.wait(rpc.DEADLINE_S)
            return {}
        if not method.startswith("flow."):
            return None
        self.asked.append((method, params["act"]))
        if callable(self.answers):
            return self.answers(params["act"])
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return dict(answer)

    def cli(self, *words):
        done = subprocess.run(
            [os.path.join(self.bed.build, "cli/phoenix-cli"), "--rundir", self.run, *words],
            capture_output=True, stdin=subprocess.DEVNULL, timeout=60, text=True, check=False)
        return done.returncode, done.stdout, done.stderr


def failed(p):
    print("- a job that fails: all that is known, and exit code 5 for who waits")
    p.answers = [{"error": NOT_FOUND}]
    job = p.c.call("link.close", link="link-1", wait=True)
    assert job["state"] == "failed" and job["error"] == NOT_FOUND["message"], job
    assert job["code"] == 5 and job["status"] == "NOT_FOUND", job
    assert job["hint"] == "phoenix-cli link list" and job["candidates"] == ["link-11"], job
    code, out, err = p.cli("link", "close", "link-1", "wait", "yes")
    assert code == 5 and "NOT_FOUND" in err and "hint: phoenix-cli link list" in err, (code, err)
    assert "did you mean: link-11" in err and "failed" in out, (out, err)
    code, out, err = p.cli("-j", "job", "wait", job["job"])
    assert code == 5 and err == "" and json.loads(out) == job, (code, out, err)
    # Who only asks, or only begins one, has no failure.
    assert p.cli("job", "get", job["job"])[0] == 0
    assert p.cli("link", "close", "link-1")[0] == 0
    p.answers = [{"object": "link-1", "inflight": 0}]
    assert p.cli("link", "close", "link-1", "wait", "yes")[0] == 0


def gone(p):
    print("- what goes away by itself while it is being closed is closed")
    missing = {"error": NOT_FOUND}
    under_way = {"object": "link-1", "inflight": 3}
    p.answers = [under_way, under_way, missing]
    job = p.c.call("link.close", link="link-1", wait=True)
    assert job["state"] == "done" and "error" not in job, job
    # Between the last drain and the close.
    p.answers = [{"object": "link-1", "inflight": 0}, missing]
    assert p.c.call("link.close", link="link-1", wait=True)["state"] == "done"
    # One that was never there.
    p.answers = [missing]
    for mode in ("drain", "reset"):
        assert p.c.call("link.close", link="link-1", mode=mode, wait=True)["state"] == "failed"


def aside(p):
    print("- nothing waits behind a request that takes its time")
    other = rpc.Client(os.path.join(p.run, "control.sock"))
    p.release.clear()
    p.asked.clear()
    asked = [p.c.send("placement.rebalance", window_ms=3000) for _ in range(4)]
    rpc.wait_for("all four", lambda: len(p.asked) == 4)
    # The played dataplane does not know the method; it is asked, that is all.
    assert other.error("app.list")["code"] == -32601
    assert other.call("system.status")["state"] == "running"
    assert other.error("placement.rebalance")["code"] == 8, "more than the dataplane can spare"
    p.release.set()
    for request in asked:
        assert p.c.answer(request)["result"] == {}
    assert other.call("placement.rebalance") == {}
    other.close()


def patience(p):
    print("- the shell waits as long as the job does")
    p.answers = lambda act: {"object": "x", "inflight": 0 if act == "close" else 2}
    long = p.c.call("link.close", link="link-1", timeout_ms=12000)["job"]
    waiter = p.bed.start("waiter", "cli/phoenix-cli", "--rundir", p.run, "-j", "job", "wait", long)
    # Nothing says how long: that is a job's 10 s, and the shell's.
    code, out, err = p.cli("-j", "system", "drain", "wait", "yes")
    job = json.loads(out)
    assert code == 5 and job["status"] == "DEADLINE_EXCEEDED", (code, out, err)
    assert "drain resume" in job["hint"], job
    assert waiter.wait(rpc.DEADLINE_S) == 0, p.bed.log("waiter")
    over = json.loads(p.bed.log("waiter"))
    assert over["state"] == "done" and over["cut"] == 2, over
    # A window and a limit count too, unless -t says less.
    for words, least, most in ((("rebalance", "window_ms", "20000"), 25000, 30000),
                               (("set", "app-1", "worker", "0", "limit_ms", "30000"), 35000, 40000),
                               (("set", "app-1", "worker", "0"), 5000, 10000)):
        code, _, err = p.cli("-v", "placement", *words)
        assert code == 0 and least <= json.loads(err)["params"]["timeout_ms"] <= most, err
    assert p.cli("-t", "500ms", "link", "close", "link-1", "wait", "yes")[0] == 4


def described(p):
    print("- what a job answers is in the table of methods")
    methods = {m["name"]: m["result"]["description"] for m in p.c.call("rpc.discover")["methods"]}
    p.answers = [{"error": NOT_FOUND}]
    begun = p.c.call("link.close", link="link-1")
    job = p.c.call("job.wait", job=begun["job"])
    for answer, names in ((begun, ("link.close", "channel.close", "system.drain",
                                   "system.shutdown")), (job, ("job.get", "job.wait", "job.list"))):
        for name in names:
            words = re.findall(r"\w+", methods[name])
            assert [k for k in answer if k not in words] == [], (name, answer)


def main():
    with rpc.Bed(sys.argv[1]) as bed:
        p = Plane(bed)
        failed(p)
        gone(p)
        described(p)
        aside(p)
        patience(p)
        p.c.close()
        assert bed.stop("cp") == 0
    print("passed")


if __name__ == "__main__":
    main()
