// SPDX-License-Identifier: BSD-3-Clause
// Inside top: samples, and the two ways to show them.
#pragma once

#include "cli/command.h"
#include "cli/top_views.h"

#include <signal.h>

struct top_sample {
	uint64_t at_ns;
	json_t *answers[TOP_VIEW_COUNT]; // NULL where the server has none
};

struct top {
	struct cli *cli;
	uint64_t interval_ns;
	uint64_t count; // 0: without end
	struct top_sample before, now;
	sigset_t wait_mask;	    // SIGINT and SIGTERM are blocked but while waiting
	struct phx_ctl_error error; // of the last sample
};

// Take a sample: the last one becomes the one before. CLI_DONE; what the dataplane does not
// know is left out, everything else is the exit code with t->error set.
int top_take(struct top *t);

// A signal came that ends the program?
bool top_interrupted(void);

// Rows of a view, new reference.
json_t *top_view_rows(const struct top *t, enum top_view_id view);

// Redraw the terminal until q or a signal.
int top_screen(struct top *t);
