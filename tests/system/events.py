#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Events of both daemons: types, order, history, slow and absent readers, restarts.

usage: events.py BUILD
"""

import os
import socket
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rpc  # noqa: E402

KEPT = 4096  # PHX_LIMIT_EVENTS_MAX


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start_dataplane(bed, run):
    bed.start("dataplane", "dataplane/phoenix-dataplane", "--rundir", run)


def start_plane(bed, run):
    bed.start("controlplane", "controlplane/phoenix-controlplane", "--rundir", run)
    return bed.connect(os.path.join(run, "control.sock"))


def applications(bed, run, c, watch):
    print("- an application comes, offers a service and goes")
    c.call("event.subscribe", types=["app.*", "service.*", "rules.*", "config.*"])
    c.call("peer.add", name="p", network="10.0.0.0/8")
    changed = c.event(type="config.changed")
    assert changed["detail"]["keys"] == ["peer/p"] and changed["object"] == "peer.add"
    c.event(type="rules.pushed")
    server = bed.start("server", "tests/bench/phoenix-bench", "server", "g", "--rundir", run)
    attached = c.event(type="app.attached")
    assert attached["detail"]["pid"] == server.pid and attached["detail"]["uid"] == os.getuid()
    up = c.event(type="service.up")
    assert up["detail"]["group"] == "g" and up["seq"] > attached["seq"]
    c.call("app.detach", app=attached["object"], reason="maintenance")
    detached = c.event(type="app.detached", object=attached["object"])
    assert detached["detail"]["reason"] == "DETACHED", detached
    assert detached["detail"]["text"] == "maintenance", detached
    c.event(type="service.down", object=up["object"])
    bed.stop("server")
    bed.start("server", "tests/bench/phoenix-bench", "server", "g", "--rundir", run)
    again = c.event(type="app.attached")
    bed.stop("server", rpc.signal.SIGKILL)
    assert c.event(type="app.detached")["object"] == again["object"]
    # What came through the whole time has no gap and no repetition.
    rows = [watch.event() for _ in range(8)]
    assert [r["seq"] for r in rows] == list(range(rows[0]["seq"], rows[0]["seq"] + 8)), rows


def links(bed, run, c):
    print("- listeners, links and peers")
    c.call("event.subscribe", types=["listener.*", "link.*", "peer.*"])
    other = bed.path("other")
    os.mkdir(other)
    port = free_port()
    c.call("listener.add", name="web", transport="tcp", address=f"127.0.0.1:{port}")
    assert c.event(type="listener.up", object="web")["detail"]["address"].endswith(str(port))
    c.call("listener.add", name="taken", transport="tcp", address=f"0.0.0.0:{port}")
    error = c.event(type="listener.error", object="taken")
    assert "in use" in error["detail"]["text"], error
    c.call("listener.del", name="taken")
    bed.start("server", "tests/bench/phoenix-bench", "server", "g", "--rundir", run)
    bed.start("dataplane2", "dataplane/phoenix-dataplane", "--rundir", other,
              "--standalone", "default")
    rpc.wait_for("app.sock", lambda: os.path.exists(os.path.join(other, "app.sock")))
    client = bed.start("client", "tests/bench/phoenix-bench", "client", f"tcp://127.0.0.1:{port}/g",
                       "--rundir", other, "-n", "100")
    up = c.event(type="link.up")
    assert client.wait(rpc.DEADLINE_S) == 0
    bed.stop("dataplane2")
    lost = c.event(type="link.lost", object=up["object"])
    assert lost["detail"]["peer"] == up["detail"]["peer"], lost
    # And from this side, to somebody who is not there.
    bed.start("client2", "tests/bench/phoenix-bench", "client", "tcp://127.0.0.1:1", "--rundir",
              run, "-n", "1")
    assert "refused" in c.event(type="peer.error")["detail"]["text"]
    c.call("listener.del", name="web")
    c.event(type="listener.down", object="web")
    bed.stop("server")


def history(c):
    print("- history")
    rows = c.call("event.history", limit=5)["events"]
    assert len(rows) == 5
    since = rows[1]["seq"]
    later = c.call("event.history", since_seq=since)
    assert later["lost"] == 0 and later["events"][0]["seq"] == since + 1
    types = {e["type"] for e in c.call("event.history", types=["listener.*"])["events"]}
    assert types <= {"listener.up", "listener.down", "listener.error"} and types, types
    # A number that has not been given yet is of another control plane: everything is new then.
    all_kept = c.call("event.history", limit=KEPT)
    other = c.call("event.history", since_seq=1 << 60, limit=KEPT)
    assert other["events"][0] == all_kept["events"][0], other
    assert c.call("event.history", since_seq=all_kept["events"][-1]["seq"])["events"] == []
    sub = c.call("event.subscribe", since_seq=since)
    assert sub["seq"] == since
    assert c.event(subscription=sub["subscription"])["seq"] == since + 1


def subscriptions(bed, path, c):
    print("- subscriptions")
    one = bed.connect(path)
    names = [one.call("event.subscribe", types=["config.*"])["subscription"] for _ in range(8)]
    assert one.error("event.subscribe")["code"] == 8
    for name in names[1:]:
        assert one.call("event.unsubscribe", subscription=name)["changed"]
    assert one.error("event.unsubscribe", subscription=names[1])["code"] == 5
    assert c.error("event.unsubscribe", subscription=names[0])["code"] == 5, "of another client"
    c.call("peer.add", name="q", network="10.0.0.0/8")
    assert one.event()["subscription"] == names[0]
    # The client says nothing more but listens on.
    one.socket.shutdown(socket.SHUT_WR)
    c.call("peer.del", name="q")
    assert one.event(type="config.changed")["object"] == "peer.del"
    one.close()


def slow(bed, path, c):
    print("- a reader who does not read loses events and learns how many")
    lazy = bed.connect(path, rcvbuf=4096)
    first = lazy.call("event.subscribe", types=["config.*"])["seq"]
    other = bed.connect(path)
    seen = other.call("event.subscribe", types=["config.*"])["seq"]
    got, lost, count = [], 0, 0

    def take():
        nonlocal lost
        event = lazy.event()
        if event["type"] == "event.lost":
            lost += event["detail"]["count"]
        else:
            got.append(event["seq"])

    # More than the ring and the buffers of the socket hold: six events of every round.
    for i in range(KEPT // 2):
        c.call("peer.add", name="slow", network="10.0.0.0/8")
        c.call("peer.del", name="slow")
        for _ in range(2):
            event = other.event()
            assert event["type"] == "config.changed" and event["seq"] > seen, event
            seen, count = event["seq"], count + 1
        if i % 20 == 0:
            take()  # slow, not dead
    assert count == KEPT
    last = c.call("event.history", limit=1, types=["config.*"])["events"][0]["seq"]
    while got[-1] < last:
        take()
    assert got == sorted(set(got)) and lost > 0, lost
    assert got[0] > first and len(got) + lost >= KEPT
    lazy.close()
    other.close()


def restarts(bed, run, c):
    print("- the dataplane goes and comes back; so does the control plane")
    before = c.call("event.subscribe", types=["dataplane.*", "app.*"])["instance"]
    bed.stop("dataplane", rpc.signal.SIGKILL)
    c.event(type="dataplane.down")
    start_dataplane(bed, run)
    c.event(type="dataplane.up")
    bed.start("server", "tests/bench/phoenix-bench", "server", "g", "--rundir", run)
    attached = c.event(type="app.attached")
    c.close()
    bed.stop("controlplane", rpc.signal.SIGKILL)
    c = start_plane(bed, run)
    # Who goes on behind what he saw last, in the numbers of the one before.
    ahead = bed.connect(os.path.join(run, "control.sock"))
    sub = ahead.call("event.subscribe", since_seq=attached["seq"])
    assert sub["instance"] != before and sub["seq"] == 0, (before, sub)
    assert ahead.event(subscription=sub["subscription"])["seq"] == 1
    assert ahead.call("event.history")["instance"] == sub["instance"]
    ahead.close()
    # A new control plane learns what the dataplane still knows, with its time.
    rows = rpc.wait_for("old events", lambda: c.call(
        "event.history", types=["app.attached"], limit=KEPT)["events"])
    assert rows[-1]["at"] == attached["at"] and rows[-1]["object"] == attached["object"]
    c.call("event.subscribe", types=["app.detached"])
    bed.stop("server")
    assert c.event(type="app.detached")["object"] == attached["object"]
    return c


def main():
    with rpc.Bed(sys.argv[1]) as bed:
        run = bed.path("run")
        os.mkdir(run)
        start_dataplane(bed, run)
        c = start_plane(bed, run)
        path = os.path.join(run, "control.sock")
        watch = bed.connect(path)
        watch.call("event.subscribe")
        rpc.wait_for("rules", lambda: c.call("system.status")["state"] == "running")
        applications(bed, run, c, watch)
        c.close()
        c = bed.connect(path)
        links(bed, run, c)
        history(c)
        subscriptions(bed, path, c)
        c.close()
        c = bed.connect(path)
        slow(bed, path, c)
        c = restarts(bed, run, c)
        assert bed.stop("controlplane") == 0
        assert bed.stop("dataplane") == 0
    print("passed")


if __name__ == "__main__":
    main()
