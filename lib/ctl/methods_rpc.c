// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun rpc: the control API about itself. Every server has them.
#include "lib/ctl/methods.h"

const struct phx_ctl_method phx_ctl_methods_rpc[] = {
	{
		.name = "rpc.methods",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "methods of this server",
		.params = PHX_CTL_PARAMS({.name = "prefix",
			.type = PHX_CTL_GLOB,
			.help = "only methods whose name starts so"}),
		.list_key = "methods",
		.columns = PHX_CTL_COLUMNS({"name", "NAME"}, {"role", "ROLE"}, {"state", "STATE"},
			{"summary", "SUMMARY"}),
		.result = "methods: [{name, summary, role, state}]",
		.example = "rpc methods prefix app",
	},
	{
		.name = "rpc.discover",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "the API as an OpenRPC document",
		.params = PHX_CTL_PARAMS(),
		.columns = PHX_CTL_COLUMNS({"openrpc", "OPENRPC"}, {"info", "INFO"}),
		.result = "an OpenRPC document",
		.example = "-j rpc discover",
	},
	{
		.name = "rpc.limits",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "the table of limits",
		.params = PHX_CTL_PARAMS(),
		.list_key = "limits",
		.columns = PHX_CTL_COLUMNS(
			{"name", "NAME"}, {"value", "VALUE"}, {"unit", "UNIT"}, {"text", "WHAT"}),
		.result = "limits: [{name, value, unit, text}]",
		.example = "rpc limits",
	},
	{.name = NULL},
};
