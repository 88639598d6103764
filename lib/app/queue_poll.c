// SPDX-License-Identifier: BSD-3-Clause
// phx_poll(): completions out of the ring, under the lock; then their callbacks, without it
// (burst.c). Every entry is copied once and the copy checked: a broken dataplane ends the session
// with a reason, never the process.
#include "lib/app/burst.h"
#include "lib/app/runner.h"
#include "lib/app/server.h"
#include "lib/base/bits.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <stdlib.h>

#define POLL_SERVICE_EMPTY 1024 // empty polls between two looks at the socket

_Static_assert(sizeof(struct phx_comp_entry) == PHX_SLOT_SIZE, "first slot of an entry");

bool phx_queue_has_work(const struct phx_queue *q, int comp)
{
	return comp != 0 || (q->parked != NULL && q->registering == 0) || q->backlog != NULL ||
	       (phx_context_gone(q->context) && !q->ended) || q->overdue || phx_call_wait_due(q);
}

static struct phx_message *poll_message(struct phx_queue *q) PHX_REQUIRES(q->lock)
{
	struct phx_message *m = q->free_messages;

	if (phx_likely(m != NULL))
		q->free_messages = m->next;
	else
		m = phx_message_create_bare(q->context);
	if (phx_unlikely(m == NULL))
		return NULL;
	m->queue = q;
	m->state = PHX_MESSAGE_RECEIVED;
	m->root = NULL;
	m->type = NULL;
	m->body = NULL;
	m->meta = NULL;
	m->meta_len = 0;
	m->lent = 0;
	m->lent_len = 0;
	m->session = q->session;
	return m;
}

static void poll_drop_message(struct phx_queue *q, struct phx_message *m) PHX_REQUIRES(q->lock)
{
	m->state = PHX_MESSAGE_FREE;
	m->root = NULL;
	m->next = q->free_messages;
	q->free_messages = m;
}

// Copy the slots of an inline entry; where its bytes start.
static const uint8_t *poll_copy_inline(struct phx_queue *q, struct phx_message *m,
	const struct phx_comp_entry *e) PHX_REQUIRES(q->lock)
{
	memcpy(m->entry, e, PHX_SLOT_SIZE);
	for (uint32_t i = 1; i < e->slots; i++)
		phx_shm_copy_slot(
			&m->entry[i * PHX_SLOT_SIZE / 8], phx_ring_cons_slot(&q->comp, i));
	return (const uint8_t *)m->entry + offsetof(struct phx_comp_entry, inl);
}

// The message object for what an entry carries: *out stays NULL when that is nothing.
// 0; -ENOMEM: try again later; -EPROTO.
static int poll_payload(struct phx_queue *q, const struct phx_comp_entry *e,
	struct phx_message **out) PHX_REQUIRES(q->lock)
{
	uint64_t meta_at = phx_align_up(e->msg_len, 8);
	uint64_t total = meta_at + e->meta_len + e->text_len;
	bool has_message = (e->flags & PHX_COMP_HAS_MESSAGE) != 0;
	struct phx_message *m;
	const uint8_t *base;

	if (!has_message && total == 0 && e->lent == 0)
		return 0;
	m = poll_message(q);
	if (phx_unlikely(m == NULL))
		return -ENOMEM;
	if ((e->flags & PHX_COMP_INLINE) != 0 || (total == 0 && e->lent == 0)) {
		if (phx_unlikely(total > sizeof(e->inl) + (e->slots - 1u) * PHX_SLOT_SIZE))
			goto err_drop;
		base = poll_copy_inline(q, m, e);
	} else {
		if (phx_unlikely(e->lent == 0 || e->msg_off % 8 != 0 ||
				 !phx_space_has(&q->session->recv, e->msg_off, total)))
			goto err_drop;
		base = phx_space_at(&q->session->recv, e->msg_off);
		m->lent = e->lent;
		m->lent_len = (uint32_t)total;
		q->lent++;
	}
	m->body = has_message ? base : NULL;
	m->body_len = e->msg_len;
	m->meta = base + meta_at;
	m->meta_len = e->meta_len;
	*out = m;
	return 0;
err_drop:
	poll_drop_message(q, m);
	return -EPROTO;
}

