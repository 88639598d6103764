// SPDX-License-Identifier: BSD-3-Clause
// Clusters of the operator: their endpoints are peers that are dialled for the workers whose
// channels name the cluster, and each such worker is told the members. See host.h, cluster.h.
#include "dataplane/link/cluster.h"
#include "dataplane/link/host_priv.h"

#include "lib/base/log.h"

#include <stdio.h>
#include <stdlib.h>

struct host_cluster {
	struct phx_list node;
	uint64_t id;
	char name[PHX_LIMIT_NAME_BYTES + 1];
	uint8_t balancing;
	bool exists; // it is in the document
	bool wanted[PHX_LIMIT_WORKERS_MAX];
	struct host_endpoint_config *endpoints; // addresses too are owned
	unsigned count;
};

static void endpoints_free(struct host_cluster *c)
{
	for (unsigned i = 0; i < c->count; i++)
		free((void *)(uintptr_t)c->endpoints[i].address);
	free(c->endpoints);
	c->endpoints = NULL;
	c->count = 0;
}

static int endpoints_copy(struct host_cluster *c, const struct host_cluster_config *from)
{
	endpoints_free(c);
	c->endpoints = calloc(from->count + 1, sizeof(*c->endpoints));
	if (c->endpoints == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < from->count; i++) {
		char *address = strdup(from->endpoints[i].address);

		if (address == NULL)
			return -ENOMEM;
		c->endpoints[c->count++] = (struct host_endpoint_config){
			.address = address, .weight = from->endpoints[i].weight};
	}
	return 0;
}

static struct host_cluster *cluster_find(const struct host *host, const char *name)
{
	struct phx_list *n;

	phx_list_for_each (n, &host->clusters) {
		struct host_cluster *c = phx_list_entry(n, struct host_cluster, node);

		if (strcmp(c->name, name) == 0)
			return c;
	}
	return NULL;
}

struct told {
	struct cmd cmd;
	struct cluster *cluster;
};

static void told_here(struct worker *worker, struct cmd *cmd)
{
	struct told *t = phx_container_of(cmd, struct told, cmd);

	(void)cluster_set(worker, t->cluster); // a path that is missing comes with its next link
	free(t);
}

// Dial the endpoints for the worker and tell it who they are. -ENOMEM.
static int cluster_tell(struct host *host, struct host_cluster *c, unsigned worker)
{
	struct told *t = calloc(1, sizeof(*t));
	struct cluster *set = calloc(1, sizeof(*set) + c->count * sizeof(set->member[0]));

	if (t == NULL || set == NULL) {
		free(t);
		free(set);
		return -ENOMEM;
	}
	set->id = c->id;
	set->balancing = c->balancing;
	for (unsigned i = 0; i < c->count; i++) {
		const char *text = "";
		uint64_t peer = 0;
		int rc = host_want(host, c->endpoints[i].address, worker, &peer, &text);

		if (rc != 0)
			phx_log_warn(
				"cluster", "%s: %s: %s", c->name, c->endpoints[i].address, text);
		else if (cluster_member_find(set, peer) == CLUSTER_NONE)
			set->member[set->count++] = (struct cluster_member){
				.peer = peer, .weight = c->endpoints[i].weight};
	}
	t->cluster = set;
	worker_post(host->config.workers[worker], &t->cmd, told_here);
	return 0;
}

static void cluster_tell_all(struct host *host, struct host_cluster *c)
{
	for (unsigned w = 0; w < host->config.worker_count; w++) {
		if (c->wanted[w] && cluster_tell(host, c, w) != 0)
			phx_log_err("cluster", "%s: no memory; worker %u keeps the old endpoints",
				c->name, w);
	}
}

static struct host_cluster *cluster_get(struct host *host, const char *name)
{
	struct host_cluster *c = cluster_find(host, name);

	if (c != NULL)
		return c;
	c = calloc(1, sizeof(*c));
	if (c == NULL)
		return NULL;
	c->id = host->next_cluster++;
	(void)snprintf(c->name, sizeof(c->name), "%s", name);
	phx_list_add_tail(&host->clusters, &c->node);
	return c;
}

// One that is gone but has channels stays, without endpoints: it may come back.
int host_set_clusters(struct host *host, const struct host_cluster_config *clusters, unsigned count)
{
	struct phx_list *n;
	int rc = 0;

	phx_list_for_each (n, &host->clusters) {
		phx_list_entry(n, struct host_cluster, node)->exists = false;
	}
	for (unsigned i = 0; i < count && rc == 0; i++) {
		struct host_cluster *c = cluster_get(host, clusters[i].name);

		rc = c != NULL ? endpoints_copy(c, &clusters[i]) : -ENOMEM;
		if (rc == 0) {
			c->exists = true;
			c->balancing = clusters[i].least_request ? CLUSTER_LEAST_REQUEST
								 : CLUSTER_ROUND_ROBIN;
		}
	}
	phx_list_for_each (n, &host->clusters) {
		struct host_cluster *c = phx_list_entry(n, struct host_cluster, node);

		if (!c->exists)
			endpoints_free(c);
		cluster_tell_all(host, c);
	}
	return rc;
}

int host_open_cluster(struct host *host, const char *target, unsigned worker, uint64_t *out_peer,
	const char **out_group, const char **out_text)
{
	const char *slash = strchr(target, '/');
	char name[PHX_LIMIT_NAME_BYTES + 1];
	struct host_cluster *c;

	(void)snprintf(name, sizeof(name), "%.*s",
		slash != NULL ? (int)(slash - target) : PHX_LIMIT_NAME_BYTES, target);
	c = cluster_find(host, name);
	if (c == NULL || !c->exists) {
		*out_text = "no cluster of this name; phoenix-cli cluster list shows them";
		return -ENOENT;
	}
	c->wanted[worker] = true;
	*out_group = slash != NULL ? slash + 1 : "";
	*out_peer = c->id;
	// Again for each channel: peers that nobody used may have gone.
	return cluster_tell(host, c, worker);
}

void host_cluster_peer_is_self(struct host *host)
{
	struct phx_list *n;

	phx_list_for_each (n, &host->clusters) {
		cluster_tell_all(host, phx_list_entry(n, struct host_cluster, node));
	}
}

void host_cluster_want_like(struct host *host, unsigned from, unsigned to)
{
	struct phx_list *n;

	phx_list_for_each (n, &host->clusters) {
		struct host_cluster *c = phx_list_entry(n, struct host_cluster, node);

		if (!c->wanted[from])
			continue;
		c->wanted[to] = true;
		(void)cluster_tell(host, c, to); // without memory its calls wait
	}
}

void host_clusters_free(struct host *host)
{
	struct phx_list *n;

	while ((n = phx_list_pop(&host->clusters)) != NULL) {
		struct host_cluster *c = phx_list_entry(n, struct host_cluster, node);

		endpoints_free(c);
		free(c);
	}
}

void host_clusters_each(const struct host *host, host_cluster_fn fn, void *arg)
{
	struct phx_list *n;

	phx_list_for_each (n, &host->clusters) {
		const struct host_cluster *c = phx_list_entry(n, struct host_cluster, node);

		fn(arg, c->id, c->name);
	}
}
