// SPDX-License-Identifier: BSD-3-Clause
// See session_move.h.
#include "dataplane/frontend/session_move.h"

#include "dataplane/core/worker.h"
#include "dataplane/frontend/counted.h"
#include "dataplane/frontend/submit.h"

#include "lib/base/clock.h"

static void channels_freeze(struct session *session, bool frozen)
{
	for (uint32_t i = 0; i < session->channel_size; i++) {
		if (session->channels[i] != NULL)
			channel_freeze(session->channels[i], frozen);
	}
}

static void finish(struct session_move *move, int rc)
{
	move->rc = rc;
	move->pause_ns = phx_clock_ns() - move->frozen_ns;
	move->done(move);
}

static void stay(struct session_move *move, int rc)
{
	move->session->moving = false;
	channels_freeze(move->session, false);
	finish(move, rc);
}

// Calls that only wait in their channels are the only ones there are, and no memory of this
// worker is in use.
static bool is_drained(const struct session *session)
{
	uint32_t pending = 0, inflight = 0;

	if (session->rcall_count != 0 || session->pins != 0 || !phx_list_empty(&session->work) ||
		atomic_load_explicit(&session->account.bytes, memory_order_relaxed) != 0)
		return false;
	for (uint32_t i = 0; i < session->channel_size; i++) {
		if (session->channels[i] != NULL)
			pending += channel_pending(session->channels[i]);
	}
	for (uint32_t i = 0; i < session->queue_count; i++)
		inflight += session->queues[i]->inflight;
	return pending == inflight;
}

static void deadline_stop(struct call *call, void *arg)
{
	struct worker *worker = arg;

	timer_stop(&worker->timers, &call->timer);
}

static void deadline_start(struct call *call, void *arg)
{
	(void)arg;
	submit_deadline(call);
	counted_call_moved(call);
}

static void session_leave(struct session *session)
{
	struct worker *worker = session->worker;

	session->source.ops->flush(&session->source, worker); // what this round has completed
	worker_source_del(worker, &session->source);
	for (uint32_t i = 0; i < session->channel_size; i++) {
		if (session->channels[i] == NULL)
			continue;
		channel_each_pending(session->channels[i], deadline_stop, worker);
		channel_leave(session->channels[i]);
	}
	for (uint32_t i = 0; i < session->queue_count; i++)
		timer_stop(&worker->timers, &session->queues[i]->room);
	for (uint32_t i = 0; i < session->registration_count; i++) {
		const struct registration *r = &session->registrations[i];

		memset(r->series, 0,
			phx_schema_method_count(r->schema, r->service) * sizeof(r->series[0]));
	}
	session->nowhere = NULL;
	stats_app_ended(worker->calls, session->config.id);
}

static int session_join(struct session *session, struct worker *worker)
{
	int rc = 0;

	session->worker = worker;
	session->account.memory = &worker->memory;
	session->moving = false;
	for (uint32_t i = 0; i < session->channel_size && rc == 0; i++) {
		if (session->channels[i] == NULL)
			continue;
		rc = channel_join(session->channels[i], worker);
		if (rc == 0)
			channel_each_pending(session->channels[i], deadline_start, NULL);
	}
	if (rc == 0)
		rc = worker_source_add(worker, &session->source);
	if (rc == 0)
		channels_freeze(session, false); // what waits may have to end here
	return rc;
}

// On the other worker. There is no way back from here: a session that cannot be polled ends.
static void join_here(struct worker *worker, struct cmd *cmd)
{
	struct session_move *move = phx_container_of(cmd, struct session_move, cmd);

	if (session_join(move->session, worker) != 0)
		session_fail(move->session, PHX_REASON_NO_MEMORY, "no memory to move the session");
	finish(move, 0);
}

static void look(struct worker *worker, struct timer *timer)
{
	struct session_move *move = phx_container_of(timer, struct session_move, timer);
	struct session *session = move->session;

	if (session->failed || session->closing) {
		stay(move, -ESHUTDOWN);
	} else if (is_drained(session)) {
		session_leave(session);
		worker_post(move->to, &move->cmd, join_here);
	} else if (worker->now_ns >= move->give_up_ns) {
		stay(move, -EBUSY);
	} else {
		timer_start(&worker->timers, timer, worker->now_ns, look); // the next tick
	}
}

void session_move_start(struct session_move *move)
{
	struct worker *worker = move->from;

	move->frozen_ns = phx_clock_ns();
	move->give_up_ns = move->frozen_ns + move->limit_ns;
	move->session->moving = true;
	timer_init(&move->timer);
	channels_freeze(move->session, true);
	look(worker, &move->timer);
}
