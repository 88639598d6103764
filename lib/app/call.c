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

struct phx_call *phx_call_create(struct phx_queue *q)
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

int phx_call_room(struct phx_queue *q, uint32_t slots)
{
	if (phx_unlikely(q->calls + q->lent >= q->room || q->free_slot == q->call_slots ||
			 q->calls + 2 * q->requests >= q->comp_slots))
		return -EAGAIN;
	return phx_queue_sub_room(q, slots);
}

void phx_call_enter(struct phx_queue *q, struct phx_call *call)
{
	uint32_t slot = q->free_slot;

	q->free_slot = q->slots[slot].next_free;
	q->slots[slot].call = call;
	q->slots[slot].generation++;
	q->calls++;
	call->tag = (uint64_t)q->slots[slot].generation << 32 | slot;
	call->position = q->sub.next;
	call->busy = true;
}

// Submit under the queue's lock. *out_free: the message was copied and is free again.
// -ESTALE: entry or message are of an earlier session.
static int call_submit(struct phx_queue *q, const struct phx_call_spec *spec,
	struct phx_sub_entry *e, struct phx_message *m, uint32_t inl_len, uint32_t epoch,
	struct phx_call *call, struct phx_call **out_call, bool *out_free) PHX_REQUIRES(q->lock)
{
	bool cancelled = false;
	int rc;

	if (phx_unlikely(q->ended || phx_context_gone(q->context)))
		return -ENOTCONN;
	if (phx_unlikely(q->session->epoch != epoch || m->session != q->session))
		return -ESTALE;
	rc = phx_call_room(q, phx_queue_sub_slots(inl_len));
	if (phx_unlikely(rc != 0)) {
		// What stands in the rings must move for this to get better.
		phx_queue_flush(q);
		return rc;
	}
	if (phx_likely(call == NULL)) {
		call = phx_call_create(q);
		if (phx_unlikely(call == NULL))
			return -ENOMEM;
		call->fn = spec->fn;
		call->arg = spec->arg;
		call->output = spec->service->outputs[spec->method];
	} else {
		cancelled = phx_call_wait_is_cancelled(call);
		phx_call_wait_leave(q, call);
	}
	phx_call_enter(q, call);
	call->timeout_ns = spec->timeout_ns;
	call->give_up_ns = 0;
	e->call = (uint32_t)call->tag;
	e->handle = call->tag;
	phx_queue_sub_message(q, e, m, inl_len);
	*out_free = inl_len != 0 && e->meta_len == 0;
	call->request = *out_free ? NULL : m;
	m->state = PHX_MESSAGE_SENT;
	phx_queue_flush_soon(q);
	if (phx_unlikely(cancelled))
		phx_queue_cancel(q, call);
	if (out_call != NULL)
		*out_call = call;
	return 0;
}

// Copy the metadata behind the message. 0 or -ENOMEM.
static int call_metadata(
	struct phx_message *m, const struct phx_call_spec *spec, struct phx_sub_entry *e)
{
	uint8_t *block = phx_message_reserve(m, spec->meta_len);

	if (block == NULL)
		return -ENOMEM;
	memcpy(block, spec->meta, spec->meta_len);
	e->meta_off = (uint32_t)(block - m->session->send.range.base);
	e->meta_len = (uint16_t)spec->meta_len;
	return 0;
}

// One try with a message that may be of the current session.
static int call_try(struct phx_queue *q, const struct phx_call_spec *spec, struct phx_message *m,
	uint32_t epoch, const struct phx_channel_ids *ids, struct phx_call *call,
	struct phx_call **out_call)
{
	struct phx_sub_entry e = {.kind = PHX_SUB_CALL,
		.flags = spec->wait_for_ready ? PHX_SUB_WAIT_FOR_READY : 0,
		.binding = ids->binding,
		.channel = ids->channel,
		.method = (uint16_t)spec->method,
		.timeout_ns = spec->timeout_ns};
	uint32_t inl_len = phx_message_inline_len(m); // before metadata shares the block
	bool free_now = false;
	int rc = 0;

