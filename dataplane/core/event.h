// SPDX-License-Identifier: BSD-3-Clause
// What happens here that operators may want to hear of: applications, services, links. The parts
// tell; one sink keeps it for the control plane. Control thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>

struct event_field {
	const char *key;
	const char *text; // NULL or "": left out
	bool is_number;	  // text is one, in decimal
};

// type "app.attached", object "app-3"; everything is borrowed for the call. Without a sink it is
// dropped.
void event_tell(
	const char *type, const char *object, const struct event_field *fields, size_t count);
#define EVENT_TELL(type, object, ...)                                                              \
	event_tell(type, object, (const struct event_field[]){__VA_ARGS__},                        \
		sizeof((const struct event_field[]){__VA_ARGS__}) / sizeof(struct event_field))

typedef void (*event_sink_fn)(void *arg, const char *type, const char *object,
	const struct event_field *fields, size_t count);
// One sink; NULL removes it.
void event_set_sink(event_sink_fn fn, void *arg);

// "link-17" into text; returns it.
#define EVENT_ID_BYTES 32
const char *event_id(char text[EVENT_ID_BYTES], const char *noun, unsigned long long id);
