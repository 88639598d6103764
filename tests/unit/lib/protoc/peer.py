# SPDX-License-Identifier: BSD-3-Clause
"""What the Python tests of this folder share: protobuf's own Python code for the test's .proto
files, made by protoc in a temporary folder. Skips (77) when protobuf is missing."""

import importlib
import os
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))


def skip(why):
    print("skipped:", why)
    sys.exit(77)


try:
    import google.protobuf  # noqa: F401
except ImportError:
    skip("python3-protobuf is not installed")
if not shutil.which("protoc"):
    skip("protoc is not installed")


def modules(*names):
    """The generated Python modules of these .proto files."""
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            ["protoc", "-I" + HERE, "--python_out=" + out] + [n + ".proto" for n in names],
            check=True)
        sys.path.insert(0, out)
        sys.dont_write_bytecode = True
        try:
            return [importlib.import_module(n + "_pb2") for n in names]
        finally:
            sys.path.remove(out)
