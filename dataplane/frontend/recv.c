// SPDX-License-Identifier: BSD-3-Clause
// The receive heap: allocation, growth through control, and reservations of announced messages.
// Requests may use three quarters of the quota; replies have a FIFO of their own, served
// first, so that answers always get through. Worker thread.
#include "dataplane/core/worker.h"
#include "dataplane/frontend/complete.h"
#include "dataplane/frontend/lent.h"
#include "dataplane/frontend/submit.h"

#include "lib/base/clock.h"

#define RECV_WAIT_NS PHX_NS_PER_S

enum { WAIT_REQUEST, WAIT_REPLY };

static void want_region(struct session *session, uint64_t size)
{
	if (session->region_wanted)
		return;
	session->region_wanted = true;
	session->config.want_region(session->config.ctl, size);
}

static void recv_used_tell(struct session *session)
{
	atomic_store_explicit(&session->stats.recv_used, session->recv_used, memory_order_relaxed);
}

// What all blocks together may take when one of that kind is among them.
static uint64_t recv_share(const struct session *session, bool is_reply)
{
	uint64_t quota = session->config.recv_quota;

	return is_reply ? quota : quota / 4 * 3;
}

int recv_alloc(struct session *session, uint32_t size, bool is_reply, uint32_t *out_offset)
{
	uint64_t offset;
	int rc;

	if (phx_unlikely(session->recv_used + size > recv_share(session, is_reply)))
		return -ENOMEM;
	rc = phx_heap_alloc(session->recv, size == 0 ? 8 : size, &offset);
	if (phx_unlikely(rc != 0)) {
		want_region(session, size);
		return rc;
	}
	session->recv_used += phx_heap_size(session->recv, offset);
	recv_used_tell(session);
	*out_offset = (uint32_t)offset;
	return 0;
}

void recv_free(struct session *session, uint32_t offset)
{
	session->recv_used -= phx_heap_size(session->recv, offset);
	recv_used_tell(session);
	(void)phx_heap_free(session->recv, offset); // ours: the table checked it
	if (phx_unlikely(!phx_list_empty(&session->recv_waiters[WAIT_REPLY]) ||
			 !phx_list_empty(&session->recv_waiters[WAIT_REQUEST])))
		recv_serve(session);
}

static unsigned recv_serve_kind(struct session *session, int kind)
{
	struct phx_list *n;
	unsigned served = 0;

	while ((n = phx_list_first(&session->recv_waiters[kind])) != NULL) {
		struct recv_waiter *w = phx_list_entry(n, struct recv_waiter, node);
		uint32_t offset;

		if (recv_alloc(session, w->total, w->is_reply, &offset) != 0)
			break;
		session_recv_cancel(w);
		w->fn(w, offset, PHX_REASON_NONE);
		served++;
	}
	return served;
}

void recv_serve(struct session *session)
{
	// Who is served may give its room back at once: the loop goes on, not a deeper call.
	if (session->recv_serving)
		return;
	session->recv_serving = true;
	while (recv_serve_kind(session, WAIT_REPLY) + recv_serve_kind(session, WAIT_REQUEST) != 0)
		;
	session->recv_serving = false;
}

static void recv_timeout(struct worker *worker, struct timer *timer)
{
	struct recv_waiter *w = phx_container_of(timer, struct recv_waiter, timer);
	struct session *session = w->session; // fn may end its owner

	(void)worker;
	phx_list_del(&w->node);
	w->waiting = false;
	w->fn(w, 0, PHX_REASON_RECV_QUOTA);
	recv_serve(session);
}

uint64_t session_recv_most(const struct session *session, bool is_reply)
{
	return phx_min(recv_share(session, is_reply), session->config.max_message);
}

int session_recv_reserve(struct session *session, struct recv_waiter *waiter, uint32_t total,
	bool is_reply, uint64_t deadline_ns, uint32_t *out_offset)
{
	struct phx_list *fifo = &session->recv_waiters[is_reply ? WAIT_REPLY : WAIT_REQUEST];
	uint64_t until = session->worker->now_ns + RECV_WAIT_NS;

	if (total > recv_share(session, is_reply))
		return -E2BIG;
	waiter->session = session;
	waiter->total = total;
	waiter->is_reply = is_reply;
	if (phx_list_empty(fifo) && recv_alloc(session, total, is_reply, out_offset) == 0)
		return 1;
	waiter->waiting = true;
	phx_list_init(&waiter->node);
	phx_list_add_tail(fifo, &waiter->node);
	timer_init(&waiter->timer);
	timer_start(&session->worker->timers, &waiter->timer, phx_min(until, deadline_ns),
		recv_timeout);
	return 0;
}

void session_recv_cancel(struct recv_waiter *waiter)
{
	if (!waiter->waiting)
		return;
	waiter->waiting = false;
	phx_list_del(&waiter->node);
	timer_stop(&waiter->session->worker->timers, &waiter->timer);
	recv_serve(waiter->session); // those behind it may fit
}

void session_recv_free(struct session *session, uint32_t offset)
{
	recv_free(session, offset);
}

uint8_t *session_recv_address(struct session *session, uint32_t offset)
{
	return session->config.dp_base + offset;
}

void session_recv_region_answer(struct session *session, int rc)
{
	struct phx_comp_entry e = {.kind = PHX_COMP_REGION, .remaining_ns = PHX_TIMEOUT_NONE};

	if (rc != 0) {
		session->region_wanted = false; // whoever needs it next asks again
		return;
	}
	if (session->closing || session->failed)
		return;
	// Any of the queues may be the one that somebody waits on.
	for (uint32_t i = 0; i < session->queue_count; i++) {
		if (comp_spare(session->queues[i], 1) >= 1)
			comp_put(session->queues[i], &e, NULL);
	}
}

int session_recv_region_add(struct session *session, uint64_t offset, uint64_t size)
{
	int rc = phx_heap_add_region(session->recv, offset, size);

	session->region_wanted = false;
	if (rc != 0)
		return rc;
	recv_serve(session);
	for (uint32_t i = 0; i < session->queue_count; i++)
		session_room(session->queues[i]);
	return 0;
}
