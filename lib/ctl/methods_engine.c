// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun engine: what a worker polls and what is placed.
#include "lib/ctl/methods.h"

static const struct phx_ctl_param filter[] = {
	{.name = "kind", .type = PHX_CTL_GLOB, .help = "session, tcp or links"},
	{.name = "object", .type = PHX_CTL_GLOB, .help = "app-3, link-1.small"},
	{.name = "lcore", .type = PHX_CTL_INT, .max = 1023, .help = "worker that owns it"},
	{.name = "state", .type = PHX_CTL_GLOB, .help = "active or parked"},
	{.name = NULL},
};

const struct phx_ctl_method phx_ctl_methods_engine[] = {
	{
		.name = "engine.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "sessions and links with the worker that polls them",
		.params = PHX_CTL_PARAMS({.name = "filter",
			.type = PHX_CTL_OBJECT,
			.fields = filter,
			.help = "only engines that match"}),
		.list_key = "engines",
		.columns = PHX_CTL_COLUMNS({"engine", "ENGINE"}, {"kind", "KIND"},
			{"object", "OBJECT"}, {"lcore", "LCORE"}, {"state", "STATE"},
			{"polls_total", "POLLS"}, {"work_total", "WORK"},
			{"busy_ns_total", "BUSY_NS"}, {"work_per_poll", "WORK/POLL"},
			{"ns_per_work", "NS/WORK"}),
		.result =
			"engines: [{engine, kind: session, tcp, or links (chunks of large "
			"messages), object, lcore, worker, state: active or parked, polls_total, "
			"work_total, busy_ns_total: estimated from one poll in 16, work_per_poll, "
			"ns_per_work}], generation, "
			"next",
		.example = "engine list filter.lcore=1",
	},
	{.name = NULL},
};
