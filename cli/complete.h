// SPDX-License-Identifier: BSD-3-Clause
// What may come next in a command, from the method table.
#pragma once

#include "cli/names.h"
#include "cli/words.h"

// Words that may stand after those of w and begin with partial: nouns, verbs, parameters,
// and values where the table knows them. key=PARTIAL completes the value alone.
void complete_words(const struct words *w, const char *partial, struct names *out);

// Answer bash (complete -C): the line and the cursor in it (COMP_LINE, COMP_POINT). Prints
// one candidate a line, as bash wants it: what replaces the part after the last = or :.
int complete_bash(void);
