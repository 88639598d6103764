// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun placement: which worker runs which application.
#include "lib/ctl/methods.h"

const struct phx_ctl_method phx_ctl_methods_placement[] = {
	{
		.name = "placement.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "applications with the worker that runs their session",
		.params = PHX_CTL_PARAMS(),
		.list_key = "placements",
		.columns = PHX_CTL_COLUMNS({"app", "APP"}, {"name", "NAME"}, {"worker", "WORKER"},
			{"lcore", "LCORE"}, {"pinned", "PINNED"}, {"placement", "PLACEMENT"},
			{"fixed", "FIXED"}, {"busy_ns_total", "BUSY_NS"}),
		.result = "placements: [{app, name, worker, lcore, pinned: its thread runs on one "
			  "CPU, placement: shared, spread, packed or dedicated, fixed: a rule "
			  "names the worker, busy_ns_total}], generation, next",
		.example = "placement list",
	},
	{
		.name = "placement.set",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_FORWARD | PHX_CTL_ACTION,
		.summary = "move an application's session to a worker while its calls flow",
		.params = PHX_CTL_PARAMS({.name = "app",
						 .type = PHX_CTL_GLOB,
						 .required = true,
						 .help = "id (app-3) or name of the application"},
			{.name = "worker",
				.type = PHX_CTL_INT,
				.required = true,
				.max = PHX_LIMIT_WORKERS_MAX - 1,
				.help = "index of the worker, see placement list"},
			{.name = "limit_ms",
				.type = PHX_CTL_INT,
				.lasts = true,
				.min = 1,
				.max = 60000,
				.unit = "ms",
				.help = "calls under way have so long to end (1000); else the "
					"session stays where it is"}),
		.columns = PHX_CTL_COLUMNS({"app", "APP"}, {"from", "FROM"}, {"to", "TO"},
			{"changed", "CHANGED"}, {"pause_us", "PAUSE_US"}),
		.result = "app, from, to, changed, pause_us: how long its calls waited",
		.example = "placement set app-3 worker 1",
	},
	{
		.name = "placement.rebalance",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_FORWARD | PHX_CTL_ACTION,
		.summary = "watch the load for a while, then move sessions to even it out",
		.params = PHX_CTL_PARAMS({.name = "dry_run",
						 .type = PHX_CTL_BOOL,
						 .help = "plan and answer, move nothing"},
			{.name = "window_ms",
				.type = PHX_CTL_INT,
				.lasts = true,
				.min = 10,
				.max = 60000,
				.unit = "ms",
				.help = "how long to watch (500)"}),
		.columns = PHX_CTL_COLUMNS({"moves", "MOVES"}, {"changed", "CHANGED"},
			{"spread_before_us", "SPREAD_BEFORE_US"},
			{"spread_after_us", "SPREAD_AFTER_US"}),
		.result = "moves: [{app, from, to, load_us, moved, pause_us, error: why it was not "
			  "moved}], changed: something was, "
			  "spread_before_us and spread_after_us: busiest less idlest worker in the "
			  "window, now and by the plan",
		.example = "placement rebalance dry_run true",
	},
	{.name = NULL},
};
