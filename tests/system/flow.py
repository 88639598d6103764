#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Listeners as they are, closing of channels and links, drain, shutdown, and the jobs behind them.

usage: flow.py BUILD
"""

import json
import os
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rpc  # noqa: E402

BENCH = "tests/bench/phoenix-bench"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Host:
    """A dataplane with its control plane."""

    def __init__(self, bed, name):
        self.bed, self.name, self.run = bed, name, bed.path(name)
        os.mkdir(self.run)
        bed.start(name + ".dp", "dataplane/phoenix-dataplane", "--rundir", self.run,
                  "--workers", "2")
        self.c = self.start_plane()
        rpc.wait_for("rules", lambda: self.c.call("system.status")["state"] == "running")

    def start_plane(self):
        self.bed.start(self.name + ".cp", "controlplane/phoenix-controlplane", "--rundir",
                       self.run)
        return self.bed.connect(os.path.join(self.run, "control.sock"))

    def bench(self, name, *args):
        return self.bed.start(name, BENCH, *args, "--rundir", self.run)

    def rows(self, method, key):
        return self.c.call(method)[key]


def listeners(host, port):
    print("- listeners say whether they listen")
    c = host.c
    c.call("listener.add", name="web", transport="tcp", address=f"127.0.0.1:{port}")
    c.call("listener.add", name="any", transport="tcp", address=f"0.0.0.0:{port}")
    rpc.wait_for("both", lambda: len([r for r in host.rows("listener.list", "listeners")
                                      if r["state"] in ("listening", "error")]) == 2)
    states = {r["name"]: r for r in host.rows("listener.list", "listeners")}
    # Which of the two came first has the port.
    both = sorted(r["state"] for r in states.values())
    assert both == ["error", "listening"], states
    bad = next(r for r in states.values() if r["state"] == "error")
    assert "in use" in bad["error"], bad
    c.call("listener.del", name="any")
    c.call("peer.add", name="lo", network="127.0.0.0/8")
    assert c.call("listener.set", name="web", peers=["lo"])["changed"]
    assert not c.call("listener.set", name="web", peers=["lo"])["changed"]
    row = rpc.wait_for("listening", lambda: [
        r for r in host.rows("listener.list", "listeners") if r["state"] == "listening"])[0]
    assert row["peers"] == ["lo"] and row["address"] == f"127.0.0.1:{port}"
    assert c.error("listener.set", name="wab", peers=[])["data"]["candidates"] == ["web"]
    assert c.call("peer.set", name="lo", network="127.0.0.1")["changed"]
    assert c.error("peer.set", name="nobody", network="::1")["code"] == 5


def channels(a, port):
    print("- a channel is closed: its calls end, others go on")
    load = a.bench("load1", "client", f"tcp://127.0.0.1:{port}/g", "-z", "60", "-c", "4",
                   "--json")
    row = rpc.wait_for("a channel", lambda: [
        r for r in a.rows("channel.list", "channels") if r["calls_total"] > 100])[0]
    job = a.c.call("channel.close", channel=row["channel"])
    assert job["state"] == "running"
    over = a.c.call("job.wait", job=job["job"])
    assert over["state"] == "done" and over["cut"] == 0 and over["object"] == row["channel"], over
    assert over["kind"] == "channel.close" and over["ended_at"] >= over["started_at"]
    assert a.c.call("job.get", job=job["job"]) == over
    assert over in a.rows("job.list", "jobs")
    assert [r["state"] for r in a.rows("channel.list", "channels")
            if r["channel"] == row["channel"]] == ["closed"]
    # New calls are refused with the reason; the application itself is left alone.
    rows = rpc.wait_for("refusals", lambda: [
        r for r in a.rows("stats.get", "series") if r["status"] == "UNAVAILABLE"])
    assert rows[0]["calls_total"] > 0
    assert load.poll() is None or load.returncode >= 0
    a.bed.stop("load1", rpc.signal.SIGKILL)
    assert a.c.error("job.get", job="job-99")["code"] == 5
    for name in ("chan-999-0", "chan-1", "x", "chan-1-99999999"):
        failed = a.c.call("channel.close", channel=name, wait=True)
        assert failed["state"] == "failed" and name in failed["error"], failed


def links(a, port):
    print("- a link is closed while calls flow: they move to its successor")
    a.bench("load2", "client", f"tcp://127.0.0.1:{port}/g", "-z", "3", "-c", "8", "--json")
    row = rpc.wait_for("a link", lambda: [
        r for r in a.rows("link.list", "links")
        if r["link"].startswith("link-") and r["calls_out_total"] > 100])[0]
    over = a.c.call("link.close", link=row["link"], wait=True)
    assert over["state"] == "done" and over["cut"] == 0, over
    names = rpc.wait_for("a successor", lambda: [
        r["link"] for r in a.rows("link.list", "links")
        if r["state"] == "up" and r["link"].startswith("link-") and r["link"] != row["link"]])
    assert row["link"] not in names
    assert a.bed.programs["load2"].wait(rpc.DEADLINE_S) == 0
    result = json.loads(a.bed.log("load2"))
    assert not result["errors"] and result["calls"] > 100, result
    failed = a.c.call("link.close", link="link-12345", wait=True)
    assert failed["state"] == "failed", failed
    reset = a.c.call("link.close", link=names[0], mode="reset", wait=True)
    assert reset["state"] in ("done", "failed"), reset  # it may have gone with its channels


def abandoned(a, port):
    print("- a drain that nobody goes on with ends by itself")
    a.bench("load4", "client", f"tcp://127.0.0.1:{port}/g", "-z", "60", "-c", "4", "--json")

    def row(method, key, **want):
        return [r for r in a.rows(method, key)
                if all(r.get(k) == v for k, v in want.items())]

    link = rpc.wait_for("a link", lambda: [
        r for r in row("link.list", "links", state="up", direction="dialled")
        if r["calls_out_total"] > 100])[0]["link"]
    channel = rpc.wait_for("a channel", lambda: [
        r for r in row("channel.list", "channels", state="open")
        if r["calls_total"] > 100])[0]["channel"]
    # What a control plane does, which then dies.
    plane = rpc.Client(os.path.join(a.run, "dataplane.sock"))
    plane.call("flow.link", link=link, act="drain")
    assert row("link.list", "links", link=link, state="draining"), a.rows("link.list", "links")
    plane.call("flow.channel", channel=channel, act="drain")
    plane.close()
    assert row("channel.list", "channels", channel=channel, state="draining")
    # The drain goes with its session to another worker.
    app = row("channel.list", "channels", channel=channel)[0]["app"]
    place = row("placement.list", "placements", app=app)[0]["worker"]
    assert a.c.call("placement.set", app=app, worker=1 - place)["changed"]
    assert row("channel.list", "channels", channel=channel, state="draining")
    rpc.wait_for("the link", lambda: row("link.list", "links", link=link, state="up"))
    calls = rpc.wait_for("the channel", lambda: row(
        "channel.list", "channels", channel=channel, state="open"))[0]["calls_total"]
    rpc.wait_for("calls", lambda: row("channel.list", "channels", channel=channel)[0][
        "calls_total"] > calls + 100)
    a.bed.stop("load4", rpc.signal.SIGKILL)


def drain(a, b, port):
    print("- a host is drained, and taken into service again")
    a.bench("load3", "client", f"tcp://127.0.0.1:{port}/g", "-z", "60", "-c", "4", "--json")
    rpc.wait_for("calls", lambda: [
        r for r in a.rows("channel.list", "channels") if r["calls_total"] > 100])
    over = a.c.call("system.drain", wait=True)
    assert over["state"] == "done" and over["inflight"] == 0, over
    refused = a.bench("refused", "client", f"tcp://127.0.0.1:{port}/g", "-n", "1")
    assert refused.wait(rpc.DEADLINE_S) != 0
    a.bed.stop("load3", rpc.signal.SIGKILL)
    status = a.c.call("system.status")
    assert status["state"] == status["dataplane"]["state"] == "draining", status
    warning = [w for w in status["warnings"] if w["id"] == "draining"][0]
    assert warning["hint"] == "phoenix-cli system drain resume yes", warning
    # Another control plane finds it as it is.
    a.c.close()
    a.bed.stop("a.cp")
    a.c = a.start_plane()
    rpc.wait_for("draining", lambda: a.c.call("system.status")["state"] == "draining")
    assert a.c.call("system.drain", resume=True)["state"] == "done"
    status = a.c.call("system.status")
    assert status["state"] == "running", status
    assert "draining" not in [w["id"] for w in status["warnings"]], status
    again = a.bench("again", "client", f"tcp://127.0.0.1:{port}/g", "-n", "10")
    assert again.wait(rpc.DEADLINE_S) == 0, a.bed.log("again")


def shutdown(a, b):
    print("- shutdown ends both daemons")
    answer = a.c.call("system.shutdown", wait=True)
    assert answer["state"] == "done", answer
    for name in ("a.dp", "a.cp"):
        assert a.bed.programs.pop(name).wait(rpc.DEADLINE_S) == 0, name
    assert not os.path.exists(os.path.join(a.run, "control.sock"))
    assert not os.path.exists(os.path.join(a.run, "app.sock"))
    b.bed.stop("b.dp")
    rpc.wait_for("loss", lambda: b.c.call("system.status")["state"] == "degraded")
    assert b.c.call("channel.close", channel="chan-1-0", wait=True)["state"] == "failed"
    assert b.c.call("system.shutdown", mode="fast")["state"] == "running"
    assert b.bed.programs.pop("b.cp").wait(rpc.DEADLINE_S) == 0


def main():
    port = free_port()
    with rpc.Bed(sys.argv[1]) as bed:
        a, b = Host(bed, "a"), Host(bed, "b")
        listeners(b, port)
        server = b.bench("server", "server", "g")
        rpc.wait_for("server", lambda: "ready" in bed.log("server"))
        channels(a, port)
        links(a, port)
        abandoned(a, port)
        drain(a, b, port)
        assert server.poll() is None
        shutdown(a, b)
    print("passed")


if __name__ == "__main__":
    main()
