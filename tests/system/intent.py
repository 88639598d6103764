#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Intent and the dataplane: how large it may become, and a dataplane that does not take it.

usage: intent.py BUILD
"""

import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rpc  # noqa: E402


class Refuser:
    """A dataplane that has no rules, and hangs up whenever it is given some."""

    def __init__(self, path):
        self.pushed_at = []
        rpc.FakeDataplane(path, self.answer)

    def answer(self, method, _):
        if method != "rules.push":
            return None
        self.pushed_at.append(time.monotonic())
        # What a server says that has lost its place in the stream.
        return {"error": {"code": 8, "message": "too large for me"}, "hang_up": True}


def size(bed, run, c):
    print("- intent that no push could carry is refused, and nothing has changed")
    labels = {f"{'k' * 50}{i}": "v" * 60 for i in range(16)}

    def rule(n):
        return {"name": f"r{n}", "action": "allow", "labels": labels}

    def grow(step, send):
        """Send rules from first, `step` at a time, until that is refused; the error."""
        nonlocal count
        while count < 1000:
            answer = c.answer(send(count))
            if "error" in answer:
                return answer["error"]
            count += step
        raise AssertionError("never refused")

    count = 0
    error = grow(50, lambda first: c.send("config.load", config={
        "version": 1, "attach": [rule(first + i) for i in range(50)]}))
    assert error["code"] == 8 and count >= 400, (count, error)
    error = grow(1, lambda first: c.send("app.rule_set", **rule(first)))
    assert error["code"] == 8, error
    before = c.call("config.get")["generation"]
    assert error["data"]["limit"] == "JSON_IN_BYTES" and error["data"]["hint"], error
    rpc.wait_for("in step", lambda: c.call("system.status")["state"] == "running")
    assert c.call("system.status")["dataplane"]["generation"] == before
    path = os.path.join(run, "site.json")
    assert c.call("config.save", path=path)["bytes"] > 900000
    cli = bed.start("load", "cli/phoenix-cli", "--rundir", run, "config", "load", path, "mode",
                    "replace")
    assert cli.wait(rpc.DEADLINE_S) == 0, bed.log("load")
    # The same document once more, with one more rule.
    config = c.call("config.get")["config"]
    config["attach"].append(rule(count))
    assert c.error("config.load", config=config, mode="replace")["code"] == 8
    assert "bytes" in c.call("config.validate", config=config)["errors"][0]["text"]


def refusal(c, dataplane):
    print("- a push that is refused: the reason stays, and the tries become rare")
    rpc.wait_for("pushes", lambda: len(dataplane.pushed_at) >= 5)
    gaps = [b - a for a, b in zip(dataplane.pushed_at, dataplane.pushed_at[1:])]
    # 50 ms, doubled each time; a late process only makes them longer.
    assert gaps[3] > 0.35, gaps
    # Whether it is connected at this moment or not.
    status = c.call("system.status")
    warning = status["warnings"][0]
    assert status["state"] == "degraded" and warning["id"] == "push_failed", status
    assert "too large for me" in warning["text"], warning


def main():
    with rpc.Bed(sys.argv[1]) as bed:
        run = bed.path("run")
        os.mkdir(run)
        bed.start("dataplane", "dataplane/phoenix-dataplane", "--rundir", run)
        bed.start("controlplane", "controlplane/phoenix-controlplane", "--rundir", run)
        c = bed.connect(os.path.join(run, "control.sock"))
        rpc.wait_for("rules", lambda: c.call("system.status")["state"] == "running")
        size(bed, run, c)
        bed.stop("dataplane")
        c.close()
        bed.stop("controlplane")

        run = bed.path("other")
        os.mkdir(run)
        dataplane = Refuser(os.path.join(run, "dataplane.sock"))
        bed.start("other", "controlplane/phoenix-controlplane", "--rundir", run)
        c = bed.connect(os.path.join(run, "control.sock"))
        refusal(c, dataplane)
        c.close()
        assert bed.stop("other") == 0
    print("passed")


if __name__ == "__main__":
    main()
