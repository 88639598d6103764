// SPDX-License-Identifier: BSD-3-Clause
// Handlers of the noun system. The status of the dataplane is asked of it and is a part of ours.
#include "controlplane/control.h"

#include "lib/base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ASK_NS (500 * PHX_NS_PER_MS) // a status that waits tells nothing any more

struct status_call {
	struct control *control;
	struct phx_ctl_call *call;
};

static json_t *generation_text(uint64_t generation)
{
	return json_sprintf("%llu", (unsigned long long)generation);
}

static void warn(json_t *warnings, const char *id, const char *text, const char *hint)
{
	(void)json_array_append_new(
		warnings, json_pack("{s:s, s:s, s:s}", "id", id, "text", text, "hint", hint));
}

// What the dataplane says of itself (NULL: nothing) goes into its part, its warnings behind ours.
static void add_dataplane(json_t *dataplane, json_t *warnings, json_t *said)
{
	static const char *const members[] = {
		"state", "version", "uptime_ms", "apps", "services", "peers", "workers"};
	const char *version = json_string_value(json_object_get(said, "version"));
	char text[128];

	for (size_t i = 0; i < PHX_ARRAY_LEN(members); i++) {
		json_t *value = json_object_get(said, members[i]);

		if (value != NULL)
			(void)json_object_set(dataplane, members[i], value);
	}
	if (version != NULL && strcmp(version, PHX_VERSION) != 0) {
		(void)snprintf(text, sizeof(text), "the dataplane is %.40s, the control plane %s",
			version, PHX_VERSION);
		warn(warnings, "version_mismatch", text, "restart the one that was not upgraded");
	}
	if (json_is_array(json_object_get(said, "warnings")))
		(void)json_array_extend(warnings, json_object_get(said, "warnings"));
}

// Why the dataplane does not have the rules in force.
static void warn_of_step(json_t *warnings, const struct reconcile_status *s)
{
	const char *text = s->error[0] != '\0' ? s->error : "the rules are being pushed";

	if (s->push_failed)
		warn(warnings, "push_failed", text,
			"it goes on with the rules it has, and is asked again more and more "
			"rarely");
	else if (s->up)
		warn(warnings, "out_of_step", text,
			"rules take effect when the dataplane has them");
	else
		warn(warnings, "dataplane_down", text,
			"start phoenix-dataplane in the same run directory");
}

// Of the whole: what an operator should look at first.
static const char *state_name(const struct reconcile_status *s, json_t *said)
{
	const char *state = json_string_value(json_object_get(said, "state"));

	if (!s->up || !s->synced)
		return "degraded";
	return state != NULL && strcmp(state, "draining") == 0 ? "draining" : "running";
}

static void status_reply(struct control *c, struct phx_ctl_call *call, json_t *said,
	const struct phx_ctl_error *silence)
{
	struct reconcile_status s;
	json_t *warnings = json_array(), *dataplane;

	reconcile_status(c->reconcile, &s);
	dataplane =
		json_pack("{s:b, s:s, s:o, s:I}", "up", s.up, "instance", s.instance, "generation",
			generation_text(s.generation), "pushes_total", (json_int_t)s.pushes_total);
	if (!s.synced)
		warn_of_step(warnings, &s);
	// An older dataplane does not have the method: that is no warning.
	if (silence != NULL && silence->code == PHX_DEADLINE_EXCEEDED)
		warn(warnings, "dataplane_slow", "the dataplane does not tell its status in time",
			"phoenix-cli lcore list");
	add_dataplane(dataplane, warnings, said);
	phx_ctl_call_reply(call,
		json_pack("{s:s, s:o, s:b, s:I, s:o, s:o}", "state", state_name(&s, said),
			"generation", generation_text(c->state.generation), "resynced", s.resynced,
			"uptime_ms", (json_int_t)((phx_clock_ns() - c->started_ns) / PHX_NS_PER_MS),
			"dataplane", dataplane, "warnings", warnings));
}

static void status_done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct status_call *s = arg;

	status_reply(s->control, s->call, result, e);
	free(s);
}

void noun_system_status(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;
	struct status_call *s = malloc(sizeof(*s));

	if (s != NULL) {
		*s = (struct status_call){c, call};
		if (reconcile_request(
			    c->reconcile, "system.status", NULL, ASK_NS, status_done, s) == 0)
			return;
	}
	free(s);
	status_reply(c, call, NULL, NULL);
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
