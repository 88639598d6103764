// SPDX-License-Identifier: BSD-3-Clause
// The table of local.h.
#include "cli/local.h"

#include "lib/base/compiler.h"

#include <string.h>

static const struct local locals[] = {
	{
		.id = LOCAL_DOCTOR,
		.name = "doctor",
		.summary = "what this host has, what Phoenix needs, how to mend it",
		.help = "phoenix-cli doctor\n"
			"  Looks at the host, the run directory and, where they run, the daemons.\n"
			"  Prints each check with its level: ok; warn, it works but not as well as "
			"it\n"
			"  could; fail, it does not work. Needs no daemon.\n"
			"result: checks: [{id, level, found, needed, fix}]\n"
			"exit status: 1 when a check failed\n"
			"example: phoenix-cli doctor\n",
	},
	{
		.id = LOCAL_MONITOR,
		.name = "monitor",
		.summary = "what happens, as it happens",
		.help = "phoenix-cli monitor [-n COUNT] [TYPE]...\n"
			"  -n COUNT    stop after COUNT events\n"
			"  TYPE        app.attached, link.*, ...; all without\n"
			"  One line for each event, with -j one JSON document: {seq, at, type, "
			"object,\n"
			"  detail}. event.lost tells how many were lost because the reader was too "
			"slow.\n"
			"example: phoenix-cli -j monitor 'app.*' listener.added\n",
	},
	{
		.id = LOCAL_TOP,
		.name = "top",
		.summary = "lcores, engines, applications and methods with their rates",
		.help = "phoenix-cli top [-n COUNT] [-d SECONDS]\n"
			"  -n COUNT    stop after COUNT samples (on a terminal: never)\n"
			"  -d SECONDS  time between two samples (default 1, at least 0.1)\n"
			"  Full screen on a terminal: keys l, e, a, m or Tab choose the table, q "
			"ends.\n"
			"  With -n or where stdout is no terminal all tables are printed one "
			"after\n"
			"  another, with -j one document for each sample.\n"
			"example: phoenix-cli top -n 2 -d 0.5\n",
	},
};

size_t local_count(void)
{
	return PHX_ARRAY_LEN(locals);
}

const struct local *local_at(size_t index)
{
	return &locals[index];
}

const struct local *local_find(const char *name)
{
	for (size_t i = 0; i < PHX_ARRAY_LEN(locals); i++)
		if (strcmp(locals[i].name, name) == 0)
			return &locals[i];
	return NULL;
}
