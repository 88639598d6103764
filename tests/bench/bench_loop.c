// SPDX-License-Identifier: BSD-3-Clause
// The closed and the open loop of a client thread of phoenix-bench.
#include "tests/bench/bench_loop.h"

#include <errno.h>
#include <stdlib.h>

#define WAIT_MAX_NS UINT64_C(50000000)
#define DRAIN_NS    UINT64_C(5000000000)

int bench_loop_init(struct bench_loop *loop)
{
	unsigned n = loop->options->outstanding;

	loop->result = calloc(1, sizeof(*loop->result));
	loop->calls = calloc(n, sizeof(*loop->calls));
	if (loop->result == NULL || loop->calls == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < n; i++) {
		loop->calls[i].loop = loop;
		loop->calls[i].next_free = loop->free_calls;
		loop->free_calls = &loop->calls[i];
	}
	return 0;
}

void bench_loop_fini(struct bench_loop *loop)
{
	free(loop->calls);
	free(loop->result);
	loop->calls = NULL;
	loop->result = NULL;
}

static void on_reply(void *arg, struct phx_message *reply, const struct phx_status *status)
{
	struct bench_call *call = arg;
	struct bench_loop *loop = call->loop;
	uint64_t now = meter_now_ns();

	phx_message_release(reply);
	if (now >= loop->begin_ns && now < loop->end_ns) {
		if (status->code != PHX_OK) {
			loop->result->errors[status->code % METER_CODES]++;
		} else {
			loop->result->calls++;
			if (call->began_ns >= loop->begin_ns)
				meter_hist_add(&loop->result->hist, now - call->began_ns);
		}
	}
	call->next_free = loop->free_calls;
	loop->free_calls = call;
	loop->in_flight--;
	loop->to_rest++;
}

// 0, -EAGAIN: no room now, or what went wrong.
static int start_call(struct bench_loop *loop, uint64_t began_ns)
{
	const struct phx_call_options options = {.size = sizeof(options), .wait_for_ready = true};
	const struct meter_options *o = loop->options;
	struct bench_call *call = loop->free_calls;
	struct phx_message *request;
	int rc;

	rc = bench_request_new(loop->context, loop->payload, o->size, o->reply, &request);
	if (rc != 0)
		return rc == -ENOMEM && loop->in_flight > 0 ? -EAGAIN : rc;
	call->began_ns = began_ns;
	rc = phx_call_start(loop->channel, loop->queue, bench_service(), bench_method(), request,
		&options, on_reply, call, NULL);
	if (rc != 0) {
		phx_message_release(request);
		return rc;
	}
	loop->free_calls = call->next_free;
	loop->in_flight++;
	loop->started++;
	return 0;
}

static uint64_t intended_ns(const struct bench_loop *loop)
{
	return loop->start_ns + (uint64_t)((double)loop->started * loop->interval_ns);
}

static bool over(const struct bench_loop *loop, uint64_t now)
{
	return now >= loop->end_ns ||
	       (loop->call_limit != 0 && loop->result->calls >= loop->call_limit);
}

// Start what may start now. 0 or what went wrong; no room is not wrong.
static int start_calls(struct bench_loop *loop)
{
	int rc = 0;

	if (loop->options->gap_us > 0 && loop->to_rest > 0)
		meter_sleep_us(loop->options->gap_us);
	loop->to_rest = 0;
	while (rc == 0 && loop->free_calls != NULL) {
		uint64_t now = meter_now_ns();

		if (loop->interval_ns > 0) {
			if (intended_ns(loop) > now)
				break;
			now = intended_ns(loop);
		}
		rc = start_call(loop, now);
	}
	return rc == -EAGAIN ? 0 : rc;
}

// How long to wait for completions when there are none: at most until the next intended start.
static uint64_t wait_ns(const struct bench_loop *loop, uint64_t now)
{
	uint64_t until = loop->end_ns > now ? loop->end_ns - now : 0;

	if (loop->interval_ns > 0 && loop->free_calls != NULL) {
		uint64_t next = intended_ns(loop);

		if (next <= now)
			return 0;
		if (next - now < until)
			until = next - now;
	}
	return until < WAIT_MAX_NS ? until : WAIT_MAX_NS;
}

static int take_completions(struct bench_loop *loop, uint64_t now)
{
	int n = phx_poll(loop->queue, 0);

	if (n == 0 && !loop->options->spin)
		n = phx_wait(loop->queue, wait_ns(loop, now));
	return n < 0 ? n : 0;
}

static void drain(struct bench_loop *loop)
{
	uint64_t until = meter_now_ns() + DRAIN_NS;

	while (loop->in_flight > 0 && meter_now_ns() < until) {
		int n = phx_poll(loop->queue, 0);

		if (n == 0)
			n = phx_wait(loop->queue, WAIT_MAX_NS);
		if (n < 0)
			return;
	}
}

void bench_loop_run(struct bench_loop *loop)
{
	uint64_t now = meter_now_ns();

	while (loop->rc == 0 && !over(loop, now)) {
		loop->rc = start_calls(loop);
		if (loop->rc == 0)
			loop->rc = take_completions(loop, now);
		now = meter_now_ns();
	}
	drain(loop);
}
