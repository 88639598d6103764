#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Looks for what the conventions forbid and names the replacement.

usage: tokens.py ROOT (tokens | spdx | sizes)
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import source  # noqa: E402

# (pattern, where it is allowed, where it is looked for, what to use instead)
FORBIDDEN = [
    (r"\b(strcpy|stpcpy)\s*\(", None, None, "snprintf or memcpy with a checked size"),
    (r"\bstrcat\s*\(", None, None, "snprintf at an offset"),
    (r"\b(sprintf|vsprintf)\s*\(", None, None, "snprintf, vsnprintf"),
    (r"\bgets\s*\(", None, None, "fgets or getline"),
    (r"\balloca\s*\(|__builtin_alloca", None, None, "a pool or an array of fixed size"),
    (r"(?<!asm )(?<!asm__ )\bvolatile\b", None, None, "_Atomic with an explicit order"),
    (r"\b__sync_\w+", None, None, "atomic_..._explicit of stdatomic.h"),
    (r"\b(atomic_thread_fence|__atomic_thread_fence|rte_(smp_)?[rw]?mb)\s*\(", r"^lib/shm/bell",
     None, "an acquire, release or seq_cst access of the word itself"),
    (r"\b(usleep|sleep)\s*\(", None, r"^tests/", "waiting for the event with a deadline"),
    (r"\b(_mm_\w+|__builtin_ia32_\w+)|<(imm|emm|xmm|nmm|x86)intrin\.h>", r"^lib/base/", None,
     "a helper of lib/base"),
    (r"\b(exit|_exit|abort)\s*\(", None, r"^lib/(?!app/test)", "returning a negative errno"),
    (r"\bassert\s*\([^;=]*(\+\+|--|[^=!<>]=[^=])[^;]*\)\s*;", None, None,
     "an assertion without side effects"),
]
MARKERS = re.compile(r"\b(TODO|FIXME|XXX)\b")
MAX_LINES = 500
SIZED = source.C_SUFFIXES + (".py",)
SPDX = "SPDX-License-Identifier: BSD-3-Clause"
SPDX_FILES = source.C_SUFFIXES + (".py", ".sh", ".proto")
SPDX_NAMES = ("meson.build",)


def c_findings(path, text):
    code = source.code_of(text)
    for pattern, allowed, where, instead in FORBIDDEN:
        if (allowed and re.search(allowed, path)) or (where and not re.search(where, path)):
            continue
        for m in re.finditer(pattern, code):
            yield source.line_of(code, m.start()), f"{m.group(0).strip()}: use {instead}"
    for line in source.block_comments(text):
        yield line, "block comment: use // lines"
    guard = re.search(r"^#ifndef (\w+)\n#define \1\b", code, re.M)
    if path.endswith(".h") and "#pragma once" not in code and guard is None:
        yield 1, "no #pragma once"


def tokens(path, text):
    if path.endswith(source.C_SUFFIXES):
        yield from c_findings(path, text)
    if not path.startswith("scripts/lint.d/"):
        for m in MARKERS.finditer(text):
            yield source.line_of(text, m.start()), f"{m.group(0)}: finish it or file it"


def spdx(path, text):
    name, lines = os.path.basename(path), text.splitlines()
    script = bool(lines) and lines[0].startswith("#!")
    if not (script or path.endswith(SPDX_FILES) or name in SPDX_NAMES):
        return
    at = 1 if script else 0
    if len(lines) <= at or SPDX not in lines[at]:
        yield at + 1, f"the first line is not {SPDX}"


def sizes(path, text):
    n = text.count("\n")
    if n > MAX_LINES and (path.endswith(SIZED) or text.startswith("#!")):
        yield n, f"{n} lines: past {MAX_LINES} it is two files"


def main():
    root, rule = sys.argv[1], {"tokens": tokens, "spdx": spdx, "sizes": sizes}[sys.argv[2]]
    bad = 0
    for path in source.tracked(root):
        if not os.path.isfile(f"{root}/{path}") or "/corpus/" in path:
            continue
        for line, why in rule(path, source.read(root, path)):
            print(f"{path}:{line}: {why}")
            bad += 1
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
