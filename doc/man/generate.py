#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Makes manual pages and bash completion from what the programs say about themselves.

usage: generate.py man TEMPLATE OUTPUT VERSION {NAME FILE}...
       generate.py bash OUTPUT {PROGRAM HELP}...

Lines of a template that are replaced; NAME is that of a FILE:
  @USAGE NAME@      forms of the command line, from --help
  @OPTIONS NAME@    options, from --help
  @EXIT NAME@       the paragraph about exit codes, from --help
  @COMMANDS NAME@   commands, from phoenix-cli --dump-commands
  @FUNCTIONS NAME@  functions with their comments, from a header
"""

import json
import re
import sys

OPTION = re.compile(r"^  (-\S.*?)(?:   *(\S.*))?$")


def roff(text):
    """Text that means itself."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("^", "\\(ha")
    text = text.replace("~", "\\(ti").replace("`", "\\(ga")
    return "\\&" + text if text[:1] in (".", "'") else text


def options_of(text):
    """(option, explanation) of each; lines that are indented deeper go on with the last."""
    found = []
    for line in text.splitlines():
        m = OPTION.match(line)
        if m:
            found.append([m[1], m[2] or ""])
        elif found and line.startswith(" " * 6):
            found[-1][1] += " " + line.strip()
    return found


def usage(text):
    lines, inside = [".nf"], False
    for line in text.splitlines():
        if line.startswith("usage: ") or (inside and line.startswith(" " * 7)):
            inside = True
            lines.append(roff(line[7:]))
        elif inside:
            break
    return lines + [".fi"]


def options(text):
    lines = []
    for option, explanation in options_of(text):
        lines += [".TP", f"\\fB{roff(option)}\\fR", roff(explanation) or "(no more to say)"]
    return lines


def exit_codes(text):
    paragraph = re.search(r"^exit codes: (.*?)(?:\n\n|\Z)", text, re.S | re.M)
    if not paragraph:
        sys.exit("no exit codes")
    return [roff(" ".join(paragraph[1].split()))]


def parameters(params, prefix=""):
    lines = []
    for p in params:
        name = prefix + p["name"]
        if p.get("members") and p["type"] == "object":
            lines += parameters(p["members"], name + ".")
            continue
        text = p["help"] or ""
        if "max" in p and p["type"] == "integer":
            text += f" ({p['min']} to {p['max']}{' ' + p['unit'] if p['unit'] else ''})"
        if p["required"]:
            text += " (required)"
        lines += [".TP", f"\\fB{roff(name)}\\fR {roff(p['write'])}", roff(text.strip()) or "\\&"]
    return lines


def commands(text):
    lines, noun = [], None
    for c in json.loads(text):
        if c["command"].split()[0] != noun:
            noun = c["command"].split()[0]
            lines.append(f".SS {noun}")
        lines += [".TP", f"\\fB{roff(c['command'])}\\fR", f"{roff(c['summary'])} (role {c['role']})."]
        if c["params"]:
            lines += [".RS", *parameters(c["params"]), ".RE"]
        lines += [".IP", f"Result: {roff(c['result'])}", ".IP", f"Example: \\fBphoenix\\-cli {roff(c['example'])}\\fR"]
    return lines


def functions(text):
    """Sections and declarations of a header with the comments before them."""
    lines, comment, declaration = [], [], ""
    for line in text.splitlines():
        if line.startswith("// ----"):
            lines.append(f".SS {line.strip('/- ')}")
            comment = []
        elif declaration or line.startswith("PHX_API "):
            declaration += " " + line.strip()
            if line.endswith(";"):
                lines += [".TP", f"\\fB{roff(declaration.strip().removeprefix('PHX_API '))}\\fR"]
                lines.append(roff(" ".join(comment)) or "\\&")
                declaration, comment = "", []
        elif line.startswith("// "):
            comment.append(line[3:])
        else:
            comment = []
    # A heading without functions (types alone) says nothing here.
    return [l for i, l in enumerate(lines) if not l.startswith(".SS") or lines[i + 1 : i + 2] == [".TP"]]


MAKERS = {
    "USAGE": usage,
    "OPTIONS": options,
    "EXIT": exit_codes,
    "COMMANDS": commands,
    "FUNCTIONS": functions,
}


def pairs(arguments):
    files = {}
    for name, path in zip(arguments[::2], arguments[1::2]):
        with open(path, encoding="utf-8") as f:
            files[name] = f.read()
    return files


def man(template, output, version, *rest):
    files = pairs(rest)
    lines = ['.\\" Generated from the programs; do not edit.']
    with open(template, encoding="utf-8") as f:
        for line in f.read().splitlines():
            m = re.fullmatch(r"@([A-Z]+) (\S+)@", line)
            lines += MAKERS[m[1]](files[m[2]]) if m else [line.replace("@VERSION@", version)]
    with open(output, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def bash(output, *rest):
    lines = ["# Completion for the programs of Phoenix; generated from what they say."]
    for program, text in pairs(rest).items():
        words = sorted({w for o, _ in options_of(text) for w in re.findall(r"(?<!\S)-[-\w]+", o)})
        lines.append(f"complete -o default -W '{' '.join(words)}' {program}")
    # The shell knows its own words, and asks the daemons for names.
    lines.append("complete -o default -C 'phoenix-cli --bash-complete' phoenix-cli")
    with open(output, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


if __name__ == "__main__":
    {"man": man, "bash": bash}[sys.argv[1]](*sys.argv[2:])
