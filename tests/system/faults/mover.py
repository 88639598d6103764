#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Moves every session of a dataplane to another worker, again and again, until SIGTERM.

usage: mover.py RUNDIR WORKERS

Applications and the dataplane may come and go meanwhile. Says "ready" and at the end how many
moves were made.
"""

import os
import random
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
import rpc  # noqa: E402


def move_all(client, workers):
    """How many sessions have moved."""
    moved = 0
    for row in client.call("app.list")["apps"]:
        answer = client.answer(client.send(
            "placement.set", app=row["app"], worker=random.randrange(workers), limit_ms=100))
        moved += "result" in answer and answer["result"]["changed"]
    return moved


def main():
    path, workers = os.path.join(sys.argv[1], "dataplane.sock"), int(sys.argv[2])
    stopped, moves, client = [], 0, None
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    print("ready", flush=True)
    while not stopped:
        try:
            client = client or rpc.Client(path)
            moves += move_all(client, workers)
            time.sleep(0.005)  # a channel needs a round trip for its new paths, or calls starve
        except (OSError, EOFError):
            client = None  # the dataplane has gone
            time.sleep(0.01)  # between two looks for the next one
    print(f"{moves} moves", flush=True)


main()
