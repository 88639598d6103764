// SPDX-License-Identifier: BSD-3-Clause
// What cancels, deadlines, stops and ends do to requests that wait for a thread of a pool.
#include "tests/unit/lib/app/handlers.h"

static void cancelled_before_its_turn_runs_no_handler(void **)
{
	struct handlers_test t;
	struct note note = {.number = 5};
	struct phx_ret_entry ret;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	test_attach(&t, false);
	run_start(&t);
	deliver(&t, 100, BLOCKS);
	fake_comp(t.s.dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_REQUEST,
			.flags = PHX_COMP_HAS_MESSAGE,
			.call = SERVICE,
			.handle = 101,
			.lent = 0x77,
			.remaining_ns = PHX_TIMEOUT_NONE,
			.msg_off = fake_recv_put(t.s.dp, &note, sizeof(note)),
			.msg_len = sizeof(note)},
		NULL, 0);
	cancel(&t, 101);
	deliver(&t, 102, 6);
	fake_until(atomic_load(&t.entered) == 1);
	// All three have left the ring.
	fake_until(phx_ring_prod_room(&t.s.dp->queues[0].comp, 4096) == 4096);
	atomic_store(&t.open, true);
	expect(&t, 100, PHX_OK);
	expect(&t, 102, PHX_OK);
	ret = fake_ret(t.s.dp, 0);
	assert_int_equal(0x77, ret.handle[0]);
	run_stop(&t);
	assert_int_equal(0, atomic_load(&t.seen) & UINT64_C(1) << 5);
	session_close(&t.s);
}

static void cancelled_in_its_handler_sends_no_reply(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	test_attach(&t, false);
	run_start(&t);
	deliver(&t, 100, BLOCKS);
	fake_until(atomic_load(&t.entered) == 1);
	cancel(&t, 100);
	fake_until(phx_ring_prod_room(&t.s.dp->queues[0].comp, 4096) == 4096);
	atomic_store(&t.open, true);
	deliver(&t, 101, 2);
	expect(&t, 101, PHX_OK);
	assert_int_equal(2, atomic_load(&t.entered));
	run_stop(&t);
	session_close(&t.s);
}

static void deadline_before_its_turn_runs_no_handler(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	test_attach(&t, false);
	run_start(&t);
	deliver(&t, 100, BLOCKS);
	deliver_until(&t, 101, 5, 1); // a nanosecond
	deliver_until(&t, 102, 6, 60 * PHX_NS_PER_S);
	fake_until(atomic_load(&t.entered) == 1);
	atomic_store(&t.open, true);
	expect(&t, 100, PHX_OK);
	expect(&t, 101, PHX_DEADLINE_EXCEEDED);
	expect(&t, 102, PHX_OK);
	run_stop(&t);
	assert_int_equal(0, atomic_load(&t.seen) & UINT64_C(1) << 5);
	session_close(&t.s);
}

static void *open_later(void *arg)
{
	struct handlers_test *t = arg;

	fake_until(atomic_load(&t->entered) == 1);
	phx_server_stop(t->server);
	atomic_store(&t->open, true);
	return NULL;
}

static void stop_waits_for_handlers_and_keeps_what_waits(void **)
{
	struct handlers_test t;
	pthread_t opener;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	test_attach(&t, false);
	deliver(&t, 100, BLOCKS);
	for (unsigned i = 1; i < 10; i++)
		deliver(&t, 100 + i, i);
	assert_int_equal(0, pthread_create(&opener, NULL, open_later, &t));
	assert_int_equal(0, phx_server_run(t.server));
	pthread_join(opener, NULL);
	assert_true(atomic_load(&t.count) == atomic_load(&t.entered)); // none is inside
	run_start(&t);
	for (unsigned i = 0; i < 10; i++)
		expect(&t, 100 + i, PHX_OK);
	run_stop(&t);
	session_close(&t.s);
}

static void requests_before_run_wait_for_it(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	test_attach(&t, false);
	deliver(&t, 100, 2);
	assert_int_equal(1, phx_poll(t.s.queue, 0));
	assert_int_equal(0, atomic_load(&t.entered));
	run_start(&t);
	expect(&t, 100, PHX_OK);
	run_stop(&t);
	session_close(&t.s);
}

static void destroy_answers_what_waits(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	test_attach(&t, false);
	deliver(&t, 100, 2);
	deliver(&t, 101, 3);
	assert_int_equal(2, phx_poll(t.s.queue, 0));
	phx_server_destroy(t.server);
	for (unsigned i = 0; i < 2; i++) {
		struct phx_sub_entry e = fake_sub(t.s.dp, 0, NULL);

		assert_int_equal(PHX_UNAVAILABLE, e.channel);
	}
	assert_int_equal(0, atomic_load(&t.entered));
	session_close(&t.s);
}

