// SPDX-License-Identifier: BSD-3-Clause
// Events of the control plane, and subscriptions to them. Subscribers have a place in the ring
// and nothing else: one who is slow loses events, which he is told, and one who does not read is
// disconnected by the server. One thread.
#pragma once

#include "lib/ctl/events.h"
#include "lib/ctl/server.h"

#include "lib/base/list.h"

struct events {
	struct phx_ctl_events ring;
	struct phx_ctl_server *server; // NULL: nobody is told
	struct phx_list subscriptions;
	unsigned subscription_count;
	uint64_t next_subscription;
	char instance[PHX_CTL_UUID_BYTES]; // whose events the numbers count
};

// -ENOMEM, or -errno without random numbers.
int events_init(struct events *e);
// After the server has gone.
void events_fini(struct events *e);

// Something happened; see phx_ctl_events_add().
void events_add(struct events *e, const char *type, const char *object, json_t *take_detail);
// The same for an event of the dataplane: {at, type, object, detail}, borrowed.
void events_take(struct events *e, json_t *event);

void events_history(struct events *e, struct phx_ctl_call *call, uint64_t generation);
void events_subscribe(struct events *e, struct phx_ctl_call *call);
void events_unsubscribe(struct events *e, struct phx_ctl_call *call);
