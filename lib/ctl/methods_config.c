// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun config: everything that operators want, as one document.
#include "lib/ctl/methods.h"

#define CONFIG                                                                                     \
	{                                                                                          \
		.name = "config", .type = PHX_CTL_DOCUMENT,                                        \
		.help = "the document; the saved file when absent"                                 \
	}

#define PLAN_COLUMNS                                                                               \
	{"op", "OP"}, {"kind", "KIND"}, {"name", "NAME"},                                          \
	{                                                                                          \
		"disruptive", "DISRUPTIVE"                                                         \
	}

const struct phx_ctl_method phx_ctl_methods_config[] = {
	{
		.name = "config.get",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "what operators want, as one document",
		.params = PHX_CTL_PARAMS({.name = "section",
			.type = PHX_CTL_NAME,
			.help = "only this member of the document"}),
		.columns = PHX_CTL_COLUMNS(
			{"generation", "GENERATION"}, {"digest", "DIGEST"}, {"config", "CONFIG"}),
		.result = "config (version, sections in fixed order, nothing that is empty), "
			  "generation, digest",
		.example = "-j config get",
	},
	{
		.name = "config.save",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_ACTION | PHX_CTL_STARTUP,
		.summary = "write the document into a file, atomically, mode 0640",
		.params = PHX_CTL_PARAMS({.name = "path",
			.type = PHX_CTL_PATH,
			.help = "file on the host of the control plane; the one of --config, "
				"else config.json beside the journal, when absent"}),
		.columns = PHX_CTL_COLUMNS(
			{"path", "PATH"}, {"bytes", "BYTES"}, {"generation", "GENERATION"}),
		.result = "path, bytes, digest, generation",
		.example = "config save site.json",
	},
	{
		.name = "config.load",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "take a document over, all of it or nothing",
		.params = PHX_CTL_PARAMS(CONFIG,
			{.name = "mode",
				.type = PHX_CTL_ENUM,
				.values = "merge|replace",
				.help = "merge (default): add and change; replace: remove what "
					"the document does not have"}),
		.columns = PHX_CTL_COLUMNS(
			{"changed", "CHANGED"}, {"generation", "GENERATION"}, {"plan", "PLAN"}),
		.result = "plan: [{op: add, change or remove, kind, name, from, to, disruptive: "
			  "links may close}], changed, generation",
		.example = "config load site.json mode replace dry_run yes",
	},
	{
		.name = "config.diff",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "what loading a document would change",
		.params = PHX_CTL_PARAMS(
			CONFIG, {.name = "mode",
					.type = PHX_CTL_ENUM,
					.values = "replace|merge",
					.help = "replace (default) or merge, as for config load"}),
		.list_key = "plan",
		.columns = PHX_CTL_COLUMNS(PLAN_COLUMNS),
		.result = "plan: [{op, kind, name, from, to, disruptive}], generation, next",
		.example = "config diff site.json",
	},
	{
		.name = "config.validate",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP | PHX_CTL_FAULTS,
		.summary = "check a document without loading it",
		.params = PHX_CTL_PARAMS(CONFIG),
		.list_key = "errors",
		.columns = PHX_CTL_COLUMNS({"pointer", "POINTER"}, {"text", "ERROR"}),
		.result = "errors: [{pointer, text, hint}] (empty: it is good; else the shell "
			  "exits with 67), generation, next",
		.example = "config validate site.json",
	},
	{.name = NULL},
};
