// SPDX-License-Identifier: BSD-3-Clause
// Handlers of the noun system.
#include "controlplane/control.h"

#include "lib/base/clock.h"

static json_t *generation_text(uint64_t generation)
{
	return json_sprintf("%llu", (unsigned long long)generation);
}

void noun_system_status(void *arg, struct phx_ctl_call *call)
{
	const struct control *c = arg;
	struct reconcile_status s;
	json_t *warnings = json_array();

	reconcile_status(c->reconcile, &s);
	if (!s.synced)
		(void)json_array_append_new(warnings,
			json_pack("{s:s, s:s, s:s}", "id", s.up ? "out_of_step" : "dataplane_down",
				"text", s.error[0] != '\0' ? s.error : "the rules are being pushed",
				"hint",
				s.up ? "rules take effect when the dataplane has them"
				     : "start phoenix-dataplane in the same run directory"));
	phx_ctl_call_reply(call,
		json_pack("{s:s, s:o, s:b, s:I, s:{s:b, s:s, s:o, s:I}, s:o}", "state",
			s.up && s.synced ? "running" : "degraded", "generation",
			generation_text(c->state.generation), "resynced", s.resynced, "uptime_ms",
			(json_int_t)((phx_clock_ns() - c->started_ns) / PHX_NS_PER_MS), "dataplane",
			"up", s.up, "instance", s.instance, "generation",
			generation_text(s.generation), "pushes_total", (json_int_t)s.pushes_total,
			"warnings", warnings));
}

void noun_system_version(void *arg, struct phx_ctl_call *call)
{
	(void)arg;
	phx_ctl_call_reply(
		call, json_pack("{s:s, s:s, s:{s:i, s:i}, s:{s:i, s:i}}", "program",
			      "phoenix-controlplane", "version", PHX_VERSION, "api", "min", 1,
			      "max", 1, "document", "min", PHX_CTL_DOCUMENT_VERSION, "max",
			      PHX_CTL_DOCUMENT_VERSION));
}
