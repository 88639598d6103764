// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun channel: what joins an application to services at a peer.
#include "lib/ctl/methods.h"

#define CHANNEL_COLUMNS                                                                            \
	PHX_CTL_COLUMNS({"channel", "CHANNEL"}, {"app", "APP"}, {"target", "TARGET"},              \
		{"state", "STATE"}, {"lcore", "LCORE"}, {"services", "SERVICES"},                  \
		{"links", "LINKS"}, {"inflight", "INFLIGHT"}, {"pending", "PENDING"},              \
		{"calls_total", "CALLS"})

static const struct phx_ctl_param filter[] = {
	{.name = "app", .type = PHX_CTL_GLOB, .help = "id of its application"},
	{.name = "target", .type = PHX_CTL_GLOB, .help = "as the application named it"},
	{.name = "state",
		.type = PHX_CTL_GLOB,
		.help = "open, opening, connecting, backoff, draining or closed"},
	{.name = NULL},
};

const struct phx_ctl_method phx_ctl_methods_channel[] = {
	{
		.name = "channel.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "channels of applications",
		.params = PHX_CTL_PARAMS({.name = "filter",
			.type = PHX_CTL_OBJECT,
			.fields = filter,
			.help = "only channels that match"}),
		.list_key = "channels",
		.columns = CHANNEL_COLUMNS,
		.result = "channels: [{channel, app, target, state: open, opening, connecting, "
			  "backoff, draining (being closed, or the host is drained) or closed (by "
			  "the operator), lcore, services, links, "
			  "inflight, pending: calls that wait for service, link or credit, "
			  "calls_total, tx_bytes_total}], generation, next",
		.example = "channel list filter.app=app-3",
	},
	{
		.name = "channel.get",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "one channel with its credit on each link",
		.params = PHX_CTL_PARAMS({.name = "channel",
			.type = PHX_CTL_GLOB,
			.required = true,
			.help = "id (chan-3-0)"}),
		.columns = CHANNEL_COLUMNS,
		.result = "the row of channel.list, and paths: [{link, state: opening, open, "
			  "refused or lost, remote_worker, epoch, inflight, sequence, "
			  "sequence_limit, bytes_sent, bytes_limit}]",
		.example = "channel get chan-3-0",
	},
	{
		.name = "channel.close",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_ACTION | PHX_CTL_JOB,
		.summary = "take a channel from its application: its calls end",
		.params = PHX_CTL_PARAMS({.name = "channel",
						 .type = PHX_CTL_GLOB,
						 .required = true,
						 .help = "id (chan-3-0)"},
			PHX_CTL_PARAM_CLOSE_MODE, PHX_CTL_PARAM_WAIT),
		.columns = PHX_CTL_COLUMNS({"job", "JOB"}, {"state", "STATE"}, {"cut", "CUT"}),
		.result = PHX_CTL_JOB_RESULT,
		.example = "channel close chan-3-0 mode reset",
	},
	{.name = NULL},
};
