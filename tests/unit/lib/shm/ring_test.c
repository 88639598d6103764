// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/shm/ring: what is published and when, entries that wrap, indices that wrap at
// 2^32, and every value a hostile peer may store in its index (reliability.md,
//
#include "lib/shm/ring.h"

#include "lib/base/hash.h"
#include "tests/unit/lib/shm/ring_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

// A rig of size slots in memory of the test.
#define RIG(name, size, start)                                                                     \
	static struct rig name;                                                                    \
	assert_int_equal(rig_init(&name, (size), (start)), 0)

static uint64_t random_state = 1;

static uint32_t random_next(void)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)phx_mix64(random_state);
}

// The peer stored an impossible index: every way to look at it says so and changes nothing.
static void assert_cons_refuses(struct rig *r, uint32_t prod)
{
	struct phx_ring_cons before = r->cons;

	rig_poke(&r->prod_word, prod);
	assert_int_equal(phx_ring_cons_recheck(&r->cons), -EPROTO);
	assert_memory_equal(&r->cons, &before, sizeof(before));
	if (r->cons.prod == r->cons.next) {
		assert_int_equal(phx_ring_cons_avail(&r->cons), -EPROTO);
		assert_memory_equal(&r->cons, &before, sizeof(before));
	}
}

static void assert_prod_refuses(struct rig *r, uint32_t cons)
{
	struct phx_ring_prod before = r->prod;

	rig_poke(&r->cons_word, cons);
	assert_int_equal(phx_ring_prod_refresh(&r->prod), -EPROTO);
	assert_int_equal(phx_ring_prod_room(&r->prod, r->prod.size + 1), -EPROTO);
	assert_memory_equal(&r->prod, &before, sizeof(before));
}

static void init_impossible_size_or_slots_is_refused(void **state)
{
	static const uint32_t sizes[] = {
		0, 1, 3, 48, UINT32_C(1) << 31, UINT32_MAX, (UINT32_C(1) << 30) + 1};
	static struct rig r;
	struct phx_ring_prod prod;
	struct phx_ring_cons cons;

	(void)state;
	assert_int_equal(rig_init(&r, 2, 7), 0);
	prod = r.prod;
	cons = r.cons;
	for (size_t i = 0; i <= PHX_ARRAY_LEN(sizes); i++) {
		bool shifted = i == PHX_ARRAY_LEN(sizes);
		uint32_t size = shifted ? 2 : sizes[i];
		uint8_t *slots = (uint8_t *)r.slots + (shifted ? 8 : 0);

		assert_int_equal(phx_ring_prod_init(&r.prod, slots, size, rig_word(&r.prod_word),
					 rig_word(&r.cons_word), 0),
			-EINVAL);
		assert_int_equal(phx_ring_cons_init(&r.cons, slots, size, rig_word(&r.prod_word),
					 rig_word(&r.cons_word), 0),
			-EINVAL);
	}
	assert_memory_equal(&r.prod, &prod, sizeof(prod));
	assert_memory_equal(&r.cons, &cons, sizeof(cons));
	assert_int_equal(rig_peek(&r.prod_word), 7);
	assert_int_equal(rig_peek(&r.cons_word), 7);
}

static void avail_empty_then_full_counts_exactly(void **state)
{
	RIG(r, 8, 0);

	(void)state;
	assert_int_equal(phx_ring_cons_avail(&r.cons), 0);
	assert_int_equal(phx_ring_prod_room(&r.prod, 8), 8);
	rig_put(&r, 100, 8);
	assert_int_equal(phx_ring_prod_room(&r.prod, 1), 0);
	assert_int_equal(phx_ring_cons_avail(&r.cons), 0);
	phx_ring_prod_publish_release(&r.prod);
	assert_int_equal(phx_ring_cons_avail(&r.cons), 8);
	assert_true(rig_take(&r, 100, 8));
	assert_int_equal(phx_ring_cons_avail(&r.cons), 0);
	assert_int_equal(phx_ring_prod_room(&r.prod, 1), 0);
	phx_ring_cons_publish(&r.cons);
	assert_int_equal(phx_ring_prod_room(&r.prod, 1), 8);
}

static void advance_before_publish_is_invisible(void **state)
{
	RIG(r, 8, 0);

	(void)state;
	for (uint32_t i = 1; i <= 3; i++) {
		rig_put(&r, i, 1);
		assert_int_equal(phx_ring_prod_pending(&r.prod), i);
		assert_int_equal(rig_peek(&r.prod_word), 0);
	}
	phx_ring_prod_publish_release(&r.prod);
	assert_int_equal(phx_ring_prod_pending(&r.prod), 0);
	assert_int_equal(rig_peek(&r.prod_word), 3);
}

