// SPDX-License-Identifier: BSD-3-Clause
// Requests to their handlers: on the thread that polls, or on others. Works with burst.c and
// runner.c. Handler and argument were copied when the request came, so that the registration may
// end meanwhile.
#include "lib/app/queue.h"
#include "lib/app/server.h"

#include <stdio.h>

PHX_COLD static void request_unimplemented(struct phx_request *r)
{
	char text[600] = "no such method";

	phx_lock_take(&r->queue->lock);
	if (r->entry != NULL && r->method < r->entry->service->method_count)
		(void)snprintf(text, sizeof(text), "method %s of %s has no handler",
			r->entry->service->method_names[r->method], r->entry->service->name);
	phx_lock_give(&r->queue->lock);
	// Fails only when the session is over, and then nobody waits.
	(void)phx_reply_status(r, PHX_UNIMPLEMENTED, text, NULL);
}

void phx_request_dispatch(struct phx_request *r)
{
	phx_handler_fn fn = atomic_load_explicit(&r->fn, memory_order_relaxed);

	if (phx_unlikely(fn == NULL))
		request_unimplemented(r);
	else
		fn(r->arg, r);
}

// Does somebody still wait for the reply? If not, the request has ended.
static bool request_is_wanted(struct phx_queue *q, struct phx_request *r) PHX_REQUIRES(q->lock)
{
	if (phx_unlikely(r->orphan)) {
		(void)phx_request_end_orphan(q, r); // that is what its handler would hear
		return false;
	}
	if (phx_unlikely(phx_context_gone(q->context) ||
			 atomic_load_explicit(&r->cancelled, memory_order_relaxed))) {
		phx_request_destroy(q, r);
		return false;
	}
	return true;
}

void phx_request_run(struct phx_request *r)
{
	struct phx_queue *q = r->queue;
	phx_handler_fn fn;
	bool wanted;

	if (phx_unlikely(phx_context_forked(q->context)))
		return;
	phx_lock_take(&q->lock);
	fn = atomic_load_explicit(&r->fn, memory_order_relaxed); // under the lock
	wanted = request_is_wanted(q, r);
	if (!wanted)
		phx_queue_flush_soon(q); // its block goes back
	phx_lock_give(&q->lock);
	if (phx_unlikely(!wanted))
		return;
	if (phx_unlikely(phx_request_remaining_ns(r) == 0))
		(void)phx_reply_status(r, PHX_DEADLINE_EXCEEDED,
			"the deadline passed before a thread was free", NULL);
	else
		fn(r->arg, r);
}

PHX_COLD void phx_request_refuse(struct phx_request *r)
{
	// Fails only when the session is over, and then nobody waits.
	(void)phx_reply_status(
		r, PHX_RESOURCE_EXHAUSTED, "the server has no room for more requests", NULL);
}
