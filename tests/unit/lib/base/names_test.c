// SPDX-License-Identifier: BSD-3-Clause
// Tests of the tables behind lib/base/status.h and lib/base/limits.h.
#include "lib/base/bits.h"
#include "lib/base/limits.h"
#include "lib/base/status.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void code_name_every_code_is_distinct(void **state)
{
	(void)state;
	assert_string_equal(phx_code_name(PHX_OK), "OK");
	assert_string_equal(phx_code_name(PHX_DEADLINE_EXCEEDED), "DEADLINE_EXCEEDED");
	assert_string_equal(phx_code_name(PHX_UNAUTHENTICATED), "UNAUTHENTICATED");
	assert_string_equal(phx_code_name(17), "UNKNOWN");
	assert_string_equal(phx_code_name(UINT32_MAX), "UNKNOWN");
	for (unsigned i = 0; i < PHX_CODE_COUNT; i++)
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(phx_code_name(i), phx_code_name(k));
}

static void reason_name_every_reason_is_distinct(void **state)
{
	(void)state;
	assert_string_equal(phx_reason_name(PHX_REASON_NONE), "NONE");
	assert_string_equal(phx_reason_name(PHX_REASON_RING_INDEX), "RING_INDEX");
	assert_string_equal(phx_reason_name(PHX_REASON_W_RESET), "W_RESET");
	assert_string_equal(phx_reason_name(PHX_REASON_COUNT), "INTERNAL");
	for (unsigned i = 0; i < PHX_REASON_COUNT; i++)
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(phx_reason_name(i), phx_reason_name(k));
}

static void origin_and_executed_name_out_of_range_say_the_least(void **state)
{
	(void)state;
	assert_string_equal(phx_origin_name(PHX_ORIGIN_APP), "application");
	assert_string_equal(phx_origin_name(PHX_ORIGIN_POLICY), "policy");
	assert_string_equal(phx_origin_name(99), "transport");
	assert_string_equal(phx_executed_name(PHX_EXECUTED_NO), "no");
	assert_string_equal(phx_executed_name(PHX_EXECUTED_YES), "yes");
	assert_string_equal(phx_executed_name(3), "maybe");
}

static void limits_every_row_is_complete_and_distinct(void **state)
{
	size_t len = 0;
	const struct phx_limit *rows = phx_limits(&len);

	(void)state;
	assert_true(len > 20);
	for (size_t i = 0; i < len; i++) {
		assert_true(rows[i].value > 0);
		assert_true(strlen(rows[i].unit) > 0 && strlen(rows[i].text) > 0);
		for (const char *c = rows[i].name; *c != '\0'; c++)
			assert_true(isupper((unsigned char)*c) || isdigit((unsigned char)*c) ||
				    *c == '_');
		for (size_t k = 0; k < i; k++)
			assert_string_not_equal(rows[i].name, rows[k].name);
	}
}

static void limits_ring_sizes_are_powers_of_two(void **state)
{
	(void)state;
	assert_true(phx_is_pow2(PHX_LIMIT_RING_SLOTS_MIN));
	assert_true(phx_is_pow2(PHX_LIMIT_RING_SLOTS_MAX));
	assert_true(phx_is_pow2(PHX_LIMIT_CQ_SLOTS_MAX));
}

static void range_ok_never_wraps(void **state)
{
	uint64_t out = 5;

	(void)state;
	assert_true(phx_range_ok(0, 0, 0));
	assert_true(phx_range_ok(10, 0, 10));
	assert_true(phx_range_ok(4, 6, 10));
	assert_false(phx_range_ok(5, 6, 10));
	assert_false(phx_range_ok(UINT64_MAX, 1, 10));
	assert_false(phx_range_ok(1, UINT64_MAX, 10));
	assert_false(phx_range_ok(UINT64_MAX, UINT64_MAX, UINT64_MAX - 1));
	assert_false(phx_add_ok(UINT64_MAX, 1, &out));
	assert_false(phx_mul_ok(UINT64_C(1) << 63, 2, &out));
	assert_int_equal(out, 5);
	assert_true(phx_mul_ok(1 << 20, 1 << 20, &out));
	assert_true(out == UINT64_C(1) << 40);
}

static void pow2_and_log2_agree(void **state)
{
	(void)state;
	assert_true(phx_pow2_up(1) == 1 && phx_pow2_up(2) == 2 && phx_pow2_up(3) == 4);
	for (unsigned i = 1; i < 63; i++) {
		uint64_t v = UINT64_C(1) << i;

		assert_int_equal(phx_log2(v), i);
		assert_int_equal(phx_log2(v + v / 2), i);
		assert_true(phx_pow2_up(v) == v);
		assert_true(phx_pow2_up(v / 2 + 1) == v);
		assert_true(phx_align_up(v + 1, v) == 2 * v);
		assert_true(phx_align_down(2 * v - 1, v) == v);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(code_name_every_code_is_distinct),
		cmocka_unit_test(reason_name_every_reason_is_distinct),
		cmocka_unit_test(origin_and_executed_name_out_of_range_say_the_least),
		cmocka_unit_test(limits_every_row_is_complete_and_distinct),
		cmocka_unit_test(limits_ring_sizes_are_powers_of_two),
		cmocka_unit_test(range_ok_never_wraps),
		cmocka_unit_test(pow2_and_log2_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
