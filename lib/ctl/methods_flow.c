// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun flow: what the control plane asks of a dataplane for jobs. Each does one
// step at once and says how much is left. Only on dataplane.sock.
#include "lib/ctl/methods.h"

#define ACT                                                                                        \
	{                                                                                          \
		.name = "act", .type = PHX_CTL_ENUM, .required = true, .values = "drain|close",    \
		.help = "drain: take no new calls, for 3 s unless asked again; close: end what "   \
			"is left",                                                                 \
	}
#define FLOW_COLUMNS PHX_CTL_COLUMNS({"object", "OBJECT"}, {"inflight", "INFLIGHT"})
#define FLOW_RESULT  "object, inflight (calls that are under way)"

const struct phx_ctl_method phx_ctl_methods_flow[] = {
	{
		.name = "flow.channel",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_PRIVATE | PHX_CTL_ACTION,
		.summary = "a step of closing a channel",
		.params = PHX_CTL_PARAMS({.name = "channel",
						 .type = PHX_CTL_GLOB,
						 .required = true,
						 .help = "id (chan-3-0)"},
			ACT),
		.columns = FLOW_COLUMNS,
		.result = FLOW_RESULT,
		.example = "rpc flow.channel '{\"channel\":\"chan-3-0\",\"act\":\"drain\"}'",
	},
	{
		.name = "flow.link",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_PRIVATE | PHX_CTL_ACTION,
		.summary = "a step of closing a link",
		.params = PHX_CTL_PARAMS({.name = "link",
						 .type = PHX_CTL_GLOB,
						 .required = true,
						 .help = "id (link-3)"},
			ACT),
		.columns = FLOW_COLUMNS,
		.result = FLOW_RESULT,
		.example = "rpc flow.link '{\"link\":\"link-3\",\"act\":\"close\"}'",
	},
	{
		.name = "flow.host",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_PRIVATE | PHX_CTL_ACTION,
		.summary = "a step of taking the whole dataplane out of service",
		.params = PHX_CTL_PARAMS({.name = "act",
			.type = PHX_CTL_ENUM,
			.required = true,
			.values = "drain|resume|close",
			.help = "drain: no new application and no new call; resume: again; "
				"close: end the program"}),
		.columns = FLOW_COLUMNS,
		.result = FLOW_RESULT,
		.example = "rpc flow.host '{\"act\":\"drain\"}'",
	},
	{
		.name = "flow.listeners",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_PRIVATE,
		.summary = "whether listeners listen",
		.params = PHX_CTL_PARAMS(),
		.list_key = "listeners",
		.columns =
			PHX_CTL_COLUMNS({"name", "NAME"}, {"state", "STATE"}, {"error", "ERROR"}),
		.result = "listeners: [{name, address, state: listening or error, error, "
			  "accepted_total, refused_total}], generation, next",
		.example = "rpc flow.listeners",
	},
	{.name = NULL},
};
