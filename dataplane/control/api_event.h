// SPDX-License-Identifier: BSD-3-Clause
// Events of this dataplane: the sink of core/event.h, and the question of the control plane for
// the next one, which is answered when there is one. Control thread.
#pragma once

#include "dataplane/control/loop.h"
#include "dataplane/core/registry.h"
#include "lib/ctl/events.h"
#include "lib/ctl/server.h"

#define API_EVENT_WAITS 8 // questions that wait at the same time

struct api_event_wait {
	struct api_events *events;
	struct phx_ctl_call *call; // NULL: free
	uint64_t since;
	struct timer timer;
};

struct api_events {
	struct ctl_loop *loop;
	const char *instance; // UUID as text
	struct phx_ctl_events ring;
	struct api_event_wait waits[API_EVENT_WAITS];
	uint8_t *up; // of each service id: it had an instance
	uint32_t up_count;
};

// Keep events from now on. instance is kept by reference. -ENOMEM.
int api_events_init(struct api_events *e, struct ctl_loop *loop, const char *instance);
// Questions that wait are answered. Legal on a zeroed one.
void api_events_fini(struct api_events *e);

// The set of services has changed.
void api_events_services(struct api_events *e, const struct service_set *set);
