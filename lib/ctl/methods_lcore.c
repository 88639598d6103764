// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun lcore: the threads of the dataplane.
#include "lib/ctl/methods.h"

const struct phx_ctl_method phx_ctl_methods_lcore[] = {
	{
		.name = "lcore.list",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_FORWARD,
		.summary = "threads of the dataplane with their load",
		.params = PHX_CTL_PARAMS(),
		.list_key = "lcores",
		.columns = PHX_CTL_COLUMNS({"lcore", "LCORE"}, {"role", "ROLE"}, {"cpus", "CPUS"},
			{"engines", "ENGINES"}, {"busy_ns_total", "BUSY_NS"},
			{"sleep_ns_total", "SLEEP_NS"}, {"sleeps_total", "SLEEPS"},
			{"wakeups_total", "WAKEUPS"}, {"work_per_poll", "WORK/POLL"},
			{"ns_per_work", "NS/WORK"}, {"longest_poll_ns", "LONGEST_NS"}),
		.result = "lcores: [{lcore, role: worker or control, cpus, pinned, engines, and of "
			  "workers rounds_total, idle_rounds_total, work_total, busy_ns_total, "
			  "sleep_ns_total, yields_total, sleeps_total, wakeups_total, "
			  "longest_poll_ns, work_per_poll: calls and frames of a round that had "
			  "some, ns_per_work}], generation, next",
		.example = "lcore list",
	},
	{.name = NULL},
};
