// SPDX-License-Identifier: BSD-3-Clause
// Tests of the loops of phoenix-bench against a service made of simulated time: calls are
// answered `service_ns` after they began, and the service may stall once.
#include "tests/bench/bench_loop.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define US	  UINT64_C(1000)
#define MS	  UINT64_C(1000000)
#define FAKE_RING 1024

struct fake_reply {
	uint64_t due_ns;
	phx_reply_fn fn;
	void *arg;
};

static struct {
	uint64_t now_ns;
	uint64_t service_ns;
	uint64_t stall_at_ns; // no completion from here on for stall_ns
	uint64_t stall_ns;
	uint32_t code;
	unsigned room; // of the submission ring
	struct fake_reply ring[FAKE_RING];
	unsigned head;
	unsigned tail;
	unsigned most_in_flight;
	unsigned messages; // alive
} fake;

uint64_t meter_now_ns(void)
{
	fake.now_ns += 20;
	return fake.now_ns;
}

void meter_sleep_us(double us)
{
	fake.now_ns += (uint64_t)(us * 1e3);
}

const struct phx_service *bench_service(void)
{
	return NULL;
}

uint32_t bench_method(void)
{
	return 0;
}

int bench_request_new(struct phx_context *context, const void *payload, uint32_t size,
	uint32_t reply_size, struct phx_message **out_message)
{
	(void)context, (void)payload, (void)size, (void)reply_size;
	fake.messages++;
	*out_message = (struct phx_message *)&fake;
	return 0;
}

void phx_message_release(struct phx_message *message)
{
	if (message != NULL)
		fake.messages--;
}

int phx_call_start(struct phx_channel *channel, struct phx_queue *queue,
	const struct phx_service *service, uint32_t method, struct phx_message *request,
	const struct phx_call_options *options, phx_reply_fn fn, void *arg,
	struct phx_call **out_call)
{
	uint64_t due = fake.now_ns + fake.service_ns;

	(void)channel, (void)queue, (void)service, (void)method, (void)options, (void)out_call;
	if (fake.head - fake.tail == fake.room)
		return -EAGAIN;
	assert_ptr_equal(request, &fake);
	if (due >= fake.stall_at_ns && due < fake.stall_at_ns + fake.stall_ns)
		due = fake.stall_at_ns + fake.stall_ns;
	fake.ring[fake.head++ % FAKE_RING] = (struct fake_reply){due, fn, arg};
	if (fake.head - fake.tail > fake.most_in_flight)
		fake.most_in_flight = fake.head - fake.tail;
	return 0;
}

int phx_poll(struct phx_queue *queue, unsigned max)
{
	struct phx_status status = {.code = fake.code};
	int n = 0;

	(void)queue, (void)max;
	while (fake.tail != fake.head && fake.ring[fake.tail % FAKE_RING].due_ns <= fake.now_ns) {
		struct fake_reply r = fake.ring[fake.tail++ % FAKE_RING];

		r.fn(r.arg, fake.code == PHX_OK ? (struct phx_message *)&fake : NULL, &status);
		fake.messages -= fake.code != PHX_OK;
		n++;
	}
	return n;
}

int phx_wait(struct phx_queue *queue, uint64_t timeout_ns)
{
	uint64_t until = fake.now_ns + timeout_ns;

	(void)queue;
	if (fake.tail != fake.head && fake.ring[fake.tail % FAKE_RING].due_ns <= until) {
		if (fake.ring[fake.tail % FAKE_RING].due_ns > fake.now_ns)
			fake.now_ns = fake.ring[fake.tail % FAKE_RING].due_ns;
		return 1;
	}
	fake.now_ns = until;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	memset(&fake, 0, sizeof(fake));
	fake.now_ns = MS;
	fake.service_ns = 10 * US;
	fake.room = FAKE_RING;
	fake.stall_at_ns = UINT64_MAX / 2;
	return 0;
}

// 100 ms of warm-up, 400 ms of measurement.
static void run(struct bench_loop *loop, const struct meter_options *options)
{
	*loop = (struct bench_loop){.options = options,
		.start_ns = fake.now_ns,
		.begin_ns = fake.now_ns + 100 * MS,
		.end_ns = fake.now_ns + 500 * MS,
		.call_limit = options->calls,
		.interval_ns = options->rate > 0 ? 1e9 / options->rate : 0};
	assert_int_equal(bench_loop_init(loop), 0);
	bench_loop_run(loop);
	assert_int_equal(loop->rc, 0);
	assert_int_equal(loop->in_flight, 0);
	assert_int_equal(fake.messages, 0);
}

