// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/shm/heap: limits, reuse, double free, fragmentation, reclamation by other
// threads. A shadow map checks that live blocks never overlap.
#include "lib/shm/heap.h"

#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KIB UINT64_C(1024)
#define MIB (KIB * 1024)

static struct phx_heap *heap_of(uint64_t size)
{
	struct phx_heap *h;

	assert_int_equal(phx_heap_create(&h), 0);
	assert_int_equal(phx_heap_add_region(h, 0, size), 0);
	return h;
}

static struct phx_heap_stats stats_of(const struct phx_heap *h)
{
	struct phx_heap_stats s;

	phx_heap_stats(h, &s);
	return s;
}

static uint64_t random_state = 1;

static uint64_t random_next(void)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	return phx_mix64(random_state);
}

// Log-uniform: every power of two equally likely.
static uint64_t random_size(unsigned log_min, unsigned log_max)
{
	uint64_t low = UINT64_C(1) << (log_min + random_next() % (log_max - log_min));

	return low + random_next() % low;
}

static void alloc_size_zero_or_beyond_heap_is_refused(void **state)
{
	struct phx_heap *h = heap_of(MIB);
	uint64_t off = 77;

	(void)state;
	assert_int_equal(phx_heap_alloc(h, 0, &off), -EINVAL);
	assert_int_equal(phx_heap_alloc(h, UINT64_C(1) << 63, &off), -EINVAL);
	assert_int_equal(phx_heap_alloc(h, UINT64_MAX, &off), -EINVAL);
	assert_int_equal(phx_heap_alloc(h, UINT64_C(1) << 40, &off), -EINVAL);
	assert_int_equal(phx_heap_alloc(h, 2 * MIB, &off), -ENOMEM);
	assert_int_equal(phx_heap_alloc(h, PHX_HEAP_SIZE_MAX, &off), -ENOMEM);
	assert_int_equal(phx_heap_alloc_aligned(h, 64, 3, &off), -EINVAL);
	assert_int_equal(phx_heap_alloc_aligned(h, 64, 0, &off), -EINVAL);
	assert_int_equal(phx_heap_alloc_aligned(h, 64, 4 * MIB, &off), -EINVAL);
	assert_int_equal(phx_heap_alloc_aligned(h, UINT64_C(1) << 63, 64, &off), -EINVAL);
	assert_int_equal(off, 77);
	assert_int_equal(stats_of(h).blocks, 0);
	assert_int_equal(stats_of(h).failures, 2);
	phx_heap_destroy(h);
}

static void add_region_odd_overlapping_or_one_too_many_is_refused(void **state)
{
	struct phx_heap *h;

	(void)state;
	assert_int_equal(phx_heap_create(&h), 0);
	assert_int_equal(phx_heap_add_region(h, 0, 0), -EINVAL);
	assert_int_equal(phx_heap_add_region(h, 0, 100), -EINVAL);
	assert_int_equal(phx_heap_add_region(h, 64, 4096), -EINVAL);
	assert_int_equal(phx_heap_add_region(h, 0, PHX_HEAP_SIZE_MAX + 4096), -EINVAL);
	assert_int_equal(phx_heap_add_region(h, UINT64_MAX - 4095, 4096), -EINVAL);
	assert_int_equal(phx_heap_add_region(h, 8192, 8192), 0);
	assert_int_equal(phx_heap_add_region(h, 12288, 8192), -EINVAL);
	assert_int_equal(phx_heap_add_region(h, 0, 4096), -EINVAL);
	for (uint64_t i = 1; i < PHX_LIMIT_HEAP_REGIONS_MAX; i++)
		assert_int_equal(phx_heap_add_region(h, 8192 + i * 8192, 8192), 0);
	assert_int_equal(phx_heap_add_region(h, 64 * MIB, 8192), -EINVAL);
	assert_int_equal(stats_of(h).regions, PHX_LIMIT_HEAP_REGIONS_MAX);
	phx_heap_destroy(h);
}

