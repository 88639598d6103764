// SPDX-License-Identifier: BSD-3-Clause
// Log-linear histogram of nanoseconds: 32 linear steps per power of two, so a
// quantile is at most 3.2 % above the truth. Fixed memory, mergeable, one writer;
// readers see each counter whole (relaxed), not one instant of all.
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#define PHX_HIST_SUB_BITS 5
#define PHX_HIST_BUCKETS  ((65 - PHX_HIST_SUB_BITS) << PHX_HIST_SUB_BITS)

struct phx_hist {
	_Atomic uint64_t count;
	_Atomic uint64_t sum;
	_Atomic uint64_t max;
	_Atomic uint64_t bucket[PHX_HIST_BUCKETS];
};

void phx_hist_init(struct phx_hist *h);
// Writer only.
void phx_hist_add(struct phx_hist *h, uint64_t value);
// Add all of src to dst; dst's writer only.
void phx_hist_merge(struct phx_hist *dst, const struct phx_hist *src);
// Upper bound of the bucket that holds quantile q in [0, 1]; 0 when empty.
uint64_t phx_hist_quantile(const struct phx_hist *h, double q);
uint64_t phx_hist_count(const struct phx_hist *h);
double phx_hist_mean(const struct phx_hist *h);
uint64_t phx_hist_max(const struct phx_hist *h);
