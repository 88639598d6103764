// SPDX-License-Identifier: BSD-3-Clause
// Handlers of the noun event. Works with events.c.
#include "controlplane/control.h"

void noun_event_history(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;

	events_history(&c->events, call, c->state.generation);
}

void noun_event_subscribe(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;

	events_subscribe(&c->events, call);
}

void noun_event_unsubscribe(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;

	events_unsubscribe(&c->events, call);
}