static void alloc_exhausted_then_freed_recovers(void **state)
{
	struct phx_heap *h = heap_of(MIB);
	uint64_t off[256];
	unsigned n = 0;

	(void)state;
	while (phx_heap_alloc(h, 16 * KIB, &off[n]) == 0)
		n++;
	assert_int_equal(n, 64);
	assert_int_equal(phx_heap_largest_free(h), 0);
	assert_int_equal(phx_heap_free(h, off[7]), 0);
	assert_int_equal(phx_heap_alloc(h, 16 * KIB, &off[7]), 0);
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(phx_heap_free(h, off[i]), 0);
	assert_int_equal(phx_heap_largest_free(h), MIB);
	assert_int_equal(phx_heap_alloc(h, MIB, &off[0]), 0);
	assert_int_equal(off[0], 0);
	phx_heap_destroy(h);
}

static void alloc_any_size_fits_class_and_alignment(void **state)
{
	struct phx_heap *h = heap_of(64 * MIB);

	(void)state;
	for (uint64_t size = 1; size <= 70000; size += size < 2048 ? 1 : 61) {
		uint64_t off, got;

		assert_int_equal(phx_heap_alloc(h, size, &off), 0);
		got = phx_heap_size(h, off);
		assert_true(got >= size);
		assert_int_equal(off % (size >= 64 ? 64 : 16), 0);
		if (size > 256)
			assert_true((got - size) * 4 <= got);
		assert_int_equal(phx_heap_free(h, off), 0);
	}
	assert_int_equal(phx_heap_largest_free(h), 64 * MIB);
	assert_int_equal(stats_of(h).footprint, 0);
	phx_heap_destroy(h);
}

// L201: size and alignment.
static void alloc_aligned_every_power_up_to_2m_is_aligned(void **state)
{
	struct phx_heap *h = heap_of(64 * MIB);
	uint64_t off[512];
	unsigned n = 0;

	(void)state;
	for (uint64_t align = 8; align <= PHX_HEAP_ALIGN_MAX; align *= 2) {
		for (uint64_t size = 1; size <= MIB; size = size * 5 + 3) {
			assert_int_equal(phx_heap_alloc_aligned(h, size, align, &off[n]), 0);
			assert_int_equal(off[n] % align, 0);
			assert_true(phx_heap_size(h, off[n]) >= size);
			n++;
		}
	}
	while (n > 0)
		assert_int_equal(phx_heap_free(h, off[--n]), 0);
	assert_int_equal(phx_heap_largest_free(h), 64 * MIB);
	phx_heap_destroy(h);
}

static void alloc_larger_than_each_region_never_crosses(void **state)
{
	struct phx_heap *h = heap_of(256 * KIB);
	uint64_t off;

	(void)state;
	assert_int_equal(phx_heap_add_region(h, 256 * KIB, 512 * KIB), 0); // adjacent
	assert_int_equal(phx_heap_largest_free(h), 512 * KIB);
	assert_int_equal(phx_heap_alloc(h, 600 * KIB, &off), -ENOMEM);
	assert_int_equal(phx_heap_alloc(h, 512 * KIB, &off), 0);
	assert_int_equal(off, 256 * KIB);
	assert_int_equal(phx_heap_alloc(h, 256 * KIB, &off), 0);
	assert_int_equal(off, 0);
	assert_int_equal(phx_heap_free(h, 256 * KIB), 0);
	assert_int_equal(phx_heap_free(h, 0), 0);
	assert_int_equal(phx_heap_largest_free(h), 512 * KIB);
	phx_heap_destroy(h);
}

