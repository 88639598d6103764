# SPDX-License-Identifier: BSD-3-Clause
"""Reads tracked sources for the checks of scripts/lint; no rule lives here."""

import re
import subprocess

C_SUFFIXES = (".c", ".h", ".cc", ".hpp")

_TOKEN = re.compile(
    r"""//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'""", re.S)


def tracked(root):
    """Paths of all tracked and new, not ignored files, relative to root."""
    out = subprocess.run(
        ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        check=True, capture_output=True, text=True).stdout
    return sorted(p for p in out.split("\0") if p)


def read(root, path):
    with open(f"{root}/{path}", encoding="utf-8", errors="replace") as f:
        return f.read()


def code_of(text):
    """The text with comments and the inside of literals blanked; lines stay in place."""

    def blank(m):
        s = m.group(0)
        if s[0] in "\"'":
            return s[0] + " " * (len(s) - 2) + s[-1]
        return re.sub(r"[^\n]", " ", s)

    return _TOKEN.sub(blank, text)


def block_comments(text):
    """Line numbers of block comments, except where a macro's continuation needs one."""
    found = []
    for m in _TOKEN.finditer(text):
        if not m.group(0).startswith("/*"):
            continue
        end = text.find("\n", m.end())
        line_end = text[m.end():end if end >= 0 else len(text)]
        if not line_end.rstrip().endswith("\\"):
            found.append(text.count("\n", 0, m.start()) + 1)
    return found


def line_of(text, pos):
    return text.count("\n", 0, pos) + 1
