// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun channel: what joins an application to services at a peer.
#include "lib/ctl/methods.h"

#define CHANNEL_COLUMNS                                                                            \
	PHX_CTL_COLUMNS({"channel", "CHANNEL"}, {"app", "APP"}, {"side", "SIDE"},                  \
		{"target", "TARGET"}, {"link", "LINK"}, {"state", "STATE"},                        \
		{"inflight", "INFLIGHT"}, {"calls_total", "CALLS"})

static const struct phx_ctl_param filter[] = {
	{.name = "app", .type = PHX_CTL_GLOB, .help = "id of its application"},
	{.name = "link", .type = PHX_CTL_GLOB, .help = "id of its link"},
	{.name = "side", .type = PHX_CTL_GLOB, .help = "client or server"},
	{.name = "state", .type = PHX_CTL_GLOB, .help = "opening, open or closing"},
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
		.result = "channels: [{channel, app, side, target, link, state, inflight, "
			  "calls_total}], generation, next",
		.example = "channel list filter.app=app-3",
	},
	{
		.name = "channel.get",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "one channel with its credits and epoch",
		.params = PHX_CTL_PARAMS({.name = "channel",
			.type = PHX_CTL_GLOB,
			.required = true,
			.help = "id (chan-3)"}),
		.columns = CHANNEL_COLUMNS,
		.result = "the row of channel.list, and credits, epoch, services",
		.example = "channel get chan-3",
	},
	{.name = NULL},
};
