// SPDX-License-Identifier: BSD-3-Clause
// Inside doctor: the list of checks and those who add to it.
#pragma once

#include "cli/command.h"

enum doctor_level {
	DOCTOR_OK,
	DOCTOR_WARN, // it works, not as well as it could
	DOCTOR_FAIL, // it does not work
};

struct doctor {
	struct cli *cli;
	json_t *checks;					  // rows {id, level, found, needed, fix}
	char rundir[sizeof(((struct session *)0)->path)]; // "" with -s alone
};

// Add a row. needed: what Phoenix wants; fix: what to do, "" when nothing is to be done.
void doctor_add(struct doctor *d, const char *id, enum doctor_level level, const char *found,
	const char *needed, const char *fix);

// Processors, memory, kernel, clock, devices.
void doctor_host(struct doctor *d);
// Run directory, sockets, daemons, programs.
void doctor_instance(struct doctor *d);
// The dataplane's program and whether EAL starts; runs: one runs already.
void doctor_program(struct doctor *d, bool runs);
