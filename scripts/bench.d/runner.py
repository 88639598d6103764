# SPDX-License-Identifier: BSD-3-Clause
"""Starts the processes of one system, runs its loads and the floor around them."""

import json
import os
import subprocess
import time

import beside

OTHERS_LIMIT = 0.35  # of a core used by strangers: measure again
TRIES = 3


class Times:
    def __init__(self, quick):
        self.seconds = 0.4 if quick else 1.0
        self.warm = 0.15 if quick else 0.3
        self.idle = 3 if quick else 10


LOADS = {
    "W1": ["-c", "1"],
    "W2a": ["-c", "32"],
    "W2b": ["-c", "128"],
    "W3a": ["-c", "32", "--size", "8192"],
    "W3b": ["-c", "8", "--size", "1048576"],
    "W5": ["-c", "1", "--gap", "2000"],
}


def load_options(load, times):
    if load == "W4":
        return ["--idle", str(times.idle)]
    return LOADS[load] + ["-z", str(times.seconds), "--warm", str(times.warm)]


def pinned(command, cpu):
    return command if cpu is None else ["taskset", "-c", str(cpu), *command]


class Background:
    """The servers of a system, as a context; they are gone afterwards."""

    def __init__(self, processes):
        self.processes, self.running = processes, []

    def __enter__(self):
        try:
            for p in self.processes:
                self.start(p)
        except BaseException:
            self.__exit__()
            raise
        return self

    def start(self, p):
        child = subprocess.Popen(pinned(p.command, p.cpu), stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                 env=dict(os.environ, **(p.env or {})))
        self.running.append(child)
        deadline = time.monotonic() + 10
        while p.ready is not None and not p.ready():
            if child.poll() is not None or time.monotonic() > deadline:
                child.kill()
                raise RuntimeError(f"{os.path.basename(p.command[0])} did not come up: "
                                   + child.stderr.read().decode(errors="replace")[-500:].strip())
            time.sleep(0.02)

    def pids(self):
        return ",".join(str(c.pid) for c in self.running)

    def __exit__(self, *_):
        for c in reversed(self.running):
            if c.poll() is None:
                c.terminate()
        for c in self.running:
            try:
                c.wait(timeout=5)
            except subprocess.TimeoutExpired:
                c.kill()
                c.wait()
            c.stderr.close()


def run_client(command, cpu, name, options, pids, busy=False):
    """One line of JSON of a client, measured again while strangers keep the machine busy; `busy`:
    they are ours."""
    full = pinned(command, cpu) + options + ["--json", "--name", name]
    if pids:
        full += ["--pids", pids]
    for attempt in range(1, TRIES + 1):
        r = subprocess.run(full, capture_output=True, text=True, timeout=120, check=False)
        if r.returncode != 0 or not r.stdout.strip():
            raise RuntimeError(f"{' '.join(full)}: exit {r.returncode} {r.stderr.strip()[-300:]}")
        record = json.loads(r.stdout.strip().splitlines()[-1])
        record["try"] = attempt
        if busy or record.get("other_cores", 0) <= OTHERS_LIMIT:
            break
    return record


def floor_can(system, load):
    return not (load in ("W3a", "W3b") and "dps=2" in system.floor[-1])


def run_load(system, load, times, pids):
    """Records of one load: floor, system, floor; the floors are named for the system."""
    options = load_options(load, times)
    floor_name = f"floor({system.name})"
    around = system.floor is not None and floor_can(system, load)
    if around:
        before = run_client(system.floor, None, floor_name, options, "")
        yield dict(before, system=floor_name, load=load)
    record = run_client(system.client, system.cpu, system.name, options, pids)
    yield dict(record, system=system.name, load=load)
    if around and load != "W4":
        after = run_client(system.floor, None, floor_name, options, "")
        yield dict(after, system=floor_name, load=load)


def show(r):
    if "idle_percent" in r:
        return f"idle {r['idle_percent']:.3f} %"
    return (f"p50 {r['p50_us']:.1f} us  p99 {r['p99_us']:.1f}  {r['rate']:.0f}/s  "
            f"{r['goodput_gb_s']:.2f} GB/s  cpu {r['cpu_s_per_million']:.2f} s/M"
            + (f"  (others used {r['other_cores']:.1f} cores)"
               if r["other_cores"] > OTHERS_LIMIT else ""))


def run_system(system, times, failures):
    records = []
    try:
        with Background(system.servers) as servers:
            for load in system.loads:
                runs = beside.run if load == "W6" else lambda *a, w=load: run_load(a[0], w, *a[1:])
                for r in runs(system, times, servers.pids()):
                    print(f"  {r['system']:34} {load:4} {show(r)}", flush=True)
                    records.append(r)
    except (RuntimeError, subprocess.TimeoutExpired, ValueError) as e:
        failures.append(f"{system.name}: {e}")
    return records
