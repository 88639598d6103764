// SPDX-License-Identifier: BSD-3-Clause
// The ring of events.h; used by both daemons.
#include "lib/ctl/events.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

int phx_ctl_events_init(struct phx_ctl_events *e, size_t size)
{
	*e = (struct phx_ctl_events){.ring = calloc(size, sizeof(json_t *)), .size = size};
	e->next = 1;
	return e->ring != NULL ? 0 : -ENOMEM;
}

void phx_ctl_events_fini(struct phx_ctl_events *e)
{
	for (size_t i = 0; e->ring != NULL && i < e->size; i++)
		json_decref(e->ring[i]);
	free(e->ring);
	e->ring = NULL;
}

void phx_ctl_uuid_text(const uint8_t uuid[16], char out_text[PHX_CTL_UUID_BYTES])
{
	size_t n = 0;

	for (int i = 0; i < 16; i++) {
		const char *dash = i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "";

		n += (size_t)snprintf(
			out_text + n, PHX_CTL_UUID_BYTES - n, "%s%02x", dash, uuid[i]);
	}
}

json_t *phx_ctl_wall_time(uint64_t wall_ns)
{
	struct timespec now;
	time_t seconds;
	char text[64];
	struct tm tm;
	size_t n;

	if (wall_ns == 0) {
		(void)clock_gettime(CLOCK_REALTIME, &now); // cannot fail for this clock
		wall_ns = (uint64_t)now.tv_sec * PHX_NS_PER_S + (uint64_t)now.tv_nsec;
	}
	seconds = (time_t)(wall_ns / PHX_NS_PER_S);
	if (gmtime_r(&seconds, &tm) == NULL)
		return json_null();
	n = strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S", &tm);
	(void)snprintf(text + n, sizeof(text) - n, ".%03uZ",
		(unsigned)(wall_ns % PHX_NS_PER_S / PHX_NS_PER_MS));
	return json_string(text);
}

void phx_ctl_events_add(struct phx_ctl_events *e, uint64_t wall_ns, const char *type,
	const char *object, json_t *take_detail)
{
	json_t **slot = &e->ring[e->next % e->size];

	json_decref(*slot);
	*slot = json_pack("{s:I, s:o, s:s, s:s, s:o}", "seq", (json_int_t)e->next, "at",
		phx_ctl_wall_time(wall_ns), "type", type, "object", object, "detail",
		take_detail != NULL ? take_detail : json_object());
	e->next++;
}

uint64_t phx_ctl_events_first(const struct phx_ctl_events *e)
{
	return e->next > e->size ? e->next - e->size : 1;
}

json_t *phx_ctl_events_at(const struct phx_ctl_events *e, uint64_t seq)
{
	return seq >= phx_ctl_events_first(e) && seq < e->next ? e->ring[seq % e->size] : NULL;
}

bool phx_ctl_events_match(json_t *globs, const char *type)
{
	json_t *glob;
	size_t i;

	json_array_foreach(globs, i, glob)
	{
		if (fnmatch(json_string_value(glob), type, 0) == 0)
			return true;
	}
	return json_array_size(globs) == 0;
}
