// SPDX-License-Identifier: BSD-3-Clause
// The queue between threads that poll and threads that run handlers.
#include "lib/app/handover.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define PUTTERS 2
#define TAKERS	3
#define EACH	30000u

static struct phx_request *fake_request(uintptr_t number)
{
	return (struct phx_request *)number; // never looked into
}

static void put_until_full_take_in_order(void **)
{
	static struct phx_handover h;

	assert_int_equal(0, phx_handover_init(&h, 5)); // eight
	for (uintptr_t round = 0; round < 100; round++) {
		assert_null(phx_handover_take(&h));
		for (uintptr_t i = 1; i <= 8; i++)
			assert_true(phx_handover_put(&h, fake_request(i)));
		assert_false(phx_handover_put(&h, fake_request(9)));
		for (uintptr_t i = 1; i <= 8; i++)
			assert_ptr_equal(fake_request(i), phx_handover_take(&h));
	}
	phx_handover_fini(&h);
}

static struct phx_handover shared;
static _Atomic uint8_t taken[PUTTERS * EACH + 1];
static _Atomic unsigned puts_left;

static void *put_main(void *arg)
{
	uintptr_t first = (uintptr_t)arg * EACH + 1;

	for (uintptr_t i = first; i < first + EACH;) {
		unsigned n = 0;

		while (n < 7 && i < first + EACH && phx_handover_put(&shared, fake_request(i))) {
			i++;
			n++;
		}
		phx_handover_wake(&shared, n);
	}
	atomic_fetch_sub(&puts_left, 1);
	return NULL;
}

static void *take_main(void *arg)
{
	struct phx_request *r;

	while ((r = phx_handover_wait(&shared)) != NULL)
		atomic_fetch_add(&taken[(uintptr_t)r], 1);
	return arg;
}

static void many_threads_take_each_once(void **)
{
	pthread_t putters[PUTTERS], takers[TAKERS];

	assert_int_equal(0, phx_handover_init(&shared, 64));
	atomic_store(&puts_left, PUTTERS);
	for (unsigned i = 0; i < TAKERS; i++)
		assert_int_equal(0, pthread_create(&takers[i], NULL, take_main, NULL));
	for (uintptr_t i = 0; i < PUTTERS; i++)
		assert_int_equal(0, pthread_create(&putters[i], NULL, put_main, (void *)i));
	for (unsigned i = 0; i < PUTTERS; i++)
		pthread_join(putters[i], NULL);
	// Every wake-up must have come: what was put last is taken without another.
	for (uintptr_t i = 1; i <= PUTTERS * EACH; i++)
		while (atomic_load(&taken[i]) == 0)
			(void)sched_yield();
	phx_handover_stop(&shared, true);
	for (unsigned i = 0; i < TAKERS; i++)
		pthread_join(takers[i], NULL);
	for (uintptr_t i = 1; i <= PUTTERS * EACH; i++)
		assert_int_equal(1, atomic_load(&taken[i]));
	phx_handover_fini(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(put_until_full_take_in_order),
		cmocka_unit_test(many_threads_take_each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
