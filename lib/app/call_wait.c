// SPDX-License-Identifier: BSD-3-Clause
// Calls started with wait_for_ready while there is no session. They stand in a list of their queue
// until phx_poll() can submit them in the next session or has to end them. Works with call.c.
#include "lib/app/burst.h"
#include "lib/base/clock.h"
#include "lib/shm/layout.h"

#include <stdlib.h>

#define WAIT_RETRY_NS (10 * PHX_NS_PER_MS) // after a try that met no room or a refusal
#define WAIT_CLOSE_NS (100 * PHX_NS_PER_US)

struct phx_call_wait {
	struct phx_call_spec spec; // meta: the bytes below; channel NULL: closed
	uint64_t deadline_ns;
	uint32_t round; // of phx_call_wait_poll() that looked at it last
	bool taken;	// a thread is trying to submit it
	bool cancelled;
	uint8_t meta[];
};

int phx_call_wait_start(struct phx_queue *q, const struct phx_call_spec *spec,
	struct phx_message *request, struct phx_call **out_call)
{
	struct phx_call_wait *w = calloc(1, sizeof(*w) + spec->meta_len);
	struct phx_call *call = NULL, **at = &q->waiting;
	int rc = -ENOMEM;

	if (w == NULL)
		return rc;
	w->spec = *spec;
	w->spec.meta = w->meta;
	w->deadline_ns = UINT64_MAX;
	if (spec->timeout_ns != PHX_TIMEOUT_NONE &&
		__builtin_add_overflow(phx_clock_ns(), spec->timeout_ns, &w->deadline_ns))
		w->deadline_ns = UINT64_MAX;
	if (spec->meta_len != 0)
		memcpy(w->meta, spec->meta, spec->meta_len);
	phx_lock_take(&q->lock);
	if (phx_context_over(q->context))
		rc = -ENOTCONN;
	else if (q->waiting_count >= q->room)
		rc = -EAGAIN;
	else
		call = phx_call_create(q);
	if (call == NULL) {
		phx_lock_give(&q->lock);
		free(w);
		return rc;
	}
	call->fn = spec->fn;
	call->arg = spec->arg;
	call->output = spec->service->outputs[spec->method];
	call->request = request;
	call->tag = 0;
	call->busy = true;
	call->next = NULL;
	call->wait = w;
	request->state = PHX_MESSAGE_SENT;
	while (*at != NULL)
		at = &(*at)->next;
	*at = call;
	q->waiting_count++;
	q->waiting_until = phx_min(q->waiting_until, w->deadline_ns);
	phx_queue_wake_fd(q); // its deadline may be the first
	phx_lock_give(&q->lock);
	if (out_call != NULL)
		*out_call = call;
	return 0;
}

void phx_call_wait_leave(struct phx_queue *q, struct phx_call *call)
{
	struct phx_call **at = &q->waiting;

	while (*at != call)
		at = &(*at)->next;
	*at = call->next;
	q->waiting_count--;
	if (call->wait->cancelled)
		q->waiting_cancels--;
	free(call->wait);
	call->wait = NULL;
}

bool phx_call_wait_cancel(struct phx_queue *q, struct phx_call *call)
{
	struct phx_call_wait *w = call->wait;

	if (w == NULL)
		return false;
	if (!w->cancelled) {
		w->cancelled = true;
		q->waiting_cancels++;
		phx_queue_wake(q);
		phx_queue_wake_fd(q);
	}
	return true;
}

bool phx_call_wait_is_cancelled(const struct phx_call *call)
{
	return call->wait->cancelled;
}

void phx_call_wait_close(struct phx_queue *q, const struct phx_channel *ch)
{
	struct phx_call *call;
	bool taken;

	do {
		taken = false;
		phx_lock_take(&q->lock);
		for (call = q->waiting; call != NULL; call = call->next)
			taken |= call->wait->spec.channel == ch && call->wait->taken;
		for (call = q->waiting; call != NULL && !taken; call = call->next) {
			if (call->wait->spec.channel != ch)
				continue;
			call->wait->spec.channel = NULL;
			(void)phx_call_wait_cancel(q, call); // it waits
		}
		phx_lock_give(&q->lock);
		if (taken) {
			// Another thread is about to submit it; that takes as long as one call.
			struct timespec ts = {0, (long)WAIT_CLOSE_NS};

			(void)nanosleep(&ts, NULL);
		}
	} while (taken);
}

uint64_t phx_call_wait_next(const struct phx_queue *q)
{
	if (q->waiting == NULL)
		return UINT64_MAX;
	if (q->waiting_cancels != 0 || phx_context_over(q->context))
		return 0;
	if (phx_context_gone(q->context))
		return q->waiting_until;
	return phx_min(q->waiting_until, q->waiting_retry);
}

