// SPDX-License-Identifier: BSD-3-Clause
// Channels and links that the operator takes out of service: no call begins on them any more. See
// link.h; worker thread.
#include "dataplane/link/link.h"

#include "lib/base/log.h"

const char *channel_stopped_why(const struct channel *channel)
{
	if ((channel->stopped & CHANNEL_STOPPED_ADMIN) != 0)
		return "the operator has closed the channel";
	if ((channel->stopped & CHANNEL_STOPPED_DRAIN) != 0)
		return "the operator is closing the channel";
	return "the host is being taken out of service";
}

void channel_stop(struct channel *channel, unsigned why)
{
	channel->stopped |= (uint8_t)why;
	channel_reconsider(channel); // what waits ends
}

void channel_resume(struct channel *channel, unsigned why)
{
	channel->stopped &= (uint8_t)~why;
	if (channel->stopped == 0)
		channel_kick(channel);
}

static void channel_drain_over(struct worker *worker, struct timer *timer)
{
	struct channel *channel = phx_container_of(timer, struct channel, drain);

	(void)worker;
	if ((channel->stopped & CHANNEL_STOPPED_ADMIN) == 0)
		phx_log_info("link", "chan-%llu-%u goes on: whoever was closing it has gone",
			(unsigned long long)session_id(channel->session), channel->handle);
	channel_resume(channel, CHANNEL_STOPPED_DRAIN);
}

void channel_drain(struct channel *channel)
{
	struct worker *worker = channel->worker;

	timer_start(&worker->timers, &channel->drain, worker->now_ns + LINK_DRAIN_NS,
		channel_drain_over);
	channel_stop(channel, CHANNEL_STOPPED_DRAIN);
}

static void link_drain_over(struct worker *worker, struct timer *timer)
{
	struct link *link = phx_container_of(timer, struct link, drain);
	struct phx_list *n, *tmp;

	(void)worker;
	phx_log_info("link", "link-%llu to %s goes on: whoever was closing it has gone",
		(unsigned long long)link->id, link->peer_name);
	link->draining = false;
	phx_list_for_each_safe (n, tmp, &link->paths) {
		channel_kick(phx_list_entry(n, struct path, link_node)->channel);
	}
}

void link_drain(struct link *link)
{
	link->draining = true;
	timer_start(&link->worker->timers, &link->drain, link->worker->now_ns + LINK_DRAIN_NS,
		link_drain_over);
}

void link_stop_channels(struct worker *worker, bool stop)
{
	struct link_table *table = link_table(worker);
	struct phx_list *p, *n, *tmp;

	table->stopped = stop;
	phx_list_for_each (p, &table->peers) {
		phx_list_for_each_safe (
			n, tmp, &phx_list_entry(p, struct peer_links, node)->channels) {
			struct channel *channel = phx_list_entry(n, struct channel, node);

			if (stop)
				channel_stop(channel, CHANNEL_STOPPED_HOST);
			else
				channel_resume(channel, CHANNEL_STOPPED_HOST);
		}
	}
}

struct channel *channel_find(struct worker *worker, uint64_t app, uint32_t handle)
{
	struct link_table *table = link_table(worker);
	struct phx_list *p, *n;

	phx_list_for_each (p, &table->peers) {
		phx_list_for_each (n, &phx_list_entry(p, struct peer_links, node)->channels) {
			struct channel *channel = phx_list_entry(n, struct channel, node);

			if (channel->handle == handle && session_id(channel->session) == app)
				return channel;
		}
	}
	return NULL;
}

uint32_t channel_inflight(const struct channel *channel)
{
	const struct phx_list *n;
	uint32_t count = 0;

	phx_list_for_each (n, &channel->paths) {
		const struct path *path = phx_list_entry(n, struct path, node);

		count += path->sent_count + path->admitted;
	}
	return count;
}

uint32_t link_inflight(const struct link *link)
{
	const struct phx_list *n;
	uint32_t count = 0;

	phx_list_for_each (n, &link->paths) {
		const struct path *path = phx_list_entry(n, struct path, link_node);

		count += path->sent_count + path->admitted;
	}
	phx_list_for_each (n, &link->rchannels) {
		count += phx_list_entry(n, struct rchannel, node)->calls;
	}
	return count;
}