// Nobody is waiting for this entry; its block, if any, goes straight back.
PHX_COLD static void poll_ignore(struct phx_queue *q, uint64_t lent) PHX_REQUIRES(q->lock)
{
	atomic_fetch_add_explicit(&q->context->ignored_completions, 1, memory_order_relaxed);
	if (lent != 0) {
		q->lent++;
		phx_queue_return(q, lent);
	}
}

static int poll_call(struct phx_queue *q, struct phx_burst *b, const struct phx_comp_entry *e)
	PHX_REQUIRES(q->lock)
{
	struct phx_call *call = e->call < q->call_slots ? q->slots[e->call].call : NULL;
	struct phx_event *ev = &b->events[b->count];
	struct phx_message *m = NULL;
	int rc;

	if (phx_unlikely(call == NULL || call->tag != e->handle)) {
		poll_ignore(q, e->lent);
		return 0;
	}
	rc = poll_payload(q, e, &m);
	if (phx_unlikely(rc != 0))
		return rc;
	if (phx_likely(m != NULL))
		phx_message_resolve(m, call->output);
	phx_call_take(q, call);
	*ev = (struct phx_event){.call = call,
		.message = m,
		.code = e->code,
		.origin = e->origin,
		.executed = e->executed,
		.reason = e->reason};
	if (e->text_len != 0) {
		ev->text = (const char *)m->meta + m->meta_len;
		ev->text_len = e->text_len;
	}
	b->count++;
	return 0;
}

// Find out whose request this is.
static void poll_resolve(struct phx_queue *q, struct phx_request *r) PHX_REQUIRES(q->lock)
{
	const struct phx_server_entry *e = phx_server_entry_find(q, r->service);

	r->entry = e;
	if (e == NULL || r->method >= e->service->method_count)
		return;
	atomic_store_explicit(&r->fn, e->handlers[r->method], memory_order_relaxed);
	r->arg = e->arg;
	r->output = e->service->outputs[r->method];
	if (r->message != NULL)
		phx_message_resolve(r->message, e->service->inputs[r->method]);
}

// Under the lock of its queue, like the references of runners.
static void poll_deliver(struct phx_burst *b, struct phx_request *r)
{
	bool handled = atomic_load_explicit(&r->fn, memory_order_relaxed) != NULL;
	struct phx_runner *runner = handled ? r->entry->server->runner : NULL;

	if (phx_unlikely(runner != NULL))
		runner->refs++;
	b->events[b->count++] = (struct phx_event){.request = r, .runner = runner};
}

static int poll_request(struct phx_queue *q, struct phx_burst *b, const struct phx_comp_entry *e)
	PHX_REQUIRES(q->lock)
{
	struct phx_request *r = phx_request_create(q, e->handle);
	int rc;

	if (phx_unlikely(r == NULL))
		return -ENOMEM;
	r->service = e->call;
	r->method = e->method;
	r->deadline_ns = PHX_NO_TIMEOUT;
	if (e->remaining_ns != PHX_TIMEOUT_NONE) {
		if (b->now == 0)
			b->now = phx_clock_ns();
		if (!phx_add_ok(b->now, e->remaining_ns, &r->deadline_ns))
			r->deadline_ns = PHX_NO_TIMEOUT;
	}
	rc = poll_payload(q, e, &r->message);
	if (phx_unlikely(rc != 0)) {
		phx_request_destroy(q, r);
		return rc;
	}
	poll_resolve(q, r);
	if (phx_unlikely(r->entry == NULL && q->registering != 0)) {
		struct phx_request **at = &q->parked;

		while (*at != NULL)
			at = &(*at)->next_reply;
		r->next_reply = NULL;
		*at = r;
		return 0;
	}
	poll_deliver(b, r);
	return 0;
}

// RELEASED and CANCELLED: the last that is heard of a request's reply, or of the request.
static void poll_request_end(struct phx_queue *q, const struct phx_comp_entry *e)
	PHX_REQUIRES(q->lock)
{
	struct phx_request *r = phx_request_find(q, e->handle);

	if (r == NULL) {
		poll_ignore(q, 0);
		return;
	}
	if (e->kind == PHX_COMP_CANCELLED)
		// A relaxed store would do for us; handlers read it in other threads.
		atomic_store_explicit(&r->cancelled, true, memory_order_release);
	if (r->state == PHX_REQUEST_REPLIED)
		phx_request_destroy(q, r);
	else if (e->kind == PHX_COMP_RELEASED)
		poll_ignore(q, 0); // of a reply that was not submitted yet
}

