# SPDX-License-Identifier: BSD-3-Clause
"""Small calls beside a stream of large messages, and beside nothing but its load on the CPUs.

The stream is two calls of 8 MiB at a time to a server of its own, on the same dataplanes. The
reference are programs that only burn as much CPU time, on the same CPUs, as the stream cost there.
"""

import os
import subprocess
import sys
import time

import runner

STREAM = ["-c", "2", "--size", "8388608", "--reply", "8"]
# argv: share of a CPU to use, in slices of ten milliseconds, as the stream does.
BURNER = """
import sys, time
share, slice_s = float(sys.argv[1]), 0.01
while True:
    begin, used = time.perf_counter(), time.process_time()
    while time.process_time() - used < share * slice_s:
        pass
    time.sleep(max(0.0, slice_s - (time.perf_counter() - begin)))
"""


def cpu_seconds(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Load:
    """Programs in the background; `cost` is what they and the watched ones use, by CPU pin."""

    def __init__(self, commands, watched=()):
        self.commands, self.watched = commands, list(watched)

    def __enter__(self):
        self.children = [(cpu, subprocess.Popen(runner.pinned(c, cpu), stdout=subprocess.DEVNULL))
                         for cpu, c in self.commands]
        time.sleep(0.5)  # until it is under way; what follows measures for longer
        self.began = time.monotonic()
        self.before = self.used()
        return self

    def used(self):
        pids = [(cpu, child.pid) for cpu, child in self.children] + self.watched
        return [(cpu, cpu_seconds(pid)) for cpu, pid in pids]

    def cost(self):
        seconds = time.monotonic() - self.began
        shares = {}
        for (cpu, before), (_, after) in zip(self.before, self.used()):
            shares[cpu] = shares.get(cpu, 0) + (after - before) / seconds
        return shares

    def __exit__(self, *_):
        for _, child in self.children:
            child.terminate()
        for _, child in self.children:
            child.wait()


def run(system, times, pids):
    """Two records: the system beside the stream, and `load(...)` beside burners."""
    options = ["-c", "1", "-z", str(times.seconds), "--warm", str(times.warm)]
    target, *rest = system.client[2:]
    stream = [*system.client[:2], target.replace("bench", "stream"), *rest, *STREAM, "-z", "60"]
    processes = [(p.cpu, int(pid)) for p, pid in zip(system.servers, pids.split(","))]
    # What the dataplanes and the stream's server use is the stream's: the small calls use little.
    watched = [x for x, p in zip(processes, system.servers) if "bench" not in p.command]
    with Load([(system.cpu, stream)], watched) as load:
        record = runner.run_client(system.client, system.cpu, system.name, options, "", busy=True)
        cost = load.cost()
    yield dict(record, system=system.name, load="W6")
    burners = [(cpu, [sys.executable, "-c", BURNER, str(min(share, 1.0))])
               for cpu, share in cost.items()]
    with Load(burners):
        record = runner.run_client(system.client, system.cpu, f"load({system.name})", options, "",
                                   busy=True)
    yield dict(record, system=f"load({system.name})", load="W6")
