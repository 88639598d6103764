// SPDX-License-Identifier: BSD-3-Clause
// Handlers of the noun listener. What the operator wants comes from the document, how it goes
// from the dataplane when that is up.
#include "controlplane/control.h"
#include "controlplane/section.h"

#include "lib/base/clock.h"
#include "lib/base/compiler.h"

#include <stdlib.h>

#define TIMEOUT_NS (2 * PHX_NS_PER_S)

struct listing {
	struct control *control;
	struct phx_ctl_call *call;
};

static void add_live(json_t *row, json_t *live)
{
	static const char *const keys[] = {"state", "error", "accepted_total", "refused_total"};

	for (size_t i = 0; i < PHX_ARRAY_LEN(keys); i++)
		(void)json_object_set(row, keys[i], json_object_get(live, keys[i]));
}

// rows: what is there, NULL when nobody knows. That of another intent says nothing.
static void answer(struct listing *l, json_t *rows)
{
	const struct state *state = &l->control->state;
	json_t *wanted = json_object_get(state->document->json, "listeners");
	json_t *out = json_array(), *listener;
	struct reconcile_status s;
	size_t i;

	reconcile_status(l->control->reconcile, &s);
	json_array_foreach(wanted, i, listener)
	{
		json_t *row = json_copy(listener);
		int at = section_find(rows, json_string_value(json_object_get(listener, "name")));

		if (at >= 0 && s.synced)
			add_live(row, json_array_get(rows, (size_t)at));
		else
			(void)json_object_set_new(
				row, "state", json_string(rows != NULL ? "pending" : "unknown"));
		(void)json_array_append_new(out, row);
	}
	phx_ctl_call_rows(l->call, "listeners", out, state->generation);
	free(l);
}

static void told(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	(void)e;
	answer(arg, json_object_get(result, "listeners"));
}

void noun_listener_list(void *arg, struct phx_ctl_call *call)
{
	struct listing *l = calloc(1, sizeof(*l));
	struct control *c = arg;

	if (l == NULL) {
		phx_ctl_call_reply(call, NULL);
		return;
	}
	*l = (struct listing){.control = c, .call = call};
	if (reconcile_request(c->reconcile, "flow.listeners", NULL, TIMEOUT_NS, told, l) != 0)
		answer(l, NULL);
}

void noun_listener_add(void *arg, struct phx_ctl_call *call)
{
	control_object_add(arg, call, "listener");
}

void noun_listener_set(void *arg, struct phx_ctl_call *call)
{
	control_object_set(arg, call, "listener");
}

void noun_listener_del(void *arg, struct phx_ctl_call *call)
{
	control_object_del(arg, call, "listener");
}
