// SPDX-License-Identifier: BSD-3-Clause
// The ring between two threads: nothing lost, torn or out of order, past 2^32 and asleep; and a
// third thread that writes rubbish over the indices (reliability.md ).
#include "lib/shm/ring.h"

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "tests/unit/lib/shm/ring_rig.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#define DEADLINE_NS (60 * PHX_NS_PER_S)

struct stress {
	struct rig rig;
	uint64_t total;
	bool asleep;		   // the consumer waits on the index when it finds nothing
	_Atomic uint64_t bells;	   // of the producer
	_Atomic unsigned failures; // of the producer
	_Atomic bool stop;
};

static uint64_t entries(uint64_t full)
{
	return getenv("PHX_TEST_SLOW") != NULL ? full / 10 : full;
}

static uint32_t next_size(uint64_t *random)
{
	*random += UINT64_C(0x9e3779b97f4a7c15);
	return 1 + (uint32_t)phx_mix64(*random) % 4;
}

static void *produce(void *arg)
{
	struct stress *s = arg;
	struct phx_ring_prod *p = &s->rig.prod;
	uint64_t random = 0, deadline = phx_clock_ns() + DEADLINE_NS;

	for (uint64_t i = 0; i < s->total;) {
		uint64_t burst = 1 + i % 7;

		while (burst-- > 0 && i < s->total) {
			uint64_t before = random;
			uint32_t n = next_size(&random);

			if (phx_ring_prod_room(p, n) < (int)n) {
				random = before;
				break;
			}
			rig_put(&s->rig, i++ * 16, n);
		}
		if (phx_ring_prod_pending(p) == 0) {
			if (phx_clock_ns() > deadline || phx_ring_prod_room(p, 4) < 0) {
				atomic_fetch_add(&s->failures, 1);
				break;
			}
			(void)sched_yield();
		} else if (!s->asleep && i % 3 == 0) {
			phx_ring_prod_publish_release(p);
		} else if (phx_ring_prod_publish_bell(p, &s->rig.waker)) {
			atomic_fetch_add_explicit(&s->bells, 1, memory_order_relaxed);
			phx_bell_ring_futex(&s->rig.waker, rig_word(&s->rig.bell_word));
		}
	}
	return NULL;
}

// Available slots, at least one: spins, or sleeps as an application does.
static int wait_some(struct stress *s, uint64_t deadline)
{
	struct phx_ring_cons *c = &s->rig.cons;

	for (;;) {
		int n = phx_ring_cons_avail(c);
		uint64_t now = phx_clock_ns();
		uint32_t seen;

		if (n != 0 || now > deadline)
			return n;
		if (!s->asleep) {
			(void)sched_yield();
			continue;
		}
		seen = phx_bell_seen(rig_word(&s->rig.bell_word));
		phx_bell_arm(&s->rig.sleeper);
		n = phx_ring_cons_recheck(c);
		if (n == 0)
			(void)phx_bell_wait_futex(
				rig_word(&s->rig.bell_word), seen, deadline - now);
		phx_bell_disarm(&s->rig.sleeper);
	}
}

static void run(uint32_t size, bool asleep, uint64_t total)
{
	static struct stress s;
	uint64_t random = 0, deadline = phx_clock_ns() + DEADLINE_NS;
	pthread_t thread;

	memset(&s, 0, sizeof(s));
	assert_int_equal(rig_init(&s.rig, size, 0 - (uint32_t)total), 0);
	s.total = total;
	s.asleep = asleep;
	assert_int_equal(pthread_create(&thread, NULL, produce, &s), 0);
	for (uint64_t i = 0; i < total;) {
		int n = wait_some(&s, deadline);

		assert_true(n > 0);
		while (n > 0) {
			uint32_t slots = next_size(&random);

			assert_true((int)slots <= n); // an entry is published whole
			assert_true(rig_take(&s.rig, i++ * 16, slots));
			n -= (int)slots;
		}
		phx_ring_cons_publish(&s.rig.cons);
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(s.failures, 0);
	assert_int_equal(phx_ring_cons_avail(&s.rig.cons), 0);
	// One bell a sleep, and never a bell for somebody who did not sleep.
	assert_true(s.bells <= s.rig.sleeper.epoch / 2);
}

static void entries_between_threads_arrive_whole_and_in_order(void **state)
{
	(void)state;
	run(64, false, entries(1000000));
	run(4, false, entries(100000));
}

static void entries_to_a_sleeper_wake_it(void **state)
{
	(void)state;
	run(64, true, entries(200000));
	run(4, true, entries(50000));
}

static void *hammer(void *arg)
{
	struct stress *s = arg;
	uint64_t random = 7;

	while (!atomic_load_explicit(&s->stop, memory_order_relaxed)) {
		uint32_t value;

		random += UINT64_C(0x9e3779b97f4a7c15);
		value = (uint32_t)phx_mix64(random);
		rig_poke(&s->rig.prod_word, value % 2 ? value : value % 128);
		rig_poke(&s->rig.cons_word, value % 3 ? value : value % 128);
		rig_poke(&s->rig.epoch_word, value);
	}
	return NULL;
}

static void indices_hammered_by_a_thread_never_leave_the_ring(void **state)
{
	static struct stress s;
	uint64_t rounds = entries(2000000), refused = 0, until = phx_clock_ns() + DEADLINE_NS;
	pthread_t thread;

	(void)state;
	memset(&s, 0, sizeof(s));
	assert_int_equal(rig_init(&s.rig, 64, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, hammer, &s), 0);
	// On a busy machine the other thread may not have run yet.
	for (uint64_t i = 0; i < rounds || (refused == 0 && phx_clock_ns() < until); i++) {
		int n = phx_ring_cons_avail(&s.rig.cons), room;

		assert_true(n == -EPROTO || (n >= 0 && n <= 64));
		refused += n < 0;
		for (int k = 0; k < n; k++) {
			uint64_t copy[8];

			phx_shm_copy_slot(copy, phx_ring_cons_slot(&s.rig.cons, 0));
			phx_ring_cons_advance(&s.rig.cons, 1);
		}
		phx_ring_cons_publish(&s.rig.cons);
		room = phx_ring_prod_room(&s.rig.prod, 1);
		assert_true(room == -EPROTO || (room >= 0 && room <= 64));
		if (room > 0)
			rig_put(&s.rig, i, 1);
		(void)phx_ring_prod_publish_bell(&s.rig.prod, &s.rig.waker);
	}
	atomic_store(&s.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_true(refused > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(entries_between_threads_arrive_whole_and_in_order),
		cmocka_unit_test(entries_to_a_sleeper_wake_it),
		cmocka_unit_test(indices_hammered_by_a_thread_never_leave_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
