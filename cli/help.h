// SPDX-License-Identifier: BSD-3-Clause
// Help and the grammar itself, made from the method table.
#pragma once

#include "cli/words.h"

#include <jansson.h>
#include <stdio.h>

// Help about no words (all commands), a noun, or a noun and verb. 0, or -EINVAL when there is
// no such command; then nothing is printed.
int help_print(FILE *out, const struct words *w);

// All commands with their parameters: what parser, completion and help work from. New
// reference, NULL without memory.
json_t *help_dump(void);
