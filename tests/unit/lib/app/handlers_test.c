// SPDX-License-Identifier: BSD-3-Clause
// Where handlers run: on the polling thread, on a pool, on an executor.
#include "tests/unit/lib/app/handlers.h"

#include <signal.h>

static void pool_runs_handlers_on_its_threads(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 2);
	test_attach(&t, false);
	run_start(&t);
	for (unsigned i = 0; i < 20; i++) {
		deliver(&t, 100 + i, 1);
		expect(&t, 100 + i, PHX_OK);
	}
	run_stop(&t);
	assert_int_equal(20, atomic_load(&t.foreign));
	assert_memory_equal("phx-handler-", t.thread_name, 12);
	session_close(&t.s);
}

static void inline_runs_handlers_on_the_polling_thread(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 2);
	t.options.size = sizeof(size_t); // of a program that knows no option
	test_attach(&t, false);
	run_start(&t);
	deliver(&t, 100, 1);
	expect(&t, 100, PHX_OK);
	run_stop(&t);
	assert_int_equal(0, atomic_load(&t.foreign));
	session_close(&t.s);
}

static void pool_slow_handler_does_not_block_others(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 2);
	test_attach(&t, false);
	run_start(&t);
	deliver(&t, 100, BLOCKS);
	for (unsigned i = 1; i < 50; i++)
		deliver(&t, 100 + i, 2);
	for (unsigned i = 1; i < 50; i++)
		expect(&t, 100 + i, PHX_OK);
	assert_true(fake_sub_none(t.s.dp, 0));
	atomic_store(&t.open, true);
	expect(&t, 100, PHX_OK);
	run_stop(&t);
	session_close(&t.s);
}

static void pool_threads_keep_to_their_cpus(void **)
{
	struct handlers_test t;
	cpu_set_t allowed;
	uint32_t cpu = 0;

	assert_int_equal(0, sched_getaffinity(0, sizeof(allowed), &allowed));
	while (!CPU_ISSET(cpu, &allowed))
		cpu++;
	test_open(&t, PHX_HANDLERS_POOL, 2);
	t.options.cpu_count = 1;
	t.options.cpus = &cpu;
	test_attach(&t, false);
	run_start(&t);
	deliver(&t, 100, 1);
	expect(&t, 100, PHX_OK);
	run_stop(&t);
	assert_int_equal(1, CPU_COUNT(&t.cpus));
	assert_true(CPU_ISSET(cpu, &t.cpus));
	session_close(&t.s);
}

static void pool_on_a_cpu_that_is_not_there_does_not_run(void **)
{
	struct handlers_test t;
	cpu_set_t allowed;
	uint32_t cpus[2] = {0, CPU_SETSIZE - 1};

	assert_int_equal(0, sched_getaffinity(0, sizeof(allowed), &allowed));
	if (CPU_ISSET(CPU_SETSIZE - 1, &allowed))
		skip();
	while (!CPU_ISSET(cpus[0], &allowed))
		cpus[0]++;
	test_open(&t, PHX_HANDLERS_POOL, 2);
	t.options.cpu_count = 2;
	t.options.cpus = cpus;
	test_attach(&t, false);
	assert_int_equal(-EINVAL, phx_server_run(t.server));
	session_close(&t.s);
}

static void options_out_of_range_are_refused(void **)
{
	struct handlers_test t;
	struct phx_server_options o;
	struct phx_server *none = NULL;
	uint32_t cpu = CPU_SETSIZE;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	test_attach(&t, false);
#define REFUSED(field, value)                                                                      \
	do {                                                                                       \
		o = t.options;                                                                     \
		o.field = (value);                                                                 \
		assert_int_equal(-EINVAL, phx_server_create_with(t.s.ctx, NULL, &o, &none));       \
	} while (0)
	REFUSED(size, sizeof(size_t) - 1);
	REFUSED(handlers, 3);
	REFUSED(handlers, PHX_HANDLERS_EXECUTOR); // without one
	REFUSED(threads, 1025);
	REFUSED(backlog, 65537);
	REFUSED(cpu_count, 1); // without a list
	t.options.cpus = &cpu;
	REFUSED(cpu_count, 1);
	assert_null(none);
	session_close(&t.s);
}

static void second_run_is_busy(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	test_attach(&t, false);
	run_start(&t);
	deliver(&t, 100, 2);
	expect(&t, 100, PHX_OK);
	assert_int_equal(-EBUSY, phx_server_run(t.server));
	run_stop(&t);
	session_close(&t.s);
}

static void full_backlog_is_resource_exhausted(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 1);
	t.options.backlog = 4;
	test_attach(&t, false);
	run_start(&t);
	deliver(&t, 100, BLOCKS);
	fake_until(atomic_load(&t.entered) == 1);
	for (unsigned i = 1; i < 10; i++)
		deliver(&t, 100 + i, 2);
	for (unsigned i = 5; i < 10; i++)
		expect(&t, 100 + i, PHX_RESOURCE_EXHAUSTED);
	atomic_store(&t.open, true);
	for (unsigned i = 0; i < 5; i++)
		expect(&t, 100 + i, PHX_OK);
	run_stop(&t);
	session_close(&t.s);
}

// ---- executors ----

static int task_keep(void *arg, struct phx_task task)
{
	struct handlers_test *t = arg;
	unsigned n = atomic_load(&t->task_count);

	if (n == t->task_room)
		return -1;
	t->tasks[n] = task;
	atomic_store(&t->task_count, n + 1);
	return 0;
}

