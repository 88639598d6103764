// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun log: what the daemons write to their logs.
#include "lib/ctl/methods.h"

#define DAEMON                                                                                     \
	{                                                                                          \
		.name = "daemon", .type = PHX_CTL_ENUM, .values = "controlplane|dataplane",        \
		.help = "one of the daemons; both when absent"                                     \
	}
#define LEVEL_COLUMNS                                                                              \
	PHX_CTL_COLUMNS({"daemon", "DAEMON"}, {"component", "COMPONENT"}, {"level", "LEVEL"})

const struct phx_ctl_method phx_ctl_methods_log[] = {
	{
		.name = "log.get",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "levels of the daemons' components",
		.params = PHX_CTL_PARAMS({.name = "component",
						 .type = PHX_CTL_GLOB,
						 .help = "only components of that name"},
			DAEMON),
		.list_key = "levels",
		.columns = LEVEL_COLUMNS,
		.result = "levels: [{daemon, component, level}]",
		.example = "log get link daemon dataplane",
	},
	{
		.name = "log.set",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_ACTION | PHX_CTL_STARTUP,
		.summary = "change levels until the daemon ends",
		.params = PHX_CTL_PARAMS({.name = "component",
						 .type = PHX_CTL_GLOB,
						 .required = true,
						 .help = "component; * is everything"},
			{.name = "level",
				.type = PHX_CTL_ENUM,
				.required = true,
				.values = "err|warn|info|debug",
				.help = "lines of this level and above are written"},
			DAEMON),
		.list_key = "levels",
		.columns = LEVEL_COLUMNS,
		.result = "changed, levels: [{daemon, component, level}] of the components that "
			  "were meant",
		.example = "log set attach level debug",
	},
	{.name = NULL},
};
