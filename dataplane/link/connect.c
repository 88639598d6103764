// SPDX-License-Identifier: BSD-3-Clause
// Who waits for a connection of a channel: calls without a method, which end when one of its paths
// is open. Unlike calls they wait through refusals and back-off, until their deadline. See link.h
// and channel.c; worker thread, rare.
#include "dataplane/link/cluster.h"
#include "dataplane/link/link.h"

#include <stdio.h>

static const struct path *path_in(const struct channel *channel, enum path_state state)
{
	const struct phx_list *n;

	phx_list_for_each (n, &channel->paths) {
		const struct path *p = phx_list_entry(n, struct path, node);

		if (p->state == state && p->member != CLUSTER_NONE)
			return p;
	}
	return NULL;
}

// Is it clear how a wait ends? Then *out says so.
static bool connect_verdict(const struct channel *channel, struct call_status *out)
{
	*out = (struct call_status){
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
	};
	if (channel->stopped != 0) {
		out->code = PHX_UNAVAILABLE;
		out->reason = PHX_REASON_ADMIN;
		out->text = channel_stopped_why(channel);
		out->text_len = (uint16_t)strlen(out->text);
		return true;
	}
	return !channel->frozen && path_in(channel, PATH_OPEN) != NULL;
}

void channel_connect(struct call *call)
{
	struct call_status st;

	if (connect_verdict(call->channel, &st))
		call_complete(call, &st, NULL);
	else
		phx_list_add_tail(&call->channel->connects, &call->node);
}

PHX_COLD void connect_kick(struct channel *channel)
{
	struct call_status st;
	struct phx_list *n;

	if (!connect_verdict(channel, &st))
		return;
	while ((n = phx_list_pop(&channel->connects)) != NULL)
		call_complete(phx_list_entry(n, struct call, node), &st, NULL);
}

void connect_waits_for(const struct channel *channel, char *out_text, size_t size)
{
	const struct path *refused = path_in(channel, PATH_REFUSED);

	if (refused != NULL)
		(void)snprintf(out_text, size, "the peer refuses the channel: %s",
			phx_reason_name(refused->refused_reason));
	else
		(void)snprintf(out_text, size, "no connection: %s", channel_unreachable(channel));
}
