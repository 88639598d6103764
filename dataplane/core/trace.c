// SPDX-License-Identifier: BSD-3-Clause
// The part of trace.h that runs for traced calls alone. Works with control/api_trace.c.
#include "dataplane/core/trace.h"

#include "lib/base/clock.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>

// ---- the client's worker ----

static bool is_wanted(
	const struct trace *trace, uint64_t app, const char *service, const char *method)
{
	char name[2 * PHX_LIMIT_NAME_BYTES + 2];

	if (trace->app != 0 && trace->app != app)
		return false;
	(void)snprintf(name, sizeof(name), "%s/%s", service, method); // names are that long at most
	return fnmatch(trace->method, name, 0) == 0;
}

PHX_COLD uint64_t trace_call_start(struct worker *worker, uint64_t app, const char *service,
	const char *method, uint64_t submitted_ns)
{
	struct trace *trace = worker->trace;
	struct trace_record *r;
	uint32_t index;

	if (atomic_load_explicit(&trace->taken, memory_order_relaxed) >= trace->count ||
		!is_wanted(trace, app, service, method))
		return 0;
	index = atomic_fetch_add_explicit(&trace->taken, 1, memory_order_relaxed);
	if (index >= trace->count)
		return 0;
	r = &trace->record[index];
	r->app = app;
	r->lcore = worker->lcore;
	(void)snprintf(r->service, sizeof(r->service), "%s", service);
	(void)snprintf(r->method, sizeof(r->method), "%s", method);
	r->at[TRACE_SUBMITTED] = submitted_ns;
	r->at[TRACE_TAKEN] = phx_clock_ns();
	return (uint64_t)trace->generation << 32 | (index + 1);
}

PHX_COLD struct trace_record *trace_call_record(struct worker *worker, uint64_t token)
{
	struct trace *trace = worker->trace;

	return trace != NULL && trace->generation == token >> 32
		       ? &trace->record[(uint32_t)token - 1]
		       : NULL;
}

PHX_COLD void trace_call_stamp(struct worker *worker, uint64_t token, enum trace_stage stage)
{
	struct trace_record *r = trace_call_record(worker, token);

	if (r != NULL && r->at[stage] == 0)
		r->at[stage] = phx_clock_ns();
}

PHX_COLD void trace_call_sent(
	struct worker *worker, uint64_t token, uint64_t link, bool local, const char *peer)
{
	struct trace_record *r = trace_call_record(worker, token);

	if (r == NULL)
		return;
	r->link = link;
	r->link_local = local;
	(void)snprintf(r->peer, sizeof(r->peer), "%s", peer);
	r->has_server = false;
	r->at[TRACE_RECEIVED] = 0;
	r->at[TRACE_SENT] = phx_clock_ns();
}

PHX_COLD void trace_call_end(struct worker *worker, uint64_t token, unsigned code)
{
	struct trace_record *r = trace_call_record(worker, token);
	struct trace *trace = worker->trace;

	if (r == NULL)
		return;
	r->code = (uint8_t)code;
	r->at[TRACE_DELIVERED] = phx_clock_ns();
	r->ended = true;
	if (atomic_fetch_add_explicit(&trace->ended, 1, memory_order_relaxed) + 1 == trace->count)
		trace->full(trace);
}

// ---- the server's worker ----

static struct trace_served *served(struct worker *worker, uint64_t token)
{
	struct trace_served *s = &worker->traced->ring[token % TRACE_SERVED];

	return s->token == token ? s : NULL;
}

PHX_COLD uint64_t trace_serve_start(struct worker *worker)
{
	uint64_t token = ++worker->traced->last;

	worker->traced->ring[token % TRACE_SERVED] = (struct trace_served){
		.token = token,
		.received_ns = phx_clock_ns(),
	};
	return token;
}

PHX_COLD void trace_serve_stamp(struct worker *worker, uint64_t token, enum phx_trace_at at)
{
	struct trace_served *s = served(worker, token);

	if (s != NULL && s->times_ns[at] == 0)
		s->times_ns[at] = phx_clock_ns() - s->received_ns;
}

PHX_COLD bool trace_serve_end(
	struct worker *worker, uint64_t token, uint64_t out_times_ns[PHX_TRACE_COUNT])
{
	struct trace_served *s = served(worker, token);

	if (s == NULL)
		return false;
	trace_serve_stamp(worker, token, PHX_TRACE_SENT);
	for (unsigned i = 1; i < PHX_TRACE_COUNT; i++)
		s->times_ns[i] = phx_max(s->times_ns[i], s->times_ns[i - 1]);
	memcpy(out_times_ns, s->times_ns, sizeof(s->times_ns));
	return true;
}
