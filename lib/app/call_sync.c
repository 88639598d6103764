// SPDX-License-Identifier: BSD-3-Clause
// phx_call(): the blocking call. Any number of threads; one of them, the leader, polls and
// waits for all (and so runs callbacks of other calls of the queue); the others sleep until
// their call is over or they are made the leader.
#include "lib/app/channel.h"
#include "lib/app/queue.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SYNC_SLICE_NS (100 * PHX_NS_PER_MS)
#define SYNC_RETRY_NS (1 * PHX_NS_PER_MS) // sleep while there is no room

enum sync_state {
	SYNC_WAITING,
	SYNC_LEADING,
	SYNC_DONE,
};

static void sync_sleep(struct phx_sync *s, uint64_t ns)
{
	struct timespec ts = {(time_t)(ns / PHX_NS_PER_S), (long)(ns % PHX_NS_PER_S)};

	// Whatever ends the sleep, the caller looks at the state.
	(void)syscall(SYS_futex, &s->state, FUTEX_WAIT_PRIVATE, SYNC_WAITING, &ts, NULL, 0);
}

static void sync_wake(struct phx_sync *s)
{
	(void)syscall(SYS_futex, &s->state, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

// The reply callback of a blocking call.
static void sync_done(void *arg, struct phx_message *reply, const struct phx_status *status)
{
	struct phx_sync *s = arg;
	uint32_t before;

	s->reply = reply;
	*s->status = *status;
	before = atomic_exchange_explicit(&s->state, SYNC_DONE, memory_order_acq_rel);
	// A waiting thread may be gone with its stack as soon as it sees DONE; waking an
	// address where nobody sleeps is harmless. A leader is awake, it runs this.
	if (before == SYNC_WAITING)
		sync_wake(s);
}

static bool sync_is_done(struct phx_sync *s)
{
	return atomic_load_explicit(&s->state, memory_order_acquire) == SYNC_DONE; // sync_done
}

// The leader leaves: another thread takes over, unless its call is over as well.
static void sync_hand_over(struct phx_queue *q, struct phx_sync *s) PHX_REQUIRES(q->lock)
{
	if (q->sync_leader != s)
		return;
	q->sync_leader = NULL;
	for (struct phx_sync *o = q->syncs; o != NULL; o = o->next) {
		uint32_t waiting = SYNC_WAITING;

		if (!atomic_compare_exchange_strong_explicit(&o->state, &waiting, SYNC_LEADING,
			    memory_order_acq_rel, memory_order_relaxed))
			continue;
		q->sync_leader = o;
		sync_wake(o);
		return;
	}
}

static void sync_leave(struct phx_queue *q, struct phx_sync *s)
{
	struct phx_sync **at = &q->syncs;

	phx_lock_take(&q->lock);
	while (*at != s)
		at = &(*at)->next;
	*at = s->next;
	sync_hand_over(q, s);
	phx_lock_give(&q->lock);
}

// Become the leader if there is none. True: this thread polls.
static bool sync_lead(struct phx_queue *q, struct phx_sync *s)
{
	uint32_t waiting = SYNC_WAITING;
	bool lead;

	phx_lock_take(&q->lock);
	if (q->sync_leader == NULL &&
		atomic_compare_exchange_strong_explicit(&s->state, &waiting, SYNC_LEADING,
			memory_order_acq_rel, memory_order_relaxed))
		q->sync_leader = s;
	lead = q->sync_leader == s;
	phx_lock_give(&q->lock);
	return lead;
}

// A dataplane that is stopped does not end calls. Leave the call to it, with its memory.
static bool sync_abandon(struct phx_queue *q, struct phx_call *call, struct phx_sync *s)
{
	bool abandoned = false;

	phx_lock_take(&q->lock);
	if (call->busy && call->arg == s) {
		call->fn = NULL;
		if (!phx_call_wait_cancel(q, call)) // when it is still here
			phx_queue_cancel(q, call);
		abandoned = true;
	}
	phx_lock_give(&q->lock);
	if (abandoned)
		phx_status_fill(s->status, PHX_DEADLINE_EXCEEDED, PHX_ORIGIN_LIBRARY,
			PHX_EXECUTED_MAYBE, PHX_REASON_DEADLINE,
			"the dataplane did not end the call at its deadline");
	return abandoned;
}

static void sync_wait(
	struct phx_queue *q, struct phx_call *call, uint64_t deadline_ns, struct phx_sync *s)
{
	bool nested = phx_queue_polling(q); // a callback blocks: its thread has to poll

	phx_lock_take(&q->lock);
	s->next = q->syncs;
	q->syncs = s;
	phx_queue_flush(q); // we may be in a callback, whose poll would publish later
	phx_lock_give(&q->lock);
	while (!sync_is_done(s)) {
		if (!nested && !sync_lead(q, s)) {
			sync_sleep(s, SYNC_SLICE_NS);
		} else if (phx_poll(q, 0) <= 0) {
			phx_lock_take(&q->lock);
			phx_queue_flush(q);
			phx_lock_give(&q->lock);
			if (!sync_is_done(s))
				// Its result is what the next poll and the state say.
				(void)phx_wait(q, SYNC_SLICE_NS);
		}
		if (deadline_ns != UINT64_MAX && phx_clock_ns() > deadline_ns && !sync_is_done(s) &&
			sync_abandon(q, call, s))
			break;
	}
	sync_leave(q, s);
}

// Start the call, waiting for room until the deadline.
static int sync_start(struct phx_channel *ch, struct phx_queue *q,
	const struct phx_service *service, uint32_t method, struct phx_message *request,
	const struct phx_call_options *options, struct phx_sync *s, uint64_t deadline_ns,
	struct phx_call **out_call)
{
	for (;;) {
		int rc = phx_call_start(
			ch, q, service, method, request, options, sync_done, s, out_call);

		if (rc != -EAGAIN)
			return rc;
		if (phx_clock_ns() >= deadline_ns)
			return -ETIMEDOUT;
		if (phx_poll(q, 0) == 0)
			(void)phx_wait(q, SYNC_RETRY_NS); // room may come without a completion
	}
}

// Bind the service here, where there is a status for a refusal.
static int sync_bind(
	struct phx_channel *ch, const struct phx_service *service, struct phx_status *status)
{
	struct phx_channel_ids ids;

	if (phx_context_check(ch->context) != 0 || service == NULL ||
		phx_channel_binding(ch, service, &ids))
		return 0; // phx_call_start() finds out
	return phx_channel_bind(ch, service, &ids, status);
}

// What is wrong with the arguments of a call that phx_call_start() refused, where it is known.
static void sync_complain(const struct phx_service *service, uint32_t method,
	const struct phx_message *request, struct phx_status *status)
{
	char text[256] = "Invalid argument";

	if (service == NULL)
		(void)snprintf(text, sizeof(text), "the service is NULL");
	else if (method >= service->method_count)
		(void)snprintf(
			text, sizeof(text), "%.200s has no method %u", service->name, method);
	else if (request == NULL || request->root == NULL)
		(void)snprintf(text, sizeof(text), "the request is empty: it must have a %.200s",
			service->inputs[method]->name);
	else if (!phx_type_same(request->type, service->inputs[method]))
		(void)snprintf(text, sizeof(text), "the request is a %.100s, not a %.100s",
			request->type->name, service->inputs[method]->name);
	phx_status_fill(status, PHX_INVALID_ARGUMENT, PHX_ORIGIN_LIBRARY, PHX_EXECUTED_NO,
		PHX_REASON_INVALID, "%s", text);
}

int phx_call(struct phx_channel *ch, const struct phx_service *service, uint32_t method,
	struct phx_message *request, const struct phx_call_options *options,
	struct phx_message **out_reply, struct phx_status *out_status)
{
	struct phx_status status = {.text = ""};
	struct phx_sync s = {.status = &status};
	uint64_t deadline_ns = UINT64_MAX;
	struct phx_queue *q;
	struct phx_call *call;
	int rc;

	if (ch == NULL || out_reply == NULL) {
		phx_message_release(request);
		phx_status_begin(out_status);
		return phx_status_end(out_status, -EINVAL);
	}
	q = ch->context->default_queue;
	if (options != NULL && options->timeout_ns != 0 &&
		!__builtin_add_overflow(phx_clock_ns(), options->timeout_ns, &deadline_ns) &&
		deadline_ns > UINT64_MAX - PHX_CALL_GRACE_NS)
		deadline_ns = UINT64_MAX;
	rc = sync_bind(ch, service, &status);
	if (rc == 0 || rc == -ENOTCONN)
		rc = sync_start(ch, q, service, method, request, options, &s, deadline_ns, &call);
	if (rc) {
		if (status.code == PHX_OK)
			phx_context_end_status(ch->context, &status);
		if (status.code == PHX_OK && rc == -EINVAL)
			sync_complain(service, method, request, &status);
		(void)phx_status_end(&status, rc); // rc is what it was
		phx_message_release(request);
	} else {
		if (deadline_ns != UINT64_MAX)
			deadline_ns += PHX_CALL_GRACE_NS;
		sync_wait(q, call, deadline_ns, &s);
		rc = status.code == PHX_OK ? 0 : -EREMOTEIO;
	}
	if (out_status != NULL)
		*out_status = status;
	if (rc == 0)
		*out_reply = s.reply;
	return rc;
}
