// SPDX-License-Identifier: BSD-3-Clause
// Which worker a new session gets, by the rule that admitted its application. Control thread.
#pragma once

#include "dataplane/frontend/rules.h"

#include <stdbool.h>

#define PLACE_PACKED_PERCENT 80 // a worker that is busier is full for RULES_PACKED

// What a choice looks at of one worker.
struct place_load {
	unsigned sessions;     // on it or on their way to it
	unsigned of_name;      // those of the same application name
	unsigned busy_percent; // lately
	bool dedicated;	       // somebody has it for himself
};

// Index of a worker, < count. *out_met is false when the rule could not be followed as it stands:
// the worker does not exist, or there is none left to dedicate. `dedicated` alone leaves one worker
// for the others; a rule with a worker's number is followed as it stands, and when rules dedicate
// every worker in that way, worker 0 takes the others.
unsigned place_choose(const struct rules_attach *rule, const struct place_load *loads,
	unsigned count, bool *out_met);
const char *place_mode_name(enum rules_placement mode);

struct attach_app;
// Set app->worker, app->placement and app->fixed; who cannot have what the rule says is logged.
void attach_place(struct attach_app *app, const struct rules_attach *rule);
