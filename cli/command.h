// SPDX-License-Identifier: BSD-3-Clause
// Running one command or one JSON request: parse, send, report. What one-shot use, batches
// and the shell share.
#pragma once

#include "cli/report.h"
#include "cli/session.h"

struct cli {
	struct options options;
	struct session session;
	struct report report;
};

// Run the words of one command; flags as for grammar_parse. Returns its exit code.
int command_run(struct cli *cli, const struct words *w, unsigned flags);

// Run one request of a JSON batch: {"method":..., "params":{...}}; jsonrpc and id may stand
// there. Not validated here. Returns its exit code.
int command_request(struct cli *cli, json_t *request);

// Report an error that is no usage error and return the exit code given.
int command_fail(struct cli *cli, struct phx_ctl_error *e, int exit_code);
