#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Who may do what on control.sock, what is on record of it, and clients that misbehave.

usage: control.py BUILD
"""

import json
import os
import re
import signal
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import rpc  # noqa: E402

NOBODY = 65534
OPERATORS, ADMINS = 4242, 4243  # gids that only the control plane's own /etc/group has
GROUPS = "unshare -m sh -c 'mount --bind \"$0\" /etc/group && exec \"$@\"'"


def as_user(uid, groups, fn):
    """fn() in a child of that user; what it returns comes back as JSON."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.setgroups(groups)
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
            os.write(writer, json.dumps(fn()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    with os.fdopen(reader) as f:
        text = f.read()
    assert os.waitpid(child, 0)[1] == 0, "the child failed"
    return json.loads(text)


def codes(path, methods):
    """The code of every method called without parameters; 0: it worked."""
    c = rpc.Client(path)
    out = {}
    for name in methods:
        # Neither ends the program nor its connection.
        if name in ("system.shutdown", "system.drain"):
            out[name] = c.answer(c.send(name, timeout_ms="no number")).get("error")["code"]
        else:
            out[name] = c.answer(c.send(name)).get("error", {"code": 0})["code"]
    c.close()
    return out


def roles(bed, path, c):
    print("- roles by what the kernel says of the client")
    methods = {m["name"]: m for m in c.call("rpc.discover")["methods"]}
    doc = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../doc/control-api.md")
    with open(doc, encoding="utf-8") as f:
        text = f.read()
    for name in methods:
        noun, verb = name.split(".")
        row = re.search(rf"^\|[^|]*`{noun}`[^|]*\|.*$", text, re.M)
        assert row and re.search(rf"`{verb}`|`{noun}\.({verb}|\*)`", row[0]), f"{name}: not in {doc}"
    assert {m["x-role"] for m in methods.values()} == {"ro", "op", "adm"}
    levels = {"ro": 0, "op": 1, "adm": 2}
    cases = [("nobody", [], 0)]
    if bed.groups:
        cases += [("an operator", [OPERATORS], 1), ("an admin", [ADMINS], 2)]
    else:
        print("  (groups cannot be tried here: no mount namespace)")
    for who, groups, level in cases:
        got = as_user(NOBODY, groups, lambda: codes(path, methods))
        for name, m in methods.items():
            allowed = levels[m["x-role"]] <= level
            assert (got[name] != 7) == allowed, (who, name, got[name])
    return methods


def audit(bed, c, methods):
    print("- every change and every refused change is on record")
    c.call("peer.add", name="p", network="::1")
    log = bed.log("controlplane")
    for name, m in methods.items():
        lines = re.findall(rf"audit: uid={NOBODY} pid=\d+ exe=\S+ method={re.escape(name)} "
                           r"params=[0-9a-f]{16} result=(\S+)", log)
        if m["x-changes"]:
            assert "PERMISSION_DENIED" in lines, (name, lines)
        else:
            assert lines == [], (name, lines)
    assert re.search(r"audit: uid=0 pid=%d exe=\S*python\S* method=peer.add params=\S+ result=OK"
                     % os.getpid(), log)
    rows = c.call("event.history", types=["audit"], limit=1)["events"]
    assert rows[0]["object"] == "peer.add" and rows[0]["detail"]["result"] == "OK"
    path = c.socket.getpeername()

    def history():
        other = rpc.Client(path)
        return other.call("event.history", types=["audit"], limit=10)["events"]

    assert as_user(NOBODY, [], history) == [], "who did what is not for everybody"


def generations(path, c):
    print("- two clients, one generation: one wins")
    other = rpc.Client(path)
    now = c.call("config.get")["generation"]
    assert c.call("peer.add", name="one", network="::1", if_generation=now)["changed"]
    error = other.error("peer.add", name="two", network="::2", if_generation=now)
    assert error["code"] == 10 and error["data"]["generation"] != now
    assert other.call("peer.del", name="one", dry_run=True)["changed"]
    assert "one" in [p["name"] for p in c.call("peer.list")["peers"]]
    other.close()


def streams(path, c):
    print("- bytes one by one, many requests at once, too many clients")
    slow = rpc.Client(path)
    for byte in b'{"jsonrpc":"2.0","id":7,"method":"peer.list"}':
        slow.socket.sendall(bytes([byte]))
    assert slow.read()["id"] == 7
    for _ in range(1000):
        slow.send("system.version")
    assert [slow.read()["id"] for _ in range(1000)] == list(range(1, 1001))
    slow.close()
    clients, answer = [], {}
    while "error" not in answer and len(clients) < 40:
        one = rpc.Client(path)
        clients.append(one)
        try:
            one.send("peer.list")
        except BrokenPipeError:
            pass  # refused already; it says why
        answer = one.read()
    assert len(clients) <= 17 and answer["error"]["code"] == 8, (len(clients), answer)
    for one in clients:
        one.close()
    rpc.wait_for("room", lambda: len(c.call("peer.list")) > 0)


def hung(bed, path, c):
    print("- a dataplane that hangs, then is gone: answers in time, and the rest goes on")
    bed.programs["dataplane"].send_signal(signal.SIGSTOP)
    other = rpc.Client(path)
    began = time.monotonic()
    asked = c.send("app.list", timeout_ms=500)
    assert other.call("peer.list")["peers"] is not None
    assert other.call("peer.add", name="h", network="::3")["changed"]
    assert c.answer(asked)["error"]["code"] == 4
    assert time.monotonic() - began < 5
    bed.programs["dataplane"].send_signal(signal.SIGCONT)
    rpc.wait_for("in step", lambda: c.call("system.status")["state"] == "running")
    bed.stop("dataplane", signal.SIGKILL)
    rpc.wait_for("loss", lambda: c.call("system.status")["state"] == "degraded")
    assert c.error("app.list")["code"] == 14
    # What this program has is answered; what only the other one could have is not "not found".
    assert c.call("log.get", component="reconcil*")["levels"]
    for answer in (c.error("log.get", component="link"), c.error("log.get", daemon="dataplane"),
                   c.error("log.set", component="link", level="debug")):
        assert answer["code"] == 14 and answer["data"]["hint"], answer
    error = c.error("log.get", component="reconcil", daemon="controlplane")
    assert error["code"] == 5 and error["data"]["candidates"] == ["reconcile"], error
    other.close()


def components(c):
    print("- components of both programs' logs")
    for method, more in (("log.get", {}), ("log.set", {"level": "info"})):
        both = c.error(method, component="reconcil", **more)
        assert both["code"] == 5 and both["data"]["candidates"] == ["reconcile"], both
        other = c.error(method, component="lnk", **more)
        assert other["code"] == 5 and "link" in other["data"]["candidates"], other
        other = c.error(method, component="reconcil", daemon="dataplane", **more)
        assert "reconcile" not in other["data"].get("candidates", []), other


def vanished(bed, path, c):
    print("- a client that leaves in the middle: its change is made and on record")
    one = rpc.Client(path)
    one.send("peer.add", name="gone", network="::9")
    one.close()
    rpc.wait_for("the change", lambda: "gone" in [
        p["name"] for p in c.call("peer.list")["peers"]])
    half = rpc.Client(path)
    half.socket.sendall(b'{"jsonrpc":"2.0","id":1,"method":"peer.add","params":{"name":"half"')
    half.close()
    assert "half" not in [p["name"] for p in c.call("peer.list")["peers"]]


def start(bed, run):
    """The control plane, with groups of its own where the machine lets us."""
    path = os.path.join(run, "control.sock")
    with open("/etc/group", encoding="utf-8") as f:
        groups = f.read()
    with open(bed.path("group"), "w", encoding="utf-8") as f:
        f.write(groups + f"\nphoenix-operator:x:{OPERATORS}:\nphoenix-admin:x:{ADMINS}:\n")
    program = [os.path.join(bed.build, "controlplane/phoenix-controlplane"), "--rundir", run]
    bed.groups = os.system(GROUPS.replace("$0", bed.path("group")).replace(
        'exec "$@"', "true") + " 2>/dev/null") == 0
    if bed.groups:
        bed.start("controlplane", "/usr/bin/unshare", "-m", "sh", "-c",
                  'mount --bind "$0" /etc/group && exec "$@"', bed.path("group"), *program)
    else:
        bed.start("controlplane", program[0], *program[1:])
    client = bed.connect(path)
    os.chmod(path, 0o666)  # so that everybody reaches it, and roles alone decide
    return path, client


def main():
    if os.getuid() != 0:
        print("skipped: needs root, to be somebody else")
        sys.exit(77)
    with rpc.Bed(sys.argv[1]) as bed:
        os.chmod(bed.dir, 0o755)
        run = bed.path("run")
        os.mkdir(run)
        bed.start("dataplane", "dataplane/phoenix-dataplane", "--rundir", run)
        path, c = start(bed, run)
        rpc.wait_for("rules", lambda: c.call("system.status")["state"] == "running")
        methods = roles(bed, path, c)
        audit(bed, c, methods)
        generations(path, c)
        streams(path, c)
        components(c)
        vanished(bed, path, c)
        hung(bed, path, c)
        c.close()
        assert bed.stop("controlplane") == 0
    print("passed")


if __name__ == "__main__":
    main()
