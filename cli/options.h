// SPDX-License-Identifier: BSD-3-Clause
// Options of phoenix-cli and the words of the command among them.
#pragma once

#include "cli/words.h"

#include <stdbool.h>
#include <stdint.h>

struct options {
	// Strings belong to argv or the environment.
	const char *socket;   // -s, PHOENIX_SOCKET
	const char *rundir;   // --rundir; PHOENIX_RUNDIR is lib/ctl/rundir's business
	const char *instance; // -i, PHOENIX_INSTANCE
	const char *columns;  // -o
	const char *file;     // -f
	bool json, pretty, quiet, show_request, dry_run, keep_going, echo;
	bool help, version, dump, complete;
	uint64_t timeout_ns; // -t
	bool timeout_given;
	unsigned retries; // -r
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_USAGE, // explained in why
};

// Parse argv and the environment: a flag wins over a variable, a variable over a default.
// Options may stand anywhere before "--". Appends the words of the command to w; -n and -d
// behind `top`, and -n behind `monitor`, are words.
enum options_result options_parse(int argc, char **argv, struct options *out_options,
	struct words *w, char *why, size_t why_size);

// The text of --help about options and exit codes.
extern const char options_help[];