// H-05, H-06.
static void free_of_anything_but_a_live_block_is_refused(void **state)
{
	struct phx_heap *h = heap_of(4 * MIB);
	uint64_t small, page, large, live;

	(void)state;
	assert_int_equal(phx_heap_alloc(h, 100, &live), 0);
	assert_int_equal(phx_heap_alloc(h, 100, &small), 0);
	assert_int_equal(phx_heap_alloc(h, 4096, &page), 0);
	assert_int_equal(phx_heap_alloc(h, MIB, &large), 0);
	assert_int_equal(phx_heap_free(h, small + 16), -EINVAL);
	assert_int_equal(phx_heap_free(h, small + 128), -EINVAL); // never allocated
	assert_int_equal(phx_heap_free(h, page + 64), -EINVAL);
	assert_int_equal(phx_heap_free(h, large + 64), -EINVAL);
	assert_int_equal(phx_heap_free(h, large + 4096), -EINVAL);
	assert_int_equal(phx_heap_free(h, 4 * MIB), -EINVAL);
	assert_int_equal(phx_heap_free(h, 4 * MIB - 4096), -EINVAL);
	assert_int_equal(phx_heap_free(h, UINT64_MAX), -EINVAL);
	assert_int_equal(phx_heap_free(h, UINT64_C(1) << 44), -EINVAL); // page number wraps
	assert_int_equal(stats_of(h).blocks, 4);
	assert_int_equal(phx_heap_free(h, small), 0);
	assert_int_equal(phx_heap_free(h, small), -EINVAL);
	assert_int_equal(phx_heap_free(h, page), 0);
	assert_int_equal(phx_heap_free(h, page), -EINVAL);
	assert_int_equal(phx_heap_free(h, large), 0);
	assert_int_equal(phx_heap_free(h, large), -EINVAL);
	assert_int_equal(phx_heap_size(h, large), 0);
	assert_int_equal(stats_of(h).blocks, 1);
	assert_int_equal(phx_heap_free(h, live), 0);
	phx_heap_destroy(h);
}

// A freed large block that merges leaves no trace of its old start.
static void free_inside_merged_run_is_refused(void **state)
{
	struct phx_heap *h = heap_of(MIB);
	uint64_t a, b, all;

	(void)state;
	assert_int_equal(phx_heap_alloc(h, 512 * KIB, &a), 0);
	assert_int_equal(phx_heap_alloc(h, 512 * KIB, &b), 0);
	assert_int_equal(phx_heap_free(h, a), 0);
	assert_int_equal(phx_heap_free(h, b), 0);
	assert_int_equal(phx_heap_alloc(h, MIB, &all), 0);
	assert_int_equal(all, 0);
	assert_int_equal(phx_heap_free(h, 512 * KIB), -EINVAL);
	assert_int_equal(phx_heap_free(h, 0), 0);
	phx_heap_destroy(h);
}

static void remove_region_empty_goes_live_stays(void **state)
{
	struct phx_heap *h = heap_of(256 * KIB);
	uint64_t off, back;

	(void)state;
	assert_int_equal(phx_heap_add_region(h, MIB, MIB), 0);
	assert_int_equal(phx_heap_remove_region(h, 0), -EINVAL); // not the last
	assert_int_equal(phx_heap_alloc(h, 512 * KIB, &off), 0);
	assert_int_equal(phx_heap_remove_region(h, MIB), -EBUSY);
	assert_int_equal(phx_heap_free(h, off), 0);
	assert_int_equal(phx_heap_remove_region(h, MIB), 0);
	assert_int_equal(phx_heap_alloc(h, 512 * KIB, &back), -ENOMEM);
	assert_int_equal(phx_heap_free(h, off), -EINVAL);
	assert_int_equal(phx_heap_add_region(h, 512 * KIB, 2 * MIB), 0);
	assert_int_equal(phx_heap_alloc(h, 2 * MIB, &back), 0);
	assert_int_equal(back, 512 * KIB);
	phx_heap_destroy(h);
}

// L206: one block of a class takes about its own size, not a zone of the largest page.
static void alloc_one_of_each_class_has_small_footprint(void **state)
{
	struct phx_heap *h = heap_of(256 * MIB);
	uint64_t off, sum = 0;

	(void)state;
	for (uint64_t size = 16; size <= 64 * MIB; size *= 2) {
		assert_int_equal(phx_heap_alloc(h, size, &off), 0);
		sum += size;
	}
	assert_true(stats_of(h).footprint <= sum + sum / 8 + 35 * 32 * KIB);
	phx_heap_destroy(h);
}

// What lives where: one byte for each page (large blocks), one for each 16 bytes (small).
struct shadow {
	uint8_t *page;
	uint8_t *unit;
};

