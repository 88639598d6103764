#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Traces of single calls, over local memory and between two dataplanes: the stages add up to what
the call took, for the client's application too; traces end, and cost nothing when there is none.

usage: trace.py BUILD
"""

import json
import os
import subprocess
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rpc  # noqa: E402
from flow import Host, free_port  # noqa: E402

METHOD = "phoenix.bench.Echo/Call"
REST_US = 100000  # of the slow server in each call: long, so that waking up counts little
CLIENT = ["submit", "wait", "pack", "chain", "send"]
SERVER = ["receive", "deliver", "application", "chain", "send"]


def near(a, b, share=0.05):
    return abs(a - b) <= share * max(a, b)


def trace(host, load=None, **params):
    """Start a trace, then the load; what the trace got."""
    name = host.c.call("trace.rpc_start", **params)["trace"]
    if load is not None:
        load()
    return rpc.wait_for(name, lambda: (lambda t: t if t["state"] == "done" else None)(
        host.c.call("trace.rpc_get", trace=name)))


def check_call(call):
    """The stages follow one another and add up; all of them, of both sides, are there."""
    assert call["status"] == "OK" and call["total_ns"] > 0, call
    assert f"{call['service']}/{call['method']}" == METHOD, call
    at = 0
    for stage in call["stages"]:
        assert stage["at_ns"] == at and stage["took_ns"] >= 0, call
        at += stage["took_ns"]
    assert near(at, call["total_ns"]), call
    names = [(s["side"], s["stage"]) for s in call["stages"]]
    assert names == ([("client", n) for n in CLIENT] + [("network", "both ways")] +
                     [("server", n) for n in SERVER] + [("client", "complete")]), names


def took(call, side, stage):
    return next(s["took_ns"] for s in call["stages"] if (s["side"], s["stage"]) == (side, stage))


def slow_calls(host, target, peer):
    """All calls of a client are traced: their sums are what the client itself has measured."""
    print(f"- {target}: the stages add up to what the client measures")
    n = 10
    result = []

    def load():
        client = host.bench("slow", "client", target, "-n", str(n), "-z", "60", "--warm", "0",
                            "--json")
        assert client.wait(60) == 0, host.bed.log("slow")
        result.append(json.loads(host.bed.log("slow").splitlines()[-1]))

    t = trace(host, load, count=n, duration_ms=60000, method=METHOD)
    assert t["ended_by"] == "count" and len(t["calls"]) == n, t
    for call in t["calls"]:
        check_call(call)
        assert peer in call["peer"], call
        assert took(call, "server", "application") >= REST_US * 1000, call
    measured = result[0]["mean_us"] * 1000
    for what, sums in (("totals", [c["total_ns"] for c in t["calls"]]),
                       ("stages", [sum(s["took_ns"] for s in c["stages"]) for c in t["calls"]])):
        mean = sum(sums) / n
        print(f"  {what}: {mean / 1000:.0f} us, the client: {measured / 1000:.0f} us")
        assert near(mean, measured), (what, mean, measured)


def fast_calls(host, target):
    print(f"- {target}: fast calls, a thousand of them")
    client = host.bench("fast", "client", target, "-c", "8", "-z", "60")
    t = trace(host, count=1000, duration_ms=30000, method="phoenix.bench.*")
    assert len(t["calls"]) == 1000, len(t["calls"])
    for call in t["calls"]:
        check_call(call)
    # Only what matches, by method and by application.
    app = t["calls"][0]["app"]
    assert len(trace(host, count=3, app=app)["calls"]) == 3
    before = time.monotonic()
    t = trace(host, count=3, duration_ms=200, method="no.Such/Method")
    assert (t["ended_by"], t["calls"]) == ("duration", []), t
    assert time.monotonic() - before >= 0.2
    host.bed.stop("fast")
    assert client.returncode is not None


def refusals(host):
    print("- one trace at a time; refusals")
    c = host.c
    name = c.call("trace.rpc_start", duration_ms=60000)["trace"]
    for method in ("trace.rpc_start", "trace.rpc"):
        e = c.error(method)
        assert e["code"] == 9 and name in e["data"]["hint"], e
    assert c.call("trace.rpc_get", trace=name)["state"] == "running"
    assert c.call("trace.rpc_stop", trace=name)["changed"] is True
    t = rpc.wait_for("end", lambda: (lambda t: t if t["state"] == "done" else None)(
        c.call("trace.rpc_get", trace=name)))
    assert (t["ended_by"], t["calls"]) == ("stop", []), t
    assert c.call("trace.rpc_stop", trace=name)["changed"] is False
    for method in ("trace.rpc_get", "trace.rpc_stop"):
        assert c.error(method, trace="trace-99")["code"] == 5
    assert c.error("trace.rpc_start", app="nobody")["code"] == 5
    for bad in ({"count": 0}, {"count": 1001}, {"duration_ms": 60001}, {"method": "a b"}):
        assert c.error("trace.rpc_start", **bad)["code"] == -32602, bad
    e = c.error("trace.rpc", duration_ms=60000, timeout_ms=100)
    assert e["code"] == 4, e
    # It was stopped: the next one may start. Whoever waits for one that nobody stops is told when its time is over.
    t = rpc.wait_for("stop", lambda: (lambda a: a.get("result"))(
        c.answer(c.send("trace.rpc", duration_ms=100))))
    assert (t["state"], t["ended_by"]) == ("done", "duration"), t


def shell(host, target):
    print("- phoenix-cli shows a table")
    client = host.bench("shell", "client", target, "-z", "60")
    words = ["trace", "rpc", "--count", "2", "method", METHOD]
    cli = [os.path.join(host.bed.build, "cli/phoenix-cli"), "--rundir", host.run]
    out = subprocess.run(cli + words, capture_output=True, text=True, timeout=30, check=True).stdout
    lines = [line.split() for line in out.splitlines()]
    assert lines.count(["SIDE", "STAGE", "AT", "TOOK"]) == 2, out
    assert sum(line[:2] == ["server", "application"] for line in lines) == 2, out
    got = json.loads(subprocess.run(cli + ["-j"] + words, capture_output=True, text=True,
                                    timeout=30, check=True).stdout)
    assert len(got["calls"]) == 2, got
    host.bed.stop("shell")
    assert client.returncode is not None


def begins(host, trace_id):
    """Another connection sees that the trace runs."""
    c = host.bed.connect(os.path.join(host.run, "control.sock"))
    rpc.wait_for(trace_id, lambda: c.answer(c.send("trace.rpc_get", trace=trace_id)).get(
        "result", {}).get("state") == "running")
    c.close()


def ends(host, target):
    """Daemons end in order while a trace waits."""
    print("- the daemons end in the middle of a trace")
    client = host.bench("last", "client", target, "-z", "60")
    last = trace(host, count=1)["trace"]
    waiting = host.c.send("trace.rpc", count=1000, duration_ms=60000, method="no.Such/Method")
    begins(host, f"trace-{int(last.split('-')[1]) + 1}")
    assert host.bed.stop(f"{host.name}.dp") == 0, host.bed.log(f"{host.name}.dp")
    e = host.c.answer(waiting)["error"]
    assert e["code"] == 14, e
    assert host.c.error("trace.rpc")["code"] == 14
    host.bed.start(f"{host.name}.dp", "dataplane/phoenix-dataplane", "--rundir", host.run)
    rpc.wait_for("rules", lambda: host.c.call("system.status")["state"] == "running")
    host.c.send("trace.rpc", count=1000, duration_ms=60000, method="no.Such/Method")
    begins(host, "trace-1")
    assert host.bed.stop(f"{host.name}.cp") == 0, host.bed.log(f"{host.name}.cp")
    host.bed.stop("last")
    assert client.returncode is not None


def frames(host):
    """Frames that came from the peer, and calls, over all links."""
    links = [host.c.call("link.get", link=r["link"])
             for r in host.rows("link.list", "links") if r["link"].startswith("link-")]
    return (sum(lane["rx_frames_total"] for r in links for lane in r["lanes"]),
            sum(r["calls_out_total"] for r in links))


def nothing_when_off(host, target):
    """One frame comes back for a call, and one more for a call that is traced."""
    print(f"- {target}: no trace, no frame for it")
    n = 2000

    def calls(traced):
        def load():
            args = ("client", target, "-n", str(n), "-z", "60", "--warm", "0")
            assert host.bench("off", *args).wait(60) == 0, host.bed.log("off")
        before = frames(host)
        if traced:
            trace(host, load, count=traced, duration_ms=60000)
        else:
            load()
        after = frames(host)
        return after[0] - before[0] - (after[1] - before[1])

    calls(0)  # the link is made, the service found
    # Beside calls a link tells credit, services and that it lives: a few frames.
    quiet = calls(0)
    traced = calls(500)
    assert quiet < 50, quiet
    assert 500 <= traced <= 550, traced
    assert calls(0) < 50


def cpu(host, target, pid, enough=0.0):
    """Least CPU time of a call of five runs, in us. Others use the machine too, so up to forty until
    it is little enough: what costs something costs it in every run."""
    runs = []
    while len(runs) < 5 or (enough > 0 and min(runs) > enough and len(runs) < 40):
        client = host.bench("cpu", "client", target, "-c", "32", "-z", "0.5", "--warm", "0.1",
                            "--json", "--pids", str(pid))
        assert client.wait(60) == 0, host.bed.log("cpu")
        runs.append(json.loads(host.bed.log("cpu").splitlines()[-1])["cpu_s_per_million"])
    return min(runs)


def main():
    port = free_port()
    with rpc.Bed(sys.argv[1]) as bed:
        a, b = Host(bed, "a"), Host(bed, "b")
        b.c.call("listener.add", name="in", transport="tcp", address=f"127.0.0.1:{port}")
        for host in (a, b):
            for group, *more in (("slow", "--gap", str(REST_US)), ("fast",)):
                name = f"{host.name}.{group}"
                host.bench(name, "server", group, *more)
                rpc.wait_for(name, lambda: "ready" in bed.log(name))  # noqa: B023
        pid = bed.programs["a.dp"].pid
        before = cpu(a, "local:fast", pid)
        for target, peer in (("local:", "local"), (f"tcp://127.0.0.1:{port}/", f"{port}")):
            slow_calls(a, target + "slow", peer)
            fast_calls(a, target + "fast")
        refusals(a)
        shell(a, f"tcp://127.0.0.1:{port}/fast")
        nothing_when_off(a, f"tcp://127.0.0.1:{port}/fast")
        after = cpu(a, "local:fast", pid, enough=1.3 * before)
        print(f"  CPU time of a call before any trace {before:.2f} us, after them {after:.2f} us")
        assert after <= 1.3 * before, (before, after)
        ends(a, "local:fast")
    print("passed")


if __name__ == "__main__":
    main()
