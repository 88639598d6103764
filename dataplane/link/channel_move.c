// SPDX-License-Identifier: BSD-3-Clause
// A channel changes its worker with its session: first its calls wait, then its paths are closed,
// then it gets new ones over the links of the other worker. See core/rpc.h and channel.c.
#include "dataplane/link/link.h"

#include <string.h>

void channel_freeze(struct channel *channel, bool frozen)
{
	channel->frozen = frozen;
	if (!frozen)
		channel_reconsider(channel);
}

uint32_t channel_pending(const struct channel *channel)
{
	const struct phx_list *n;
	uint32_t count = 0;

	phx_list_for_each (n, &channel->connects) {
		count++;
	}
	for (uint32_t i = 0; i < channel->binding_count; i++) {
		phx_list_for_each (n, &channel->bindings[i].pending) {
			count++;
		}
	}
	return count;
}

void channel_each_pending(
	struct channel *channel, void (*fn)(struct call *call, void *arg), void *arg)
{
	struct phx_list *n;

	phx_list_for_each (n, &channel->connects) {
		fn(phx_list_entry(n, struct call, node), arg);
	}
	for (uint32_t i = 0; i < channel->binding_count; i++) {
		phx_list_for_each (n, &channel->bindings[i].pending) {
			fn(phx_list_entry(n, struct call, node), arg);
		}
	}
}

void channel_leave(struct channel *channel)
{
	phx_list_del(&channel->node);
	timer_stop(&channel->worker->timers, &channel->drain);
	channel_close_paths(channel);
	// Series belong to the worker's table.
	for (uint32_t i = 0; i < channel->binding_count; i++) {
		struct channel_binding *b = &channel->bindings[i];

		memset(b->series, 0,
			phx_schema_method_count(b->schema, b->service) * sizeof(b->series[0]));
	}
}

int channel_join(struct channel *channel, struct worker *worker)
{
	struct peer_links *peer = peer_get(link_table(worker), channel->peer);

	channel->worker = worker;
	channel->home = peer;
	channel->frozen = false;
	// On its way it missed what all workers were told meanwhile.
	channel->stopped &= (uint8_t)~CHANNEL_STOPPED_HOST;
	if (link_table(worker)->stopped)
		channel->stopped |= CHANNEL_STOPPED_HOST;
	if (peer == NULL)
		return -ENOMEM;
	phx_list_add_tail(&peer->channels, &channel->node);
	if ((channel->stopped & CHANNEL_STOPPED_DRAIN) != 0)
		channel_drain(channel); // its timer was the other worker's
	return channel_open_paths(channel);
}
