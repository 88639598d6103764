// SPDX-License-Identifier: BSD-3-Clause
// See listeners.h. Works with link/inbound.c, which asks for every connection.
#include "dataplane/control/listeners.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int listeners_apply(struct host *host, const struct phx_ctl_document *document)
{
	struct host_listener_config *configs;
	size_t i;
	int rc;

	configs = calloc(document->listener_count + 1, sizeof(*configs));
	if (configs == NULL)
		return -ENOMEM;
	for (i = 0; i < document->listener_count; i++) {
		configs[i].name = document->listeners[i].name;
		configs[i].address = document->listeners[i].sockaddr;
	}
	rc = host_set_listeners(host, configs, (unsigned)document->listener_count);
	free(configs);
	return rc;
}

const char *listeners_admit(
	const struct phx_ctl_document *document, const char *listener, const struct sockaddr *from)
{
	const struct phx_ctl_listener_entry *l = NULL;
	size_t i;

	for (i = 0; i < document->listener_count; i++) {
		if (strcmp(document->listeners[i].name, listener) == 0)
			l = &document->listeners[i];
	}
	if (l == NULL || !phx_ctl_listener_admits(l, from))
		return NULL;
	for (i = 0; i < l->peer_count; i++) {
		if (phx_ctl_network_has(&l->peers[i]->network, from))
			return l->peers[i]->name;
	}
	return "loopback";
}
