// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun service: registered services and who may register them.
#include "lib/ctl/methods.h"

#define RULE_FIELDS                                                                                \
	{                                                                                          \
		.name = "name",                                                                    \
		.type = PHX_CTL_NAME,                                                              \
		.required = true,                                                                  \
		.help = "name of the rule",                                                        \
	},                                                                                         \
		{                                                                                  \
			.name = "action",                                                          \
			.type = PHX_CTL_ENUM,                                                      \
			.required = true,                                                          \
			.values = "allow|deny|owner",                                              \
			.help = "owner: only the user id that registered the name first",          \
		},                                                                                 \
		{                                                                                  \
			.name = "service",                                                         \
			.type = PHX_CTL_GLOB,                                                      \
			.help = "matches these services; any when absent",                         \
		},                                                                                 \
		{                                                                                  \
			.name = "group",                                                           \
			.type = PHX_CTL_GLOB,                                                      \
			.help = "matches these groups; any when absent",                           \
		},                                                                                 \
		{                                                                                  \
			.name = "uid",                                                             \
			.type = PHX_CTL_INT,                                                       \
			.max = UINT32_MAX - 1,                                                     \
			.help = "matches this user id; any when absent",                           \
		},                                                                                 \
	{                                                                                          \
		.name = "gid", .type = PHX_CTL_INT, .max = UINT32_MAX - 1,                         \
		.help = "matches this group id; any when absent",                                  \
	}

const struct phx_ctl_param phx_ctl_register_rule_fields[] = {RULE_FIELDS, {.name = NULL}};

static const struct phx_ctl_param filter[] = {
	{.name = "service", .type = PHX_CTL_GLOB, .help = "service name"},
	{.name = "group", .type = PHX_CTL_GLOB, .help = "group name"},
	{.name = NULL},
};

const struct phx_ctl_method phx_ctl_methods_service[] = {
	{
		.name = "service.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "services registered on this host",
		.params = PHX_CTL_PARAMS({.name = "filter",
			.type = PHX_CTL_OBJECT,
			.fields = filter,
			.help = "only services that match"}),
		.list_key = "services",
		.columns = PHX_CTL_COLUMNS({"service", "SERVICE"}, {"group", "GROUP"},
			{"state", "STATE"}, {"instances", "INSTANCES"}, {"apps", "APPS"},
			{"owner_uid", "OWNER"}, {"schema", "SCHEMA"}),
		.result = "services: [{service, group, state: up or down, instances, apps, "
			  "owner_uid, schema (hash, null when down), schemas (of all instances), "
			  "methods: [{name, kind}]}], generation, next",
		.example = "service list filter.service='hello.*'",
	},
	{
		.name = "service.rule_list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "who may register: rules in the order of their check, first match wins",
		.params = PHX_CTL_PARAMS(),
		.list_key = "rules",
		.columns = PHX_CTL_COLUMNS({"name", "NAME"}, {"action", "ACTION"},
			{"service", "SERVICE"}, {"group", "GROUP"}, {"uid", "UID"}, {"gid", "GID"}),
		.result = "rules: [{name, action, service, group, uid, gid}], generation, next",
		.example = "service rule_list",
	},
	{
		.name = "service.rule_set",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "add a registration rule, or replace the one of that name",
		.params = PHX_CTL_PARAMS(RULE_FIELDS,
			{.name = "before",
				.type = PHX_CTL_NAME,
				.help = "place it before this rule; without: keep its place, "
					"a new one goes last"}),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"}),
		.result = "changed, generation",
		.example = "service rule_set pay action allow service pay.* uid 1000",
	},
	{
		.name = "service.rule_del",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "remove a registration rule",
		.params = PHX_CTL_PARAMS({.name = "name",
			.type = PHX_CTL_NAME,
			.required = true,
			.help = "name of the rule"}),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"}),
		.result = "changed, generation",
		.example = "service rule_del pay",
	},
	{.name = NULL},
};
