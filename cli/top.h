// SPDX-License-Identifier: BSD-3-Clause
// `phoenix-cli top`: rates from two samples of what the methods for operators count.
#pragma once

#include "cli/command.h"

// Sample and print until the count is reached, q or ^C. w: words behind top. Returns the exit
// code: CLI_DONE, CLI_INTERRUPTED after ^C, that of a failed request, CLI_USAGE.
int top_run(struct cli *cli, const struct words *w);
