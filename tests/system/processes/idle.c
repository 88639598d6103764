// SPDX-License-Identifier: BSD-3-Clause
// An application with as many channels as it is told, each used once.
#include "tests/system/processes/processes.h"

#include <stdio.h>
#include <stdlib.h>

int role_idle(const struct roles_options *o)
{
	struct phx_channel *channel;
	struct phx_context *context;
	struct phx_status status;
	unsigned have = 0;
	char line[32];

	if (attach(o, "idle", &context) != 0)
		return 1;
	while (fgets(line, sizeof(line), stdin) != NULL) {
		for (unsigned want = (unsigned)atoi(line); have < want; have++) {
			int rc = phx_channel_open(context, o->target, NULL, &channel, &status);

			if (rc != 0) {
				say_status("open", rc, &status);
				return 1;
			}
			if (!add_is_right(context, channel, have, 7))
				return 1;
		}
		(void)snprintf(line, sizeof(line), "have %u", have);
		say_line(line);
	}
	phx_detach(context);
	return 0;
}