static int poll_entry(struct phx_queue *q, struct phx_burst *b, const struct phx_comp_entry *e)
	PHX_REQUIRES(q->lock)
{
	switch (e->kind) {
	case PHX_COMP_CALL:
		return poll_call(q, b, e);
	case PHX_COMP_REQUEST:
		return poll_request(q, b, e);
	case PHX_COMP_RELEASED:
	case PHX_COMP_CANCELLED:
		poll_request_end(q, e);
		return 0;
	case PHX_COMP_REGION:
		b->service = true;
		return 0;
	case PHX_COMP_SERVICE:
		return 0; // the dataplane decides about waiting and failing
	default:
		return -EPROTO;
	}
}

// Requests that came before the answer to their registration.
PHX_COLD static void poll_parked(struct phx_queue *q, struct phx_burst *b, unsigned max)
	PHX_REQUIRES(q->lock)
{
	while (q->parked != NULL && b->count < max && q->registering == 0) {
		struct phx_request *r = q->parked;

		q->parked = r->next_reply;
		poll_resolve(q, r);
		poll_deliver(b, r);
	}
}

// The session is over and the ring is drained: every call ends here.
PHX_COLD static void poll_end(struct phx_queue *q, struct phx_burst *b, unsigned max)
	PHX_REQUIRES(q->lock)
{
	struct phx_context *ctx = q->context;
	bool known = phx_ring_prod_refresh(&q->sub) >= 0;
	struct phx_session_end end;

	phx_lock_take(&ctx->end_lock);
	end = ctx->end;
	phx_lock_give(&ctx->end_lock);
	for (; q->end_cursor < q->call_slots && b->count < max; q->end_cursor++) {
		struct phx_call *call = q->slots[q->end_cursor].call;
		bool taken;

		if (call == NULL)
			continue;
		// What never left the submission ring was not executed by anybody.
		taken = !known || (int32_t)(q->sub.cons - call->position) > 0;
		if (call->request != NULL)
			phx_message_forget(call->request); // the dataplane may still read it
		call->request = NULL;
		phx_call_take(q, call);
		b->events[b->count++] = (struct phx_event){.call = call,
			.code = (uint8_t)end.code,
			.origin = PHX_ORIGIN_LIBRARY,
			.executed = taken ? PHX_EXECUTED_MAYBE : PHX_EXECUTED_NO,
			.reason = (uint16_t)end.reason,
			.ended = true};
	}
	q->ended = q->end_cursor == q->call_slots;
}

// Fill the burst from the ring. 0, -ENOMEM; -EPROTO: the dataplane is broken.
static int poll_fill(struct phx_queue *q, struct phx_burst *b, unsigned max) PHX_REQUIRES(q->lock)
{
	bool gone = phx_context_gone(q->context); // before the ring, so that nothing is missed
	int rc = 0, avail;

	if (phx_unlikely(q->fd_armed)) {
		q->fd_armed = false;
		if (q->waiters == 0)
			phx_bell_disarm(&q->sleeper);
	}
	if (phx_unlikely(q->parked != NULL))
		poll_parked(q, b, max);
	avail = phx_ring_cons_avail(&q->comp);
	while (avail > 0 && b->count < max && rc == 0) {
		struct phx_comp_entry e;

		phx_shm_copy_slot(&e, phx_ring_cons_slot(&q->comp, 0));
		if (e.slots == 0 || e.slots > PHX_LIMIT_INLINE_SLOTS || e.slots > (unsigned)avail)
			rc = -EPROTO;
		else
			rc = poll_entry(q, b, &e);
		if (phx_likely(rc == 0)) {
			phx_ring_cons_advance(&q->comp, e.slots);
			avail -= e.slots;
		}
	}
	phx_ring_cons_publish(&q->comp);
	if (avail < 0)
		rc = -EPROTO;
	if (phx_unlikely(gone) && b->count < max && (avail <= 0 || rc == -EPROTO)) {
		poll_end(q, b, max);
		rc = 0;
	}
	return rc;
}

