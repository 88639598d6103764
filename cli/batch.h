// SPDX-License-Identifier: BSD-3-Clause
// Files of commands: lines of words, or JSON requests when the first byte is { or [.
#pragma once

#include "cli/command.h"

// Run options.file ("-": stdin) in order. Stops at the first failure, unless keep_going;
// returns the exit code of the first failure, CLI_DONE without one.
int batch_run(struct cli *cli);
