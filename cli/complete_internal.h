// SPDX-License-Identifier: BSD-3-Clause
// Shared by complete.c and complete_live.c.
#pragma once

#include "cli/complete.h"
#include "cli/grammar.h"
#include "cli/names.h"

struct complete {
	const char *partial; // the part of the word that is completed
	complete_rows_fn rows;
	void *arg;
	struct choices *out;
};

// Offer the word if it begins with partial.
void complete_add(struct complete *c, const char *word, const char *hint, const char *help);

// Offer values of parameter p of m among what exists now; filter: p is a member of m's filter.
void complete_live(struct complete *c, const struct phx_ctl_method *m,
	const struct phx_ctl_param *p, bool filter);
