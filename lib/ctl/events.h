// SPDX-License-Identifier: BSD-3-Clause
// The last events of a daemon: a ring of fixed size whose events are numbered from 1 without
// gaps. Readers keep the number of what they want next, and learn from it what they lost. One
// thread.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct phx_ctl_events {
	json_t **ring; // an event that there was no memory for is NULL
	size_t size;
	uint64_t next; // number of the next event
};

// -ENOMEM.
int phx_ctl_events_init(struct phx_ctl_events *e, size_t size);
// Legal on a zeroed or finished one.
void phx_ctl_events_fini(struct phx_ctl_events *e);

// Add {seq, at, type, object, detail}: at is wall_ns (0: now) as RFC 3339, type "app.attached",
// object the id or name of what it is about ("" = nothing). Takes detail (NULL: none).
void phx_ctl_events_add(struct phx_ctl_events *e, uint64_t wall_ns, const char *type,
	const char *object, json_t *take_detail);

// The oldest number that is still there; next when nothing is.
uint64_t phx_ctl_events_first(const struct phx_ctl_events *e);
// Borrowed until the next _add; NULL: not there.
json_t *phx_ctl_events_at(const struct phx_ctl_events *e, uint64_t seq);

// Does one of the globs (array, borrowed; NULL or empty: all) match the type?
bool phx_ctl_events_match(json_t *globs, const char *type);

// The UUID of an instance as text: 36 digits and dashes.
#define PHX_CTL_UUID_BYTES 37
void phx_ctl_uuid_text(const uint8_t uuid[16], char out_text[PHX_CTL_UUID_BYTES]);

// A wall clock time as RFC 3339 in UTC, to the millisecond; 0: now. New reference.
json_t *phx_ctl_wall_time(uint64_t wall_ns);