static void *tasks_main(void *arg)
{
	struct handlers_test *t = arg;

	fake_until(atomic_load(&t->task_count) == t->task_room);
	for (unsigned i = t->task_room; i > 0; i--)
		t->tasks[i - 1].fn(t->tasks[i - 1].arg);
	return NULL;
}

static void executor_runs_tasks_where_it_likes(void **)
{
	struct handlers_test t;
	pthread_t thread;

	test_open(&t, PHX_HANDLERS_EXECUTOR, 0);
	t.options.executor = task_keep;
	t.options.executor_arg = &t;
	t.task_room = 5;
	test_attach(&t, false);
	run_start(&t);
	for (unsigned i = 0; i < 7; i++)
		deliver(&t, 100 + i, i + 2);
	for (unsigned i = 5; i < 7; i++)
		expect(&t, 100 + i, PHX_RESOURCE_EXHAUSTED); // it took no more
	assert_int_equal(0, pthread_create(&thread, NULL, tasks_main, &t));
	for (unsigned i = 5; i > 0; i--)
		expect(&t, 100 + i - 1, PHX_OK);
	pthread_join(thread, NULL);
	run_stop(&t);
	assert_int_equal(5, atomic_load(&t.foreign));
	session_close(&t.s);
}

static int task_at_once(void *arg, struct phx_task task)
{
	(void)arg;
	task.fn(task.arg);
	return 0;
}

static void executor_may_run_tasks_at_once(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_EXECUTOR, 0);
	t.options.executor = task_at_once;
	test_attach(&t, false);
	for (unsigned i = 0; i < 5; i++)
		deliver(&t, 100 + i, 2);
	assert_int_equal(5, phx_poll(t.s.queue, 0));
	for (unsigned i = 0; i < 5; i++)
		expect(&t, 100 + i, PHX_OK);
	session_close(&t.s);
}

static void task_after_the_end_of_its_server_runs_no_handler(void **)
{
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_EXECUTOR, 0);
	t.options.executor = task_keep;
	t.options.executor_arg = &t;
	test_attach(&t, false);
	deliver(&t, 100, 2);
	assert_int_equal(1, phx_poll(t.s.queue, 0));
	phx_server_destroy(t.server);
	expect(&t, 100, PHX_UNAVAILABLE);
	t.tasks[0].fn(t.tasks[0].arg);
	assert_int_equal(0, atomic_load(&t.entered));
	assert_true(fake_sub_none(t.s.dp, 0));
	session_close(&t.s);
}

// ---- threads ----

static struct phx_server *stopped;

static void stop_fn(int)
{
	phx_server_stop(stopped);
}

static void server_is_made_run_and_stopped_by_different_threads(void **)
{
	struct sigaction sa = {.sa_handler = stop_fn};
	struct handlers_test t;

	test_open(&t, PHX_HANDLERS_POOL, 2);
	test_attach(&t, false);
	stopped = t.server;
	assert_int_equal(0, sigaction(SIGALRM, &sa, NULL));
	for (unsigned round = 0; round < 3; round++) {
		run_start(&t);
		deliver(&t, 100 + round, 2);
		expect(&t, 100 + round, PHX_OK);
		assert_int_equal(0, kill(getpid(), SIGALRM)); // on whichever thread
		assert_int_equal(0, pthread_join(t.runner, NULL));
		assert_int_equal(0, t.run_rc);
	}
	session_close(&t.s);
}

#define STRESS 20000

static void pool_answers_each_request_once(void **)
{
	static uint8_t replies[STRESS];
	struct handlers_test t;
	unsigned sent = 0, got = 0;

	memset(replies, 0, sizeof(replies));
	test_open(&t, PHX_HANDLERS_POOL, 4);
	test_attach(&t, false);
	run_start(&t);
	while (got < STRESS) {
		if (sent < STRESS && sent - got < 200) {
			deliver(&t, 1000 + sent, 2);
			sent++;
		}
		while (!fake_sub_none(t.s.dp, 0)) {
			struct phx_sub_entry e = fake_sub(t.s.dp, 0, NULL);

			assert_int_equal(PHX_OK, e.channel);
			assert_true(e.handle >= 1000 && e.handle < 1000 + sent);
			replies[e.handle - 1000]++;
			got++;
		}
		if (sent - got >= 200 || sent == STRESS)
			(void)sched_yield();
	}
	run_stop(&t);
	for (unsigned i = 0; i < STRESS; i++)
		assert_int_equal(1, replies[i]);
	assert_int_equal(STRESS, atomic_load(&t.foreign));
	session_close(&t.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pool_runs_handlers_on_its_threads),
		cmocka_unit_test(inline_runs_handlers_on_the_polling_thread),
		cmocka_unit_test(pool_slow_handler_does_not_block_others),
		cmocka_unit_test(pool_threads_keep_to_their_cpus),
		cmocka_unit_test(pool_on_a_cpu_that_is_not_there_does_not_run),
		cmocka_unit_test(options_out_of_range_are_refused),
		cmocka_unit_test(second_run_is_busy),
		cmocka_unit_test(full_backlog_is_resource_exhausted),
		cmocka_unit_test(executor_runs_tasks_where_it_likes),
		cmocka_unit_test(executor_may_run_tasks_at_once),
		cmocka_unit_test(task_after_the_end_of_its_server_runs_no_handler),
		cmocka_unit_test(server_is_made_run_and_stopped_by_different_threads),
		cmocka_unit_test(pool_answers_each_request_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
