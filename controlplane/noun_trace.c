// SPDX-License-Identifier: BSD-3-Clause
// trace.rpc: a trace of the dataplane, answered when it is over. The dataplane answers the requests
// of this connection in order, so it is asked again and again and keeps nobody waiting.
#include "controlplane/control.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define STEP_NS	   (20 * PHX_NS_PER_MS)
#define TIMEOUT_NS (2 * PHX_NS_PER_S)

struct trace_wait {
	struct phx_list node; // of control->traces
	struct control *control;
	struct phx_ctl_call *call;
	struct loop_source timer;
	json_t *id; // parameters of rpc_get
	uint64_t deadline_ns;
};

static void wait_free(struct trace_wait *w)
{
	loop_del_timer(w->control->loop, &w->timer);
	phx_list_del(&w->node);
	json_decref(w->id);
	free(w);
}

static void fail(struct trace_wait *w, const struct phx_ctl_error *e)
{
	phx_ctl_call_fail(w->call, e);
	wait_free(w);
}

static void ask(struct trace_wait *w, const char *method, json_t *params, phx_ctl_done_fn done)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	int rc = reconcile_request(w->control->reconcile, method, params, TIMEOUT_NS, done, w);

	if (rc == 0)
		return;
	(void)phx_ctl_error_set(&e, rc == -ENOTCONN ? PHX_UNAVAILABLE : PHX_INTERNAL,
		rc == -ENOTCONN ? "the dataplane is down" : "out of memory");
	fail(w, &e);
	phx_ctl_error_fini(&e);
}

static void got(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct trace_wait *w = arg;

	if (result == NULL) {
		fail(w, e);
	} else if (json_object_get(result, "ended_by") == NULL) {
		loop_set_timer(&w->timer, STEP_NS);
	} else {
		phx_ctl_call_reply(w->call, json_incref(result));
		wait_free(w);
	}
}

static void started(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct trace_wait *w = arg;

	if (result == NULL) {
		fail(w, e);
		return;
	}
	w->id = json_pack("{s:O}", "trace", json_object_get(result, "trace"));
	loop_set_timer(&w->timer, STEP_NS);
}

static void stopped(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	(void)arg; // nobody waits for it, and whether it was still running is the same to all
	(void)result;
	(void)e;
}

static void give_up(struct trace_wait *w)
{
	(void)reconcile_request(w->control->reconcile, "trace.rpc_stop", w->id, TIMEOUT_NS, stopped,
		NULL); // else it ends when its time is over
	phx_ctl_call_fail_code(
		w->call, PHX_DEADLINE_EXCEEDED, "the trace was not over within timeout_ms");
	wait_free(w);
}

static void timer_fired(void *arg)
{
	struct trace_wait *w = arg;

	loop_set_timer(&w->timer, 0);
	if (phx_clock_ns() >= w->deadline_ns) {
		give_up(w);
		return;
	}
	ask(w, "trace.rpc_get", w->id, got);
}

void noun_trace_rpc(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;
	struct trace_wait *w = calloc(1, sizeof(*w));
	json_t *params = json_copy(phx_ctl_call_params(call));
	int64_t timeout_ms = phx_ctl_call_int(call, "timeout_ms", 0);

	if (w != NULL) {
		*w = (struct trace_wait){.control = c, .call = call, .deadline_ns = UINT64_MAX};
		if (timeout_ms > 0)
			w->deadline_ns = phx_clock_ns() + (uint64_t)timeout_ms * PHX_NS_PER_MS;
		w->timer = (struct loop_source){.fd = -1, .fn = timer_fired, .arg = w};
	}
	if (w == NULL || params == NULL || loop_add_timer(c->loop, &w->timer) != 0) {
		free(w);
		phx_ctl_call_fail_code(call, PHX_INTERNAL, "out of memory");
	} else {
		phx_list_add_tail(&c->traces, &w->node);
		(void)json_object_del(params, "timeout_ms"); // legal when it is not there
		ask(w, "trace.rpc_start", params, started);
	}
	json_decref(params);
}

void noun_trace_drop(struct control *c)
{
	struct phx_list *n;

	while ((n = phx_list_first(&c->traces)) != NULL) {
		struct trace_wait *w = phx_list_entry(n, struct trace_wait, node);

		phx_ctl_call_fail_code(w->call, PHX_UNAVAILABLE, "the control plane stops");
		wait_free(w);
	}
}
