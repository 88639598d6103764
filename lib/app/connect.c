// SPDX-License-Identifier: BSD-3-Clause
// Waiting for the connection of a channel without blocking: a call without method and message,
// which the dataplane ends when there is one. Works with call.c.
#include "lib/app/channel.h"
#include "lib/app/queue.h"

#include <errno.h>

// Submit under the queue's lock. -ESTALE: the handle is of an earlier session.
static int connect_submit(struct phx_queue *q, const struct phx_channel *ch, uint32_t handle,
	uint32_t epoch, phx_reply_fn fn, void *arg, struct phx_call **out_call)
	PHX_REQUIRES(q->lock)
{
	struct phx_sub_entry e = {
		.kind = PHX_SUB_CONNECT, .channel = handle, .timeout_ns = ch->timeout_ns};
	struct phx_call *call;
	int rc;

	if (q->ended || phx_context_gone(q->context))
		return -ENOTCONN;
	if (q->session->epoch != epoch)
		return -ESTALE;
	if ((q->session->features & PHX_ATTACH_FEATURE_CONNECT) == 0)
		return -ENOTSUP;
	rc = phx_call_room(q, 1);
	if (rc != 0) {
		phx_queue_flush(q); // as for a call: what stands in the rings must move
		return rc;
	}
	call = phx_call_create(q);
	if (call == NULL)
		return -ENOMEM;
	call->fn = fn;
	call->arg = arg;
	call->output = NULL;
	call->request = NULL;
	phx_call_enter(q, call);
	e.call = (uint32_t)call->tag;
	e.handle = call->tag;
	phx_queue_sub_write(q, &e, "", 0);
	phx_queue_flush_soon(q);
	if (out_call != NULL)
		*out_call = call;
	return 0;
}

int phx_channel_connect_start(struct phx_channel *ch, struct phx_queue *q, phx_reply_fn fn,
	void *arg, struct phx_call **out_call)
{
	struct phx_context *ctx;

	if (ch == NULL || q == NULL || fn == NULL || q->context != ch->context)
		return -EINVAL;
	ctx = ch->context;
	for (;;) {
		// Before the handle, which is replaced before it is.
		uint32_t epoch = atomic_load_explicit(&ctx->epoch, memory_order_acquire);
		uint32_t handle = atomic_load_explicit(&ch->handle, memory_order_acquire);
		int rc = phx_context_check(ctx);

		if (rc == 0 && handle == PHX_NO_HANDLE) {
			rc = phx_channel_reopen(ch);
			handle = atomic_load_explicit(&ch->handle, memory_order_acquire);
		}
		if (rc != 0)
			return rc;
		phx_lock_take(&q->lock);
		rc = connect_submit(q, ch, handle, epoch, fn, arg, out_call);
		phx_lock_give(&q->lock);
		if (rc != -ESTALE)
			return rc;
	}
}
