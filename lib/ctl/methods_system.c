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
		.result = "state: running, draining or degraded, generation, resynced, uptime_ms, "
			  "dataplane: "
			  "{up, instance, generation, pushes_total, and when it is up state: "
			  "startup, running or draining, "
			  "version, "
			  "uptime_ms, apps, services, peers, workers}, warnings of both: [{id, "
			  "text, hint}]",
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
	{
		.name = "system.drain",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_ACTION | PHX_CTL_JOB,
		.summary = "take this host out of service: no new application, no new call",
		.params = PHX_CTL_PARAMS({.name = "resume",
						 .type = PHX_CTL_BOOL,
						 .help = "take it into service again"},
			PHX_CTL_PARAM_WAIT),
		.columns = PHX_CTL_COLUMNS(
			{"job", "JOB"}, {"state", "STATE"}, {"inflight", "INFLIGHT"}),
		.result = PHX_CTL_JOB_RESULT "; done when no call is under way, failed at "
					     "timeout_ms (10 s); with resume: state: done",
		.example = "system drain wait yes",
	},
	{
		.name = "system.shutdown",
		.role = PHX_CTL_ADM,
		.flags = PHX_CTL_ACTION | PHX_CTL_JOB | PHX_CTL_STARTUP,
		.summary = "end the dataplane, then the control plane",
		.params = PHX_CTL_PARAMS({.name = "mode",
						 .type = PHX_CTL_ENUM,
						 .values = "graceful|fast",
						 .help = "graceful (default): calls under way have "
							 "until timeout_ms (10 s) to end"},
			PHX_CTL_PARAM_WAIT),
		.columns = PHX_CTL_COLUMNS({"job", "JOB"}, {"state", "STATE"}, {"cut", "CUT"}),
		.result = PHX_CTL_JOB_RESULT,
		.example = "system shutdown mode fast",
	},
	{
		.name = "system.doctor",
		.role = PHX_CTL_RO,
		.flags = PHX_CTL_STARTUP,
		.summary = "what the daemons find about themselves; see the command doctor",
		.params = PHX_CTL_PARAMS(),
		.list_key = "checks",
		.columns = PHX_CTL_COLUMNS({"id", "CHECK"}, {"level", "LEVEL"}, {"found", "FOUND"},
			{"needed", "NEEDED"}, {"fix", "FIX"}),
		.result = "version, checks: [{id, level: ok, warn or fail, found, needed, fix}]",
		.example = "system doctor",
	},
	{.name = NULL},
};
