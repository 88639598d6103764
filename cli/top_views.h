// SPDX-License-Identifier: BSD-3-Clause
// The tables of top: which method each comes from, and rows with rates made from two answers of
// it. Pure functions; any thread.
#pragma once

#include "lib/ctl/method.h"

enum top_view_id {
	TOP_LCORES,
	TOP_ENGINES,
	TOP_APPS,
	TOP_METHODS,
	TOP_VIEW_COUNT,
};

struct top_rate {
	const char *from; // a counter of the rows; NULL ends a list
	const char *to;	  // X_rps: per second; X_pct: of the time that passed, from nanoseconds
};

struct top_view {
	char key;	     // that chooses it
	const char *method;  // that it comes from
	const char *keys[4]; // members that name a row; NULL ends
	const struct top_rate *rates;
	struct phx_ctl_method shape; // how rows are printed, and under which name
};

extern const struct top_view top_views[TOP_VIEW_COUNT];

// Rows of the later answer (both borrowed; before may be NULL) with rates over ns. A rate is
// absent where a row is new or its counter has gone back. New reference, NULL without memory.
json_t *top_rows(const struct top_view *v, json_t *before, json_t *now, uint64_t ns);
