// SPDX-License-Identifier: BSD-3-Clause
// The shell: lines from a terminal, run until the end of input.
#pragma once

#include "cli/command.h"

// Read and run lines with a prompt and history. ^C drops the line or ends the running
// request, ^D, exit and quit end the shell. Returns the exit code: CLI_DONE, or CLI_LOCAL
// when the terminal cannot be used.
int interact_run(struct cli *cli);
