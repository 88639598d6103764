# SPDX-License-Identifier: BSD-3-Clause
"""Packages and the build for scripts/bench."""

import os
import subprocess
import sys

PACKAGES = """build-essential meson ninja-build pkg-config libdpdk-dev libibverbs-dev librdmacm-dev
    libedit-dev libjansson-dev protobuf-compiler libprotobuf-dev python3-protobuf g++
    libcmocka-dev libgrpc++-dev protobuf-compiler-grpc haproxy procps util-linux""".split()


def installed(name):
    r = subprocess.run(["dpkg-query", "-W", "-f", "${db:Status-Abbrev}", name],
                       capture_output=True, text=True, check=False)
    return r.returncode == 0 and r.stdout.startswith("ii")


def packages():
    missing = [p for p in PACKAGES if not installed(p)]
    if not missing:
        return
    command = ["apt-get", "install", "-y", "-q", "--no-install-recommends", *missing]
    if os.geteuid() != 0:
        sys.exit("missing packages; as root: " + " ".join(command))
    env = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    print("installing:", " ".join(missing), flush=True)
    # haproxy must not come up as a service beside the measurement
    policy = "/usr/sbin/policy-rc.d"
    ours = not os.path.exists(policy)
    if ours:
        with open(policy, "w", encoding="ascii") as f:
            f.write("#!/bin/sh\nexit 101\n")
        os.chmod(policy, 0o755)
    try:
        for c in (["apt-get", "update", "-q"], command):
            subprocess.run(c, check=True, env=env, stdout=subprocess.DEVNULL)
    finally:
        if ours:
            os.unlink(policy)


TARGETS = ("tests/bench/peers/floor", "tests/bench/peers/rawtcp", "tests/bench/peers/grpc_peer",
           "tests/bench/phoenix-bench", "dataplane/phoenix-dataplane")


def run(command):
    r = subprocess.run(command, capture_output=True, text=True, check=False)
    if r.returncode != 0:
        sys.exit(f"{' '.join(command)} failed\n{r.stdout[-4000:]}{r.stderr[-4000:]}")
    return r.stdout


def build(root, where):
    print("building", flush=True)
    run(["meson", "setup", where, root, "--buildtype=release", "-Dpeers=true"])
    known = run(["ninja", "-C", where, "-t", "targets", "all"])
    run(["ninja", "-C", where, "-j2"] + [t for t in TARGETS if f"\n{t}:" in known])
