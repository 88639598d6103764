// SPDX-License-Identifier: BSD-3-Clause
// Command line of phoenix-dataplane: `phoenix-dataplane [EAL arguments --] [options]`. Without
// `--` all arguments are ours and the environment abstraction layer (EAL) gets safe defaults.
#pragma once

#include "lib/base/limits.h"
#include "lib/base/log.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The longest name in the run directory is "dataplane.sock"; a socket address has 107 bytes.
#define OPTIONS_RUNDIR_MAX  92
#define OPTIONS_EAL_MAX	    64
#define OPTIONS_POLICY_NAME 64
#define OPTIONS_FILE	    "/etc/phoenix/dataplane.conf" // settings, where there is one

struct options {
	char rundir[OPTIONS_RUNDIR_MAX];
	const char *standalone; // NULL, "default" or a file
	unsigned workers;	// 0 = not given
	uint64_t app_memory;	// bytes all applications may have mapped
	uint64_t max_message;	// bytes of the largest message
	enum phx_log_level log_level;
	const char *policies[PHX_LIMIT_CHAIN_MAX]; // types to attach to every application, in order
	unsigned policy_count;
	bool check; // start EAL, say whether it did, and stop
	bool help;
	bool version;
	int eal_count;	 // arguments in front of `--`, without the program name
	char **eal;	 // into argv
	bool eal_given;	 // there was a `--`
	char *file_text; // what values of the settings file point into, owned
};

// Parse the settings file, the environment (PHOENIX_*, XDG_RUNTIME_DIR) and argv, each over the
// ones before (lib/base/settings.h); uid decides the default run directory. 0, or -EINVAL and a
// message (lower case, one line) in error. Strings are argv's, the environment's and the file's;
// the file is not opened for --help and --version.
int options_parse(
	int argc, char **argv, unsigned uid, struct options *out, char *error, size_t error_size);

// NULL members are legal.
void options_fini(struct options *options);

const char *options_usage(void);

// What rte_eal_init() gets: argv[0] and, unless the user gave arguments, defaults. Strings belong
// to the object.
struct options_eal {
	int argc;
	char *argv[OPTIONS_EAL_MAX + 1];
	char text[1024];
	size_t used;
};
// -E2BIG: too many arguments; -EINVAL: the process may run nowhere.
int options_eal_build(const struct options *options, char *program, struct options_eal *out);
