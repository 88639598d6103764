#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Checks that doc/troubleshooting.md explains what the daemons say.

usage: messages.py ROOT

Each phx_log_err() and phx_log_warn() needs a heading that is its log line from the program on,
with a word in capitals, or nothing, for each conversion: `dataplane warn listener: NAME: ADDRESS is no
admitted peer`. Each reason token of lib/base/status.h needs a row of a table. A heading or row of
what the code does not have is wrong as well.
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import source  # noqa: E402

DOCUMENT = "doc/troubleshooting.md"
PROGRAMS = ("dataplane", "controlplane")
CALL = re.compile(
    r'\bphx_log_(err|warn)\s*\(\s*("(?:\\.|[^"\\\n])*")\s*,\s*((?:"(?:\\.|[^"\\\n])*"\s*)+)[,)]')
ANY_CALL = re.compile(r"\bphx_log_(?:err|warn)\s*\(")
CONVERSION = re.compile(r"%[-+ #0]*(?:\*|\d+)?(?:\.(?:\*|\d+))?(?:hh|h|ll|l|z|j|t)?[diouxXcsp]")
HEADING = re.compile(r"^#+ `((?:dataplane|controlplane) (?:err|warn) [^`]+)`$", re.M)
REASON = re.compile(r"^\tX\(([A-Z0-9_]+)\)", re.M)
ROW = re.compile(r"^\| `([A-Z][A-Z0-9_]+)` \|", re.M)


def literal(text):
    """What adjacent string literals say."""
    return "".join(re.findall(r'"((?:\\.|[^"\\])*)"', text)).replace('\\"', '"')


def messages(path, text):
    """(line, regular expression of the heading, text as a template) of each message."""
    program = path.split("/")[0]
    found = list(CALL.finditer(text))
    for m in ANY_CALL.finditer(source.code_of(text)):
        if not any(f.start() == m.start() for f in found):
            yield source.line_of(text, m.start()), None, "its component or format is no literal"
    for m in found:
        said = f"{program} {m[1]} {literal(m[2])}: {literal(m[3])}"
        parts = CONVERSION.split(said)
        pattern = "[A-Z]*".join(re.escape(p.replace("%%", "%")) for p in parts)
        yield source.line_of(text, m.start()), re.compile(pattern), CONVERSION.sub("WORD", said)


def check_messages(root, headings):
    used = set()
    for path in source.tracked(root):
        if not (path.startswith(PROGRAMS) and path.endswith(".c")) or not os.path.exists(f"{root}/{path}"):
            continue
        for line, pattern, said in messages(path, source.read(root, path)):
            if pattern is None:
                yield f"{path}:{line}: {said}"
                continue
            mine = {h for h in headings if pattern.fullmatch(h)}
            used |= mine
            if not mine:
                yield f"{path}:{line}: {DOCUMENT} has no heading `{said}`"
    for h in headings:
        if h not in used:
            yield f"{DOCUMENT}: no program says `{h}`"


def check_reasons(root, text):
    reasons = REASON.findall(source.read(root, "lib/base/status.h").replace("    ", "\t"))
    rows = ROW.findall(text)
    if not reasons:
        yield "lib/base/status.h: no reasons found"
    for r in reasons:
        if rows.count(r) != 1:
            yield f"{DOCUMENT}: reason {r} has {rows.count(r)} rows, not one"
    for r in rows:
        if r not in reasons:
            yield f"{DOCUMENT}: there is no reason {r}"


def main():
    root = sys.argv[1]
    text = source.read(root, DOCUMENT)
    headings = HEADING.findall(text)
    bad = list(check_messages(root, headings)) + list(check_reasons(root, text))
    print("\n".join(bad))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
