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

int clusters_apply(struct host *host, const struct phx_ctl_document *document)
{
	struct host_cluster_config *configs = calloc(document->cluster_count + 1, sizeof(*configs));
	struct host_endpoint_config *endpoints =
		calloc(document->cluster_count * PHX_LIMIT_ENDPOINTS_MAX + 1, sizeof(*endpoints));
	size_t i, k, used = 0;
	int rc = -ENOMEM;

	for (i = 0; configs != NULL && endpoints != NULL && i < document->cluster_count; i++) {
		const struct phx_ctl_cluster_entry *c = &document->clusters[i];

		configs[i] = (struct host_cluster_config){
			.name = c->name,
			.least_request = c->least_request,
			.endpoints = &endpoints[used],
			.count = (unsigned)c->endpoint_count,
		};
		for (k = 0; k < c->endpoint_count; k++)
			endpoints[used++] = (struct host_endpoint_config){
				c->endpoints[k].address, c->endpoints[k].weight};
	}
	if (configs != NULL && endpoints != NULL)
		rc = host_set_clusters(host, configs, (unsigned)document->cluster_count);
	free(endpoints);
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
