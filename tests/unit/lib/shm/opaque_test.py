#!/usr/bin/env python3
# SPDX-License-Identifier: BSD-3-Clause
"""A second load of shared memory does not compile: tries each case of opaque_cases.h.

usage: opaque_test.py CASES.h SOURCE_ROOT COMPILER...
"""

import re
import subprocess
import sys


def compile_case(compiler, root, cases, number, extra):
    return subprocess.run(
        compiler + ["-std=gnu2x", "-D_GNU_SOURCE", "-Werror", "-fsyntax-only", "-x", "c",
                    f"-DOPAQUE_CASE={number}", *extra, "-I", root, "-include", cases, "/dev/null"],
        capture_output=True, text=True, env={"LC_ALL": "C", "PATH": "/usr/bin:/bin:/usr/local/bin"})


def main():
    cases, root, compiler = sys.argv[1], sys.argv[2], sys.argv[3:]
    numbers = [int(n) for n in re.findall(r"OPAQUE_CASE == (\d+)", open(cases).read())]
    failed = 0
    for extra in ([], ["-DPHX_SHM_FRESH"], ["-DPHX_SHM_MODEL"]):
        for number in numbers:
            run = compile_case(compiler, root, cases, number, extra)
            compiled = run.returncode == 0
            if compiled != (number == 0):
                print(f"case {number} {' '.join(extra)}: "
                      f"{'compiles' if compiled else run.stderr}")
                failed += 1
            elif number != 0 and "no such case" in run.stderr:
                print(f"case {number}: not written")
                failed += 1
    print(f"{len(numbers)} cases, {failed} wrong")
    return 1 if failed or len(numbers) < 10 else 0


if __name__ == "__main__":
    sys.exit(main())
