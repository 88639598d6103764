// SPDX-License-Identifier: BSD-3-Clause
// The session as an event source: drain the return rings, then the submission rings, publish
// what was produced once per round. Hot. Works with submit.c, complete.c, lent.c.
#include "dataplane/core/worker.h"
#include "dataplane/frontend/lent.h"
#include "dataplane/frontend/session.h"
#include "dataplane/frontend/submit.h"

#include "lib/base/log.h"

void session_fail(struct session *session, enum phx_reason reason, const char *text)
{
	if (session->failed || session->closing)
		return;
	session->failed = true;
	phx_log_warn("session", "app-%llu disconnected: %s (%s)",
		(unsigned long long)session->config.id, phx_reason_name(reason), text);
	session->config.failed(session->config.ctl, reason, text);
}

// False: not now, its call is too far behind in the submission ring.
static bool ret_cancel(struct session *session, const struct phx_ret_entry *e)
{
	struct session_queue *q;

	if (e->count != 1) {
		session_fail(session, PHX_REASON_DESC_COUNT, "cancel with a bad count");
		return true;
	}
	if (e->queue >= session->queue_count) {
		session_fail(session, PHX_REASON_DESC_KIND, "cancel names no queue");
		return true;
	}
	q = session->queues[e->queue];
	if (e->call >= q->call_slots) {
		session_fail(session, PHX_REASON_DESC_RANGE, "cancel names no call slot");
		return true;
	}
	// The call may still stand in its ring: drain it up to there first, so that a cancel
	// never overtakes its call.
	if (!submit_drain_to(q, e->position))
		return false;
	if (!session->failed)
		submit_cancel(&q->calls[e->call], e->handle[0]);
	return true;
}

static void ret_return(struct session *session, const struct phx_ret_entry *e)
{
	if (e->count == 0 || e->count > PHX_RET_HANDLES) {
		session_fail(session, PHX_REASON_DESC_COUNT, "return entry with a bad count");
		return;
	}
	for (unsigned i = 0; i < e->count; i++) {
		enum phx_reason reason;

		if (lent_return(session, e->handle[i], &reason) != 0) {
			session_fail(session, reason, "returned a block that it does not hold");
			return;
		}
	}
}

static unsigned queue_poll_returns(struct session_queue *q)
{
	int n = phx_ring_cons_avail(&q->ret);

	if (n <= 0) {
		if (phx_unlikely(n < 0))
			session_fail(q->session, PHX_REASON_RING_INDEX, "return ring index");
		return 0;
	}
	if (n > PHX_LIMIT_BURST)
		n = PHX_LIMIT_BURST;
	for (int i = 0; i < n && !q->session->failed; i++) {
		struct phx_ret_entry e;

		phx_shm_copy_slot(&e, phx_ring_cons_slot(&q->ret, 0));
		if (phx_unlikely(e.reserved != 0))
			session_fail(
				q->session, PHX_REASON_DESC_FLAGS, "reserved field of a return");
		else if (e.kind == PHX_RET_RETURN)
			ret_return(q->session, &e);
		else if (e.kind != PHX_RET_CANCEL)
			session_fail(q->session, PHX_REASON_DESC_KIND, "unknown return entry");
		else if (!ret_cancel(q->session, &e))
			break; // it stays in the ring
		phx_ring_cons_advance(&q->ret, 1);
	}
	phx_ring_cons_publish(&q->ret);
	return (unsigned)n;
}

static unsigned session_poll(struct source *source, struct worker *worker)
{
	struct session *session = phx_container_of(source, struct session, source);
	unsigned work = 0;

	(void)worker;
	if (phx_unlikely(session->closing)) // nothing is taken any more; what was begun ends
		return phx_list_empty(&session->work) ? 0 : submit_work(session);
	if (phx_unlikely(session->failed))
		return 0;
	for (uint32_t i = 0; i < session->queue_count && !session->failed; i++) {
		struct session_queue *q = session->queues[i];

		q->drain_left = q->sub_slots;
		work += queue_poll_returns(q);
		work += submit_poll(q);
	}
	if (phx_unlikely(!phx_list_empty(&session->work)))
		work += submit_work(session);
	return work;
}

// Wake an application thread that sleeps on the futex word or on the queue's descriptor.
static PHX_NOINLINE void queue_wake(struct session_queue *q)
{
	phx_bell_ring_futex(&q->app_bell, q->bell_word);
	if (q->notify_fd >= 0)
		session_notify(q);
	atomic_fetch_add_explicit(&q->session->stats.wakeups, 1, memory_order_relaxed);
}

static void session_flush(struct source *source, struct worker *worker)
{
	struct session *session = phx_container_of(source, struct session, source);

	(void)worker;
	for (uint32_t i = 0; i < session->queue_count; i++) {
		struct session_queue *q = session->queues[i];

		if (!q->dirty)
			continue;
		q->dirty = false;
		if (phx_ring_prod_publish_bell(&q->comp, &q->app_bell))
			queue_wake(q);
	}
}

static void session_arm(struct source *source)
{
	struct session *session = phx_container_of(source, struct session, source);

	for (uint32_t i = 0; i < session->queue_count; i++)
		phx_bell_arm(&session->queues[i]->bell);
}

// An impossible index counts as work: the next poll finds and reports it.
static bool session_recheck(struct source *source)
{
	struct session *session = phx_container_of(source, struct session, source);

	if (!phx_list_empty(&session->work) && (session->closing || !session->failed))
		return true;
	if (session->failed || session->closing)
		return false;
	for (uint32_t i = 0; i < session->queue_count; i++) {
		struct session_queue *q = session->queues[i];

		if (phx_ring_cons_recheck(&q->ret) != 0 || phx_ring_cons_recheck(&q->sub) != 0)
			return true;
	}
	return false;
}

static void session_disarm(struct source *source)
{
	struct session *session = phx_container_of(source, struct session, source);

	for (uint32_t i = 0; i < session->queue_count; i++)
		phx_bell_disarm(&session->queues[i]->bell);
}

const struct source_ops session_source_ops = {
	.kind = "session",
	.poll = session_poll,
	.flush = session_flush,
	.arm = session_arm,
	.recheck = session_recheck,
	.disarm = session_disarm,
};
