# SPDX-License-Identifier: BSD-3-Clause
"""Medians, the table of systems and the table of targets."""

import os
import platform
import statistics

# label, (system, load, field), relation, factor, (system, load, field) of the reference
LOCAL, TCP = "phoenix-local:0-1-0", "phoenix-tcp:0-0-1-1"
GRPC, UNIX = "grpc-tcp:0-1", "grpc-unix:0-1"
HAP1, HAP2 = "grpc-haproxy:0-1-0", "grpc-2haproxy:0-0-1-1"
RAW = "rawtcp-spin:0-1"


def floor(system):
    return f"floor({system})"


def against(label, system, load, field, relation, *references):
    return [(label, (system, load, field), relation, factor, (ref, load, field))
            for ref, factor in references]


TARGETS = [t for rows in (
    against("local 64 B p50", LOCAL, "W1", "p50_us", "<=", (floor(LOCAL), 1.8), (GRPC, 1 / 15),
            (UNIX, 1 / 5), (HAP1, 1 / 30)),
    against("local 64 B p99", LOCAL, "W1", "p99_us", "<=", (floor(LOCAL), 3)),
    against("tcp 64 B p50", TCP, "W1", "p50_us", "<=", (floor(TCP), 1.5), (GRPC, 1 / 3.5),
            (HAP2, 1 / 9)),
    against("local rate, 32", LOCAL, "W2a", "rate", ">=", (floor(LOCAL), 0.35), (GRPC, 25)),
    against("local rate, 128", LOCAL, "W2b", "rate", ">=", (floor(LOCAL), 0.35), (GRPC, 40)),
    against("tcp rate, 32", TCP, "W2a", "rate", ">=", (floor(TCP), 0.5), (GRPC, 10), (HAP2, 40)),
    against("tcp rate, 128", TCP, "W2b", "rate", ">=", (floor(TCP), 0.45), (GRPC, 25), (HAP2, 65)),
    against("local cpu per call, 128", LOCAL, "W2b", "cpu_s_per_million", "<=", (floor(LOCAL), 3),
            (GRPC, 1 / 30)),
    against("tcp cpu per call, 128", TCP, "W2b", "cpu_s_per_million", "<=", (floor(TCP), 3),
            (GRPC, 1 / 30), (HAP2, 1 / 90)),
    against("local 8 KiB", LOCAL, "W3a", "goodput_gb_s", ">=", (floor(LOCAL), 0.5), (GRPC, 10)),
    against("local 1 MiB", LOCAL, "W3b", "goodput_gb_s", ">=", (floor(LOCAL), 0.5), (GRPC, 3)),
    against("tcp 8 KiB", TCP, "W3a", "goodput_gb_s", ">=", (RAW, 0.6), (GRPC, 5)),
    against("tcp 1 MiB", TCP, "W3b", "goodput_gb_s", ">=", (RAW, 0.6), (GRPC, 1.3)),
    against("local, 2 ms of rest, p50", LOCAL, "W5", "p50_us", "<=", (floor(LOCAL), 1.3),
            (GRPC, 1)),
    against("local p99 beside 8 MiB", LOCAL, "W6", "p99_us", "<=", (f"load({LOCAL})", 3)),
    against("tcp p99 beside 8 MiB", TCP, "W6", "p99_us", "<=", (f"load({TCP})", 3)),
    against("local idle cpu", LOCAL, "W4", "idle_percent", "<=", (None, 0.1), (GRPC, 1)),
    against("tcp idle cpu", TCP, "W4", "idle_percent", "<=", (None, 0.1), (GRPC, 1)),
) for t in rows]

# Reported beside them: as shipped, nobody pinned, against an unpinned run of the model.
FREE = [t for rows in (
    against("local 64 B p50, free", "phoenix-local:free", "W1", "p50_us", "<=",
            (floor("phoenix-local:free"), None)),
    against("local rate 128, free", "phoenix-local:free", "W2b", "rate", ">=",
            (floor("phoenix-local:free"), None)),
    against("tcp 64 B p50, free", "phoenix-tcp:free", "W1", "p50_us", "<=",
            (floor("phoenix-tcp:free"), None)),
    against("tcp rate 128, free", "phoenix-tcp:free", "W2b", "rate", ">=",
            (floor("phoenix-tcp:free"), None)),
) for t in rows]

FIELDS = ("p50_us", "p99_us", "p999_us", "rate", "goodput_gb_s", "cpu_s_per_million",
          "idle_percent")


def medians(records):
    """{(system, load): {field: median}}; the two floors of a repetition both count."""
    groups = {}
    for r in records:
        groups.setdefault((r["system"], r["load"]), []).append(r)
    return {key: {f: statistics.median(r[f] for r in rs if f in r)
                  for f in FIELDS if any(f in r for r in rs)} for key, rs in groups.items()}


def machine():
    model = ""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return {"cpu": model or platform.machine(), "cpus": os.cpu_count(),
            "kernel": platform.release()}


def print_machine():
    m = machine()
    print(f"\n{m['cpu']}, {m['cpus']} CPUs, Linux {m['kernel']}")


def print_systems(summary):
    print(f"\n{'system':36} {'load':4} {'p50 us':>9} {'p99 us':>9} {'calls/s':>11} "
          f"{'GB/s':>8} {'cpu s/M':>9}")
    for (system, load), v in summary.items():
        if "idle_percent" in v:
            print(f"{system:36} {load:4} {v['idle_percent']:9.3f} % of a core when idle")
        else:
            print(f"{system:36} {load:4} {v['p50_us']:9.2f} {v['p99_us']:9.2f} {v['rate']:11.0f} "
                  f"{v['goodput_gb_s']:8.3f} {v['cpu_s_per_million']:9.3f}")


def lookup(summary, key):
    system, load, field = key
    return summary.get((system, load), {}).get(field)


def judge(summary, target):
    label, key, relation, factor, ref = target
    value = lookup(summary, key)
    absolute = ref[0] is None
    base = 1 if absolute else lookup(summary, ref)
    row = {"measure": label, "reference": "absolute" if absolute else ref[0], "value": value,
           "base": None if absolute else base, "relation": relation, "target": factor,
           "ratio": None, "verdict": "not measured"}
    if value is None or base is None or base == 0:
        return row
    row["ratio"] = value / base
    if factor is None:
        row["verdict"] = "reported"
    else:
        met = row["ratio"] <= factor if relation == "<=" else row["ratio"] >= factor
        row["verdict"] = "met" if met else "missed"
    return row


def number(v):
    return "-" if v is None else f"{v:.3f}" if abs(v) < 10 else f"{v:.1f}" if v < 1e5 else f"{v:.3g}"


def print_targets(summary):
    rows = [judge(summary, t) for t in TARGETS + FREE]
    print(f"\n{'measure':26} {'value':>9} {'against':32} {'base':>9} {'ratio':>8} {'target':>9}  verdict")
    for r in rows:
        target = "-" if r["target"] is None else f"{r['relation']}{r['target']:.3g}"
        print(f"{r['measure']:26} {number(r['value']):>9} {r['reference']:32} "
              f"{number(r['base']):>9} {number(r['ratio']):>8} {target:>9}  {r['verdict']}")
    count = {}
    for r in rows:
        count[r["verdict"]] = count.get(r["verdict"], 0) + 1
    print("targets: " + ", ".join(f"{n} {v}" for v, n in sorted(count.items())))
    return rows
