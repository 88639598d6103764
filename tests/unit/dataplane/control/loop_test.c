// SPDX-License-Identifier: BSD-3-Clause
// Tests of the control thread's loop.
#include "dataplane/control/loop.h"

#include "lib/base/clock.h"
#include "lib/base/compiler.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <unistd.h>

#include <cmocka.h>

struct pipe_source {
	struct ctl_source source;
	struct pipe_source *victim;
	unsigned calls;
};

static struct ctl_loop loop;

static void pipe_readable(struct ctl_source *source, uint32_t events)
{
	struct pipe_source *p = phx_container_of(source, struct pipe_source, source);

	assert_true(events & EPOLLIN);
	p->calls++;
	if (p->victim != NULL)
		ctl_del(&loop, &p->victim->source);
	ctl_del(&loop, source);
}

static int setup(void **state)
{
	(void)state;
	return ctl_loop_init(&loop);
}

static int teardown(void **state)
{
	(void)state;
	ctl_loop_fini(&loop);
	return 0;
}

static void ctl_del_of_a_source_in_the_same_batch_drops_its_event(void **state)
{
	struct pipe_source a = {0}, b = {0};
	int pa[2], pb[2];

	(void)state;
	assert_int_equal(pipe(pa), 0);
	assert_int_equal(pipe(pb), 0);
	a.source = (struct ctl_source){pa[0], pipe_readable};
	b.source = (struct ctl_source){pb[0], pipe_readable};
	a.victim = &b;
	b.victim = &a;
	assert_int_equal(write(pa[1], "x", 1), 1);
	assert_int_equal(write(pb[1], "x", 1), 1);
	assert_int_equal(ctl_add(&loop, &a.source, EPOLLIN), 0);
	assert_int_equal(ctl_add(&loop, &b.source, EPOLLIN), 0);
	assert_int_equal(ctl_loop_once(&loop, PHX_NS_PER_S), 0);
	assert_int_equal(a.calls + b.calls, 1);
	assert_int_equal(ctl_loop_once(&loop, 0), 0);
	assert_int_equal(a.calls + b.calls, 1);
	close(pa[0]);
	close(pa[1]);
	close(pb[0]);
	close(pb[1]);
}

struct alarm {
	struct timer timer;
	uint64_t fired_ns;
};

static void alarm_fired(struct worker *worker, struct timer *timer)
{
	assert_null(worker);
	phx_container_of(timer, struct alarm, timer)->fired_ns = loop.now_ns;
	ctl_stop(&loop);
}

static void ctl_timer_start_fires_at_its_time(void **state)
{
	uint64_t at = phx_clock_ns() + 5 * PHX_NS_PER_MS;
	struct alarm a = {0};

	(void)state;
	timer_init(&a.timer);
	ctl_timer_start(&loop, &a.timer, at, alarm_fired);
	assert_int_equal(ctl_loop_run(&loop), 0);
	assert_true(a.fired_ns >= at);
	assert_true(a.fired_ns < at + 5 * PHX_NS_PER_S);
}

static unsigned posted;

static void count_posted(struct worker *worker, struct cmd *cmd)
{
	(void)worker;
	(void)cmd;
	if (++posted == 1000)
		ctl_stop(&loop);
}

static void *poster(void *arg)
{
	struct cmd *cmds = arg;
	unsigned i;

	for (i = 0; i < 1000; i++)
		ctl_post(&loop, &cmds[i], count_posted);
	return NULL;
}

static void ctl_post_from_another_thread_wakes_the_loop(void **state)
{
	static struct cmd cmds[1000];
	pthread_t thread;

	(void)state;
	posted = 0;
	assert_int_equal(pthread_create(&thread, NULL, poster, cmds), 0);
	assert_int_equal(ctl_loop_run(&loop), 0);
	pthread_join(thread, NULL);
	assert_int_equal(posted, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			ctl_del_of_a_source_in_the_same_batch_drops_its_event, setup, teardown),
		cmocka_unit_test_setup_teardown(ctl_timer_start_fires_at_its_time, setup, teardown),
		cmocka_unit_test_setup_teardown(
			ctl_post_from_another_thread_wakes_the_loop, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
