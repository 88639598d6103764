#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""What the dataplane answers to operators: every noun against what applications really did,
refusals, warnings, and a control plane that dies while calls flow.

usage: operators.py BUILD
"""

import json
import os
import socket
import stat
import sys
import threading

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rpc  # noqa: E402

SERVICE = "phoenix.bench.Echo"
CALLS = 3000
NOT_FOUND, INVALID_ARGUMENT, FAILED_PRECONDITION, ABORTED, UNAVAILABLE = 5, 3, 9, 10, 14
RULE = {"name": "me", "action": "allow", "uid": os.getuid(), "app": "web",
        "labels": {"tier": "front"}}


def start_client(bed, run, name, *args):
    return bed.start(name, "tests/bench/phoenix-bench", "client", "local:g", "--rundir", run,
                     "--name", name, "--warm", "0", "--json", *args)


def result_of(bed, name, client):
    """The JSON line of a client that has ended well."""
    assert client.wait(rpc.DEADLINE_S) == 0, bed.log(name)
    return json.loads(bed.log(name).splitlines()[-1])


def one(rows, **want):
    """The one row with these members."""
    found = [r for r in rows if all(r.get(k) == v for k, v in want.items())]
    assert len(found) == 1, (want, rows)
    return found[0]


def client_row(c, pid):
    """The application of a process once it has a call behind it."""
    def look():
        rows = [a for a in c.call("app.list")["apps"] if a["pid"] == pid]
        return rows[0] if rows and rows[0]["calls_total"] > 100 else None
    return rpc.wait_for(f"calls of pid {pid}", look)


# ---- the socket of the control plane ----

def dataplane_alone(bed, run):
    print("- a dataplane without rules says so, and takes rules from its own user alone")
    path = os.path.join(run, "dataplane.sock")
    d = bed.connect(path)
    mode = os.stat(path)
    assert stat.S_IMODE(mode.st_mode) == 0o600 and mode.st_uid == os.getuid()
    rules = d.call("rules.get")
    assert rules["generation"] is None and rules["digest"] is None and len(rules["instance"]) == 36
    status = d.call("system.status")
    assert status["state"] == "startup" and status["apps"] == 0
    one(status["warnings"], id="no_rules")
    assert d.call("app.list") == {"apps": [], "generation": "0", "next": None}
    assert d.call("channel.list")["channels"] == [] == d.call("link.list")["links"]
    d.close()


def generations(c, run):
    print("- a push with an older generation is refused")
    d = rpc.Client(os.path.join(run, "dataplane.sock"))
    rules = d.call("rules.get", document=True)
    document = rules["document"]
    assert document["attach"][0]["name"] == "me"
    again = d.call("rules.push", document=document)
    assert again == {"changed": False, "generation": rules["generation"],
                     "digest": rules["digest"]}
    for generation in ("1", rules["generation"]):
        error = d.error("rules.push", document={"version": 1, "generation": generation})
        assert error["code"] == ABORTED and error["data"]["generation"] == rules["generation"]
    assert d.call("rules.get")["digest"] == rules["digest"]
    assert c.error("rules.push", document={})["code"] == -32601  # not for operators
    d.close()


# ---- applications ----

def counts(bed, run, c, server):
    print("- counts are those of what the client did")
    client = start_client(bed, run, "counted", "-n", str(CALLS), "-z", "60")
    result = result_of(bed, "counted", client)
    assert result["calls"] == CALLS, result
    gone = rpc.wait_for("history", lambda: [
        a for a in c.call("app.history")["apps"] if a["pid"] == client.pid])[0]
    assert gone["name"] == "web" and gone["claimed_name"] == "counted"
    assert gone["reason"] in ("DETACHED", "APP_EXIT") and gone["ended_at"].endswith("Z")
    made = CALLS + 1  # and the one that finds the server
    ours = one(c.call("app.list")["apps"], pid=server.pid)
    assert ours["requests_total"] == ours["replies_total"] == made, ours
    assert ours["calls_total"] == 0 and ours["serving"] == 0
    rows = c.call("stats.get")["series"]
    client_side = one(rows, app=gone["app"], side="client")
    server_side = one(rows, app=ours["app"], side="server")
    for row in (client_side, server_side):
        assert row["service"] == SERVICE and row["method"] == "Call" and row["status"] == "OK"
        assert row["calls_total"] == made and row["errors_total"] == 0
        assert 0 < row["p50_us"] <= row["p99_us"] <= row["p999_us"]
        assert row["name"] == "web"
    assert client_side["claimed_name"] == "counted"
    # What one side sends the other one gets: 64 and 8 bytes in messages of a fixed size.
    assert client_side["tx_bytes_total"] == server_side["rx_bytes_total"] >= made * 64
    assert client_side["rx_bytes_total"] == server_side["tx_bytes_total"] >= made * 8
    assert client_side["tx_bytes_total"] % made == 0
    return gone["app"], ours["app"]


def stats(c, gone, server):
    print("- series are grouped, filtered and cut as asked")
    rows = c.call("stats.get", group_by=["service"])["series"]
    total = one(rows, service=SERVICE)
    assert set(total) & {"app", "side", "method", "status"} == set()
    assert total["calls_total"] == 2 * (CALLS + 1)  # both sides
    rows = c.call("stats.get", group_by=["app"], filter={"side": "server"})["series"]
    assert one(rows, app=server)["calls_total"] == CALLS + 1 and len(rows) == 1
    assert c.call("stats.get", filter={"service": "no.*"})["series"] == []
    assert c.call("stats.get", filter={"status": "UNAV*"})["series"] == []
    row = one(c.call("stats.get", filter={"app": gone}, quantiles=[0.25, 1])["series"], app=gone)
    assert 0 < row["p25_us"] <= row["p100_us"] and "p50_us" not in row
    row = one(c.call("stats.get", filter={"app": gone}, quantiles=[0, 0.05, 0.9, 0.9995])["series"],
              app=gone)
    assert [k for k in row if k.endswith("_us")] == ["p0_us", "p05_us", "p90_us", "p9995_us"], row
    error = c.error("stats.get", group_by=["colour"])
    assert error["code"] == -32602 and "group_by" in error["data"]["field"], error


def samples(c, gone, server):
    print("- sampled calls passed their stages in order")
    rows = c.call("stats.samples")["samples"]
    ours = [r for r in rows if r["app"] == gone and r["side"] == "client"]
    theirs = [r for r in rows if r["app"] == server and r["side"] == "server"]
    assert len(ours) + len(theirs) >= 2 * CALLS // 1024, rows
    for r in ours:
        assert 0 < r["sent_ns"] <= r["reply_ns"] <= r["complete_ns"] and r["status"] == "OK"
    for r in theirs:
        assert 0 <= r["delivered_ns"] <= r["replied_ns"] <= r["released_ns"]
        assert r["method"] == "Call" and r["sampled_at"].endswith("Z")
    rows = c.call("stats.samples", filter={"side": "client"})["samples"]
    assert rows and all(r["side"] == "client" for r in rows)


def application(bed, c, server, client):
    print("- an application in a list and in detail")
    row = client_row(c, client.pid)
    assert row["name"] == "web" and row["claimed_name"] == "load" and row["rule"] == "me"
    assert row["labels"] == {"tier": "front"} and row["state"] == "attached"
    assert row["uid"] == os.getuid() and row["exe"].endswith("/phoenix-bench")
    assert row["channels"] == 1 and row["services"] == 0 and row["inflight"] <= 8
    assert one(c.call("app.list", filter={"name": "w*", "app": row["app"]})["apps"],
               pid=client.pid)
    detail = c.call("app.get", app=row["app"])
    assert detail["quotas"]["send_bytes"] == 1 << 30 and detail["quotas"]["message_bytes"] == 1 << 26
    queue = one(detail["queues"], queue=0)
    assert queue["inflight"] <= 8 <= queue["calls_max"] and queue["submission_slots"] >= 64
    memory = detail["memory"]
    assert memory["send_bytes"] + memory["recv_bytes"] + memory["queue_bytes"] == row["shm_bytes"]
    assert detail["last_errors"] == [] and detail["registered"] == []
    # By a name that is the application's alone; by one that both have; by none.
    assert c.call("app.get", app="load")["app"] == row["app"]
    error = c.error("app.get", app="web")
    theirs = one(c.call("app.list")["apps"], pid=server.pid)["app"]
    assert error["code"] == INVALID_ARGUMENT
    assert sorted(error["data"]["candidates"]) == sorted([theirs, row["app"]])
    error = c.error("app.get", app="loaf")
    assert error["code"] == NOT_FOUND and error["data"]["status"] == "NOT_FOUND"
    assert error["data"]["candidates"] == ["load"] and error["data"]["field"] == "app"
    assert "app list" in error["data"]["hint"]
    assert c.error("app.detach", app="nobody-of-that-name")["code"] == NOT_FOUND
    detail = c.call("app.get", app=theirs)
    assert detail["registered"] == [{"service": SERVICE, "group": "g"}]
    return row["app"]


def service(c):
    print("- a service with its instances")
    row = one(c.call("service.list")["services"], service=SERVICE)
    assert row["group"] == "g" and row["state"] == "up" and row["instances"] == 1
    assert row["owner_uid"] == os.getuid() and len(row["schema"]) == 32
    assert row["methods"] == [{"name": "Call", "kind": "unary"}]
    assert c.call("service.list", filter={"group": "h*"})["services"] == []


def channel(c, app):
    print("- a channel with its path")
    row = one(c.call("channel.list", filter={"app": app})["channels"], app=app)
    assert row["target"] == "local:g" and row["state"] == "open" and row["services"] == [SERVICE]
    assert row["inflight"] <= 8 and row["calls_total"] > 100
    rpc.wait_for("more calls", lambda: c.call(
        "channel.get", channel=row["channel"])["calls_total"] > row["calls_total"])
    detail = c.call("channel.get", channel=row["channel"])
    path = one(detail["paths"], state="open")
    assert path["link"].startswith("local-") and path["sequence"] <= path["sequence_limit"]
    assert detail["calls_total"] <= path["sequence"] + 8
    error = c.error("channel.get", channel=row["channel"] + "9")
    assert error["code"] == NOT_FOUND and error["data"]["candidates"] == [row["channel"]]
    assert c.error("channel.get", channel="chan")["data"]["candidates"] == [row["channel"]]


def workers(c, app, server):
    print("- lcores and engines")
    def busy():
        rows = c.call("lcore.list")["lcores"]
        control, worker = one(rows, role="control"), one(rows, role="worker")
        assert control["engines"] == 0 and worker["engines"] >= 3
        return worker
    before = busy()
    after = rpc.wait_for("work", lambda: (
        lambda w: w if w["work_total"] > before["work_total"] else None)(busy()))
    for key in ("rounds_total", "busy_ns_total", "sleeps_total", "wakeups_total"):
        assert after[key] >= before[key]
    assert after["busy_ns_total"] > before["busy_ns_total"] and after["longest_poll_ns"] > 0
    rows = c.call("engine.list")["engines"]
    assert len({r["engine"] for r in rows}) == len(rows) == after["engines"]
    for object in (app, server):
        row = one(rows, object=object)
        assert row["kind"] == "session" and row["state"] == "active"
        assert row["polls_total"] >= row["work_total"] // 64 > 0
        assert row["engine"] == "eng-" + object
    assert one(rows, kind="links")["lcore"] == after["lcore"]


def links(c):
    print("- links between workers only when asked for")
    assert c.call("link.list")["links"] == []
    rows = c.call("link.list", all=True)["links"]
    ends = {r["direction"]: r for r in rows if r["transport"] == "local"}
    assert ends["dialled"]["calls_out_total"] > 100 and ends["accepted"]["calls_in_total"] > 100
    assert c.error("link.get", link="link-1")["code"] == NOT_FOUND


def memory(c, app):
    print("- memory adds up")
    mem = c.call("mem.get")
    assert mem["app_bytes"] == sum(
        a["send_bytes"] + a["recv_bytes"] + a["queue_bytes"] + a["schema_bytes"]
        for a in mem["apps"])
    assert mem["app_bytes"] < mem["app_limit_bytes"] and mem["app_refused_total"] == 0
    assert {p["name"] for p in mem["pools"]} == {"small", "large"}
    assert all(p["used"] <= p["total"] and p["refused_total"] == 0 for p in mem["pools"])
    row = one(c.call("mem.get", app=app)["apps"], app=app)
    assert 0 < row["send_bytes"] <= row["send_quota_bytes"] and row["queue_bytes"] > 0
    assert c.error("mem.get", app="app-999")["code"] == NOT_FOUND


def lent(bed, run, c, server):
    print("- large messages are lent, and counted while they are")
    client = start_client(bed, run, "large", "-c", "8", "-z", "20", "--size", "100000",
                          "--reply", "100000")
    app = client_row(c, client.pid)["app"]

    def seen():
        row = one(c.call("mem.get", app=app)["apps"], app=app)
        return row["lent_blocks"] > 0 and row["recv_used_bytes"] >= row["lent_bytes"] >= 100000
    rpc.wait_for("lent blocks", seen)
    bed.stop("large")
    rpc.wait_for("all given back", lambda: one(
        c.call("mem.get")["apps"], app=server)["lent_blocks"] == 0)


def detach(bed, run, c):
    print("- an application is detached, once")
    client = start_client(bed, run, "victim", "-c", "2", "-z", "20")
    app = client_row(c, client.pid)["app"]
    assert c.call("app.detach", app=app, reason="maintenance") == {"app": app, "changed": True}
    gone = rpc.wait_for("history", lambda: [
        a for a in c.call("app.history")["apps"] if a["app"] == app])[0]
    assert gone["reason"] == "DETACHED" and gone["text"] == "maintenance"
    rpc.wait_for("gone", lambda: app not in [a["app"] for a in c.call("app.list")["apps"]])
    assert c.error("app.detach", app=app)["code"] == NOT_FOUND
    bed.stop("victim")


# ---- the whole ----

def status(c):
    print("- the status of the whole, with what is wrong")
    s = c.call("system.status")
    assert s["state"] == "running" and s["resynced"] and s["warnings"] == []
    assert s["dataplane"]["up"] and s["dataplane"]["apps"] == 2 and s["dataplane"]["services"] == 1
    assert s["dataplane"]["workers"] == 1
    assert s["dataplane"]["version"] == c.call("system.version")["version"]
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        c.call("listener.add", name="web", transport="tcp",
               address="127.0.0.1:%d" % taken.getsockname()[1])

        def warned():
            return [w for w in c.call("system.status")["warnings"] if w["id"] == "listener_down"]
        warning = rpc.wait_for("a warning", warned)[0]
        assert "web" in warning["text"] and "in use" in warning["text"]
    rpc.wait_for("the address to come free", lambda: not warned())
    c.call("listener.del", name="web")


def unreachable(bed, run, c):
    print("- a peer that is not there")
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    bed.start("lonely", "tests/bench/phoenix-bench", "client", f"tcp://127.0.0.1:{port}/g",
              "--rundir", run)
    warning = rpc.wait_for("a warning", lambda: [
        w for w in c.call("system.status")["warnings"] if w["id"] == "peer_down"])[0]
    assert f"127.0.0.1:{port}" in warning["text"] and "refused" in warning["text"].lower(), warning
    row = one(c.call("link.list")["links"], peer=f"127.0.0.1:{port}")
    assert row["state"] in ("backoff", "connecting") and row["attempts_total"] > 0
    bed.stop("lonely")


def introspection(c):
    print("- every method that is told is there, with role and example")
    methods = {m["name"]: m for m in c.call("rpc.methods")["methods"]}
    for name in ("app.get", "stats.get", "stats.samples", "mem.get", "lcore.list", "rpc.limits"):
        assert methods[name]["role"] == "ro" and methods[name]["summary"]
    assert "rules.push" not in methods
    assert one(c.call("rpc.limits")["limits"], name="SERIES_MAX")["value"] > 0
    paths = {m["name"] for m in c.call("rpc.discover")["methods"]}
    assert paths == set(methods)


def death(bed, run, c):
    print("- the control plane dies and comes back while calls flow")
    load = start_client(bed, run, "through", "-c", "8", "-z", "10")
    app = client_row(c, load.pid)
    before = c.call("system.status")
    c.close()
    bed.stop("controlplane", rpc.signal.SIGKILL)
    d = rpc.Client(os.path.join(run, "dataplane.sock"))
    assert d.call("rules.get")["generation"] == before["generation"]
    rpc.wait_for("calls without a control plane", lambda: one(
        d.call("app.list")["apps"], pid=load.pid)["calls_total"] > app["calls_total"] + 1000)
    d.close()
    bed.start("controlplane", "controlplane/phoenix-controlplane", "--rundir", run)
    c = bed.connect(os.path.join(run, "control.sock"))
    s = rpc.wait_for("resync", lambda: (
        lambda s: s if s["resynced"] and s["state"] == "running" else None)(
            c.call("system.status")))
    assert s["generation"] == before["generation"]
    assert s["dataplane"]["instance"] == before["dataplane"]["instance"]
    changed = c.call("app.rule_set", **RULE | {"name": "other", "action": "deny", "uid": 4321})
    rpc.wait_for("the new rule", lambda: c.call("system.status")["dataplane"]["generation"] ==
                 changed["generation"])
    result = result_of(bed, "through", load)
    assert result["errors"] == {} and result["calls"] > app["calls_total"], result
    return c


def dataplane_gone(bed, c):
    print("- without a dataplane its nouns are unavailable, the rest is not")
    assert bed.stop("dataplane") == 0
    s = rpc.wait_for("degraded", lambda: (
        lambda s: s if s["state"] == "degraded" else None)(c.call("system.status")))
    one(s["warnings"], id="dataplane_down")
    assert not s["dataplane"]["up"] and "version" not in s["dataplane"]
    error = c.error("app.list")
    assert error["code"] == UNAVAILABLE and error["data"]["retryable"]
    assert c.call("app.rule_list")["rules"][0]["name"] == "me"


class OldDataplane(threading.Thread):
    """Answers as a dataplane of another version would."""

    def __init__(self, path):
        super().__init__(daemon=True)
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.start()

    def run(self):
        while True:
            try:
                fd, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(fd,), daemon=True).start()

    def serve(self, fd):
        try:
            self.answer(fd)
        except OSError:
            pass  # the control plane has gone

    @staticmethod
    def answer(fd):
        for line in fd.makefile("rb"):
            request = json.loads(line)
            generation = request.get("params", {}).get("document", {}).get("generation")
            result = {
                "rules.get": {"instance": "old", "generation": None, "digest": None},
                "rules.push": {"changed": True, "generation": generation, "digest": ""},
                "system.status": {"version": "0.0.9", "warnings": [
                    {"id": "own", "text": "of its own", "hint": ""}]},
            }.get(request["method"])
            answer = {"jsonrpc": "2.0", "id": request["id"]}
            if result is not None:
                answer["result"] = result
            else:
                answer["error"] = {"code": -32601, "message": "no such method"}
            fd.sendall(json.dumps(answer).encode() + b"\n")


def versions(bed):
    print("- a dataplane of another version")
    run = bed.path("old")
    os.mkdir(run)
    old = OldDataplane(os.path.join(run, "dataplane.sock"))
    bed.start("plane2", "controlplane/phoenix-controlplane", "--rundir", run)
    c = bed.connect(os.path.join(run, "control.sock"))
    s = rpc.wait_for("the other version", lambda: (
        lambda s: s if "version" in s["dataplane"] else None)(c.call("system.status")))
    assert "0.0.9" in one(s["warnings"], id="version_mismatch")["text"]
    one(s["warnings"], id="own")
    c.close()
    bed.stop("plane2")
    old.listener.close()


def main(build):
    for program in ("dataplane/phoenix-dataplane", "tests/bench/phoenix-bench"):
        if not os.access(os.path.join(build, program), os.X_OK):
            print(f"skipped: {program} is not built")
            return 77
    with rpc.Bed(build) as bed:
        run = bed.path("run")
        os.mkdir(run)
        bed.start("dataplane", "dataplane/phoenix-dataplane", "--rundir", run)
        dataplane_alone(bed, run)
        bed.start("controlplane", "controlplane/phoenix-controlplane", "--rundir", run)
        c = bed.connect(os.path.join(run, "control.sock"))
        first = c.call("app.rule_list")["rules"][0]["name"]
        changed = c.call("app.rule_set", **RULE, before=first)
        rpc.wait_for("rules", lambda: c.call("system.status")["dataplane"]["generation"] ==
                     changed["generation"])
        generations(c, run)
        server = bed.start("server", "tests/bench/phoenix-bench", "server", "g", "--rundir", run)
        rpc.wait_for("the server", lambda: any(
            s["state"] == "up" for s in c.call("service.list")["services"]))
        gone, server_app = counts(bed, run, c, server)
        stats(c, gone, server_app)
        samples(c, gone, server_app)
        load = start_client(bed, run, "load", "-c", "8", "-z", "120")
        app = application(bed, c, server, load)
        service(c)
        channel(c, app)
        workers(c, app, server_app)
        links(c)
        memory(c, app)
        status(c)
        introspection(c)
        bed.stop("load")
        c = death(bed, run, c)
        lent(bed, run, c, server_app)
        detach(bed, run, c)
        unreachable(bed, run, c)
        dataplane_gone(bed, c)
        versions(bed)
        c.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
