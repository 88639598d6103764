# SPDX-License-Identifier: BSD-3-Clause
"""JSON-RPC on a Unix socket, and programs in the background, for system tests in Python."""

import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time

DEADLINE_S = 20


def wait_for(what, fn, seconds=DEADLINE_S):
    """The first true value of fn(); it is asked every few milliseconds until the deadline."""
    until = time.monotonic() + seconds
    while True:
        value = fn()
        if value:
            return value
        if time.monotonic() > until:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.005)


class Client:
    """One connection; answers and notifications are told apart."""

    def __init__(self, path, rcvbuf=None):
        self.socket = socket.socket(socket.AF_UNIX)
        if rcvbuf is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        self.socket.connect(path)
        self.socket.settimeout(DEADLINE_S)
        self.reader = self.socket.makefile("rb")
        self.events = []
        self.id = 0

    def send(self, method, /, **params):
        self.id += 1
        request = {"jsonrpc": "2.0", "id": self.id, "method": method, "params": params}
        self.socket.sendall(json.dumps(request).encode() + b"\n")
        return self.id

    def read(self):
        line = self.reader.readline()
        if line == b"":
            raise EOFError
        return json.loads(line)

    def answer(self, request):
        """The answer to a request; events that come before it are kept."""
        while True:
            message = self.read()
            if message.get("method") == "event":
                self.events.append(message["params"])
            else:
                assert message["id"] == request, message
                return message

    def call(self, method, /, **params):
        answer = self.answer(self.send(method, **params))
        assert "result" in answer, (method, params, answer)
        return answer["result"]

    def error(self, method, /, **params):
        answer = self.answer(self.send(method, **params))
        assert "error" in answer, (method, params, answer)
        return answer["error"]

    def event(self, **want):
        """The next event with these members; those before it are dropped."""
        while True:
            event = self.events.pop(0) if self.events else self.read()["params"]
            if all(event.get(k) == v for k, v in want.items()):
                return event

    def close(self):
        self.reader.close()
        self.socket.close()


class FakeDataplane:
    """What a control plane finds on dataplane.sock; a test says what it answers.

    answer(method, params) gives a result, or a dict with a member "error"; with "hang_up" too it
    goes out without an id, and the connection is closed. None: what a dataplane without any
    objects would say.
    """

    def __init__(self, path, answer):
        self.document = None
        self.answer = answer
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            one, _ = self.server.accept()
            threading.Thread(target=self.serve, args=(one,), daemon=True).start()

    def usual(self, method, params):
        if method == "rules.push":
            self.document = params["document"]
            return {}
        if method == "rules.get":
            generation = self.document["generation"] if self.document else None
            return {"generation": generation, "digest": "", "instance": "fake"}
        return {"error": {"code": -32601, "message": f"no {method} here"}}

    def serve(self, one):
        with one, one.makefile("rb") as lines:
            for line in lines:
                request = json.loads(line)
                method, params = request["method"], request.get("params", {})
                result = self.answer(method, params)
                if result is None:
                    result = self.usual(method, params)
                over = result.pop("hang_up", False)
                answer = {"jsonrpc": "2.0", "id": None if over else request["id"]}
                if "error" in result:
                    answer["error"] = result["error"]
                else:
                    answer["result"] = result
                try:
                    one.sendall(json.dumps(answer).encode() + b"\n")
                except OSError:
                    return
                if over:
                    return


class Bed:
    """A scratch directory, and programs that end with it."""

    def __init__(self, build):
        self.build = build
        self.dir = tempfile.mkdtemp(prefix="phx-sys.")
        self.programs = {}

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def start(self, name, program, *args, env=None):
        with open(self.path(name + ".log"), "ab") as log:
            self.programs[name] = subprocess.Popen(
                [os.path.join(self.build, program), *args], stdout=log, stderr=log,
                stdin=subprocess.DEVNULL, env=dict(os.environ, **(env or {})))
        return self.programs[name]

    def log(self, name):
        with open(self.path(name + ".log"), encoding="utf-8", errors="replace") as f:
            return f.read()

    def stop(self, name, sig=signal.SIGTERM):
        program = self.programs.pop(name)
        program.send_signal(sig)
        return program.wait(DEADLINE_S)

    def connect(self, path, **options):
        def dial():
            try:
                return Client(path, **options)
            except OSError:
                return None
        return wait_for(path, dial)

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if kind is not None and kind is not SystemExit:
            for name in sorted(os.listdir(self.dir)):
                if name.endswith(".log"):
                    print(f"--- {name}\n" + "\n".join(self.log(name[:-4]).splitlines()[-30:]))
        for program in self.programs.values():
            program.terminate()
        for program in self.programs.values():
            try:
                program.wait(5)
            except subprocess.TimeoutExpired:
                program.kill()
                program.wait()
        shutil.rmtree(self.dir)
