// SPDX-License-Identifier: BSD-3-Clause
// Block pools: two LIFOs fed from slabs that stay until the pool ends, and accounts that
// charge blocks to an application. Works with lib/schema through struct phx_block_pool.
#include "dataplane/core/memory.h"

#include "lib/base/compiler.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

// A slab is a header (so that fini finds it) and blocks behind it.
#define SLAB_HEADER	  PHX_CACHE_LINE
#define SLAB_SMALL_BLOCKS 64
#define SLAB_LARGE_BLOCKS 4

struct memory_link {
	struct memory_link *next;
};

static void count(_Atomic uint64_t *counter, uint64_t delta)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + delta,
		memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

// Add a slab of blocks of `size` to its list. -ENOMEM: the limit or the system.
static PHX_COLD int memory_pool_grow(struct memory_pool *pool, size_t size)
{
	bool small = size == PHX_BLOCK_SMALL;
	uint64_t bytes = get(&pool->small_total) * PHX_BLOCK_SMALL +
			 get(&pool->large_total) * PHX_BLOCK_LARGE;
	size_t blocks = small ? SLAB_SMALL_BLOCKS : SLAB_LARGE_BLOCKS, i;
	void **list = small ? &pool->free_small : &pool->free_large;
	struct memory_link *slab;
	uint8_t *base;

	if (blocks * size > pool->bytes_max || bytes > pool->bytes_max - blocks * size)
		return -ENOMEM;
	slab = aligned_alloc(PHX_CACHE_LINE, SLAB_HEADER + blocks * size);
	if (slab == NULL)
		return -ENOMEM;
	slab->next = pool->slabs;
	pool->slabs = slab;
	base = (uint8_t *)slab + SLAB_HEADER;
	for (i = blocks; i-- > 0;) {
		struct memory_link *block = (struct memory_link *)(base + i * size);

		block->next = *list;
		*list = block;
	}
	count(small ? &pool->small_total : &pool->large_total, blocks);
	return 0;
}

int memory_pool_init(struct memory_pool *pool, uint64_t bytes_max)
{
	int rc;

	*pool = (struct memory_pool){.bytes_max = bytes_max};
	rc = memory_pool_grow(pool, PHX_BLOCK_SMALL);
	if (rc == 0)
		rc = memory_pool_grow(pool, PHX_BLOCK_LARGE);
	if (rc != 0)
		memory_pool_fini(pool);
	return rc;
}

void memory_pool_fini(struct memory_pool *pool)
{
	struct memory_link *slab = pool->slabs;

	while (slab != NULL) {
		struct memory_link *next = slab->next;

		free(slab);
		slab = next;
	}
	*pool = (struct memory_pool){0};
}

void *memory_block_get(struct memory_pool *pool, size_t size)
{
	bool small = size == PHX_BLOCK_SMALL;
	void **list = small ? &pool->free_small : &pool->free_large;
	struct memory_link *block;

	assert(size == PHX_BLOCK_SMALL || size == PHX_BLOCK_LARGE);
	if (phx_unlikely(*list == NULL) && memory_pool_grow(pool, size) != 0) {
		count(&pool->refused, 1);
		return NULL;
	}
	block = *list;
	*list = block->next;
	count(small ? &pool->small_used : &pool->large_used, 1);
	return block;
}

void memory_block_put(struct memory_pool *pool, void *block, size_t size)
{
	bool small = size == PHX_BLOCK_SMALL;
	void **list = small ? &pool->free_small : &pool->free_large;
	struct memory_link *link = block;

	assert(size == PHX_BLOCK_SMALL || size == PHX_BLOCK_LARGE);
	link->next = *list;
	*list = link;
	count(small ? &pool->small_used : &pool->large_used, UINT64_MAX);
}

static void *account_get(struct phx_block_pool *pool, size_t size)
{
	struct memory_account *account = phx_container_of(pool, struct memory_account, pool);
	uint64_t bytes = get(&account->bytes);
	void *block = NULL;

	if (size <= account->quota && bytes <= account->quota - size)
		block = memory_block_get(account->memory, size);
	if (phx_unlikely(block == NULL)) {
		count(&account->refused, 1);
		return NULL;
	}
	count(&account->bytes, size);
	return block;
}

static void account_put(struct phx_block_pool *pool, void *block, size_t size)
{
	struct memory_account *account = phx_container_of(pool, struct memory_account, pool);

	memory_block_put(account->memory, block, size);
	count(&account->bytes, -(uint64_t)size);
}

void memory_account_init(struct memory_account *account, struct memory_pool *memory, uint64_t quota)
{
	*account = (struct memory_account){
		.pool = {.get = account_get, .put = account_put},
		.memory = memory,
		.quota = quota,
	};
}

int memory_account_charge(struct memory_account *account, uint64_t bytes)
{
	if (get(&account->bytes) >= account->quota) {
		count(&account->refused, 1);
		return -ENOMEM;
	}
	count(&account->bytes, bytes);
	return 0;
}

void memory_account_uncharge(struct memory_account *account, uint64_t bytes)
{
	count(&account->bytes, -bytes);
}
