// SPDX-License-Identifier: BSD-3-Clause
// Command line of phoenix-controlplane.
#pragma once

#include "lib/base/log.h"
#include "lib/ctl/rundir.h"

#define OPTIONS_FILE "/etc/phoenix/controlplane.conf" // settings, where there is one

struct options {
	const char *rundir;   // NULL: not given
	const char *instance; // NULL: not given
	const char *statedir; // NULL: the run directory
	const char *config;   // intent of an empty journal; NULL: the default rules
	enum phx_log_level log_level;
	char *file_text; // what values of the settings file point into, owned
};

enum options_result {
	OPTIONS_RUN,
	OPTIONS_DONE,  // --help, --version: printed
	OPTIONS_USAGE, // explained on stderr
};

// The settings file, the environment (PHOENIX_*) and argv, each over the ones before
// (lib/base/settings.h).
enum options_result options_parse(int argc, char **argv, struct options *out_options);
void options_fini(struct options *options);
