// SPDX-License-Identifier: BSD-3-Clause
// Tests of block pools and accounts: limits, counters and balance.
#include "dataplane/core/memory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define MIB (UINT64_C(1) << 20)

static void memory_pool_init_below_one_slab_is_refused(void **state)
{
	struct memory_pool pool;

	(void)state;
	assert_int_equal(memory_pool_init(&pool, 1000), -ENOMEM);
	memory_pool_fini(&pool);
}

static void memory_block_get_at_the_limit_is_refused_and_counted(void **state)
{
	static void *blocks[64];
	struct memory_pool pool;
	unsigned n = 0, i;

	(void)state;
	assert_int_equal(memory_pool_init(&pool, 2 * MIB), 0);
	while (n < 64 && (blocks[n] = memory_block_get(&pool, PHX_BLOCK_LARGE)) != NULL) {
		memset(blocks[n], 0xaa, PHX_BLOCK_LARGE);
		n++;
	}
	// One slab of small blocks is there from the start.
	assert_in_range(n, 24, 31);
	assert_int_equal(pool.refused, 1);
	assert_int_equal(pool.large_used, n);
	for (i = 0; i < n; i++)
		memory_block_put(&pool, blocks[i], PHX_BLOCK_LARGE);
	assert_int_equal(pool.large_used, 0);
	assert_int_equal(pool.large_total, n);
	assert_non_null(memory_block_get(&pool, PHX_BLOCK_LARGE));
	memory_pool_fini(&pool);
}

static void memory_block_get_after_put_reuses_the_block(void **state)
{
	struct memory_pool pool;
	void *block;

	(void)state;
	assert_int_equal(memory_pool_init(&pool, MIB), 0);
	block = memory_block_get(&pool, PHX_BLOCK_SMALL);
	assert_non_null(block);
	assert_int_equal((uintptr_t)block % 64, 0);
	memory_block_put(&pool, block, PHX_BLOCK_SMALL);
	assert_ptr_equal(memory_block_get(&pool, PHX_BLOCK_SMALL), block);
	memory_pool_fini(&pool);
}

static void memory_account_get_over_quota_is_refused(void **state)
{
	struct memory_account account;
	struct memory_pool pool;
	void *a, *b;

	(void)state;
	assert_int_equal(memory_pool_init(&pool, MIB), 0);
	memory_account_init(&account, &pool, PHX_BLOCK_LARGE + PHX_BLOCK_SMALL);
	a = account.pool.get(&account.pool, PHX_BLOCK_LARGE);
	b = account.pool.get(&account.pool, PHX_BLOCK_SMALL);
	assert_non_null(a);
	assert_non_null(b);
	assert_null(account.pool.get(&account.pool, PHX_BLOCK_SMALL));
	assert_int_equal(account.refused, 1);
	assert_int_equal(account.bytes, PHX_BLOCK_LARGE + PHX_BLOCK_SMALL);
	account.pool.put(&account.pool, a, PHX_BLOCK_LARGE);
	account.pool.put(&account.pool, b, PHX_BLOCK_SMALL);
	assert_int_equal(account.bytes, 0);
	assert_int_equal(pool.large_used + pool.small_used, 0);
	assert_int_equal(pool.refused, 0);
	memory_pool_fini(&pool);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_pool_init_below_one_slab_is_refused),
		cmocka_unit_test(memory_block_get_at_the_limit_is_refused_and_counted),
		cmocka_unit_test(memory_block_get_after_put_reuses_the_block),
		cmocka_unit_test(memory_account_get_over_quota_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
