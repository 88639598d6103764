// SPDX-License-Identifier: BSD-3-Clause
// What a worker knows of peers: their channels, and whether calls to them may wait. Told by the
// control thread (outbound.c). Worker thread.
#include "dataplane/link/cluster.h"
#include "dataplane/link/link.h"

#include <stdio.h>
#include <stdlib.h>

struct peer_links *peer_get(struct link_table *table, uint64_t peer)
{
	struct phx_list *n;
	struct peer_links *p;

	if (peer == 0 && table->local != NULL)
		return table->local;
	phx_list_for_each (n, &table->peers) {
		p = phx_list_entry(n, struct peer_links, node);
		if (p->peer == peer)
			return p;
	}
	p = calloc(1, sizeof(*p));
	if (p == NULL)
		return NULL;
	p->peer = peer;
	p->state = PEER_CONNECTING;
	phx_list_init(&p->channels);
	phx_list_add_tail(&table->peers, &p->node);
	if (peer == 0)
		table->local = p;
	return p;
}

static void reconsider(struct channel *channel, void *arg)
{
	(void)arg;
	channel_reconsider(channel);
}

int peer_set_state(struct worker *worker, uint64_t peer, enum peer_state state, const char *why)
{
	struct peer_links *p = peer_get(link_table(worker), peer);
	struct phx_list *n, *tmp;

	if (p == NULL)
		return -ENOMEM;
	if (state == PEER_BACKOFF && p->link_count != 0)
		return 0; // another link of the peer carries its calls
	p->state = (uint8_t)state;
	(void)snprintf(p->why, sizeof(p->why), "%s", why != NULL ? why : "");
	if (state != PEER_BACKOFF)
		return 0;
	phx_list_for_each_safe (n, tmp, &p->channels) {
		channel_reconsider(phx_list_entry(n, struct channel, node));
	}
	cluster_each_channel(link_table(worker), peer, reconsider, NULL);
	return 0;
}

void peer_localise(struct worker *worker, uint64_t peer)
{
	struct link_table *table = link_table(worker);
	struct peer_links *p = peer_get(table, peer);
	struct phx_list *n, *l;

	while (p != NULL && p != table->local && (n = phx_list_pop(&p->channels)) != NULL) {
		struct channel *channel = phx_list_entry(n, struct channel, node);

		channel->peer = 0;
		channel->home = table->local;
		phx_list_add_tail(&table->local->channels, &channel->node);
		phx_list_for_each (l, &table->links) {
			struct link *link = phx_list_entry(l, struct link, node);

			if (link->client && link->peer == 0 && !link->down)
				(void)path_create(channel, link); // fewer paths are legal
		}
		channel_reconsider(channel);
	}
}

static uint32_t channels_count(const struct peer_links *p)
{
	const struct phx_list *n;
	uint32_t count = 0;

	phx_list_for_each (n, &p->channels) {
		count++;
	}
	return count;
}

static void count_one(struct channel *channel, void *count)
{
	(void)channel;
	(*(uint32_t *)count)++;
}

uint32_t peer_retire(struct worker *worker, uint64_t peer)
{
	struct link_table *table = link_table(worker);
	struct peer_links *p = peer_get(table, peer);
	struct phx_list *n;
	uint32_t count = p != NULL ? channels_count(p) : 0;

	// Channels of clusters, and calls under way to one who has left a cluster.
	cluster_each_channel(table, peer, count_one, &count);
	phx_list_for_each (n, &table->links) {
		struct link *link = phx_list_entry(n, struct link, node);

		if (link->client && link->peer == peer)
			count += link->inflight;
	}
	if (p == NULL || count != 0 || p == table->local)
		return count;
	phx_list_for_each (n, &table->links) {
		struct link *link = phx_list_entry(n, struct link, node);

		if (link->client && link->peer == peer)
			link_close(link, PHX_REASON_DETACHED);
	}
	p->retired = true;
	peer_link_ended(table, peer); // when it has none
	return 0;
}

void peer_link_ended(struct link_table *table, uint64_t peer)
{
	struct peer_links *p = peer_get(table, peer);

	if (p == NULL || !p->retired || p->link_count != 0 || !phx_list_empty(&p->channels))
		return;
	phx_list_del(&p->node);
	free(p);
}
