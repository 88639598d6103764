// SPDX-License-Identifier: BSD-3-Clause
// Blocks of a worker: small (PHX_BLOCK_SMALL) and large (PHX_BLOCK_LARGE), cached in a LIFO,
// grown from the heap of the process in slabs up to a limit, never on the fast path once warm.
// An account charges blocks to an application. Worker thread only.
#pragma once

#include "lib/schema/image.h"

#include <stdatomic.h>
#include <stdint.h>

struct memory_pool {
	void *free_small; // [worker] singly linked LIFO
	void *free_large;
	_Atomic uint64_t small_total; // [worker>ctl] blocks in existence
	_Atomic uint64_t large_total;
	_Atomic uint64_t small_used;
	_Atomic uint64_t large_used;
	_Atomic uint64_t refused; // the limit or the system said no
	uint64_t bytes_max;	  // [const] limit of the pool
	void *slabs;		  // [worker] for fini
};

// A pool of at most bytes_max bytes in blocks, with one slab of each size. -ENOMEM.
int memory_pool_init(struct memory_pool *pool, uint64_t bytes_max);
// Free all slabs, and with them every block still out. Legal on a pool of zeroes.
void memory_pool_fini(struct memory_pool *pool);
// size is PHX_BLOCK_SMALL or PHX_BLOCK_LARGE. NULL: limit or system, counted. Contents are
// undefined; aligned to a cache line.
void *memory_block_get(struct memory_pool *pool, size_t size);
// size as in get.
void memory_block_put(struct memory_pool *pool, void *block, size_t size);

// What one application has out of a pool, with a quota: hand &account.pool to lib/schema.
struct memory_account {
	struct phx_block_pool pool;	// first: the callbacks find the account from it
	struct memory_pool *memory;	// [worker] changes when the session moves
	_Atomic uint64_t bytes;		// [worker>ctl]
	_Atomic uint64_t refused;	// [worker>ctl]
	_Atomic uint64_t landing_bytes; // [worker>ctl] see core/landing.h; not in `bytes`
	uint64_t quota;
};
void memory_account_init(
	struct memory_account *account, struct memory_pool *memory, uint64_t quota);
// Charge memory that is not of the pool. It must begin within the quota and may go beyond, so
// that one message of any legal size is possible. -ENOMEM: refused, counted.
int memory_account_charge(struct memory_account *account, uint64_t bytes);
void memory_account_uncharge(struct memory_account *account, uint64_t bytes);
