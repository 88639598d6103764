// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/schema/metadata: build, read back, and every way a block can be wrong.
#include "lib/schema/metadata.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static int add(void *block, size_t *len, const char *key, const void *value, size_t value_len)
{
	return phx_metadata_add(
		block, PHX_LIMIT_METADATA_BYTES, len, key, strlen(key), value, value_len);
}

static void metadata_add_two_pairs_gives_these_bytes(void **state)
{
	static const uint8_t want[] = {
		2, 0, 3, 2, 0, 'k', 'e', 'y', 'o', 'k', 5, 1, 0, 'x', '-', 'b', 'i', 'n', 0xff};
	uint8_t block[PHX_LIMIT_METADATA_BYTES];
	size_t len = 0;

	(void)state;
	assert_int_equal(add(block, &len, "key", "ok", 2), 0);
	assert_int_equal(add(block, &len, "x-bin", "\xff", 1), 0);
	assert_int_equal(len, sizeof(want));
	assert_memory_equal(block, want, sizeof(want));
	assert_int_equal(phx_metadata_check(block, len), 0);
}

static void metadata_next_returns_pairs_in_order(void **state)
{
	uint8_t block[PHX_LIMIT_METADATA_BYTES];
	struct phx_metadata_pair pair;
	size_t len = 0, pos = 0;

	(void)state;
	assert_int_equal(add(block, &len, "b", "1", 1), 0);
	assert_int_equal(add(block, &len, "traceparent", "", 0), 0);
	assert_int_equal(add(block, &len, "b", "2", 1), 0);
	assert_int_equal(phx_metadata_count(block, len), 3);
	assert_true(phx_metadata_next(block, len, &pos, &pair));
	assert_int_equal(pair.value[0], '1');
	assert_true(phx_metadata_next(block, len, &pos, &pair));
	assert_int_equal(pair.key_len, strlen("traceparent"));
	assert_int_equal(pair.value_len, 0);
	assert_true(phx_metadata_next(block, len, &pos, &pair));
	assert_int_equal(pair.value[0], '2');
	assert_false(phx_metadata_next(block, len, &pos, &pair));
	assert_true(phx_metadata_lookup(block, len, "b", 1, &pair));
	assert_int_equal(pair.value[0], '1');
	assert_false(phx_metadata_lookup(block, len, "c", 1, &pair));
	assert_false(phx_metadata_lookup(block, 0, "b", 1, &pair));
}

static void metadata_add_bad_pair_is_refused_and_leaves_block(void **state)
{
	uint8_t block[PHX_LIMIT_METADATA_BYTES];
	char longkey[257];
	size_t len = 0;

	(void)state;
	memset(longkey, 'k', 256);
	longkey[256] = 0;
	assert_int_equal(add(block, &len, "", "v", 1), -EINVAL);
	assert_int_equal(add(block, &len, "Key", "v", 1), -EINVAL);
	assert_int_equal(add(block, &len, "k k", "v", 1), -EINVAL);
	assert_int_equal(add(block, &len, "k", "\n", 1), -EINVAL);
	assert_int_equal(add(block, &len, "k", "\x7f", 1), -EINVAL);
	assert_int_equal(add(block, &len, "phx-a", "v", 1), -EPERM);
	assert_int_equal(add(block, &len, "grpc-timeout", "v", 1), -EPERM);
	assert_int_equal(add(block, &len, longkey, "v", 1), -EMSGSIZE);
	assert_int_equal(len, 0);
	longkey[255] = 0;
	assert_int_equal(add(block, &len, longkey, "v", 1), 0);
	assert_int_equal(phx_metadata_check(block, len), 0);
}

static void metadata_add_over_limits_is_refused(void **state)
{
	uint8_t block[PHX_LIMIT_METADATA_BYTES], value[PHX_LIMIT_METADATA_BYTES];
	size_t len = 0, full;

	(void)state;
	memset(value, 'v', sizeof(value));
	for (int i = 0; i < PHX_LIMIT_METADATA_PAIRS; i++)
		assert_int_equal(add(block, &len, "k", "v", 1), 0);
	assert_int_equal(add(block, &len, "k", "v", 1), -EMSGSIZE);
	len = 0;
	full = PHX_LIMIT_METADATA_BYTES - 2 - 3 - 1;
	assert_int_equal(add(block, &len, "k", value, full + 1), -EMSGSIZE);
	assert_int_equal(add(block, &len, "k", value, full), 0);
	assert_int_equal(phx_metadata_check(block, len), 0);
	len = 0;
	assert_int_equal(phx_metadata_add(block, 7, &len, "k", 1, "vv", 2), -EMSGSIZE);
	assert_int_equal(phx_metadata_add(block, 8, &len, "k", 1, "vv", 2), 0);
}

static void metadata_check_every_truncation_is_refused(void **state)
{
	uint8_t block[PHX_LIMIT_METADATA_BYTES];
	size_t len = 0;

	(void)state;
	assert_int_equal(add(block, &len, "abc", "value", 5), 0);
	assert_int_equal(add(block, &len, "d-bin", "\x00\x01", 2), 0);
	for (size_t n = 1; n < len; n++) {
		uint8_t *copy = malloc(n); // exact, so that a sanitizer sees each byte too far

		assert_non_null(copy);
		memcpy(copy, block, n);
		assert_int_equal(phx_metadata_check(copy, n), -EINVAL);
		free(copy);
	}
	block[len] = 0;
	assert_int_equal(phx_metadata_check(block, len + 1), -EINVAL);
	assert_int_equal(phx_metadata_check(NULL, 0), 0);
}

static void metadata_check_hostile_blocks_are_refused(void **state)
{
	static const uint8_t none[] = {0, 0};
	static const uint8_t many[] = {65, 0, 1, 0, 0, 'k'};
	static const uint8_t reserved[] = {1, 0, 4, 0, 0, 'p', 'h', 'x', '-'};
	static const uint8_t upper[] = {1, 0, 1, 0, 0, 'K'};
	static const uint8_t control[] = {1, 0, 1, 1, 0, 'k', 9};
	uint8_t big[PHX_LIMIT_METADATA_BYTES + 1] = {1, 0};

	(void)state;
	assert_int_equal(phx_metadata_check(none, sizeof(none)), -EINVAL);
	assert_int_equal(phx_metadata_check(many, sizeof(many)), -EMSGSIZE);
	assert_int_equal(phx_metadata_check(reserved, sizeof(reserved)), -EPERM);
	assert_int_equal(phx_metadata_check(upper, sizeof(upper)), -EINVAL);
	assert_int_equal(phx_metadata_check(control, sizeof(control)), -EINVAL);
	assert_int_equal(phx_metadata_check(big, sizeof(big)), -EMSGSIZE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(metadata_add_two_pairs_gives_these_bytes),
		cmocka_unit_test(metadata_next_returns_pairs_in_order),
		cmocka_unit_test(metadata_add_bad_pair_is_refused_and_leaves_block),
		cmocka_unit_test(metadata_add_over_limits_is_refused),
		cmocka_unit_test(metadata_check_every_truncation_is_refused),
		cmocka_unit_test(metadata_check_hostile_blocks_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
