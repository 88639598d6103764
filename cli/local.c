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
