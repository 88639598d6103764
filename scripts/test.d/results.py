#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""Turns the JSON log of `meson test` into result lines: STATE, stage, name, reason by tabs.

usage: results.py STAGE TESTLOG.json >>RESULTS
One test of meson counts one. SKIP is exit 77; its reason is the last line the test printed.
Cases that a cmocka program skipped inside are printed to stderr: they are not counted.
"""

import json
import sys

PASSED = ("OK", "EXPECTEDFAIL")


def last_line(entry):
    for key in ("stderr", "stdout"):
        lines = [s for s in (entry.get(key) or "").splitlines() if s.strip()]
        if lines:
            return lines[-1].strip()
    return ""


def reason_of(entry):
    if entry["result"] in PASSED:
        return ""
    return last_line(entry) or f"{entry['result'].lower()} without a word"


def main():
    stage, log = sys.argv[1:3]
    with open(log, encoding="utf-8", errors="replace") as f:
        entries = [json.loads(line) for line in f if line.strip()]
    for e in entries:
        name = e["name"].rsplit(" / ", 1)[-1].replace("\t", " ")
        state = "PASS" if e["result"] in PASSED else "SKIP" if e["result"] == "SKIP" else "FAIL"
        reason = reason_of(e).replace("\t", " ")
        print(f"{state}\t{stage}\t{name}\t{reason}")
        for line in (e.get("stdout") or "").splitlines():
            if line.startswith("[  SKIPPED ] ") and "test(s)" not in line:
                print(f"{stage}: {name}: case skipped: {line[13:]}", file=sys.stderr)
        if state == "FAIL":
            print(f"--- {stage}: {name}: {e['result']}", file=sys.stderr)
            text = (e.get("stdout") or "") + (e.get("stderr") or "")
            print("\n".join(text.splitlines()[-60:]), file=sys.stderr)


if __name__ == "__main__":
    main()
