// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/base/hist: accuracy against sorted values, extremes, merging.
#include "lib/base/hist.h"

#include "lib/base/hash.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define N 100000

static struct phx_hist a, b;

static int compare(const void *x, const void *y)
{
	uint64_t u = *(const uint64_t *)x, v = *(const uint64_t *)y;

	return (u > v) - (u < v);
}

static void quantile_of_log_uniform_values_is_within_32_thousandths(void **state)
{
	static const double qs[] = {0, 0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1};
	uint64_t *values = malloc(N * sizeof(*values));

	(void)state;
	phx_hist_init(&a);
	for (uint64_t i = 0; i < N; i++) {
		values[i] = phx_mix64(i + 1) >> (phx_mix64(i + N) % 64);
		phx_hist_add(&a, values[i]);
	}
	qsort(values, N, sizeof(*values), compare);
	for (size_t i = 0; i < sizeof(qs) / sizeof(qs[0]); i++) {
		uint64_t rank = qs[i] >= 1 ? N - 1 : (uint64_t)(qs[i] * N);
		uint64_t truth = values[rank], got = phx_hist_quantile(&a, qs[i]);

		assert_true(got >= truth);
		assert_true((double)(got - truth) <= 0.032 * (double)truth);
	}
	assert_int_equal(phx_hist_count(&a), N);
	assert_true(phx_hist_max(&a) == values[N - 1]);
	free(values);
}

static void add_values_below_32_are_exact(void **state)
{
	(void)state;
	phx_hist_init(&a);
	for (uint64_t v = 0; v < 32; v++)
		phx_hist_add(&a, v);
	for (int v = 0; v < 32; v++)
		assert_int_equal(phx_hist_quantile(&a, (v + 0.5) / 32), v);
	assert_true(phx_hist_mean(&a) == 15.5);
}

static void add_extremes_are_kept(void **state)
{
	(void)state;
	phx_hist_init(&a);
	assert_int_equal(phx_hist_quantile(&a, 0.5), 0);
	assert_true(phx_hist_mean(&a) == 0);
	phx_hist_add(&a, UINT64_MAX);
	assert_true(phx_hist_quantile(&a, 0.5) == UINT64_MAX);
	phx_hist_add(&a, 0);
	assert_true(phx_hist_quantile(&a, 0.1) == 0);
	assert_true(phx_hist_quantile(&a, 7) == UINT64_MAX);
	assert_true(phx_hist_quantile(&a, -7) == 0);
	assert_true(phx_hist_max(&a) == UINT64_MAX);
}

static void quantile_is_never_above_the_maximum(void **state)
{
	(void)state;
	phx_hist_init(&a);
	phx_hist_add(&a, 1000000);
	assert_int_equal(phx_hist_quantile(&a, 0.5), 1000000);
}

static void merge_equals_adding_to_one(void **state)
{
	static struct phx_hist both;

	(void)state;
	phx_hist_init(&a);
	phx_hist_init(&b);
	phx_hist_init(&both);
	for (uint64_t i = 0; i < N; i++) {
		uint64_t v = phx_mix64(i) >> 40;

		phx_hist_add(i % 3 == 0 ? &a : &b, v);
		phx_hist_add(&both, v);
	}
	phx_hist_merge(&a, &b);
	assert_memory_equal(&a, &both, sizeof(both));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quantile_of_log_uniform_values_is_within_32_thousandths),
		cmocka_unit_test(add_values_below_32_are_exact),
		cmocka_unit_test(add_extremes_are_kept),
		cmocka_unit_test(quantile_is_never_above_the_maximum),
		cmocka_unit_test(merge_equals_adding_to_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
