// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun app: attached applications and the rules that let them attach.
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
			.values = "allow|deny",                                                    \
			.help = "what happens to an application that matches",                     \
		},                                                                                 \
		{                                                                                  \
			.name = "uid",                                                             \
			.type = PHX_CTL_INT,                                                       \
			.max = UINT32_MAX - 1,                                                     \
			.help = "matches this user id; any when absent",                           \
		},                                                                                 \
		{                                                                                  \
			.name = "gid",                                                             \
			.type = PHX_CTL_INT,                                                       \
			.max = UINT32_MAX - 1,                                                     \
			.help = "matches this group id; any when absent",                          \
		},                                                                                 \
		{                                                                                  \
			.name = "app",                                                             \
			.type = PHX_CTL_NAME,                                                      \
			.help = "name given to an application that matches",                       \
		},                                                                                 \
		{                                                                                  \
			.name = "placement",                                                       \
			.type = PHX_CTL_ENUM,                                                      \
			.values = "shared|spread|packed|dedicated",                                \
			.help = "worker for its session: the emptiest (shared), away from its "    \
				"like (spread), the first with time left (packed), one for "       \
				"itself (dedicated)",                                              \
		},                                                                                 \
		{                                                                                  \
			.name = "worker",                                                          \
			.type = PHX_CTL_INT,                                                       \
			.max = PHX_LIMIT_WORKERS_MAX - 1,                                          \
			.help = "this worker, see placement list; rebalance leaves it there",      \
		},                                                                                 \
	{                                                                                          \
		.name = "labels", .type = PHX_CTL_MAP, .max = PHX_LIMIT_LABELS_MAX,                \
		.help = "labels given to an application that matches",                             \
	}

const struct phx_ctl_param phx_ctl_attach_rule_fields[] = {RULE_FIELDS, {.name = NULL}};

#define APP_ID                                                                                     \
	{                                                                                          \
		.name = "app", .type = PHX_CTL_GLOB, .required = true,                             \
		.help = "id (app-3), name, or a claimed name that only one has",                   \
	}

#define APP_COLUMNS                                                                                \
	PHX_CTL_COLUMNS({"app", "APP"}, {"name", "NAME"}, {"claimed_name", "CLAIMED"},             \
		{"pid", "PID"}, {"uid", "UID"}, {"state", "STATE"}, {"services", "SERVICES"},      \
		{"channels", "CHANNELS"}, {"inflight", "INFLIGHT"}, {"calls_total", "CALLS"},      \
		{"requests_total", "REQUESTS"}, {"shm_bytes", "SHM_BYTES"})

#define RULE_COLUMNS                                                                               \
	PHX_CTL_COLUMNS({"name", "NAME"}, {"action", "ACTION"}, {"uid", "UID"}, {"gid", "GID"},    \
		{"app", "APP"}, {"placement", "PLACEMENT"}, {"worker", "WORKER"},                  \
		{"labels", "LABELS"})

static const struct phx_ctl_param filter[] = {
	{.name = "app", .type = PHX_CTL_GLOB, .help = "id"},
	{.name = "name", .type = PHX_CTL_GLOB, .help = "name given by the rules"},
	{.name = "uid", .type = PHX_CTL_INT, .max = UINT32_MAX - 1, .help = "user id"},
	{.name = "state", .type = PHX_CTL_GLOB, .help = "attaching, attached or detaching"},
	{.name = NULL},
};

const struct phx_ctl_method phx_ctl_methods_app[] = {
	{
		.name = "app.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "attached applications",
		.params = PHX_CTL_PARAMS({.name = "filter",
			.type = PHX_CTL_OBJECT,
			.fields = filter,
			.help = "only applications that match"}),
		.list_key = "apps",
		.columns = APP_COLUMNS,
		.result =
			"apps: [{app, name (by the rules, \"\" = none), claimed_name, state, rule, "
			"labels, pid, uid, gid, exe, cgroup, attached_at, library, lcore, "
			"services, channels, inflight, serving, calls_total, errors_total, "
			"requests_total, replies_total, shm_bytes}], generation, next",
		.example = "app list filter.uid=1000",
	},
	{
		.name = "app.get",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "one application with its services, quotas and queues",
		.params = PHX_CTL_PARAMS(APP_ID),
		.columns = APP_COLUMNS,
		.result = "the row of app.list, and registered: [{service, group}], memory: "
			  "{send_bytes, recv_bytes, queue_bytes, send_regions, recv_regions}, "
			  "quotas: {send_bytes, recv_bytes, message_bytes, snapshot_bytes}, "
			  "schemas, lent_blocks, recv_used_bytes, room_waits_total, "
			  "wakeups_total, dropped_replies_total, queues: [{queue, "
			  "submission_slots, return_slots, completion_slots, calls_max, inflight, "
			  "request_slots, lent_blocks, requests_waiting, replies_parked}], "
			  "last_errors: [{service, method, status, reason, origin, executed, "
			  "calls_total, age_ms}]",
		.example = "app get app-3",
	},
	{
		.name = "app.history",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "applications that have ended, and why",
		.params = PHX_CTL_PARAMS(),
		.list_key = "apps",
		.columns = PHX_CTL_COLUMNS({"app", "APP"}, {"name", "NAME"},
			{"claimed_name", "CLAIMED"}, {"pid", "PID"}, {"uid", "UID"},
			{"reason", "REASON"}, {"text", "TEXT"}, {"ended_at", "ENDED"}),
		.result = "apps: [{app, name, claimed_name, uid, pid, reason, text, ended_at}], "
			  "newest "
			  "first, the last 64; generation, next",
		.example = "app history",
	},
	{
		.name = "app.detach",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_FORWARD | PHX_CTL_ACTION,
		.summary = "disconnect an application",
		.params = PHX_CTL_PARAMS(APP_ID, {.name = "reason",
							 .type = PHX_CTL_TEXT,
							 .min = 1,
							 .max = 200,
							 .unit = "bytes",
							 .help = "text for the log"}),
		.columns = PHX_CTL_COLUMNS({"app", "APP"}, {"changed", "CHANGED"}),
		.result = "app, changed",
		.example = "app detach app-3 reason maintenance",
	},
	{
		.name = "app.rule_list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "who may attach: rules in the order of their check, first match wins",
		.params = PHX_CTL_PARAMS(),
		.list_key = "rules",
		.columns = RULE_COLUMNS,
		.result = "rules: [{name, action, uid, gid, app, placement, worker, labels}], "
			  "generation, next",
		.example = "app rule_list",
	},
	{
		.name = "app.rule_set",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "add an attach rule, or replace the one of that name",
		.params = PHX_CTL_PARAMS(RULE_FIELDS,
			{.name = "before",
				.type = PHX_CTL_NAME,
				.help = "place it before this rule; without: keep its place, "
					"a new one goes last"}),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"}),
		.result = "changed, generation",
		.example = "app rule_set web action allow uid 1000 app web labels.tier=front",
	},
	{
		.name = "app.rule_del",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_MUTATES | PHX_CTL_STARTUP,
		.summary = "remove an attach rule",
		.params = PHX_CTL_PARAMS({.name = "name",
			.type = PHX_CTL_NAME,
			.required = true,
			.help = "name of the rule"}),
		.columns = PHX_CTL_COLUMNS({"changed", "CHANGED"}, {"generation", "GENERATION"}),
		.result = "changed, generation",
		.example = "app rule_del web",
	},
	{.name = NULL},
};
