// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun system: versions and the state of the programs.
#include "lib/ctl/methods.h"

const struct phx_ctl_method phx_ctl_methods_system[] = {
	{
		.name = "system.status",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "state of control plane and dataplane",
		.params = PHX_CTL_PARAMS(),
		.columns = PHX_CTL_COLUMNS({"state", "STATE"}, {"generation", "GENERATION"},
			{"resynced", "RESYNCED"}, {"dataplane", "DATAPLANE"},
			{"warnings", "WARNINGS"}),
		.result = "state: running or degraded, generation, resynced, uptime_ms, dataplane: "
			  "{up, instance, generation, pushes_total}, "
			  "warnings: [{id, text, hint}]",
		.example = "system status",
	},
	{
		.name = "system.version",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "versions of program and interfaces",
		.params = PHX_CTL_PARAMS(),
		.columns = PHX_CTL_COLUMNS(
			{"program", "PROGRAM"}, {"version", "VERSION"}, {"api", "API"}),
		.result = "program, version, api: {min, max}, document: {min, max}",
		.example = "system version",
	},
	{.name = NULL},
};
