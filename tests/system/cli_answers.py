#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A control socket that answers what it is asked for, right or wrong.

usage: cli_answers.py SOCKET
"""

import json
import os
import socket
import sys

APPS = {"apps": [{"app": "app-1", "name": "a\x1b[31mb"}], "generation": "1", "next": None}


def answer(request):
    """The bytes to send; None: hang up."""
    method, reply = request["method"], {"jsonrpc": "2.0", "id": request["id"]}
    if method.startswith("code."):
        code = int(method[5:])
        reply["error"] = {"code": code, "message": f"code {code}", "data": {"status": "X"}}
    elif method == "malformed.error":
        reply["error"] = {"text": "no code"}
    elif method == "app.list":
        reply["result"] = APPS
    elif method == "not.rpc":
        return b'{"hello":"world"}\n'
    else:
        return None
    return json.dumps(reply).encode() + b"\n"


def main():
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(sys.argv[1] + ".new")
    listener.listen(16)
    os.rename(sys.argv[1] + ".new", sys.argv[1])  # it is there when it listens
    while True:
        with listener.accept()[0] as connection, connection.makefile("rb") as lines:
            for line in lines:
                data = answer(json.loads(line))
                if data is None:
                    break
                connection.sendall(data)


main()
