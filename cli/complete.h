// SPDX-License-Identifier: BSD-3-Clause
// What may come next in a command, from the method table and from what exists now.
#pragma once

#include "cli/choices.h"
#include "cli/words.h"
#include "lib/ctl/method.h"

// Asks the server for what a list method returns: the rows, a new reference, NULL where nobody
// answers in time.
typedef json_t *(*complete_rows_fn)(void *arg, const struct phx_ctl_method *list);

// Add the words that may stand after those of w and begin with partial: nouns and commands of
// the shell, verbs, parameters, values where the table knows them, and names of what exists
// (rows may be NULL: none). Returns where in partial the words begin: behind key= and commas.
size_t complete_words(const struct words *w, const char *partial, complete_rows_fn rows, void *arg,
	struct choices *out);
