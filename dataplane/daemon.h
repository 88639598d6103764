// SPDX-License-Identifier: BSD-3-Clause
// Everything between a started EAL and its end: workers, control loop, sockets, rules. Main lcore.
#pragma once

#include "dataplane/options.h"
#include "dataplane/rundir.h"

enum daemon_exit {
	DAEMON_EXIT_OK = 0,
	DAEMON_EXIT_RUNTIME = 1,
	DAEMON_EXIT_USAGE = 2, // usage, EAL, configuration
	DAEMON_EXIT_EXISTS = 3,
	DAEMON_EXIT_RESOURCES = 4,
};

// Serve until SIGTERM or SIGINT, then give everything back. Returns the exit code.
enum daemon_exit daemon_run(const struct options *options, const struct rundir *dir);