static void shadow_set(struct shadow *s, uint64_t off, uint64_t size, bool live)
{
	bool large = size > PHX_HEAP_SMALL_MAX;
	uint64_t gran = large ? 4096 : 16;
	uint8_t *map = large ? &s->page[off / gran] : &s->unit[off / gran];
	uint64_t len = (size + gran - 1) / gran;

	assert_null(memchr(map, live, len)); // all have to be the other value
	memset(map, live, len);
	if (!large || !live)
		return;
	// The ends of a large block must not lie in a slab; the middle follows from the pages.
	assert_int_equal(s->unit[off / 16], 0);
	assert_int_equal(s->unit[(off + size - 1) / 16], 0);
}

struct block {
	uint64_t off;
	uint64_t size;
};

struct churn {
	struct phx_heap *heap;
	struct shadow shadow;
	struct block *block;
	unsigned blocks;
	uint64_t requested; // bytes asked for by the live blocks
};

static void churn_free_random(struct churn *c)
{
	unsigned i = (unsigned)(random_next() % c->blocks);

	shadow_set(&c->shadow, c->block[i].off, c->block[i].size, false);
	assert_int_equal(phx_heap_free(c->heap, c->block[i].off), 0);
	c->requested -= c->block[i].size;
	c->block[i] = c->block[--c->blocks];
}

// H-09: random sizes at a level that the heap can just not hold.
static void alloc_million_random_operations_keep_utilisation(void **state)
{
	enum { OPS = 1000000, SIZE_LOG = 28, BLOCKS_MAX = 100000 };
	struct churn c = {.heap = heap_of(UINT64_C(1) << SIZE_LOG)};
	double worst = 1, sum = 0;
	unsigned failures = 0;

	(void)state;
	c.shadow.page = calloc(UINT64_C(1) << (SIZE_LOG - 12), 1);
	c.shadow.unit = calloc(UINT64_C(1) << (SIZE_LOG - 4), 1);
	c.block = calloc(BLOCKS_MAX, sizeof(*c.block));
	for (unsigned op = 0; op < OPS; op++) {
		uint64_t size = random_size(4, 23);
		struct block b = {.size = size};
		int ret;

		if (c.blocks == BLOCKS_MAX || (c.blocks > 0 && random_next() % 16 < 7)) {
			churn_free_random(&c);
			continue;
		}
		ret = phx_heap_alloc(c.heap, size, &b.off);
		if (ret == 0) {
			shadow_set(&c.shadow, b.off, size, true);
			c.block[c.blocks++] = b;
			c.requested += size;
			continue;
		}
		assert_int_equal(ret, -ENOMEM);
		failures++;
		sum += (double)c.requested / (double)stats_of(c.heap).size;
		if ((double)c.requested / (double)stats_of(c.heap).size < worst)
			worst = (double)c.requested / (double)stats_of(c.heap).size;
		churn_free_random(&c);
	}
	print_message("%u refusals, utilisation then: worst %.1f %%, mean %.1f %%\n", failures,
		100 * worst, 100 * sum / failures);
	assert_true(failures > 100);
	assert_true(sum / failures >= 0.85);
	assert_true(worst >= 0.75);
	while (c.blocks > 0)
		churn_free_random(&c);
	assert_int_equal(phx_heap_largest_free(c.heap), UINT64_C(1) << SIZE_LOG);
	assert_int_equal(stats_of(c.heap).footprint, 0);
	assert_int_equal(stats_of(c.heap).used, 0);
	phx_heap_destroy(c.heap);
	free(c.shadow.page);
	free(c.shadow.unit);
	free(c.block);
}

// L189: last in, first out; then everything is back.
static void free_in_reverse_order_returns_all_pages(void **state)
{
	enum { N = 20000 };
	struct phx_heap *h = heap_of(256 * MIB);
	uint64_t *off = calloc(N, sizeof(*off));

	(void)state;
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < N; i++)
			assert_int_equal(phx_heap_alloc(h, random_size(4, 13), &off[i]), 0);
		for (int i = N; i > 0; i--)
			assert_int_equal(phx_heap_free(h, off[i - 1]), 0);
		assert_int_equal(phx_heap_largest_free(h), 256 * MIB);
	}
	assert_int_equal(stats_of(h).footprint, 0);
	free(off);
	phx_heap_destroy(h);
}

