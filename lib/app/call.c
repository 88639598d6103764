// SPDX-License-Identifier: BSD-3-Clause
// Starting and cancelling calls (hot). Their ends are in queue_poll.c.
#include "lib/app/channel.h"
#include "lib/app/metadata.h"
#include "lib/app/queue.h"
#include "lib/base/bits.h"

#include <errno.h>
#include <stdlib.h>

void phx_call_take(struct phx_queue *q, struct phx_call *call)
{
	uint32_t slot = (uint32_t)call->tag;

	q->slots[slot].call = NULL;
	q->slots[slot].next_free = q->free_slot;
	q->free_slot = slot;
	q->calls--;
	if (phx_unlikely(call->cancel_wanted)) {
		call->cancel_wanted = false;
		q->cancels--;
	}
	call->busy = false;
}

void phx_call_recycle(struct phx_queue *q, struct phx_call *call)
{
	call->next = q->free_calls;
	q->free_calls = call;
}

static struct phx_call *call_create(struct phx_queue *q) PHX_REQUIRES(q->lock)
{
	struct phx_call *call = q->free_calls;

	if (phx_likely(call != NULL)) {
		q->free_calls = call->next;
		return call;
	}
	call = calloc(1, sizeof(*call));
	if (call == NULL)
		return NULL;
	call->queue = q;
	call->all = q->all_calls;
	q->all_calls = call;
	return call;
}

// A call in the table, or NULL with *out_rc. Room is asked for before anything is taken.
static struct phx_call *call_reserve(struct phx_queue *q, uint32_t slots, int *out_rc)
	PHX_REQUIRES(q->lock)
{
	struct phx_call *call;
	uint32_t slot = q->free_slot;

	*out_rc = -EAGAIN;
	if (phx_unlikely(q->calls + q->lent >= q->room || slot == q->call_slots ||
			 q->calls + 2 * q->requests >= q->comp_slots))
		return NULL;
	*out_rc = phx_queue_sub_room(q, slots);
	if (phx_unlikely(*out_rc != 0))
		return NULL;
	*out_rc = -ENOMEM;
	call = call_create(q);
	if (phx_unlikely(call == NULL))
		return NULL;
	q->free_slot = q->slots[slot].next_free;
	q->slots[slot].call = call;
	q->slots[slot].generation++;
	q->calls++;
	call->tag = (uint64_t)q->slots[slot].generation << 32 | slot;
	call->position = q->sub.next;
	call->busy = true;
	*out_rc = 0;
	return call;
}

// Submit under the queue's lock. *out_free: the message was copied and is free again.
static int call_submit(struct phx_queue *q, struct phx_sub_entry *e, struct phx_message *m,
	uint32_t inl_len, const struct phx_call *args, struct phx_call **out_call, bool *out_free)
	PHX_REQUIRES(q->lock)
{
	struct phx_call *call;
	int rc;

	if (phx_unlikely(q->ended))
		return -ENOTCONN;
	call = call_reserve(q, phx_queue_sub_slots(inl_len), &rc);
	if (phx_unlikely(call == NULL)) {
		// What stands in the rings must move for this to get better.
		phx_queue_flush(q);
		return rc;
	}
	call->fn = args->fn;
	call->arg = args->arg;
	call->output = args->output;
	e->call = (uint32_t)call->tag;
	e->handle = call->tag;
	phx_queue_sub_message(q, e, m, inl_len);
	*out_free = inl_len != 0 && e->meta_len == 0;
	call->request = *out_free ? NULL : m;
	m->state = PHX_MESSAGE_SENT;
	phx_queue_flush_soon(q);
	if (out_call != NULL)
		*out_call = call;
	return 0;
}

static int call_check(const struct phx_channel *ch, const struct phx_queue *q,
	const struct phx_service *service, uint32_t method, const struct phx_message *request,
	phx_reply_fn fn)
{
	if (ch == NULL || q == NULL || service == NULL || fn == NULL)
		return -EINVAL;
	if (q->context != ch->context || method >= service->method_count)
		return -EINVAL;
	if (phx_unlikely(phx_context_check(ch->context) != 0))
		return phx_context_check(ch->context);
	return phx_message_sendable(request, ch->context, service->inputs[method]) ? 0 : -EINVAL;
}

// Copy the metadata behind the message. 0 or -ENOMEM.
static int call_metadata(
	struct phx_message *m, const struct phx_metadata *md, struct phx_sub_entry *e)
{
	uint8_t *block = phx_message_reserve(m, (uint32_t)md->len);

	if (block == NULL)
		return -ENOMEM;
	memcpy(block, md->block, md->len);
	e->meta_off = (uint32_t)(block - m->session->send.range.base);
	e->meta_len = (uint16_t)md->len;
	return 0;
}

int phx_call_start(struct phx_channel *ch, struct phx_queue *q, const struct phx_service *service,
	uint32_t method, struct phx_message *request, const struct phx_call_options *options,
	phx_reply_fn fn, void *arg, struct phx_call **out_call)
{
	struct phx_sub_entry e = {.kind = PHX_SUB_CALL, .timeout_ns = PHX_TIMEOUT_NONE};
	struct phx_call args = {.fn = fn, .arg = arg};
	bool free_now = false;
	uint32_t inl_len;
	int rc = call_check(ch, q, service, method, request, fn);

	if (phx_unlikely(rc != 0))
		return rc;
	if (phx_unlikely(!phx_channel_binding(ch, service, &e.binding))) {
		rc = phx_channel_bind(ch, service, &e.binding, NULL);
		if (rc)
			return rc;
	}
	e.channel = ch->handle;
	e.method = (uint16_t)method;
	inl_len = phx_message_inline_len(request); // before metadata shares the block
	if (options != NULL) {
		e.flags = options->wait_for_ready ? PHX_SUB_WAIT_FOR_READY : 0;
		e.timeout_ns = options->timeout_ns != 0 ? options->timeout_ns : PHX_TIMEOUT_NONE;
		if (options->metadata != NULL && options->metadata->len != 0)
			rc = call_metadata(request, options->metadata, &e);
		if (phx_unlikely(rc != 0))
			return rc;
	}
	args.output = service->outputs[method];
	phx_lock_take(&q->lock);
	rc = call_submit(q, &e, request, inl_len, &args, out_call, &free_now);
	phx_lock_give(&q->lock);
	if (free_now)
		phx_message_recycle(request);
	else if (phx_unlikely(rc != 0) && e.meta_len != 0)
		request->cur_used -= (uint32_t)phx_align_up(e.meta_len, 8); // for the next try
	return rc;
}

void phx_call_cancel(struct phx_call *call)
{
	struct phx_queue *q;

	if (call == NULL || phx_context_forked(call->queue->context))
		return;
	q = call->queue;
	phx_lock_take(&q->lock);
	if (call->busy)
		phx_queue_cancel(q, call);
	phx_lock_give(&q->lock);
}
