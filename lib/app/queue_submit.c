// SPDX-License-Identifier: BSD-3-Clause
// What the application writes into the rings: entries, returns, cancels, and their publication.
#include "lib/app/queue.h"

#include <errno.h>
#include <stdlib.h>

_Thread_local const struct phx_queue *phx_queue_polled;

// Two rings, one bell. Returns go first, so that the worker never counts a block as lent that
// was given back before a call; but a cancel must not be seen before its call.
static void queue_publish(struct phx_queue *q, bool cancels) PHX_REQUIRES(q->lock)
{
	bool ring;

	if (phx_unlikely(cancels)) {
		ring = phx_ring_prod_publish_bell(&q->sub, &q->bell);
		ring |= phx_ring_prod_publish_bell(&q->ret, &q->bell);
	} else {
		ring = phx_ring_prod_publish_bell(&q->ret, &q->bell);
		ring |= phx_ring_prod_publish_bell(&q->sub, &q->bell);
	}
	// A full counter means that the worker has more than enough reasons to wake up.
	if (phx_unlikely(ring))
		(void)phx_bell_ring_eventfd(q->session->doorbell);
}

static struct phx_ret_entry *queue_ret_entry(struct phx_queue *q) PHX_REQUIRES(q->lock)
{
	struct phx_ret_entry *e;

	if (phx_ring_prod_room(&q->ret, 1) < 1)
		return NULL;
	e = phx_ring_prod_slot(&q->ret, 0);
	*e = (struct phx_ret_entry){.kind = PHX_RET_RETURN};
	phx_ring_prod_advance(&q->ret, 1);
	return e;
}

static void queue_write_returns(struct phx_queue *q) PHX_REQUIRES(q->lock)
{
	uint32_t done = 0;

	while (done < q->return_count) {
		uint32_t n = phx_min(q->return_count - done, (uint32_t)PHX_RET_HANDLES);
		struct phx_ret_entry *e = queue_ret_entry(q);

		if (e == NULL)
			break;
		e->count = (uint8_t)n;
		memcpy(e->handle, q->returns + done, n * sizeof(e->handle[0]));
		done += n;
	}
	q->return_count -= done;
	q->lent -= done;
	if (q->return_count != 0 && done != 0)
		memmove(q->returns, q->returns + done, q->return_count * sizeof(*q->returns));
}

static bool queue_write_cancel(struct phx_queue *q, const struct phx_call *call)
	PHX_REQUIRES(q->lock)
{
	struct phx_ret_entry *e = queue_ret_entry(q);

	if (e == NULL)
		return false;
	e->kind = PHX_RET_CANCEL;
	e->count = 1;
	e->queue = (uint16_t)q->index;
	e->call = (uint32_t)call->tag;
	e->position = call->position;
	e->handle[0] = call->tag;
	return true;
}

// Cancels that found the return ring full.
PHX_COLD static bool queue_write_cancels(struct phx_queue *q) PHX_REQUIRES(q->lock)
{
	bool any = false;

	for (uint32_t i = 0; i < q->call_slots && q->cancels != 0; i++) {
		struct phx_call *call = q->slots[i].call;

		if (call == NULL || !call->cancel_wanted)
			continue;
		if (!queue_write_cancel(q, call))
			break;
		call->cancel_wanted = false;
		q->cancels--;
		any = true;
	}
	return any;
}

void phx_queue_cancel(struct phx_queue *q, struct phx_call *call)
{
	if (phx_context_gone(q->context))
		return;
	// The call first: the worker reads up to its position.
	queue_publish(q, false);
	if (queue_write_cancel(q, call)) {
		queue_publish(q, true);
	} else if (!call->cancel_wanted) {
		call->cancel_wanted = true;
		q->cancels++;
	}
}

int phx_queue_sub_room(struct phx_queue *q, uint32_t slots)
{
	int room = phx_ring_prod_room(&q->sub, slots);

	if (phx_unlikely(room < 0))
		return room;
	return (uint32_t)room >= slots ? 0 : -EAGAIN;
}

void phx_queue_sub_write(
	struct phx_queue *q, struct phx_sub_entry *e, const void *inl, uint32_t inl_len)
{
	uint32_t slots = phx_queue_sub_slots(inl_len);
	const uint8_t *src = inl;