// What the last session left: handled before anything of this one.
PHX_COLD static void poll_backlog(struct phx_queue *q, struct phx_burst *b, unsigned max)
	PHX_REQUIRES(q->lock)
{
	while (q->backlog != NULL && b->count < max) {
		struct phx_burst *old = q->backlog;

		while (old->first < old->count && b->count < max)
			b->events[b->count++] = old->events[old->first++];
		if (old->first < old->count)
			return;
		q->backlog = old->next;
		if (old->next == NULL)
			q->backlog_tail = &q->backlog;
		free(old);
	}
}

// Fill the burst. As poll_fill(), and -ENOTCONN: over.
static int poll_take(struct phx_queue *q, struct phx_burst *b, unsigned max) PHX_REQUIRES(q->lock)
{
	if (phx_unlikely(q->backlog != NULL)) {
		poll_backlog(q, b, max);
		return 0;
	}
	if (phx_unlikely(q->ended))
		return phx_context_over(q->context) ? -ENOTCONN : 0;
	return poll_fill(q, b, max);
}

int phx_queue_settle(struct phx_queue *q)
{
	while (!q->ended) {
		struct phx_burst *b = calloc(1, sizeof(*b));
		int rc;

		if (b == NULL)
			return -ENOMEM;
		rc = poll_fill(q, b, PHX_LIMIT_BURST);
		for (unsigned i = 0; i < b->count; i++) {
			// No handler has seen it, nobody waits for it any more.
			if (b->events[i].request != NULL)
				phx_request_destroy(q, b->events[i].request);
			b->events[i].request = NULL;
			phx_runner_put(b->events[i].runner);
			b->events[i].runner = NULL;
		}
		if (b->count != 0) {
			*q->backlog_tail = b;
			q->backlog_tail = &b->next;
		} else {
			free(b);
		}
		if (rc == -ENOMEM)
			return rc;
	}
	return 0;
}

PHX_COLD static void poll_broken(struct phx_queue *q)
{
	struct phx_context *ctx = q->context;

	phx_lock_take(&ctx->control);
	phx_session_end(ctx->session, PHX_UNAVAILABLE, PHX_REASON_INTERNAL,
		"bad entry in completion ring %u", q->index);
	phx_lock_give(&ctx->control);
}

// What an empty poll does: rarely, look whether the dataplane is still there and awake. True: look
// at the socket.
static bool poll_empty(struct phx_queue *q) PHX_REQUIRES(q->lock)
{
	phx_queue_flush_soon(q);
	if (phx_likely(++q->empty_polls % POLL_SERVICE_EMPTY != 0))
		return false;
	phx_call_overdue_look(q, phx_clock_ns());
	return true;
}

// Calls that end without the dataplane. How many.
PHX_COLD static int poll_alone(struct phx_queue *q)
{
	int ended = phx_call_wait_poll(q);

	return ended != 0 ? ended : phx_call_overdue_poll(q);
}

int phx_poll(struct phx_queue *q, unsigned max)
{
	struct phx_burst b;
	bool look = false;
	int rc, ended;

	if (phx_unlikely(q == NULL))
		return -EINVAL;
	if (phx_unlikely(phx_context_forked(q->context)))
		return -EPERM;
	max = max == 0 || max > PHX_LIMIT_BURST ? PHX_LIMIT_BURST : max;
	b.count = 0;
	b.service = false;
	b.now = 0;
	phx_lock_take(&q->lock);
	if (phx_unlikely(q->waiting != NULL || q->overdue)) {
		phx_lock_give(&q->lock);
		ended = poll_alone(q);
		if (ended != 0)
			return ended;
		phx_lock_take(&q->lock);
	}
	rc = poll_take(q, &b, max);
	if (b.count == 0)
		look = poll_empty(q);
	phx_lock_give(&q->lock);
	if (phx_unlikely(rc == -EPROTO))
		poll_broken(q);
	if (phx_unlikely(b.service || look))
		phx_context_service(q->context);
	if (b.count == 0)
		return rc == -EPROTO ? 0 : rc; // the next poll ends the calls
	phx_burst_run(q, &b);
	phx_lock_take(&q->lock);
	phx_burst_end(q, &b);
	phx_queue_flush_soon(q);
	phx_lock_give(&q->lock);
	return (int)b.count;
}