// L189 and H-11: one thread allocates, another frees; the owner's lock is the test's.
struct pipe_test {
	struct phx_heap *heap;
	pthread_mutex_t lock;
	uint64_t queue[256];
	unsigned head, tail;
	unsigned bad;
};

enum { PIPE_OPS = 200000 };

static void *pipe_free_thread(void *arg)
{
	struct pipe_test *t = arg;

	for (unsigned done = 0; done < PIPE_OPS;) {
		bool idle;

		(void)pthread_mutex_lock(&t->lock);
		idle = t->head == t->tail;
		while (t->head != t->tail) {
			if (phx_heap_free(t->heap, t->queue[t->tail++ % 256]) != 0)
				t->bad++;
			done++;
		}
		(void)pthread_mutex_unlock(&t->lock);
		if (idle)
			(void)sched_yield();
	}
	return NULL;
}

static void free_by_another_thread_returns_all_pages(void **state)
{
	struct pipe_test t = {.heap = heap_of(64 * MIB), .lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_t thread;

	(void)state;
	assert_int_equal(pthread_create(&thread, NULL, pipe_free_thread, &t), 0);
	for (unsigned done = 0; done < PIPE_OPS;) {
		bool full;

		(void)pthread_mutex_lock(&t.lock);
		while (t.head - t.tail < 256 && done < PIPE_OPS) {
			if (phx_heap_alloc(t.heap, random_size(4, 17), &t.queue[t.head % 256]) != 0)
				t.bad++;
			t.head++;
			done++;
		}
		full = t.head - t.tail == 256;
		(void)pthread_mutex_unlock(&t.lock);
		if (full)
			(void)sched_yield();
	}
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(t.bad, 0);
	assert_int_equal(phx_heap_largest_free(t.heap), 64 * MIB);
	phx_heap_destroy(t.heap);
}

static void bench_pairs(uint64_t size)
{
	enum { N = 2000000, DEPTH = 64 };
	struct phx_heap *h = heap_of(256 * MIB);
	uint64_t off[DEPTH], start;

	for (int i = 0; i < DEPTH; i++)
		assert_int_equal(phx_heap_alloc(h, size, &off[i]), 0);
	start = phx_clock_ns();
	for (unsigned i = 0; i < N; i++) {
		(void)phx_heap_free(h, off[i * 7 % DEPTH]); // cannot fail here
		(void)phx_heap_alloc(h, size, &off[i * 7 % DEPTH]);
	}
	print_message("alloc + free of %7llu bytes: %.1f ns\n", (unsigned long long)size,
		(double)(phx_clock_ns() - start) / N);
	phx_heap_destroy(h);
}

static void alloc_speed_is_printed(void **state)
{
	static const uint64_t sizes[] = {64, 256, 1000, 4096, 16384, 65536, 1048576};

	(void)state;
	for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
		bench_pairs(sizes[i]);
	assert_null(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(alloc_size_zero_or_beyond_heap_is_refused),
		cmocka_unit_test(add_region_odd_overlapping_or_one_too_many_is_refused),
		cmocka_unit_test(alloc_exhausted_then_freed_recovers),
		cmocka_unit_test(alloc_any_size_fits_class_and_alignment),
		cmocka_unit_test(alloc_aligned_every_power_up_to_2m_is_aligned),
		cmocka_unit_test(alloc_larger_than_each_region_never_crosses),
		cmocka_unit_test(free_of_anything_but_a_live_block_is_refused),
		cmocka_unit_test(free_inside_merged_run_is_refused),
		cmocka_unit_test(remove_region_empty_goes_live_stays),
		cmocka_unit_test(alloc_one_of_each_class_has_small_footprint),
		cmocka_unit_test(alloc_million_random_operations_keep_utilisation),
		cmocka_unit_test(free_in_reverse_order_returns_all_pages),
		cmocka_unit_test(free_by_another_thread_returns_all_pages),
		cmocka_unit_test(alloc_speed_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
