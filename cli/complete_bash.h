// SPDX-License-Identifier: BSD-3-Clause
// Completion for bash.
#pragma once

#include "cli/options.h"

// Answer bash (complete -C): the line and the cursor in it (COMP_LINE, COMP_POINT). Prints
// one candidate a line, as bash wants it: what replaces the part after the last = or :.
// Returns 0 or -errno.
int complete_bash(void);
