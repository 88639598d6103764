// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun lcore: the threads of the dataplane.
#include "lib/ctl/methods.h"

const struct phx_ctl_method phx_ctl_methods_lcore[] = {
	{
		.name = "lcore.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "workers with their load",
		.params = PHX_CTL_PARAMS(),
		.list_key = "lcores",
		.columns = PHX_CTL_COLUMNS({"lcore", "LCORE"}, {"role", "ROLE"}, {"cpus", "CPUS"},
			{"engines", "ENGINES"}, {"busy_ns_total", "BUSY_NS"},
			{"sleeps_total", "SLEEPS"}),
		.result = "lcores: [{lcore, role, cpus, engines, rounds_total, busy_ns_total, "
			  "sleeps_total}], generation, next",
		.example = "lcore list",
	},
	{.name = NULL},
};
