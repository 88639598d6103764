// SPDX-License-Identifier: BSD-3-Clause
// One program, several roles; see processes.h.
#include "tests/system/processes/processes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static unsigned number(char **argv, int argc, int i)
{
	return i < argc ? (unsigned)atoi(argv[i]) : 0;
}

int main(int argc, char **argv)
{
	struct roles_options o = {0};

	if (argc < 4) {
		(void)fputs("usage: processes serve RUNDIR GROUP [POOL-THREADS]\n"
			    "       processes crowd RUNDIR TARGET PROCESSES CHANNELS CALLS\n"
			    "       processes idle RUNDIR TARGET\n"
			    "       processes connect RUNDIR TARGET NOBODY...\n"
			    "       processes deaf RUNDIR TARGET\n"
			    "       processes feed RUNDIR TARGET\n",
			stderr);
		return 2;
	}
	o.rundir = argv[2];
	o.target = argv[3];
	if (strcmp(argv[1], "serve") == 0) {
		o.threads = number(argv, argc, 4);
		return role_serve(&o);
	}
	if (strcmp(argv[1], "crowd") == 0) {
		o.processes = number(argv, argc, 4);
		o.channels = number(argv, argc, 5);
		o.calls = number(argv, argc, 6);
		return role_crowd(&o);
	}
	if (strcmp(argv[1], "idle") == 0)
		return role_idle(&o);
	if (strcmp(argv[1], "connect") == 0)
		return role_connect(&o, argv + 4, (unsigned)(argc - 4));
	if (strcmp(argv[1], "deaf") == 0)
		return role_deaf(&o);
	if (strcmp(argv[1], "feed") == 0)
		return role_feed(&o);
	return 2;
}
