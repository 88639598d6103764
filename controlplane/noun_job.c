// SPDX-License-Identifier: BSD-3-Clause
// Handlers of the noun job, and of the methods that begin one. Works with job.c.
#include "controlplane/control.h"

#include <string.h>

void noun_job_list(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;

	jobs_list(&c->jobs, call, c->state.generation);
}

void noun_job_get(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;

	jobs_get(&c->jobs, call);
}

void noun_job_wait(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;

	jobs_wait(&c->jobs, call);
}

// Close what the parameter `noun` names.
static void close_object(
	struct control *c, struct phx_ctl_call *call, const char *noun, const char *method)
{
	const char *object = phx_ctl_call_string(call, noun, "");
	const struct job_plan plan = {
		.method = method,
		.params = json_pack("{s:s}", noun, object),
		.object = object,
		.drain = strcmp(phx_ctl_call_string(call, "mode", "drain"), "drain") == 0,
		.close = true,
	};

	jobs_start(&c->jobs, call, &plan);
}

void noun_channel_close(void *arg, struct phx_ctl_call *call)
{
	close_object(arg, call, "channel", "flow.channel");
}

void noun_link_close(void *arg, struct phx_ctl_call *call)
{
	close_object(arg, call, "link", "flow.link");
}

static void resumed(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct phx_ctl_call *call = arg;

	if (result != NULL)
		phx_ctl_call_reply(call, json_pack("{s:s}", "state", "done"));
	else
		phx_ctl_call_fail(call, e);
}

void noun_system_drain(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;
	const struct job_plan plan = {
		.method = "flow.host", .params = json_object(), .object = "host", .drain = true};

	if (!phx_ctl_call_bool(call, "resume")) {
		jobs_start(&c->jobs, call, &plan);
		return;
	}
	(void)json_object_set_new(plan.params, "act", json_string("resume"));
	control_request(c, call, "flow.host", plan.params, resumed);
	json_decref(plan.params);
}

void noun_system_shutdown(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;
	const struct job_plan plan = {
		.method = "flow.host",
		.params = json_object(),
		.object = "host",
		.drain = strcmp(phx_ctl_call_string(call, "mode", "graceful"), "graceful") == 0,
		.close = true,
		.stop = true,
	};

	jobs_start(&c->jobs, call, &plan);
}