static void publish_nothing_new_stores_nothing(void **state)
{
	RIG(r, 8, 0);

	(void)state;
	rig_put(&r, 1, 2);
	assert_false(phx_ring_prod_publish_bell(&r.prod, &r.waker));
	assert_int_equal(phx_ring_cons_avail(&r.cons), 2);
	(void)rig_take(&r, 1, 2);
	phx_ring_cons_publish(&r.cons);
	rig_poke(&r.prod_word, 77);
	rig_poke(&r.cons_word, 78);
	phx_bell_arm(&r.sleeper);
	assert_false(phx_ring_prod_publish_bell(&r.prod, &r.waker));
	phx_ring_cons_publish(&r.cons);
	assert_int_equal(rig_peek(&r.prod_word), 77);
	assert_int_equal(rig_peek(&r.cons_word), 78);
}

static void publish_own_word_overwritten_does_not_matter(void **state)
{
	RIG(r, 4, 0);

	(void)state;
	// what we publish is write-only for us; only the peer is confused by its own work.
	for (uint64_t i = 0; i < 100; i++) {
		rig_poke(&r.cons_word, r.cons.published);
		assert_true(phx_ring_prod_room(&r.prod, 1) >= 1);
		rig_put(&r, i * 10, 1);
		rig_poke(&r.prod_word, random_next());
		phx_ring_prod_publish_release(&r.prod);
		rig_poke(&r.cons_word, random_next());
		assert_int_equal(phx_ring_cons_avail(&r.cons), 1);
		assert_true(rig_take(&r, i * 10, 1));
		phx_ring_cons_publish(&r.cons);
	}
}

static void avail_entries_left_does_not_load(void **state)
{
	RIG(r, 8, 0);

	(void)state;
	rig_put(&r, 1, 3);
	phx_ring_prod_publish_release(&r.prod);
	assert_int_equal(phx_ring_cons_avail(&r.cons), 3);
	phx_ring_cons_advance(&r.cons, 1);
	rig_poke(&r.prod_word, 5000);
	assert_int_equal(phx_ring_cons_avail(&r.cons), 2);
	phx_ring_cons_advance(&r.cons, 2);
	assert_int_equal(phx_ring_cons_avail(&r.cons), -EPROTO);
}

static void recheck_entries_left_loads_again(void **state)
{
	RIG(r, 8, 0);

	(void)state;
	rig_put(&r, 1, 2);
	phx_ring_prod_publish_release(&r.prod);
	assert_int_equal(phx_ring_cons_avail(&r.cons), 2);
	rig_put(&r, 2, 3);
	phx_ring_prod_publish_release(&r.prod);
	assert_int_equal(phx_ring_cons_avail(&r.cons), 2);
	assert_int_equal(phx_ring_cons_recheck(&r.cons), 5);
}

static void room_known_suffices_does_not_load(void **state)
{
	RIG(r, 8, 0);

	(void)state;
	rig_put(&r, 1, 5);
	phx_ring_prod_publish_release(&r.prod);
	rig_poke(&r.cons_word, 5000);
	assert_int_equal(phx_ring_prod_room(&r.prod, 3), 3);
	assert_int_equal(phx_ring_prod_room(&r.prod, 4), -EPROTO);
}

static void entry_of_several_slots_wraps(void **state)
{
	RIG(r, 8, 0);

	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		uint32_t n = 1 + random_next() % 4;

		assert_true(phx_ring_prod_room(&r.prod, n) >= (int)n);
		rig_put(&r, i * 1000, n);
		phx_ring_prod_publish_release(&r.prod);
		assert_int_equal(phx_ring_cons_avail(&r.cons), n);
		assert_true(rig_take(&r, i * 1000, n));
		phx_ring_cons_publish(&r.cons);
	}
	// Every slot stands at its place: none before the start, none past the end.
	assert_true((uint8_t *)phx_ring_prod_slot(&r.prod, 7) >= (uint8_t *)r.slots);
	for (uint32_t i = 0; i < 8; i++)
		assert_ptr_equal(phx_ring_prod_slot(&r.prod, i),
			(uint8_t *)r.slots + (r.prod.next + i) % 8 * PHX_SHM_SLOT_SIZE);
}

// each round starts shortly before 2^32 and passes it with entries in flight.
static void traffic_past_the_end_of_32_bits_loses_nothing(void **state)
{
	(void)state;
	for (uint32_t round = 0; round < 1000; round++) {
		uint32_t size = UINT32_C(2) << random_next() % 5, start = 0 - 1 - round % 64;
		uint64_t sent = 0, received = 0;
		RIG(r, size, start);

		while (received < 200) {
			uint32_t n = 1 + random_next() % size;

			if (sent < 200 && phx_ring_prod_room(&r.prod, n) >= (int)n) {
				for (uint32_t i = 0; i < n; i++)
					rig_put(&r, ++sent, 1);
				(void)phx_ring_prod_publish_bell(&r.prod, &r.waker);
			}
			assert_true(phx_ring_cons_avail(&r.cons) >= 0);
			for (int k = (int)(random_next() % (size + 1));
				k > 0 && phx_ring_cons_avail(&r.cons) > 0; k--)
				assert_true(rig_take(&r, ++received, 1));
			phx_ring_cons_publish(&r.cons);
		}
		assert_true(r.prod.next < start);
	}
}

