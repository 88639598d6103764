// SPDX-License-Identifier: BSD-3-Clause
// The noun trace: one trace of calls at a time. Control makes it and gives it to all workers;
// when its calls have ended or its time is over it is taken from them again, and its calls are kept
// as rows until the next one starts. Works with core/trace.h and api_trace_row.c.
#include "dataplane/control/api_trace.h"

#include "lib/base/clock.h"

#include <stdlib.h>
#include <string.h>

#define COUNT_DEFAULT	    5
#define DURATION_MS_DEFAULT 5000

enum trace_state { TRACE_GIVING, TRACE_RUNNING, TRACE_TAKING, TRACE_DONE };

struct trace_part {
	struct cmd cmd;
	struct api_trace *owner;
	struct worker *worker;
};

struct api_trace {
	struct api *api;
	enum trace_state state;
	uint32_t generation;  // of the trace
	uint32_t count;	      // asked for
	bool over;	      // to be taken as soon as all workers have it
	const char *ended_by; // static
	uint64_t end_ns;
	struct timer timer;
	struct trace *trace; // while workers may have it
	char *method;
	json_t *calls; // when DONE
	struct cmd full_cmd;
	unsigned outstanding; // commands that are with workers
	struct trace_part part[PHX_LIMIT_WORKERS_MAX];
};

// What workers see, and whose it is.
struct owned_trace {
	struct api_trace *owner;
	struct trace trace;
};

static const char *trace_id(char text[API_ID_BYTES], const struct api_trace *t)
{
	return api_id(text, "trace", t->generation);
}

// ---- giving it to workers and taking it back ----

static void part_returned(struct worker *worker, struct cmd *cmd);

static void give_here(struct worker *worker, struct cmd *cmd)
{
	struct trace_part *part = phx_container_of(cmd, struct trace_part, cmd);

	worker->trace = part->owner->trace;
	ctl_post(part->owner->api->config.loop, cmd, part_returned);
}

static void take_here(struct worker *worker, struct cmd *cmd)
{
	struct trace_part *part = phx_container_of(cmd, struct trace_part, cmd);

	worker->trace = NULL;
	ctl_post(part->owner->api->config.loop, cmd, part_returned);
}

static void post_all(struct api_trace *t, void (*fn)(struct worker *, struct cmd *))
{
	t->outstanding = t->api->config.worker_count;
	for (unsigned i = 0; i < t->api->config.worker_count; i++)
		worker_post(t->part[i].worker, &t->part[i].cmd, fn);
}

static void end(struct api_trace *t, const char *why)
{
	if (t->ended_by == NULL)
		t->ended_by = why;
	t->over = true;
	if (t->state != TRACE_RUNNING)
		return;
	t->state = TRACE_TAKING;
	ctl_timer_stop(t->api->config.loop, &t->timer);
	post_all(t, take_here);
}

static void part_returned(struct worker *worker, struct cmd *cmd)
{
	struct api_trace *t = phx_container_of(cmd, struct trace_part, cmd)->owner;

	(void)worker;
	if (--t->outstanding != 0)
		return;
	if (t->state == TRACE_GIVING) {
		t->state = TRACE_RUNNING;
		if (t->over)
			end(t, t->ended_by);
		return;
	}
	// No worker has it, and what the last of them posted has come before its part.
	t->calls = api_trace_calls(t->trace);
	t->state = TRACE_DONE;
	free(phx_container_of(t->trace, struct owned_trace, trace));
	t->trace = NULL;
}

static void full_here(struct worker *worker, struct cmd *cmd)
{
	(void)worker;
	end(phx_container_of(cmd, struct api_trace, full_cmd), "count");
}

static void full(struct trace *trace)
{
	struct api_trace *t = phx_container_of(trace, struct owned_trace, trace)->owner;

	ctl_post(t->api->config.loop, &t->full_cmd, full_here);
}

static void time_over(struct worker *worker, struct timer *timer)
{
	(void)worker;
	end(phx_container_of(timer, struct api_trace, timer), "duration");
}

// ---- methods ----

static struct api_trace *trace_get(struct api *api)
{
	struct api_trace *t = api->trace;

	if (t != NULL)
		return t;
	t = calloc(1, sizeof(*t));
	if (t == NULL)
		return NULL;
	t->api = api;
	t->state = TRACE_DONE;
	timer_init(&t->timer);
	for (unsigned i = 0; i < api->config.worker_count; i++) {
		t->part[i].owner = t;
		t->part[i].worker = api->config.workers[i];
	}
	api->trace = t;
	return t;
}

