#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Clusters: three servers on three dataplanes behind one name, balanced call by call.

usage: clusters.py BUILD
"""

import json
import os
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rpc  # noqa: E402
from flow import Host, free_port  # noqa: E402


class Bed3:
    def __init__(self, bed):
        self.bed = bed
        self.a = Host(bed, "a")
        self.servers = [Host(bed, f"b{i}") for i in range(3)]
        self.ports = [free_port() for _ in self.servers]
        for host, port in zip(self.servers, self.ports):
            host.c.call("listener.add", name="in", transport="tcp", address=f"127.0.0.1:{port}")
            self.serve(host)

    def serve(self, host):
        name = f"{host.name}.server"
        host.bench(name, "server", "g")
        rpc.wait_for(name, lambda: self.bed.log(name).count("ready") > 0)

    def endpoints(self, *which, weights=None):
        return [{"address": f"127.0.0.1:{self.ports[i]}",
                 **({"weight": weights[i]} if weights else {})} for i in which]

    def calls(self):
        """Calls sent to each endpoint so far, in their order."""
        counts = [0] * len(self.ports)
        for row in self.a.rows("link.list", "links"):
            for i, port in enumerate(self.ports):
                if row["peer"].endswith(f":{port}"):
                    counts[i] += row.get("calls_out_total", 0)
        return counts

    def load(self, name, *args):
        return self.a.bench(name, "client", "cluster:pay/g", "--json", *args)

    def grow(self, which, by):
        """Wait until these endpoints have got so many calls more; what all have got since."""
        before = self.calls()
        rpc.wait_for(f"calls at {which}", lambda: all(
            self.calls()[i] >= before[i] + by for i in which))
        return [n - m for n, m in zip(self.calls(), before)]


def shares(bed, name, calls, *args):
    before = bed.calls()
    client = bed.load(name, "-n", str(calls), "-z", "60", "--warm", "0", *args)
    assert client.wait(60) == 0, bed.bed.log(name)
    result = json.loads(bed.bed.log(name))
    assert not result["errors"] and result["calls"] >= calls, result
    got = [n - m for n, m in zip(bed.calls(), before)]
    return [n / sum(got) for n in got]


def round_robin(bed):
    print("- round robin: a third each")
    c = bed.a.c
    assert c.call("cluster.add", name="pay", endpoints=bed.endpoints(0, 1, 2))["changed"]
    assert not c.call("cluster.add", name="pay", endpoints=bed.endpoints(2, 1, 0))["changed"]
    # Once all links stand: the first calls go to who is there first.
    bed.load("warm", "-z", "60", "-c", "4")
    bed.grow((0, 1, 2), 100)
    bed.bed.stop("warm", rpc.signal.SIGKILL)
    for i, flags in enumerate((("-c", "1"), ("-c", "32"), ("-c", "8", "-t", "2"))):
        part = shares(bed, f"rr{i}", 6000, *flags)
        assert all(abs(p - 1 / 3) < 0.02 for p in part), (flags, part)
    row = c.call("cluster.get", name="pay")
    assert [e["address"] for e in row["endpoints"]] == sorted(
        e["address"] for e in bed.endpoints(0, 1, 2))
    print("- weights")
    c.call("cluster.set", name="pay", endpoints=bed.endpoints(0, 1, 2, weights=[1, 1, 2]))
    part = shares(bed, "weights", 6000, "-c", "8")
    assert all(abs(p - w) < 0.02 for p, w in zip(part, (0.25, 0.25, 0.5))), part


def live(bed):
    print("- changes reach a channel that is open; endpoints that are down are left out")
    c = bed.a.c
    c.call("cluster.set", name="pay", endpoints=bed.endpoints(0, 1))
    bed.load("live", "-z", "100", "-c", "8")
    bed.grow((0, 1), 300)
    rows = bed.a.rows("channel.list", "channels")
    assert [r["target"] for r in rows] == ["cluster:pay/g"], rows
    c.call("cluster.set", name="pay", endpoints=bed.endpoints(1, 2))
    bed.grow((1, 2), 300)
    got = bed.grow((1, 2), 300)
    assert got[0] == 0, got
    # An instance goes: the others have it all. It comes back.
    bed.bed.stop("b2.server")
    bed.grow((1,), 300)
    got = bed.grow((1,), 300)
    assert got[2] == 0, got
    bed.serve(bed.servers[2])
    bed.grow((1, 2), 300)
    # A host goes.
    bed.bed.stop("b1.dp", rpc.signal.SIGKILL)
    bed.grow((2,), 600)
    bed.bed.stop("live", rpc.signal.SIGKILL)


def least_request(bed):
    print("- least request: a slow one is avoided")
    c = bed.a.c
    c.call("cluster.set", name="pay", balancing="least_request", endpoints=bed.endpoints(0, 2))
    bed.load("lr", "-z", "100", "-c", "8")
    got = bed.grow((0, 2), 500)
    slow = bed.bed.programs["b2.server"]
    slow.send_signal(rpc.signal.SIGSTOP)
    bed.grow((0,), 200)
    got = bed.grow((0,), 2000)
    assert got[2] <= 8, got
    slow.send_signal(rpc.signal.SIGCONT)
    bed.grow((0, 2), 500)
    bed.bed.stop("lr", rpc.signal.SIGKILL)


def gone(bed):
    print("- a cluster without endpoints, and none")
    c = bed.a.c
    bed.load("gone", "-z", "100", "-c", "2")
    bed.grow((0, 2), 100)
    c.call("cluster.del", name="pay")
    rpc.wait_for("refusals", lambda: [
        r for r in bed.a.rows("stats.get", "series") if r["status"] == "UNAVAILABLE"])
    c.call("cluster.add", name="pay", endpoints=bed.endpoints(0))
    bed.grow((0,), 100)
    bed.bed.stop("gone", rpc.signal.SIGKILL)
    c.call("cluster.del", name="pay")
    client = bed.load("none", "-n", "1")
    assert client.wait(rpc.DEADLINE_S) != 0
    assert "no cluster of this name" in bed.bed.log("none"), bed.bed.log("none")
    assert c.error("cluster.add", name="x", endpoints=bed.endpoints(0, 0))["data"][
        "field"] == "clusters.x.endpoints"
    assert c.error("cluster.get", name="pay")["code"] == 5


def main():
    with rpc.Bed(sys.argv[1]) as scratch:
        bed = Bed3(scratch)
        round_robin(bed)
        live(bed)
        least_request(bed)
        gone(bed)
    print("passed")


if __name__ == "__main__":
    main()
