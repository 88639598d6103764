#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks every #include against the layer table of doc/architecture.md.

usage: layers.py ROOT
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import source  # noqa: E402

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(["<])([^">]+)[">]', re.M)
LIBRARIES = [
    ("dpdk", re.compile(r"^(rte_|cmdline)")),
    ("verbs", re.compile(r"^(infiniband/|rdma/)")),
    ("jansson", re.compile(r"^jansson")),
    ("libedit", re.compile(r"^(histedit|editline/)")),
    ("cmocka", re.compile(r"^cmocka")),
    ("c++", re.compile(r"^(grpc|google/protobuf)")),
]
# What protoc-gen-phoenix, protoc and grpc_cpp_plugin write.
GENERATED = re.compile(r"\.(phx|pb|grpc\.pb)\.h$|_phx\.h$")


def read_table(text):
    """[(path, allowed includes, allowed libraries)] of the one table with these headings."""
    rows, inside = [], False
    for line in text.splitlines():
        cells = [c.strip() for c in line.strip().strip("|").split("|")]
        if line.startswith("| path | includes | libraries |"):
            inside = True
        elif inside and not line.startswith("|"):
            break
        elif inside and not set(line) <= set("|- "):
            rows.append((cells[0], cells[1].split(), cells[2].split()))
    return rows


def below(path, prefix):
    return path == prefix or path.startswith(prefix + "/") or (
        os.path.dirname(path) == os.path.dirname(prefix) and path.startswith(prefix))


def row_of(rows, path):
    found = None
    for row in rows:
        if path.startswith(row[0] + "/") and (found is None or len(row[0]) > len(found[0])):
            found = row
    return found


def rule_for(rows, path):
    """(own row, includes, libraries) of a file; a unit test borrows its subject's row."""
    row = row_of(rows, path)
    if row is None:
        return None
    own, includes, libs = row
    if own == "tests/unit":
        subject = row_of(rows, path[len("tests/unit/"):])
        if subject is not None:
            includes = subject[1] + [subject[0], "tests/unit", "lib/base"]
            libs = subject[2] + ["cmocka"]
    return own, includes, libs


def library_breach(name, libs):
    for lib, pattern in LIBRARIES:
        if pattern.search(name) and lib not in libs and "*" not in libs:
            return lib
    return None


def check_file(rows, files, path, text):
    rule = rule_for(rows, path)
    if rule is None:
        yield 1, "no row of the layer table governs this file"
        return
    own, includes, libs = rule
    for m in INCLUDE.finditer(text):
        kind, name = m.groups()
        line = source.line_of(text, m.start())
        lib = library_breach(name, libs)
        if lib is not None:
            yield line, f"{own} may not use {lib}: <{name}>"
        if kind == "<" or GENERATED.search(name):
            continue
        if name not in files:
            yield line, f"\"{name}\" is not a file of this tree named from its root"
        elif "*" not in includes and not below(name, own) and not any(
                below(name, p) for p in includes):
            yield line, f"{own} may not include \"{name}\""


def main():
    root = sys.argv[1]
    rows = read_table(source.read(root, "doc/architecture.md"))
    if not rows:
        print("doc/architecture.md: no layer table")
        return 1
    files = source.tracked(root)
    known, bad = set(files), 0
    for path in files:
        if not path.endswith(source.C_SUFFIXES) or not os.path.exists(f"{root}/{path}"):
            continue
        for line, why in check_file(rows, known, path, source.read(root, path)):
            print(f"{path}:{line}: {why}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
