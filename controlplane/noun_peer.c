// SPDX-License-Identifier: BSD-3-Clause
// Handlers of the noun peer.
#include "controlplane/control.h"

#include <string.h>

void noun_peer_list(void *arg, struct phx_ctl_call *call)
{
	control_object_list(arg, call, "peer");
}

void noun_peer_add(void *arg, struct phx_ctl_call *call)
{
	control_object_add(arg, call, "peer");
}

void noun_peer_set(void *arg, struct phx_ctl_call *call)
{
	control_object_set(arg, call, "peer");
}

// Names of the listeners that admit the peer. New reference.
static json_t *users_of(const struct control *c, const char *peer)
{
	const struct phx_ctl_document *d = c->state.document;
	json_t *names = json_array();

	for (size_t i = 0; i < d->listener_count; i++)
		for (size_t j = 0; j < d->listeners[i].peer_count; j++)
			if (strcmp(d->listeners[i].peers[j]->name, peer) == 0)
				(void)json_array_append_new(
					names, json_string(d->listeners[i].name));
	return names;
}

void noun_peer_del(void *arg, struct phx_ctl_call *call)
{
	const char *name = phx_ctl_call_string(call, "name", "");
	json_t *users = users_of(arg, name);
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	if (json_array_size(users) == 0) {
		json_decref(users);
		control_object_del(arg, call, "peer");
		return;
	}
	(void)phx_ctl_error_set(&e, PHX_FAILED_PRECONDITION,
		"peer '%s' is admitted by listener '%s'", name,
		json_string_value(json_array_get(users, 0)));
	phx_ctl_error_add(&e, "listeners", users);
	phx_ctl_call_fail(call, &e);
	phx_ctl_error_fini(&e);
}
