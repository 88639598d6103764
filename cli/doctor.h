// SPDX-License-Identifier: BSD-3-Clause
// `phoenix-cli doctor`: what the host has, what Phoenix needs, how to mend the difference.
#pragma once

#include "cli/command.h"

// Run all checks and print them. w: words behind doctor, none are allowed. CLI_DONE;
// CLI_LOCAL when a check failed, CLI_USAGE.
int doctor_run(struct cli *cli, const struct words *w);