bool phx_call_wait_due(const struct phx_queue *q)
{
	return phx_unlikely(q->waiting != NULL) && phx_clock_ns() >= phx_call_wait_next(q);
}

// Out of the list, to its callback, with a status of the library's.
static void wait_end(struct phx_queue *q, struct phx_burst *b, struct phx_call *call, uint32_t code,
	uint32_t reason, const char *text) PHX_REQUIRES(q->lock)
{
	phx_call_wait_leave(q, call);
	call->busy = false;
	b->events[b->count++] = (struct phx_event){.call = call,
		.code = (uint8_t)code,
		.origin = PHX_ORIGIN_LIBRARY,
		.executed = PHX_EXECUTED_NO,
		.reason = (uint16_t)reason,
		.text = text,
		.text_len = (uint16_t)strlen(text)};
}

// What is clear without a session. False: it goes on waiting, or can be tried.
static bool wait_verdict(struct phx_queue *q, struct phx_burst *b, struct phx_call *call,
	uint64_t now) PHX_REQUIRES(q->lock)
{
	const struct phx_call_wait *w = call->wait;

	if (w->cancelled)
		wait_end(q, b, call, PHX_CANCELLED, PHX_REASON_CANCELLED, "cancelled");
	else if (phx_context_over(q->context))
		wait_end(q, b, call, PHX_UNAVAILABLE, PHX_REASON_DATAPLANE_GONE,
			"the dataplane is gone");
	else if (w->deadline_ns <= now)
		wait_end(q, b, call, PHX_DEADLINE_EXCEEDED, PHX_REASON_DEADLINE,
			"no dataplane before the deadline");
	else
		return false;
	return true;
}

// A call that this round has not looked at; it may be ended at once. NULL: none left.
static struct phx_call *wait_pick(struct phx_queue *q, struct phx_burst *b, uint32_t round,
	uint64_t now) PHX_REQUIRES(q->lock)
{
	struct phx_call *call = q->waiting, *next;

	for (; call != NULL && b->count < PHX_LIMIT_BURST; call = next) {
		struct phx_call_wait *w = call->wait;

		next = call->next;
		if (w->taken || w->round == round)
			continue;
		w->round = round;
		if (wait_verdict(q, b, call, now) || phx_context_gone(q->context))
			continue;
		w->taken = true;
		return call;
	}
	return NULL;
}

// Only these get better by waiting.
static bool wait_goes_on(int rc)
{
	return rc == -EAGAIN || rc == -ENOTCONN || rc == -ETIMEDOUT || rc == -EREMOTEIO;
}

static void wait_try(struct phx_queue *q, struct phx_burst *b, struct phx_call *call, uint64_t now)
{
	struct phx_call_wait *w = call->wait; // ours while it is taken
	struct phx_call_spec spec = w->spec;
	int rc;

	if (w->deadline_ns != UINT64_MAX)
		spec.timeout_ns = w->deadline_ns - now;
	call->request->state = PHX_MESSAGE_BUILD; // as if it were just started
	rc = phx_call_submit(q, &spec, call->request, call, NULL);
	if (rc == 0)
		return;
	phx_lock_take(&q->lock);
	call->request->state = PHX_MESSAGE_SENT;
	w->taken = false;
	if (wait_goes_on(rc))
		q->waiting_retry = now + WAIT_RETRY_NS;
	else
		wait_end(q, b, call, rc == -EACCES ? PHX_PERMISSION_DENIED : PHX_UNAVAILABLE,
			rc == -EACCES ? PHX_REASON_DENIED : PHX_REASON_UNAVAILABLE, strerror(-rc));
	phx_lock_give(&q->lock);
}

int phx_call_wait_poll(struct phx_queue *q)
{
	struct phx_burst b = {.count = 0};
	uint64_t now = phx_clock_ns();
	struct phx_call *call;
	uint32_t round;

	phx_lock_take(&q->lock);
	round = ++q->waiting_round;
	call = now >= phx_call_wait_next(q) ? wait_pick(q, &b, round, now) : NULL;
	phx_lock_give(&q->lock);
	while (call != NULL) {
		wait_try(q, &b, call, now);
		phx_lock_take(&q->lock);
		call = wait_pick(q, &b, round, now);
		phx_lock_give(&q->lock);
	}
	phx_lock_take(&q->lock);
	q->waiting_until = UINT64_MAX;
	for (call = q->waiting; call != NULL; call = call->next)
		q->waiting_until = phx_min(q->waiting_until, call->wait->deadline_ns);
	phx_lock_give(&q->lock);
	if (b.count != 0)
		phx_burst_run(q, &b);
	phx_lock_take(&q->lock);
	phx_burst_end(q, &b);
	phx_queue_flush_soon(q);
	phx_lock_give(&q->lock);
	return (int)b.count;
}