static void avail_producer_jumped_is_refused(void **state)
{
	(void)state;
	for (uint32_t start = 0 - UINT32_C(20); start != 20; start++) {
		RIG(r, 16, start);

		assert_cons_refuses(&r, start + 17);
		assert_cons_refuses(&r, start - 1);
		assert_cons_refuses(&r, start + (UINT32_C(1) << 31));
		rig_poke(&r.prod_word, start + 16);
		assert_int_equal(phx_ring_cons_avail(&r.cons), 16);
		assert_cons_refuses(&r, start + 17);
		assert_cons_refuses(&r, start + 15);
		phx_ring_cons_advance(&r.cons, 16);
		// Nothing was given back, so an honest producer has no room yet.
		assert_cons_refuses(&r, start + 17);
		phx_ring_cons_publish(&r.cons);
		assert_cons_refuses(&r, start + 15);
		assert_cons_refuses(&r, start + 33);
		rig_poke(&r.prod_word, start + 32);
		assert_int_equal(phx_ring_cons_avail(&r.cons), 16);
	}
}

static void room_consumer_jumped_is_refused(void **state)
{
	(void)state;
	for (uint32_t start = 0 - UINT32_C(20); start != 20; start++) {
		RIG(r, 16, start);

		assert_prod_refuses(&r, start + 1);
		assert_prod_refuses(&r, start - 1);
		rig_put(&r, 1, 4);
		assert_prod_refuses(&r, start + 1); // written, not published
		phx_ring_prod_publish_release(&r.prod);
		rig_put(&r, 1, 2);
		assert_prod_refuses(&r, start + 5);
		rig_poke(&r.cons_word, start + 3);
		assert_int_equal(phx_ring_prod_refresh(&r.prod), 13);
		assert_prod_refuses(&r, start + 2);
		assert_prod_refuses(&r, start + 5);
		rig_poke(&r.cons_word, start + 4);
		assert_int_equal(phx_ring_prod_refresh(&r.prod), 14);
	}
}

// Whatever the peer stores, the answer is a count that fits or -EPROTO, and what is known
// stays within the ring.
static void random_indices_never_leave_the_ring(void **state)
{
	unsigned refused = 0, taken = 0;
	RIG(r, 8, 0 - UINT32_C(5));

	(void)state;
	for (unsigned i = 0; i < 200000; i++) {
		struct phx_ring_cons cons = r.cons;
		struct phx_ring_prod prod = r.prod;
		uint32_t near = random_next() % 24 - 8;
		int n;

		rig_poke(&r.prod_word, random_next() % 4 ? r.cons.next + near : random_next());
		n = phx_ring_cons_recheck(&r.cons);
		if (n == -EPROTO) {
			refused++;
			assert_memory_equal(&cons, &r.cons, sizeof(cons));
		} else {
			assert_in_range(n, 0, 8);
			assert_true(r.cons.prod - r.cons.published <= 8);
			phx_ring_cons_advance(
				&r.cons, n > 0 ? random_next() % (unsigned)(n + 1) : 0);
			if (random_next() % 2)
				phx_ring_cons_publish(&r.cons);
			taken += (unsigned)n;
		}
		rig_poke(&r.cons_word,
			random_next() % 4 ? r.prod.published + near - 8 : random_next());
		n = phx_ring_prod_refresh(&r.prod);
		if (n == -EPROTO) {
			assert_memory_equal(&prod, &r.prod, sizeof(prod));
			n = (int)(8 - (r.prod.next - r.prod.cons));
		}
		assert_in_range(n, 0, 8);
		if (n > 0)
			rig_put(&r, i, 1);
		if (random_next() % 2)
			phx_ring_prod_publish_release(&r.prod);
	}
	assert_true(refused > 1000 && taken > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(init_impossible_size_or_slots_is_refused),
		cmocka_unit_test(avail_empty_then_full_counts_exactly),
		cmocka_unit_test(advance_before_publish_is_invisible),
		cmocka_unit_test(publish_nothing_new_stores_nothing),
		cmocka_unit_test(publish_own_word_overwritten_does_not_matter),
		cmocka_unit_test(avail_entries_left_does_not_load),
		cmocka_unit_test(recheck_entries_left_loads_again),
		cmocka_unit_test(room_known_suffices_does_not_load),
		cmocka_unit_test(entry_of_several_slots_wraps),
		cmocka_unit_test(traffic_past_the_end_of_32_bits_loses_nothing),
		cmocka_unit_test(avail_producer_jumped_is_refused),
		cmocka_unit_test(room_consumer_jumped_is_refused),
		cmocka_unit_test(random_indices_never_leave_the_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
