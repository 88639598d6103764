// SPDX-License-Identifier: BSD-3-Clause
// Log-linear histogram: values below 32 have a bucket each, every further power of
// two is cut into 32 equal steps. Works with hist.h.
#include "lib/base/hist.h"

#include "lib/base/bits.h"

#include <assert.h>

#define SUB_COUNT (1u << PHX_HIST_SUB_BITS)

static unsigned bucket_of(uint64_t value)
{
	unsigned shift;

	if (value < SUB_COUNT)
		return (unsigned)value;
	shift = phx_log2(value) - PHX_HIST_SUB_BITS;
	return ((shift + 1) << PHX_HIST_SUB_BITS) + (unsigned)((value >> shift) & (SUB_COUNT - 1));
}

// Largest value of bucket i.
static uint64_t bucket_top(unsigned i)
{
	unsigned shift;

	if (i < SUB_COUNT)
		return i;
	shift = (i >> PHX_HIST_SUB_BITS) - 1;
	return (((uint64_t)SUB_COUNT + (i & (SUB_COUNT - 1))) << shift) +
	       ((UINT64_C(1) << shift) - 1);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

// One writer, so load and store do; no locked instruction.
static void add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, get(counter) + n, memory_order_relaxed);
}

void phx_hist_init(struct phx_hist *h)
{
	atomic_init(&h->count, 0);
	atomic_init(&h->sum, 0);
	atomic_init(&h->max, 0);
	for (unsigned i = 0; i < PHX_HIST_BUCKETS; i++)
		atomic_init(&h->bucket[i], 0);
}

void phx_hist_add(struct phx_hist *h, uint64_t value)
{
	static_assert(PHX_HIST_BUCKETS == (65 - PHX_HIST_SUB_BITS) * SUB_COUNT, "covers 2^64");
	add(&h->bucket[bucket_of(value)], 1);
	add(&h->sum, value);
	if (value > get(&h->max))
		atomic_store_explicit(&h->max, value, memory_order_relaxed);
	add(&h->count, 1);
}

void phx_hist_merge(struct phx_hist *dst, const struct phx_hist *src)
{
	for (unsigned i = 0; i < PHX_HIST_BUCKETS; i++) {
		uint64_t n = get(&src->bucket[i]);

		if (n != 0)
			add(&dst->bucket[i], n);
	}
	add(&dst->sum, get(&src->sum));
	if (get(&src->max) > get(&dst->max))
		atomic_store_explicit(&dst->max, get(&src->max), memory_order_relaxed);
	add(&dst->count, get(&src->count));
}

uint64_t phx_hist_quantile(const struct phx_hist *h, double q)
{
	uint64_t count = get(&h->count);
	uint64_t max = get(&h->max);
	uint64_t rank, seen = 0;

	if (count == 0)
		return 0;
	if (!(q > 0)) // NaN counts as 0
		q = 0;
	rank = q >= 1 ? count : (uint64_t)(q * (double)count) + 1;
	if (rank > count)
		rank = count;
	for (unsigned i = 0; i < PHX_HIST_BUCKETS; i++) {
		seen += get(&h->bucket[i]);
		if (seen >= rank)
			return bucket_top(i) < max ? bucket_top(i) : max;
	}
	return max; // the writer is between bucket and count
}

uint64_t phx_hist_count(const struct phx_hist *h)
{
	return get(&h->count);
}

double phx_hist_mean(const struct phx_hist *h)
{
	uint64_t count = get(&h->count);

	return count == 0 ? 0 : (double)get(&h->sum) / (double)count;
}

uint64_t phx_hist_max(const struct phx_hist *h)
{
	return get(&h->max);
}