	e->slots = (uint8_t)slots;
	memcpy(e->inl, src, phx_min(inl_len, (uint32_t)sizeof(e->inl)));
	memcpy(phx_ring_prod_slot(&q->sub, 0), e, sizeof(*e));
	for (uint32_t i = 1; i < slots; i++) {
		uint32_t at = (uint32_t)sizeof(e->inl) + (i - 1) * PHX_SLOT_SIZE;

		memcpy(phx_ring_prod_slot(&q->sub, i), src + at,
			phx_min(inl_len - at, (uint32_t)PHX_SLOT_SIZE));
	}
	phx_ring_prod_advance(&q->sub, slots);
}

void phx_queue_sub_message(
	struct phx_queue *q, struct phx_sub_entry *e, const struct phx_message *m, uint32_t inl_len)
{
	if (inl_len != 0) {
		e->flags |= PHX_SUB_INLINE;
		e->msg_len = inl_len;
	} else {
		e->msg_off = (uint32_t)(m->root - m->session->send.range.base);
	}
	phx_queue_sub_write(q, e, m->root, inl_len);
}

static uint32_t reply_inline_len(const struct phx_request *r)
{
	// Text and metadata stay in the heap and come back by RELEASED, so the message does too.
	if (r->reply == NULL || r->code != PHX_OK || r->text_len != 0 || r->meta_len != 0)
		return 0;
	return phx_message_inline_len(r->reply);
}

// Write the reply entry. False: no room now.
static bool queue_write_reply(struct phx_queue *q, struct phx_request *r) PHX_REQUIRES(q->lock)
{
	uint32_t inl_len = reply_inline_len(r);
	struct phx_sub_entry e = {
		.kind = PHX_SUB_REPLY,
		.handle = r->handle,
		.channel = r->code,
		.meta_off = r->side_off,
		.meta_len = r->meta_len,
		.text_len = r->text_len,
	};

	if (phx_queue_sub_room(q, phx_queue_sub_slots(inl_len)) != 0)
		return false;
	if (r->code != PHX_OK) {
		e.flags = PHX_SUB_NO_MESSAGE;
		phx_queue_sub_write(q, &e, "", 0);
	} else {
		phx_queue_sub_message(q, &e, r->reply, inl_len);
	}
	// Nothing of these is read in place; a RELEASED that comes all the same is ignored.
	if (inl_len != 0 || r->reply == NULL)
		phx_request_destroy(q, r);
	else
		r->state = PHX_REQUEST_REPLIED;
	return true;
}

void phx_queue_reply(struct phx_queue *q, struct phx_request *r)
{
	if (q->replies == NULL && queue_write_reply(q, r))
		return;
	r->state = PHX_REQUEST_QUEUED;
	r->next_reply = NULL;
	*q->replies_tail = r;
	q->replies_tail = &r->next_reply;
}

PHX_COLD static void queue_write_replies(struct phx_queue *q) PHX_REQUIRES(q->lock)
{
	while (q->replies != NULL) {
		struct phx_request *r = q->replies;
		struct phx_request *next = r->next_reply;
		bool cancelled = atomic_load_explicit(&r->cancelled, memory_order_relaxed);

		if (cancelled)
			phx_request_destroy(q, r);
		else if (!queue_write_reply(q, r))
			return;
		q->replies = next;
		if (next == NULL)
			q->replies_tail = &q->replies;
	}
}

void phx_queue_flush(struct phx_queue *q)
{
	bool cancels = false;

	if (phx_unlikely(phx_context_gone(q->context)))
		return;
	if (q->return_count != 0)
		queue_write_returns(q);
	if (phx_unlikely(q->cancels != 0)) {
		queue_publish(q, false);
		cancels = queue_write_cancels(q);
	}
	if (phx_unlikely(q->replies != NULL))
		queue_write_replies(q);
	queue_publish(q, cancels);
}

void phx_queue_flush_soon(struct phx_queue *q)
{
	if (!phx_queue_polling(q))
		phx_queue_flush(q);
}

void phx_queue_return(struct phx_queue *q, uint64_t lent)
{
	if (phx_unlikely(q->return_count == q->return_cap)) {
		uint32_t cap = q->return_cap * 2;
		uint64_t *more = realloc(q->returns, cap * sizeof(*more));

		if (more == NULL)
			return; // the block stays lent: less room, nothing worse
		q->returns = more;
		q->return_cap = cap;
	}
	q->returns[q->return_count++] = lent;
}
