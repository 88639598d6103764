// SPDX-License-Identifier: BSD-3-Clause
// `phoenix-cli monitor`: events as they happen.
#pragma once

#include "cli/command.h"

// Print events until the count is reached or ^C. w: words behind monitor. Returns the exit code:
// CLI_DONE, CLI_INTERRUPTED, that of the request, CLI_LOCAL when the connection is lost.
int monitor_run(struct cli *cli, const struct words *w);