static void bench_loop_run_closed_keeps_so_many_in_flight(void **state)
{
	const struct meter_options o = {.outstanding = 32};
	struct bench_loop loop;

	(void)state;
	run(&loop, &o);
	assert_int_equal(fake.most_in_flight, 32);
	assert_in_range(loop.result->calls, 1000000, 1300000); // 32 a 10 us and a little, 400 ms
	assert_true(meter_hist_quantile_us(&loop.result->hist, 0.5) < 13);
	bench_loop_fini(&loop);
}

static void bench_loop_run_without_room_waits_and_goes_on(void **state)
{
	const struct meter_options o = {.outstanding = 32};
	struct bench_loop loop;

	(void)state;
	fake.room = 8;
	run(&loop, &o);
	assert_int_equal(fake.most_in_flight, 8);
	assert_true(loop.result->calls > 200000);
	bench_loop_fini(&loop);
}

static void bench_loop_run_with_a_call_limit_ends_there(void **state)
{
	const struct meter_options o = {.outstanding = 1, .calls = 100};
	struct bench_loop loop;

	(void)state;
	run(&loop, &o);
	assert_int_equal(loop.result->calls, 100);
	bench_loop_fini(&loop);
}

static void bench_loop_run_of_failing_calls_counts_them_by_status(void **state)
{
	const struct meter_options o = {.outstanding = 1};
	struct bench_loop loop;

	(void)state;
	fake.code = PHX_UNAVAILABLE;
	run(&loop, &o);
	assert_int_equal(loop.result->calls, 0);
	assert_int_equal(loop.result->hist.count, 0);
	assert_true(loop.result->errors[PHX_UNAVAILABLE] > 30000);
	bench_loop_fini(&loop);
}

static void bench_loop_run_open_starts_calls_at_the_rate(void **state)
{
	const struct meter_options o = {.outstanding = 256, .rate = 10000};
	struct bench_loop loop;

	(void)state;
	run(&loop, &o);
	assert_in_range(loop.result->calls, 3995, 4001);
	assert_true(meter_hist_quantile_us(&loop.result->hist, 0.99) < 12);
	bench_loop_fini(&loop);
}

// A stall of 50 ms delays 500 calls of 100 us: a closed loop would see one slow call.
static void bench_loop_run_open_with_a_stall_charges_every_delayed_call(void **state)
{
	const struct meter_options o = {.outstanding = 64, .rate = 10000};
	struct bench_loop loop;

	(void)state;
	fake.stall_at_ns = 300 * MS;
	fake.stall_ns = 50 * MS;
	run(&loop, &o);
	assert_in_range(loop.result->calls, 3990, 4001);
	assert_true(meter_hist_quantile_us(&loop.result->hist, 0.86) < 100);
	assert_true(meter_hist_quantile_us(&loop.result->hist, 0.95) > 15000);
	assert_true((double)loop.result->hist.max_ns > 49e6);
	bench_loop_fini(&loop);
}

static void bench_loop_run_closed_with_a_gap_rests_after_each_call(void **state)
{
	const struct meter_options o = {.outstanding = 1, .gap_us = 2000};
	struct bench_loop loop;

	(void)state;
	run(&loop, &o);
	assert_in_range(loop.result->calls, 195, 200); // every 2.01 ms
	assert_true(meter_hist_quantile_us(&loop.result->hist, 0.99) < 12);
	bench_loop_fini(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(bench_loop_run_closed_keeps_so_many_in_flight, setup),
		cmocka_unit_test_setup(bench_loop_run_without_room_waits_and_goes_on, setup),
		cmocka_unit_test_setup(bench_loop_run_with_a_call_limit_ends_there, setup),
		cmocka_unit_test_setup(
			bench_loop_run_of_failing_calls_counts_them_by_status, setup),
		cmocka_unit_test_setup(bench_loop_run_open_starts_calls_at_the_rate, setup),
		cmocka_unit_test_setup(
			bench_loop_run_open_with_a_stall_charges_every_delayed_call, setup),
		cmocka_unit_test_setup(
			bench_loop_run_closed_with_a_gap_rests_after_each_call, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
