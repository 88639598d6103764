// SPDX-License-Identifier: BSD-3-Clause
// Log-linear histogram of the load generators.
#include "tests/bench/meter.h"

static unsigned hist_index(uint64_t ns)
{
	unsigned shift;

	if (ns < (2u << METER_SUB_BITS))
		return (unsigned)ns;
	shift = 63u - (unsigned)__builtin_clzll(ns) - METER_SUB_BITS;
	return (shift << METER_SUB_BITS) + (unsigned)(ns >> shift);
}

static double hist_middle_us(unsigned index)
{
	unsigned shift;
	uint64_t step;

	if (index < (2u << METER_SUB_BITS))
		return (double)index / 1e3;
	shift = (index >> METER_SUB_BITS) - 1;
	step = (1u << METER_SUB_BITS) + (index & ((1u << METER_SUB_BITS) - 1));
	return ((double)(step << shift) + (double)(UINT64_C(1) << shift) / 2) / 1e3;
}

void meter_hist_add(struct meter_hist *hist, uint64_t ns)
{
	unsigned index = hist_index(ns);

	hist->bucket[index < METER_BUCKETS ? index : METER_BUCKETS - 1]++;
	hist->count++;
	hist->sum_ns += (double)ns;
	if (ns > hist->max_ns)
		hist->max_ns = ns;
}

void meter_hist_merge(struct meter_hist *dst, const struct meter_hist *src)
{
	dst->count += src->count;
	dst->sum_ns += src->sum_ns;
	if (src->max_ns > dst->max_ns)
		dst->max_ns = src->max_ns;
	for (unsigned i = 0; i < METER_BUCKETS; i++)
		dst->bucket[i] += src->bucket[i];
}

double meter_hist_quantile_us(const struct meter_hist *hist, double q)
{
	uint64_t want = (uint64_t)(q * (double)hist->count + 0.999999);
	uint64_t seen = 0;

	if (hist->count == 0)
		return 0;
	for (unsigned i = 0; i < METER_BUCKETS; i++) {
		seen += hist->bucket[i];
		if (seen >= want && seen > 0)
			return hist_middle_us(i);
	}
	return (double)hist->max_ns / 1e3;
}
