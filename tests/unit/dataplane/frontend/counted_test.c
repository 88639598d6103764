// SPDX-License-Identifier: BSD-3-Clause
// Which series calls count in, and the last ways in which they failed.
#include "dataplane/frontend/counted.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct rig {
	struct worker worker;
	struct session session;
	struct session_queue queue;
	struct call call;
};

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	assert_int_equal(stats_create(4, &r->worker.calls), 0);
	r->worker.now_ns = 1000;
	r->session.worker = &r->worker;
	r->session.config.id = 7;
	r->queue.session = &r->session;
	r->call.session = &r->session;
	r->call.queue = &r->queue;
	r->call.service_name = "a.S";
	r->call.method_name = "M";
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	struct rig *r = *state;

	stats_destroy(r->worker.calls);
	free(r);
	return 0;
}

static uint64_t calls_of(const struct stats_series *s, enum phx_code code)
{
	return atomic_load_explicit(&s->code[code].calls, memory_order_relaxed);
}

static void call_start_resolves_once_and_call_end_counts_there(void **state)
{
	struct rig *r = *state;
	struct stats_series *slot = NULL;

	counted_call_start(&r->call, &slot);
	assert_non_null(slot);
	assert_string_equal(slot->method, "M");
	assert_int_equal(slot->app, 7);
	r->call.method_name = "other"; // not looked at any more
	counted_call_start(&r->call, &slot);
	assert_ptr_equal(r->call.series, slot);
	r->call.start_ns = 400;
	r->call.message.image.total_len = 64;
	r->call.message.meta_len = 16;
	counted_call_end(&r->call, PHX_OK, 24);
	assert_int_equal(calls_of(slot, PHX_OK), 1);
	assert_int_equal(slot->code[PHX_OK].tx_bytes, 80);
	assert_int_equal(slot->code[PHX_OK].rx_bytes, 24);
	assert_int_equal(phx_hist_max(&slot->latency), 600);
}

static void call_end_of_an_unknown_method_counts_under_no_name(void **state)
{
	struct rig *r = *state;
	const struct stats_series *s;

	counted_call_end(&r->call, PHX_UNIMPLEMENTED, 0);
	s = stats_resolve(r->worker.calls, 7, STATS_CLIENT, "", "");
	assert_int_equal(calls_of(s, PHX_UNIMPLEMENTED), 1);
	// Looked up once, not for each.
	assert_ptr_equal(r->session.nowhere, s);
	r->session.config.id = 8;
	counted_call_end(&r->call, PHX_UNIMPLEMENTED, 0);
	assert_int_equal(calls_of(s, PHX_UNIMPLEMENTED), 2);
}

static void fails(struct rig *r, enum phx_code code, enum phx_reason reason, uint64_t now_ns)
{
	const struct call_status status = {.code = (uint8_t)code, .reason = (uint8_t)reason};

	r->worker.now_ns = now_ns;
	counted_error(&r->call, &status);
}

static const struct session_error *find(const struct rig *r, enum phx_reason reason)
{
	for (int i = 0; i < SESSION_ERRORS; i++) {
		if (r->session.errors[i].count != 0 && r->session.errors[i].reason == reason)
			return &r->session.errors[i];
	}
	return NULL;
}

static void error_equal_ones_are_counted_together(void **state)
{
	struct rig *r = *state;
	struct stats_series *slot = NULL;

	counted_call_start(&r->call, &slot);
	fails(r, PHX_UNAVAILABLE, PHX_REASON_LINK_LOST, 10);
	fails(r, PHX_UNAVAILABLE, PHX_REASON_LINK_DOWN, 20);
	fails(r, PHX_UNAVAILABLE, PHX_REASON_LINK_LOST, 30);
	assert_int_equal(find(r, PHX_REASON_LINK_LOST)->count, 2);
	assert_int_equal(find(r, PHX_REASON_LINK_LOST)->last_ns, 30);
	assert_string_equal(find(r, PHX_REASON_LINK_LOST)->service, "a.S");
	assert_int_equal(find(r, PHX_REASON_LINK_DOWN)->count, 1);
}

static void error_new_one_replaces_the_oldest(void **state)
{
	struct rig *r = *state;

	for (int i = 0; i < SESSION_ERRORS; i++)
		fails(r, PHX_INTERNAL, (enum phx_reason)(PHX_REASON_INVALID + i),
			100 + (uint64_t)i);
	fails(r, PHX_INTERNAL, PHX_REASON_INVALID,
		200); // the first one again: the second is oldest
	fails(r, PHX_INTERNAL, PHX_REASON_LINK_LOST, 201);
	assert_non_null(find(r, PHX_REASON_INVALID));
	assert_non_null(find(r, PHX_REASON_LINK_LOST));
	assert_null(find(r, (enum phx_reason)(PHX_REASON_INVALID + 1)));
	assert_string_equal(find(r, PHX_REASON_LINK_LOST)->service, ""); // not known
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(call_start_resolves_once_and_call_end_counts_there),
		T(call_end_of_an_unknown_method_counts_under_no_name),
		T(error_equal_ones_are_counted_together),
		T(error_new_one_replaces_the_oldest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
