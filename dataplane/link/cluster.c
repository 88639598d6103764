// SPDX-License-Identifier: BSD-3-Clause
// Members and balancing of cluster.h. Hot part: cluster_pick().
#include "dataplane/link/cluster.h"

#include <stdlib.h>

static_assert(PHX_LIMIT_ENDPOINTS_MAX <= 64, "tables of members stand on the stack");

uint32_t cluster_member_find(const struct cluster *cluster, uint64_t peer)
{
	for (uint32_t i = 0; cluster != NULL && i < cluster->count; i++)
		if (cluster->member[i].peer == peer)
			return i;
	return CLUSTER_NONE;
}

bool channel_uses(const struct channel *channel, uint64_t peer)
{
	if (!cluster_is(channel->peer))
		return channel->peer == peer;
	return cluster_member_find(channel->home->cluster, peer) != CLUSTER_NONE;
}

void cluster_each_channel(struct link_table *table, uint64_t peer,
	void (*fn)(struct channel *channel, void *arg), void *arg)
{
	struct phx_list *p, *n, *tmp;

	phx_list_for_each (p, &table->peers) {
		struct peer_links *home = phx_list_entry(p, struct peer_links, node);

		if (cluster_member_find(home->cluster, peer) == CLUSTER_NONE)
			continue;
		phx_list_for_each_safe (n, tmp, &home->channels) {
			fn(phx_list_entry(n, struct channel, node), arg);
		}
	}
}

static bool has_path(const struct channel *channel, const struct link *link)
{
	const struct phx_list *n;

	phx_list_for_each (n, &channel->paths) {
		if (phx_list_entry(n, struct path, node)->link == link)
			return true;
	}
	return false;
}

// Paths to members that are new, and the places of all paths in the new set.
static int channel_refit(struct channel *channel)
{
	struct link_table *table = link_table(channel->worker);
	struct phx_list *n;
	int rc = 0;

	phx_list_for_each (n, &channel->paths) {
		struct path *path = phx_list_entry(n, struct path, node);

		path->member = cluster_member_find(channel->home->cluster, path->peer);
	}
	phx_list_for_each (n, &table->links) {
		struct link *link = phx_list_entry(n, struct link, node);

		if (link->client && !link->down && channel_uses(channel, link->peer) &&
			!has_path(channel, link) && rc == 0)
			rc = path_create(channel, link);
	}
	channel_reconsider(channel);
	return rc;
}

int cluster_set(struct worker *worker, struct cluster *take_cluster)
{
	struct peer_links *home = peer_get(link_table(worker), take_cluster->id);
	struct phx_list *n, *tmp;
	int rc = 0;

	if (home == NULL) {
		free(take_cluster);
		return -ENOMEM;
	}
	free(home->cluster);
	home->cluster = take_cluster;
	phx_list_for_each_safe (n, tmp, &home->channels) {
		int one = channel_refit(phx_list_entry(n, struct channel, node));

		rc = rc == 0 ? one : rc;
	}
	return rc;
}

const char *cluster_unreachable(const struct channel *channel)
{
	const struct cluster *cluster = channel->home->cluster;
	const char *why = "the cluster has no endpoints";

	for (uint32_t i = 0; cluster != NULL && i < cluster->count; i++) {
		const struct peer_links *peer =
			peer_get(link_table(channel->worker), cluster->member[i].peer);

		if (peer == NULL || peer->state != PEER_BACKOFF || peer->link_count != 0)
			return NULL;
		why = peer->why;
	}
	return why;
}

// ---- balancing ----

struct choice {
	struct path *path; // of this member: the one with the fewest calls
	uint32_t load;	   // calls of all its paths
};

static uint32_t path_load(const struct path *path)
{
	return path->sent_count + path->admitted;
}

// Smooth: weights 5, 1, 1 give a a b a c a a, not a a a a a b c.
static struct path *round_robin(struct cluster *cluster, const struct choice *choices)
{
	struct cluster_member *best = NULL;
	int64_t total = 0;

	for (uint32_t i = 0; i < cluster->count; i++) {
		struct cluster_member *m = &cluster->member[i];

		if (choices[i].path == NULL)
			continue;
		m->turn += m->weight;
		total += m->weight;
		if (best == NULL || m->turn > best->turn)
			best = m;
	}
	if (best == NULL)
		return NULL;
	best->turn -= total;
	return choices[best - cluster->member].path;
}

// The fewest calls for its weight; equal ones take turns.
static struct path *least_request(struct cluster *cluster, const struct choice *choices)
{
	uint32_t best = CLUSTER_NONE, i = cluster->next;

	for (uint32_t k = 0; k < cluster->count; k++, i++) {
		if (i >= cluster->count)
			i = 0;
		if (choices[i].path == NULL)
			continue;
		if (best == CLUSTER_NONE ||
			(uint64_t)(choices[i].load + 1) * cluster->member[best].weight <
				(uint64_t)(choices[best].load + 1) * cluster->member[i].weight)
			best = i;
	}
	if (best == CLUSTER_NONE)
		return NULL;
	cluster->next = best + 1;
	return choices[best].path;
}

struct path *cluster_pick(struct channel *channel, uint16_t binding)
{
	struct cluster *cluster = channel->home->cluster;
	struct choice choices[PHX_LIMIT_ENDPOINTS_MAX];
	struct phx_list *n;

	if (cluster == NULL)
		return NULL;
	memset(choices, 0, cluster->count * sizeof(choices[0]));
	phx_list_for_each (n, &channel->paths) {
		struct path *path = phx_list_entry(n, struct path, node);
		struct choice *c;

		if (path->member >= cluster->count)
			continue; // to one who left
		c = &choices[path->member];
		c->load += path_load(path);
		if (path_usable(path, binding) &&
			(c->path == NULL || path_load(path) < path_load(c->path)))
			c->path = path;
	}
	return cluster->balancing == CLUSTER_LEAST_REQUEST ? least_request(cluster, choices)
							   : round_robin(cluster, choices);
}
