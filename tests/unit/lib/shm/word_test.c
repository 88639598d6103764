// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/shm/word: accessors, and that a copy is private whatever happens afterwards.
#include "lib/shm/word.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void load_and_store_any_order_agree(void **state)
{
	uint32_t memory32[3] = {1, 2, 3};
	uint64_t memory64[3] = {1, 2, 3};
	struct phx_shm_u32 *p32 = (void *)&memory32[1];
	struct phx_shm_u64 *p64 = (void *)&memory64[1];

	(void)state;
	phx_shm_store32_relaxed(p32, 10);
	assert_int_equal(phx_shm_load32_relaxed(p32), 10);
	phx_shm_store32_release(p32, 11);
	assert_int_equal(phx_shm_load32_acquire(p32), 11);
	phx_shm_store32_seq_cst(p32, 12);
	assert_int_equal(phx_shm_load32_seq_cst(p32), 12);
	assert_int_equal(phx_shm_exchange32_seq_cst(p32, UINT32_MAX), 12);
	assert_int_equal(phx_shm_load32_relaxed(p32), UINT32_MAX);
	phx_shm_store64_relaxed(p64, 10);
	assert_int_equal(phx_shm_load64_relaxed(p64), 10);
	phx_shm_store64_release(p64, 11);
	assert_int_equal(phx_shm_load64_acquire(p64), 11);
	phx_shm_store64_seq_cst(p64, 12);
	assert_int_equal(phx_shm_load64_seq_cst(p64), 12);
	assert_int_equal(phx_shm_exchange64_seq_cst(p64, UINT64_MAX), 12);
	assert_true(phx_shm_load64_relaxed(p64) == UINT64_MAX);
	assert_true(memory32[0] == 1 && memory32[2] == 3); // the neighbours stay
	assert_true(memory64[0] == 1 && memory64[2] == 3);
}

static void copy_length_is_exact(void **state)
{
	uint64_t src[16], dst[16];

	(void)state;
	for (size_t len = 0; len <= 128; len += 8) {
		memset(dst, 0xee, sizeof(dst));
		for (size_t i = 0; i < 16; i++)
			src[i] = i + 1;
		phx_shm_copy(dst, src, len);
		for (size_t i = 0; i < 16; i++)
			assert_true(dst[i] == (i < len / 8 ? i + 1 : UINT64_C(0xeeeeeeeeeeeeeeee)));
	}
}

static void copy_bytes_any_alignment_is_exact(void **state)
{
	uint8_t src[96], dst[96];

	(void)state;
	for (size_t i = 0; i < sizeof(src); i++)
		src[i] = (uint8_t)i;
	for (size_t at = 0; at < 16; at++) {
		for (size_t len = 0; len <= 64; len++) {
			memset(dst, 0xee, sizeof(dst));
			phx_shm_copy_bytes(dst + 16 - at, src + at, len);
			assert_memory_equal(dst + 16 - at, src + at, len);
			assert_int_equal(dst[15 - at], 0xee);
			assert_int_equal(dst[16 - at + len], 0xee);
		}
	}
}

static void copy_slot_is_64_bytes(void **state)
{
	_Alignas(64) uint64_t slots[24];
	uint64_t dst[9] = {[8] = 77};

	(void)state;
	for (size_t i = 0; i < 24; i++)
		slots[i] = 100 + i;
	phx_shm_copy_slot(dst, (const void *)&slots[8]);
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(dst[i], 108 + i);
	assert_int_equal(dst[8], 77);
}

// a writer that never stops; each word of a copy is one value that was written, whole.
struct writer {
	_Alignas(64) uint64_t slot[8];
	_Atomic bool stop;
};

static void *write_slot(void *arg)
{
	struct writer *w = arg;

	for (uint64_t i = 0; !atomic_load_explicit(&w->stop, memory_order_relaxed); i++)
		for (unsigned k = 0; k < 8; k++)
			phx_shm_store64_relaxed((void *)&w->slot[k], (i << 32) | (i & 0xffffffff));
	return NULL;
}

static void copy_slot_under_a_writer_tears_no_word(void **state)
{
	static struct writer w;
	unsigned rounds = getenv("PHX_TEST_SLOW") != NULL ? 50000 : 1000000;
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, write_slot, &w), 0);
	for (unsigned i = 0; i < rounds; i++) {
		uint64_t copy[8], again[8];

		phx_shm_copy_slot(copy, (const void *)w.slot);
		memcpy(again, copy, sizeof(copy));
		for (unsigned k = 0; k < 8; k++)
			assert_true(copy[k] >> 32 == (copy[k] & 0xffffffff));
		assert_memory_equal(again, copy, sizeof(copy));
	}
	atomic_store(&w.stop, true);
	assert_int_equal(pthread_join(thread, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(load_and_store_any_order_agree),
		cmocka_unit_test(copy_length_is_exact),
		cmocka_unit_test(copy_bytes_any_alignment_is_exact),
		cmocka_unit_test(copy_slot_is_64_bytes),
		cmocka_unit_test(copy_slot_under_a_writer_tears_no_word),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
