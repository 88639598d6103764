// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun link: connections to other dataplanes.
#include "lib/ctl/methods.h"

#define LINK_COLUMNS                                                                               \
	PHX_CTL_COLUMNS({"link", "LINK"}, {"transport", "TRANSPORT"}, {"peer", "PEER"},            \
		{"lane", "LANE"}, {"lcore", "LCORE"}, {"state", "STATE"},                          \
		{"tx_bytes_total", "TX_BYTES"}, {"rx_bytes_total", "RX_BYTES"})

static const struct phx_ctl_param filter[] = {
	{.name = "transport", .type = PHX_CTL_GLOB, .help = "tcp"},
	{.name = "state", .type = PHX_CTL_GLOB, .help = "connecting, up or down"},
	{.name = "lcore", .type = PHX_CTL_INT, .max = 1023, .help = "worker that owns it"},
	{.name = NULL},
};

const struct phx_ctl_method phx_ctl_methods_link[] = {
	{
		.name = "link.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "links to other dataplanes",
		.params = PHX_CTL_PARAMS({.name = "filter",
			.type = PHX_CTL_OBJECT,
			.fields = filter,
			.help = "only links that match"}),
		.list_key = "links",
		.columns = LINK_COLUMNS,
		.result = "links: [{link, transport, local, peer, lane, lcore, state, age_ms, "
			  "tx_bytes_total, rx_bytes_total}], generation, next",
		.example = "link list",
	},
	{
		.name = "link.get",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "one link with credits, queues and the last error",
		.params = PHX_CTL_PARAMS({.name = "link",
			.type = PHX_CTL_GLOB,
			.required = true,
			.help = "id (link-3)"}),
		.columns = LINK_COLUMNS,
		.result = "the row of link.list, and credits, queues, last_error",
		.example = "link get link-3",
	},
	{.name = NULL},
};
