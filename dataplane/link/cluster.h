// SPDX-License-Identifier: BSD-3-Clause
// Clusters: several peers under one name, among which each call of a channel chooses. For a worker
// a cluster is one more peer (peer_links) whose channels have paths over the links of all its
// members. Told by the control thread (host_cluster.c). Worker thread.
#pragma once

#include "dataplane/link/link.h"

// Ids of clusters stand among those of peers, above all of them.
#define CLUSTER_ID_FIRST (UINT64_C(1) << 62)
#define CLUSTER_NONE	 UINT32_MAX // no member

enum cluster_balancing { CLUSTER_ROUND_ROBIN, CLUSTER_LEAST_REQUEST };

struct cluster_member {
	uint64_t peer; // 0 = this host
	uint32_t weight;
	int64_t turn; // [worker] smooth weighted round robin
};

struct cluster {
	uint64_t id;
	uint8_t balancing; // enum cluster_balancing
	uint32_t next;	   // [worker] where least-request begins to look
	uint32_t count;
	struct cluster_member member[];
};

// Put another set of members in force; takes the memory. Channels get paths to new members, and
// those to others take no more calls. -ENOMEM: some paths are missing until a link comes.
int cluster_set(struct worker *worker, struct cluster *take_cluster);

static inline bool cluster_is(uint64_t peer)
{
	return peer >= CLUSTER_ID_FIRST;
}

// Index of the member, CLUSTER_NONE.
uint32_t cluster_member_find(const struct cluster *cluster, uint64_t peer);
// Does the channel use links to this peer?
bool channel_uses(const struct channel *channel, uint64_t peer);
// For each cluster with this member, each of its channels.
void cluster_each_channel(struct link_table *table, uint64_t peer,
	void (*fn)(struct channel *channel, void *arg), void *arg);
// The path for the next call of a binding, NULL.
struct path *cluster_pick(struct channel *channel, uint16_t binding);
// Why no member can be reached; NULL: one may be.
const char *cluster_unreachable(const struct channel *channel);
