# SPDX-License-Identifier: BSD-3-Clause
"""What is measured: programs, where they run, and which loads they carry.

Pins are CPU numbers or None; a system's name says the placement behind a colon. Local calls:
client, dataplane, server on 0-1-0. Two dataplanes: client and its dataplane on 0, server and its
dataplane on 1. `free`: nobody is pinned, as shipped.
"""

import json
import os
import socket

LATENCY, RATES, BULK = ["W1"], ["W2a", "W2b"], ["W3a", "W3b"]


class Process:
    """A program in the background; `ready` tells when it may be used."""

    def __init__(self, command, cpu=None, ready=None, env=None):
        self.command, self.cpu, self.ready, self.env = command, cpu, ready, env


class System:
    def __init__(self, name, loads, client, cpu=None, servers=(), floor=None, programs=(),
                 env=None):
        self.name, self.loads, self.client, self.cpu = name, loads, client, cpu
        self.servers, self.floor, self.programs, self.env = servers, floor, programs, env

    def missing(self):
        return [os.path.basename(p) for p in self.programs if not os.access(p, os.X_OK)]


def port_open(port):
    def check():
        with socket.socket() as s:
            s.settimeout(0.2)
            return s.connect_ex(("127.0.0.1", port)) == 0
    return check


def exists(path):
    return lambda: os.path.exists(path)


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Catalogue:
    def __init__(self, build, scratch, quick):
        self.scratch, self.quick = scratch, quick
        self.port = dict(zip(("raw", "grpc", "hap1", "hap2", "phoenix"), free_ports(5)))
        peers = os.path.join(build, "tests", "bench", "peers")
        self.floor_bin = os.path.join(peers, "floor")
        self.raw_bin = os.path.join(peers, "rawtcp")
        self.grpc_bin = os.path.join(peers, "grpc_peer")
        self.bench_bin = os.path.join(build, "tests", "bench", "phoenix-bench")
        self.dataplane_bin = os.path.join(build, "dataplane", "phoenix-dataplane")

    def loads(self, *groups):
        return [w for g in groups for w in g]

    # the floor

    def floor(self, model):
        return [self.floor_bin, "run", model]

    # the service: everything that depends on its programs' options is here

    def rundir(self, name):
        path = os.path.join(self.scratch, name)
        os.makedirs(path, mode=0o755, exist_ok=True)
        return path

    def dataplane(self, name, cpu, listen=None):
        """A dataplane without a control plane, with a null policy in every chain as the targets
        demand, restricted to `cpu`; it may listen on a port."""
        rundir = self.rundir(name)
        everybody = [{"name": "all", "action": "allow"}]
        document = {"version": 1, "generation": "1", "attach": everybody, "register": everybody}
        if listen is not None:
            document["listeners"] = [
                {"name": "bench", "transport": "tcp", "address": f"127.0.0.1:{listen}"}]
        rules = os.path.join(rundir, "rules.json")
        with open(rules, "w", encoding="ascii") as f:
            json.dump(document, f)
        ready = exists(os.path.join(rundir, "app.sock"))
        return Process([self.dataplane_bin, "--rundir", rundir, "--standalone", rules,
                        "--policy", "null"], cpu, ready)

    def phoenix_server(self, name, cpu, group="bench"):
        return Process([self.bench_bin, "server", group, "--rundir", self.rundir(name)], cpu)

    def phoenix(self, name, target, near, far, cpus, floor, loads):
        """Client attached to `near`, server to `far`; cpus: client, near, far, server."""
        client, dp_near, dp_far, server = cpus
        listen = self.port["phoenix"] if far != near else None
        processes = [self.dataplane(far, dp_far, listen)]
        if far != near:
            processes.append(self.dataplane(near, dp_near))
        processes.append(self.phoenix_server(far, server))
        processes.append(self.phoenix_server(far, server, "stream"))
        return System(name, loads,
                      [self.bench_bin, "client", target, "--rundir", self.rundir(near)], client,
                      processes, floor, [self.bench_bin, self.dataplane_bin])

    def phoenix_systems(self):
        every = self.loads(LATENCY, ["W5"], RATES, BULK, ["W6"], ["W4"])
        some = self.loads(LATENCY, RATES)
        remote = f"tcp://127.0.0.1:{self.port['phoenix']}/bench"
        local_model, tcp_model = "dps=1,pin=%s", "dps=2,pin=%s"
        return [
            self.phoenix("phoenix-local:0-1-0", "local:bench", "dp-l", "dp-l", (0, 1, 1, 0),
                         self.floor(local_model % "0-1-0"), every),
            self.phoenix("phoenix-tcp:0-0-1-1", remote, "dp-a", "dp-b", (0, 0, 1, 1),
                         self.floor(tcp_model % "0-0-1-1"), every),
            self.phoenix("phoenix-local:free", "local:bench", "dp-lf", "dp-lf", (None,) * 4,
                         self.floor(local_model % "x-x-x"), some),
            self.phoenix("phoenix-tcp:free", remote, "dp-af", "dp-bf", (None,) * 4,
                         self.floor(tcp_model % "x-x-x-x"), some),
        ]

    # the peers

    def raw_spin(self, name, loads):
        address = f"127.0.0.1:{self.port['raw']}"
        return System(name, loads, [self.raw_bin, "client", address, "--spin"], 0,
                      [Process([self.raw_bin, "server", address, "--spin"], 1,
                               port_open(self.port["raw"]))], None, [self.raw_bin])

    def raw_block(self, name, cpu, loads):
        address = f"127.0.0.1:{self.port['raw']}"
        return System(name, loads, [self.raw_bin, "client", address], 0,
                      [Process([self.raw_bin, "server", address], cpu,
                               port_open(self.port["raw"]))], None, [self.raw_bin])

    def grpc_server(self, address, cpu, ready):
        return Process([self.grpc_bin, "server", address], cpu, ready)

    def haproxy(self, bind, following, cpu):
        with open(os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(
                os.path.abspath(__file__)))), "tests/bench/peers/haproxy.cfg.in"),
                encoding="ascii") as f:
            text = f.read()
        path = os.path.join(self.scratch, f"haproxy-{bind}.cfg")
        with open(path, "w", encoding="ascii") as f:
            f.write(text.replace("@BIND@", f"127.0.0.1:{bind}").replace(
                "@NEXT@", f"127.0.0.1:{following}"))
        return Process(["haproxy", "-db", "-f", path], cpu, port_open(bind))

    def grpc_systems(self):
        p = self.port
        tcp, unix = f"127.0.0.1:{p['grpc']}", f"unix:{self.scratch}/grpc.sock"

        def client(address):
            return [self.grpc_bin, "client", address]

        def server(cpu):
            return self.grpc_server(tcp, cpu, port_open(p["grpc"]))
        have = [self.grpc_bin]
        proxied = have + ["/usr/sbin/haproxy"]
        return [
            System("grpc-tcp:0-1", self.loads(LATENCY, ["W5"], RATES, BULK, ["W4"]), client(tcp), 0,
                   [server(1)], None, have),
            System("grpc-tcp:0-0", self.loads(LATENCY, ["W5"]), client(tcp), 0, [server(0)], None,
                   have),
            System("grpc-unix:0-1", self.loads(LATENCY, RATES), client(unix), 0,
                   [self.grpc_server(unix, 1, exists(unix[5:]))], None, have),
            System("grpc-haproxy:0-1-0", self.loads(LATENCY, RATES),
                   client(f"127.0.0.1:{p['hap1']}"), 0,
                   [server(0), self.haproxy(p["hap1"], p["grpc"], 1)], None, proxied),
            System("grpc-2haproxy:0-0-1-1", self.loads(LATENCY, RATES),
                   client(f"127.0.0.1:{p['hap2']}"), 0,
                   [server(1), self.haproxy(p["hap1"], p["grpc"], 1),
                    self.haproxy(p["hap2"], p["hap1"], 0)], None, proxied),
        ]


def all_systems(build, scratch, quick):
    c = Catalogue(build, scratch, quick) if os.path.isdir(scratch) else None
    if c is None:  # for --list: nothing is written
        import tempfile
        with tempfile.TemporaryDirectory() as d:
            return all_systems(build, d, quick)
    raw = [c.raw_spin("rawtcp-spin:0-1", c.loads(LATENCY, BULK))]
    if not quick:
        raw += [c.raw_block("rawtcp-block:0-1", 1, LATENCY),
                c.raw_block("rawtcp-block:0-0", 0, LATENCY)]
    return c.phoenix_systems() + raw + c.grpc_systems()