static void detach_frees_what_waits(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	test_attach(&t, false);
	deliver(&t, 100, 2);
	assert_int_equal(1, phx_poll(t.s.queue, 0));
	session_close(&t.s); // leak checkers see the rest
	assert_int_equal(0, atomic_load(&t.entered));
}

static void dataplane_dies_with_work_in_the_pool(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	test_attach(&t, false);
	run_start(&t);
	deliver(&t, 100, BLOCKS);
	deliver(&t, 101, 5);
	fake_until(atomic_load(&t.entered) == 1);
	fake_dp_kill(t.s.dp);
	fake_until(phx_context_ended(t.s.ctx, NULL));
	atomic_store(&t.open, true);
	assert_int_equal(0, pthread_join(t.runner, NULL));
	assert_int_equal(-ENOTCONN, t.run_rc);
	assert_int_equal(-ENOTCONN, atomic_load(&t.reply_rc));
	assert_int_equal(0, atomic_load(&t.seen) & UINT64_C(1) << 5);
	session_close(&t.s);
}

static void dataplane_is_replaced_with_work_in_the_pool(void **)
{
	struct handlers_test t;
	struct fake_dp *old;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	test_attach(&t, true);
	run_start(&t);
	deliver(&t, 100, BLOCKS);
	deliver(&t, 101, 5);
	fake_until(atomic_load(&t.entered) == 1);
	old = dataplane_dies(&t.s);
	fake_dp_start(t.s.dp);
	fake_until(atomic_load(&t.s.dp->registers) == 1);
	fake_until(!phx_context_ended(t.s.ctx, NULL));
	deliver(&t, 100, 6); // the same handle, in the new session
	atomic_store(&t.open, true);
	expect(&t, 100, PHX_OK);
	run_stop(&t);
	// One of before was in its handler, the other came to none.
	assert_int_equal(2, atomic_load(&t.entered));
	assert_int_equal(0, atomic_load(&t.seen) & UINT64_C(1) << 5);
	session_close(&t.s);
	fake_dp_destroy(old);
}

static _Atomic bool polling_stop;

static void *poll_main(void *arg)
{
	while (!atomic_load(&polling_stop)) {
		assert_true(phx_poll(arg, 0) >= 0);
		(void)sched_yield();
	}
	return NULL;
}

// Another thread polls the same queue, as one in phx_call() does.
static void destroy_while_another_thread_hands_over(void **)
{
	struct handlers_test t;
	uint64_t handle = 1000;
	pthread_t poller;

	test_open(&t, PHX_HANDLERS_POOL, 2);
	t.s = session_open(NULL);
	atomic_store(&polling_stop, false);
	assert_int_equal(0, pthread_create(&poller, NULL, poll_main, t.s.queue));
	for (unsigned round = 0; round < 50; round++) {
		uint64_t first = handle;

		assert_int_equal(0, phx_server_create_with(t.s.ctx, NULL, &t.options, &t.server));
		assert_int_equal(
			0, phx_server_add(t.server, NULL, &note_service, handlers, &t, NULL));
		for (unsigned i = 0; i < 40; i++)
			deliver(&t, handle++, 2);
		phx_server_destroy(t.server);
		// UNAVAILABLE, or UNIMPLEMENTED where it came behind the end.
		for (; first < handle; first++)
			assert_int_not_equal(PHX_OK, fake_sub(t.s.dp, 0, NULL).channel);
	}
	atomic_store(&polling_stop, true);
	pthread_join(poller, NULL);
	assert_int_equal(0, atomic_load(&t.entered));
	session_close(&t.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cancelled_before_its_turn_runs_no_handler),
		cmocka_unit_test(cancelled_in_its_handler_sends_no_reply),
		cmocka_unit_test(deadline_before_its_turn_runs_no_handler),
		cmocka_unit_test(stop_waits_for_handlers_and_keeps_what_waits),
		cmocka_unit_test(requests_before_run_wait_for_it),
		cmocka_unit_test(destroy_answers_what_waits),
		cmocka_unit_test(detach_frees_what_waits),
		cmocka_unit_test(dataplane_dies_with_work_in_the_pool),
		cmocka_unit_test(dataplane_is_replaced_with_work_in_the_pool),
		cmocka_unit_test(destroy_while_another_thread_hands_over),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
