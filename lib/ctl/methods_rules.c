// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun rules: what the control plane says to a dataplane. Only on
// dataplane.sock.
#include "lib/ctl/methods.h"

const struct phx_ctl_method phx_ctl_methods_rules[] = {
	{
		.name = "rules.get",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_PRIVATE,
		.summary = "the rules in force",
		.params = PHX_CTL_PARAMS({.name = "document",
			.type = PHX_CTL_BOOL,
			.help = "answer the whole document"}),
		.columns = PHX_CTL_COLUMNS({"instance", "INSTANCE"}, {"generation", "GENERATION"},
			{"digest", "DIGEST"}),
		.result = "instance, generation (null without rules), digest, document when asked",
		.example = "rpc rules.get",
	},
	{
		.name = "rules.push",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_PRIVATE | PHX_CTL_ACTION,
		.summary = "replace the rules in force, all or nothing",
		.params = PHX_CTL_PARAMS({.name = "document",
			.type = PHX_CTL_OBJECT,
			.required = true,
			.help = "intent document, version 1"}),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"}),
		.result = "changed, generation, digest",
		.example = "rpc rules.push '{\"document\":{\"version\":1,\"generation\":\"1\"}}'",
	},
	{.name = NULL},
};
