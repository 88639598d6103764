// SPDX-License-Identifier: BSD-3-Clause
// The place where the parts of event.h meet their sink.
#include "dataplane/core/event.h"

#include "dataplane/core/event_trace.h"

#include <stdio.h>

static event_sink_fn sink;
static void *sink_arg;

void event_tell(
	const char *type, const char *object, const struct event_field *fields, size_t count)
{
	event_trace_point(type, object);
	if (sink != NULL)
		sink(sink_arg, type, object, fields, count);
}

void event_set_sink(event_sink_fn fn, void *arg)
{
	sink = fn;
	sink_arg = arg;
}

const char *event_id(char text[EVENT_ID_BYTES], const char *noun, unsigned long long id)
{
	(void)snprintf(text, EVENT_ID_BYTES, "%.8s-%llu", noun, id);
	return text;
}
