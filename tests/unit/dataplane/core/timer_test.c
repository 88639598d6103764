// SPDX-License-Identifier: BSD-3-Clause
// Tests of the timer wheel, the large one against a model that scans a table.
#include "dataplane/core/timer.h"

#include "lib/base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define TIMERS 300
#define STEPS  20000

struct probe {
	struct timer timer;
	uint64_t at_ns; // 0 = not running in the model
	unsigned fired;
};

static uint64_t now_ns;
static unsigned early;

static void probe_fired(struct worker *worker, struct timer *timer)
{
	struct probe *p = phx_container_of(timer, struct probe, timer);

	(void)worker;
	if (p->at_ns == 0 || now_ns < p->at_ns)
		early++;
	p->at_ns = 0;
	p->fired++;
}

static uint64_t random_delay(void)
{
	// From far below a tick to beyond the span of the wheel (2^46 ns).
	unsigned bits = 8 + (unsigned)rand() % 41;

	return ((uint64_t)rand() << 31 | (uint64_t)rand()) & ((UINT64_C(1) << bits) - 1);
}

static void check_due(const struct probe *probes, const struct timer_wheel *w)
{
	uint64_t next = UINT64_MAX, armed = 0;
	unsigned i;

	for (i = 0; i < TIMERS; i++) {
		assert_int_equal(timer_is_running(&probes[i].timer), probes[i].at_ns != 0);
		if (probes[i].at_ns == 0)
			continue;
		armed++;
		// Late by less than two ticks: rounding up and "the next tick".
		assert_true(probes[i].at_ns + 2 * TIMER_TICK_NS > now_ns);
		if (probes[i].at_ns < next)
			next = probes[i].at_ns;
	}
	assert_int_equal(w->armed, armed);
	assert_int_equal(timer_next_ns(w) == UINT64_MAX, armed == 0);
	if (armed != 0)
		assert_true(timer_next_ns(w) < next + 2 * TIMER_TICK_NS);
}

static void timer_run_against_a_model_agrees(void **state)
{
	static struct probe probes[TIMERS];
	static struct timer_wheel w;
	unsigned i, step;

	(void)state;
	srand(1);
	now_ns = UINT64_C(1) << 45; // the boundary of the span comes during the run
	early = 0;
	timer_wheel_init(&w, now_ns);
	for (i = 0; i < TIMERS; i++)
		timer_init(&probes[i].timer);
	for (step = 0; step < STEPS; step++) {
		struct probe *p = &probes[rand() % TIMERS];

		switch (rand() % 4) {
		case 0:
			timer_stop(&w, &p->timer);
			p->at_ns = 0;
			break;
		case 1:
			now_ns += random_delay() >> (rand() % 8);
			(void)timer_run(&w, NULL, now_ns, UINT32_MAX);
			check_due(probes, &w);
			break;
		default:
			p->at_ns = now_ns + random_delay();
			timer_start(&w, &p->timer, p->at_ns, probe_fired);
		}
	}
	assert_int_equal(early, 0);
}

static void timer_run_with_max_continues_where_it_stopped(void **state)
{
	struct probe probes[10] = {0};
	static struct timer_wheel w;
	unsigned i;

	(void)state;
	now_ns = 1000 * TIMER_TICK_NS;
	timer_wheel_init(&w, now_ns);
	for (i = 0; i < 10; i++) {
		timer_init(&probes[i].timer);
		probes[i].at_ns = now_ns + 70 * TIMER_TICK_NS;
		timer_start(&w, &probes[i].timer, probes[i].at_ns, probe_fired);
	}
	now_ns += 70 * TIMER_TICK_NS;
	assert_int_equal(timer_run(&w, NULL, now_ns - 1, 100), 0);
	assert_int_equal(timer_run(&w, NULL, now_ns, 3), 3);
	assert_true(timer_next_ns(&w) <= now_ns);
	assert_int_equal(timer_run(&w, NULL, now_ns, 100), 7);
	assert_int_equal(timer_next_ns(&w), UINT64_MAX);
}

static void timer_start_in_the_past_fires_in_the_next_tick(void **state)
{
	struct probe p = {0};
	static struct timer_wheel w;

	(void)state;
	now_ns = 5 * TIMER_TICK_NS + 7;
	timer_wheel_init(&w, now_ns);
	timer_init(&p.timer);
	p.at_ns = 1;
	timer_start(&w, &p.timer, p.at_ns, probe_fired);
	assert_int_equal(timer_run(&w, NULL, now_ns, 1), 0);
	now_ns += TIMER_TICK_NS;
	assert_int_equal(timer_run(&w, NULL, now_ns, 1), 1);
}

static struct timer_wheel *self_wheel;
static void probe_restarts(struct worker *worker, struct timer *timer)
{
	struct probe *p = phx_container_of(timer, struct probe, timer);

	(void)worker;
	p->fired++;
	timer_start(self_wheel, timer, 0, probe_restarts);
}

static void timer_start_from_its_own_callback_ends_the_run(void **state)
{
	struct probe p = {0};
	static struct timer_wheel w;

	(void)state;
	timer_wheel_init(&w, 0);
	self_wheel = &w;
	timer_init(&p.timer);
	timer_start(&w, &p.timer, 0, probe_restarts);
	assert_int_equal(timer_run(&w, NULL, TIMER_TICK_NS, 100), 1);
	assert_int_equal(timer_run(&w, NULL, 2 * TIMER_TICK_NS, 100), 1);
	timer_stop(&w, &p.timer);
	timer_stop(&w, &p.timer);
	assert_int_equal(timer_next_ns(&w), UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(timer_run_against_a_model_agrees),
		cmocka_unit_test(timer_run_with_max_continues_where_it_stopped),
		cmocka_unit_test(timer_start_in_the_past_fires_in_the_next_tick),
		cmocka_unit_test(timer_start_from_its_own_callback_ends_the_run),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
