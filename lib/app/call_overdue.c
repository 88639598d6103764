// SPDX-License-Identifier: BSD-3-Clause
// Calls that the dataplane should have ended long ago: it is stopped, or hangs. Their deadlines are
// its business, so that starting a call reads no clock; who finds nothing to do looks, ten times a
// second at most, and starts to count with the first look. Works with queue_poll.c and wait.c.
//
// Such a call gets its callback here, once. Its slot and memory stay with the dataplane, which may
// still read them, until its completion comes, or the end of the session.
#include "lib/app/queue.h"
#include "lib/base/clock.h"

#define OVERDUE_LOOK_NS (100 * PHX_NS_PER_MS)
#define OVERDUE_BURST	32

// When to give the call up. UINT64_MAX: never.
static uint64_t overdue_at(struct phx_call *call, uint64_t now)
{
	uint64_t at = call->give_up_ns;

	if (call->fn == NULL || call->timeout_ns == PHX_TIMEOUT_NONE)
		return UINT64_MAX;
	if (at == 0 && (__builtin_add_overflow(now, call->timeout_ns, &at) ||
			       __builtin_add_overflow(at, PHX_CALL_GRACE_NS, &at)))
		at = UINT64_MAX;
	call->give_up_ns = at;
	return at;
}

uint64_t phx_call_overdue_next(const struct phx_queue *q)
{
	return q->calls == 0 ? UINT64_MAX : q->overdue_look;
}

void phx_call_overdue_look(struct phx_queue *q, uint64_t now)
{
	if (q->calls == 0 || now < q->overdue_look)
		return;
	q->overdue_look = now + OVERDUE_LOOK_NS;
	for (uint32_t i = 0; i < q->call_slots; i++)
		if (q->slots[i].call != NULL && overdue_at(q->slots[i].call, now) <= now)
			q->overdue = true;
}

// Take callbacks of overdue calls out, at most OVERDUE_BURST. None when there are completions:
// then the dataplane is awake, and theirs may be among them.
static unsigned overdue_take(struct phx_queue *q, phx_reply_fn fns[OVERDUE_BURST],
	void *args[OVERDUE_BURST]) PHX_REQUIRES(q->lock)
{
	uint64_t now = phx_clock_ns();
	unsigned count = 0;
	uint32_t i;

	q->overdue = false;
	if (phx_context_gone(q->context) || phx_ring_cons_avail(&q->comp) != 0)
		return 0;
	for (i = 0; i < q->call_slots && count < OVERDUE_BURST; i++) {
		struct phx_call *call = q->slots[i].call;

		if (call == NULL || overdue_at(call, now) > now)
			continue;
		fns[count] = call->fn;
		args[count++] = call->arg;
		call->fn = NULL;
		call->arg = NULL; // phx_call() must not give it up as well
		// So that it is not begun when the dataplane comes to it.
		phx_queue_cancel(q, call);
	}
	q->overdue = i < q->call_slots;
	return count;
}

int phx_call_overdue_poll(struct phx_queue *q)
{
	const struct phx_queue *outer = phx_queue_polled;
	phx_reply_fn fns[OVERDUE_BURST];
	void *args[OVERDUE_BURST];
	unsigned count;

	phx_lock_take(&q->lock);
	count = overdue_take(q, fns, args);
	phx_lock_give(&q->lock);
	phx_queue_polled = q;
	for (unsigned i = 0; i < count; i++) {
		struct phx_status status;

		phx_status_fill(&status, PHX_DEADLINE_EXCEEDED, PHX_ORIGIN_LIBRARY,
			PHX_EXECUTED_MAYBE, PHX_REASON_DEADLINE,
			"the dataplane did not end the call at its deadline");
		fns[i](args[i], NULL, &status);
	}
	phx_queue_polled = outer;
	if (count != 0) {
		phx_lock_take(&q->lock);
		phx_queue_flush_soon(q); // what the callbacks have started
		phx_lock_give(&q->lock);
	}
	return (int)count;
}
