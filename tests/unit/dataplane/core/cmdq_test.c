// SPDX-License-Identifier: BSD-3-Clause
// Tests of the command queue: order, the bell, and two threads against each other.
#include "dataplane/core/cmdq.h"

#include "lib/base/clock.h"
#include "lib/base/compiler.h"

#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define PER_PRODUCER 100000

struct item {
	struct cmd cmd;
	unsigned producer;
	unsigned number;
};

static unsigned next_number[2];
static unsigned ran;
static bool out_of_order;

static void item_run(struct worker *worker, struct cmd *cmd)
{
	struct item *item = phx_container_of(cmd, struct item, cmd);

	(void)worker;
	if (item->number != next_number[item->producer]++)
		out_of_order = true;
	ran++;
}

static void reset(void)
{
	next_number[0] = next_number[1] = ran = 0;
	out_of_order = false;
}

static bool readable(int fd)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return poll(&p, 1, 0) == 1;
}

static void cmdq_run_within_max_keeps_order(void **state)
{
	struct item items[10] = {};
	struct cmdq q;
	unsigned i;

	(void)state;
	reset();
	assert_int_equal(cmdq_init(&q), 0);
	for (i = 0; i < 10; i++) {
		items[i] = (struct item){.cmd.fn = item_run, .number = i};
		cmdq_push(&q, &items[i].cmd);
	}
	assert_int_equal(cmdq_run(&q, NULL, 4), 4);
	assert_true(cmdq_recheck(&q));
	assert_int_equal(cmdq_run(&q, NULL, 100), 6);
	assert_int_equal(cmdq_run(&q, NULL, 100), 0);
	assert_false(cmdq_recheck(&q));
	assert_false(out_of_order);
	cmdq_fini(&q);
}

static void cmdq_push_to_awake_consumer_writes_no_bell(void **state)
{
	struct item a = {.cmd.fn = item_run}, b = {.cmd.fn = item_run, .number = 1};
	struct cmdq q;
	uint64_t value;

	(void)state;
	reset();
	assert_int_equal(cmdq_init(&q), 0);
	cmdq_push(&q, &a.cmd);
	assert_false(readable(q.fd));
	assert_int_equal(cmdq_run(&q, NULL, 1), 1);
	cmdq_arm(&q);
	assert_false(cmdq_recheck(&q));
	cmdq_push(&q, &b.cmd);
	assert_true(readable(q.fd));
	a.number = 2;
	cmdq_push(&q, &a.cmd); // rings once a sleep
	assert_int_equal(read(q.fd, &value, sizeof(value)), (int)sizeof(value));
	assert_int_equal(value, 1);
	assert_int_equal(cmdq_run(&q, NULL, 10), 2);
	cmdq_fini(&q);
}

struct producer {
	struct cmdq *q;
	struct item *items;
	unsigned index;
};

static void *producer_main(void *arg)
{
	struct producer *p = arg;
	unsigned i;

	for (i = 0; i < PER_PRODUCER; i++) {
		p->items[i] = (struct item){.cmd.fn = item_run, .producer = p->index, .number = i};
		cmdq_push(p->q, &p->items[i].cmd);
	}
	return NULL;
}

static void cmdq_push_from_two_threads_loses_nothing_and_keeps_order(void **state)
{
	struct producer producers[2];
	pthread_t threads[2];
	struct cmdq q;
	uint64_t deadline = phx_clock_ns() + 30 * PHX_NS_PER_S, value;
	unsigned i;

	(void)state;
	reset();
	assert_int_equal(cmdq_init(&q), 0);
	for (i = 0; i < 2; i++) {
		producers[i] = (struct producer){&q, calloc(PER_PRODUCER, sizeof(struct item)), i};
		assert_non_null(producers[i].items);
		assert_int_equal(
			pthread_create(&threads[i], NULL, producer_main, &producers[i]), 0);
	}
	while (ran < 2 * PER_PRODUCER && phx_clock_ns() < deadline) {
		if (cmdq_run(&q, NULL, 64) != 0)
			continue;
		cmdq_arm(&q);
		if (!cmdq_recheck(&q)) {
			struct pollfd p = {.fd = q.fd, .events = POLLIN};
			ssize_t ignored;

			// A lost wake-up would sit out the whole second.
			assert_true(poll(&p, 1, 1000) == 1 || ran == 2 * PER_PRODUCER);
			ignored = read(q.fd, &value, sizeof(value));
			(void)ignored;
		}
		cmdq_disarm(&q);
	}
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], NULL);
		free(producers[i].items);
	}
	assert_int_equal(ran, 2 * PER_PRODUCER);
	assert_false(out_of_order);
	cmdq_fini(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(cmdq_run_within_max_keeps_order),
		cmocka_unit_test(cmdq_push_to_awake_consumer_writes_no_bell),
		cmocka_unit_test(cmdq_push_from_two_threads_loses_nothing_and_keeps_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
