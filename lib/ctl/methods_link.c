// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun link: connections to other dataplanes.
#include "lib/ctl/methods.h"

#define LINK_COLUMNS                                                                               \
	PHX_CTL_COLUMNS({"link", "LINK"}, {"transport", "TRANSPORT"}, {"peer", "PEER"},            \
		{"direction", "DIRECTION"}, {"lcore", "LCORE"}, {"remote_worker", "REMOTE"},       \
		{"state", "STATE"}, {"channels", "CHANNELS"}, {"calls_out_total", "CALLS_OUT"},    \
		{"calls_in_total", "CALLS_IN"}, {"tx_bytes_total", "TX_BYTES"},                    \
		{"rx_bytes_total", "RX_BYTES"}, {"error", "ERROR"})
#define LINK_ROW                                                                                   \
	"{link, transport, peer, direction: dialled or accepted, state: up, draining (being "      \
	"closed), closing, connecting or backoff, lcore, worker, remote_worker, age_ms, "          \
	"channels, calls_out_total, "                                                              \
	"calls_in_total, dropped_frames_total, tx_bytes_total, rx_bytes_total, crc_errors_total, " \
	"blocked, backlog, lanes: [{lane, tx_frames_total, rx_frames_total, tx_bytes_total, "      \
	"rx_bytes_total, tx_syscalls_total, rx_syscalls_total, crc_errors_total}], error}"

static const struct phx_ctl_param filter[] = {
	{.name = "transport", .type = PHX_CTL_GLOB, .help = "tcp or local"},
	{.name = "state",
		.type = PHX_CTL_GLOB,
		.help = "up, draining, closing, connecting or backoff"},
	{.name = "peer", .type = PHX_CTL_GLOB, .help = "address, and name for accepted links"},
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
						 .help = "only links that match"},
			{.name = "all",
				.type = PHX_CTL_BOOL,
				.help = "with the links between workers of this dataplane"}),
		.list_key = "links",
		.columns = LINK_COLUMNS,
		.result = "links: [" LINK_ROW "], generation, next; a peer without a link stands "
			  "there as peer-N with attempts_total and error",
		.example = "link list",
	},
	{
		.name = "link.get",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "one link with its lanes",
		.params = PHX_CTL_PARAMS({.name = "link",
			.type = PHX_CTL_GLOB,
			.required = true,
			.help = "id (link-3)"}),
		.columns = LINK_COLUMNS,
		.result = "the row of link.list",
		.example = "link get link-3",
	},
	{
		.name = "link.close",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_ACTION | PHX_CTL_JOB,
		.summary = "end a link; a peer that has channels is dialled again",
		.params = PHX_CTL_PARAMS({.name = "link",
						 .type = PHX_CTL_GLOB,
						 .required = true,
						 .help = "id (link-3)"},
			PHX_CTL_PARAM_CLOSE_MODE, PHX_CTL_PARAM_WAIT),
		.columns = PHX_CTL_COLUMNS({"job", "JOB"}, {"state", "STATE"}, {"cut", "CUT"}),
		.result = PHX_CTL_JOB_RESULT,
		.example = "link close link-3 mode reset",
	},
	{.name = NULL},
};