static void fail_running(struct phx_ctl_call *call, const struct api_trace *t)
{
	uint64_t now = phx_clock_ns();
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	char id[API_ID_BYTES];

	(void)phx_ctl_error_set(&e, PHX_FAILED_PRECONDITION,
		"%s is running, for %llu ms more at most", trace_id(id, t),
		(unsigned long long)((t->end_ns > now ? t->end_ns - now : 0) / PHX_NS_PER_MS));
	phx_ctl_error_add(&e, "hint", json_sprintf("phoenix-cli trace rpc_stop %s", id));
	phx_ctl_call_fail(call, &e);
	phx_ctl_error_fini(&e);
}

// Everything that a new trace needs. False: no memory.
static bool prepare(struct api_trace *t, const char *method, uint32_t count)
{
	struct owned_trace *o = calloc(1, sizeof(*o) + count * sizeof(o->trace.record[0]));
	char *copy = strdup(method);

	if (o == NULL || copy == NULL) {
		free(o);
		free(copy);
		return false;
	}
	free(t->method);
	json_decref(t->calls);
	t->calls = NULL;
	t->method = copy;
	t->trace = &o->trace;
	o->owner = t;
	return true;
}

void api_trace_rpc_start(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	struct api_trace *t = trace_get(api);
	uint32_t count = (uint32_t)phx_ctl_call_int(call, "count", COUNT_DEFAULT);
	uint64_t ms = (uint64_t)phx_ctl_call_int(call, "duration_ms", DURATION_MS_DEFAULT);
	uint64_t app = 0;
	char id[API_ID_BYTES];

	if (t != NULL && t->state != TRACE_DONE) {
		fail_running(call, t);
		return;
	}
	if (phx_ctl_call_string(call, "app", NULL) != NULL && !api_app_find(api, call, &app))
		return;
	if (t == NULL || !prepare(t, phx_ctl_call_string(call, "method", "*"), count)) {
		phx_ctl_call_fail_code(call, PHX_INTERNAL, "out of memory");
		return;
	}
	t->generation++;
	t->count = count;
	t->over = false;
	t->ended_by = NULL;
	t->trace->generation = t->generation;
	t->trace->count = count;
	t->trace->app = app;
	t->trace->method = t->method;
	t->trace->full = full;
	t->end_ns = phx_clock_ns() + ms * PHX_NS_PER_MS;
	t->state = TRACE_GIVING;
	ctl_timer_start(api->config.loop, &t->timer, t->end_ns, time_over);
	post_all(t, give_here);
	phx_ctl_call_reply(call, json_pack("{s:s, s:b}", "trace", trace_id(id, t), "changed", 1));
}

// The one that the call names; NULL: answered.
static struct api_trace *trace_find(struct api *api, struct phx_ctl_call *call)
{
	const char *name = phx_ctl_call_string(call, "trace", "");
	struct api_trace *t = api->trace;
	char id[API_ID_BYTES];

	if (t != NULL && t->generation != 0 && strcmp(name, trace_id(id, t)) == 0)
		return t;
	phx_ctl_call_not_found(call, "trace", "trace", name, NULL, NULL);
	return NULL;
}

void api_trace_rpc_get(void *arg, struct phx_ctl_call *call)
{
	struct api_trace *t = trace_find(arg, call);
	char id[API_ID_BYTES];

	if (t == NULL)
		return;
	if (t->state == TRACE_DONE)
		phx_ctl_call_reply(
			call, json_pack("{s:s, s:s, s:s, s:I, s:O}", "trace", trace_id(id, t),
				      "state", "done", "ended_by", t->ended_by, "count",
				      (json_int_t)t->count, "calls", t->calls));
	else
		phx_ctl_call_reply(
			call, json_pack("{s:s, s:s, s:I, s:[]}", "trace", trace_id(id, t), "state",
				      "running", "count", (json_int_t)t->count, "calls"));
}

void api_trace_rpc_stop(void *arg, struct phx_ctl_call *call)
{
	struct api_trace *t = trace_find(arg, call);
	bool running;
	char id[API_ID_BYTES];

	if (t == NULL)
		return;
	running = t->state != TRACE_DONE && !t->over;
	if (running)
		end(t, "stop");
	phx_ctl_call_reply(
		call, json_pack("{s:s, s:b}", "trace", trace_id(id, t), "changed", running));
}

void api_trace_drop(struct api *api)
{
	struct api_trace *t = api->trace;

	if (t == NULL)
		return;
	ctl_timer_stop(api->config.loop, &t->timer);
	// Calls that end when all is taken down find none.
	for (unsigned i = 0; i < api->config.worker_count; i++)
		api->config.workers[i]->trace = NULL;
	if (t->trace != NULL)
		free(phx_container_of(t->trace, struct owned_trace, trace));
	free(t->method);
	json_decref(t->calls);
	free(t);
	api->trace = NULL;
}