	if (spec->meta_len != 0)
		rc = call_metadata(m, spec, &e);
	if (phx_unlikely(rc != 0))
		return rc;
	phx_lock_take(&q->lock);
	rc = call_submit(q, spec, &e, m, inl_len, epoch, call, out_call, &free_now);
	phx_lock_give(&q->lock);
	if (free_now)
		phx_message_recycle(m);
	else if (phx_unlikely(rc != 0) && e.meta_len != 0)
		m->cur_used -= (uint32_t)phx_align_up(e.meta_len, 8); // for the next try
	return rc;
}

// The same with a copy in the current session; the message itself goes when that went well.
PHX_COLD static int call_try_moved(struct phx_queue *q, const struct phx_call_spec *spec,
	struct phx_message *m, uint32_t epoch, const struct phx_channel_ids *ids,
	struct phx_call *call, struct phx_call **out_call)
{
	struct phx_message *moved;
	int rc = phx_message_move(m, &moved);

	if (rc)
		return rc;
	rc = call_try(q, spec, moved, epoch, ids, call, out_call);
	phx_message_recycle(rc == 0 ? m : moved);
	return rc;
}

int phx_call_submit(struct phx_queue *q, const struct phx_call_spec *spec,
	struct phx_message *request, struct phx_call *call, struct phx_call **out_call)
{
	struct phx_context *ctx = q->context;

	for (;;) {
		// Before the numbers of channel and service, which are replaced before it is.
		uint32_t epoch = atomic_load_explicit(&ctx->epoch, memory_order_acquire);
		struct phx_channel_ids ids;
		int rc = phx_context_check(ctx);

		if (phx_unlikely(rc != 0))
			return rc;
		if (phx_unlikely(!phx_channel_binding(spec->channel, spec->service, &ids)))
			rc = phx_channel_bind(spec->channel, spec->service, &ids, NULL);
		if (phx_unlikely(rc != 0))
			return rc;
		if (phx_likely(request->session->epoch == epoch))
			rc = call_try(q, spec, request, epoch, &ids, call, out_call);
		else
			rc = call_try_moved(q, spec, request, epoch, &ids, call, out_call);
		if (phx_likely(rc != -ESTALE))
			return rc;
	}
}

static int call_check(const struct phx_channel *ch, const struct phx_queue *q,
	const struct phx_service *service, uint32_t method, const struct phx_message *request,
	phx_reply_fn fn)
{
	if (ch == NULL || q == NULL || service == NULL || fn == NULL)
		return -EINVAL;
	if (q->context != ch->context || method >= service->method_count)
		return -EINVAL;
	if (phx_unlikely(phx_context_check_build(ch->context) != 0))
		return phx_context_check_build(ch->context);
	return phx_message_sendable(request, ch->context, service->inputs[method]) ? 0 : -EINVAL;
}

int phx_call_start(struct phx_channel *ch, struct phx_queue *q, const struct phx_service *service,
	uint32_t method, struct phx_message *request, const struct phx_call_options *options,
	phx_reply_fn fn, void *arg, struct phx_call **out_call)
{
	struct phx_call_spec spec = {.channel = ch,
		.service = service,
		.method = method,
		.timeout_ns = PHX_TIMEOUT_NONE,
		.fn = fn,
		.arg = arg};
	int rc = call_check(ch, q, service, method, request, fn);

	if (phx_unlikely(rc != 0))
		return rc;
	if (options != NULL) {
		spec.wait_for_ready = options->wait_for_ready;
		if (options->timeout_ns != 0)
			spec.timeout_ns = options->timeout_ns;
		if (options->metadata != NULL) {
			spec.meta = options->metadata->block;
			spec.meta_len = (uint32_t)options->metadata->len;
		}
	}
	rc = phx_call_submit(q, &spec, request, NULL, out_call);
	if (phx_unlikely(rc == -ENOTCONN) && spec.wait_for_ready)
		rc = phx_call_wait_start(q, &spec, request, out_call);
	return rc;
}

void phx_call_cancel(struct phx_call *call)
{
	struct phx_queue *q;

	if (call == NULL || phx_context_forked(call->queue->context))
		return;
	q = call->queue;
	phx_lock_take(&q->lock);
	if (call->busy && !phx_call_wait_cancel(q, call))
		phx_queue_cancel(q, call);
	phx_lock_give(&q->lock);
}
