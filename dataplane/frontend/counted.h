// SPDX-License-Identifier: BSD-3-Clause
// Where calls and requests meet the statistics (core/stats.h): each is counted once, when it ends,
// in the series that its binding or registration keeps. Worker thread, hot.
#pragma once

#include "dataplane/core/worker.h"
#include "dataplane/frontend/session.h"

// Rare: the series for `slot`, which is empty.
struct stats_series *counted_resolve(struct session *session, enum stats_side side,
	const char *service, const char *method, struct stats_series **slot);
// Rare: the first call whose method nobody knows.
struct stats_series *counted_nowhere(struct session *session);

// A waiting call has moved to another worker with its session.
void counted_call_moved(struct call *call);

// Rare: keep how a call failed.
void counted_error(const struct call *call, const struct call_status *status);

static inline uint64_t counted_message_bytes(const struct message *m)
{
	uint64_t body = m->encoded != NULL ? m->encoded_len : m->image.total_len;

	return body + m->meta_len;
}

static inline void counted_call_start(struct call *call, struct stats_series **slot)
{
	struct session *session = call->session;
	struct stats *stats = session->worker->calls;

	call->series = *slot;
	if (phx_unlikely(call->series == NULL))
		call->series = counted_resolve(
			session, STATS_CLIENT, call->service_name, call->method_name, slot);
	if (phx_unlikely(stats_sample_due(stats)))
		call->sample = stats_sample_start(stats, call->series);
}

// Before its message is released.
static inline void counted_call_end(const struct call *call, unsigned code, uint64_t rx_bytes)
{
	struct session *session = call->session;
	struct stats_series *series = call->series;

	if (phx_unlikely(series == NULL)) {
		if (call->connect)
			return;
		series = session->nowhere != NULL ? session->nowhere : counted_nowhere(session);
	}
	stats_end(series, code, counted_message_bytes(&call->message), rx_bytes,
		session->worker->now_ns - call->start_ns);
}

static inline void counted_request_start(
	struct rcall *r, struct stats_series **slot, const char *service, const char *method)
{
	struct session *session = r->session;
	struct stats *stats = session->worker->calls;

	r->series = *slot;
	r->sample = 0;
	if (phx_unlikely(r->series == NULL))
		r->series = counted_resolve(session, STATS_SERVER, service, method, slot);
	if (phx_unlikely(stats_sample_due(stats)))
		r->sample = stats_sample_start(stats, r->series);
}

// Before its message is released.
static inline void counted_request_end(const struct rcall *r, unsigned code)
{
	struct worker *worker = r->session->worker;
	uint64_t tx = code == PHX_OK ? counted_message_bytes(&r->message) : 0;

	stats_end(r->series, code, tx, (uint64_t)r->msg_len + r->meta_len,
		worker->now_ns - r->start_ns);
	if (phx_unlikely(r->sample != 0))
		stats_sample_end(worker->calls, r->sample, code);
}

static inline void counted_stage(struct session *session, uint64_t sample, enum stats_stage stage)
{
	if (phx_unlikely(sample != 0))
		stats_sample_stamp(session->worker->calls, sample, stage);
}
