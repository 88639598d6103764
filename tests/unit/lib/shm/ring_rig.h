// SPDX-License-Identifier: BSD-3-Clause
// Both ends of one ring in one process, for tests; each side's memory as the other side could
// change it. Works with lib/shm/ring.h.
#pragma once

#include "lib/shm/bell.h"
#include "lib/shm/ring.h"

#include <string.h>

#define RIG_SLOTS_MAX 64

struct rig {
	_Alignas(64) uint64_t slots[RIG_SLOTS_MAX * 8];
	_Alignas(64) uint32_t prod_word;
	_Alignas(64) uint32_t cons_word;
	_Alignas(64) uint32_t epoch_word;
	_Alignas(64) uint32_t bell_word; // futex
	struct phx_ring_prod prod;
	struct phx_ring_cons cons;
	struct phx_bell_sleeper sleeper;
	struct phx_bell_waker waker;
};

static inline void *rig_word(uint32_t *word)
{
	return word;
}

// As the other process would: any value at any time.
static inline void rig_poke(uint32_t *word, uint32_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELAXED);
}

static inline uint32_t rig_peek(const uint32_t *word)
{
	return __atomic_load_n(word, __ATOMIC_RELAXED);
}

static inline int rig_init(struct rig *r, uint32_t size, uint32_t start)
{
	int rc;

	memset(r, 0, sizeof(*r));
	phx_bell_sleeper_init(&r->sleeper, rig_word(&r->epoch_word));
	phx_bell_waker_init(&r->waker, rig_word(&r->epoch_word));
	rc = phx_ring_prod_init(
		&r->prod, r->slots, size, rig_word(&r->prod_word), rig_word(&r->cons_word), start);
	if (rc < 0)
		return rc;
	return phx_ring_cons_init(
		&r->cons, r->slots, size, rig_word(&r->prod_word), rig_word(&r->cons_word), start);
}

// An entry of n slots, each slot full of value + its place; not yet published.
static inline void rig_put(struct rig *r, uint64_t value, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint64_t *slot = phx_ring_prod_slot(&r->prod, i);

		for (unsigned w = 0; w < 8; w++)
			slot[w] = value + i;
	}
	phx_ring_prod_advance(&r->prod, n);
}

// Consume n slots of such an entry: 1 when they hold what was put.
static inline int rig_take(struct rig *r, uint64_t value, uint32_t n)
{
	uint64_t copy[8];
	int same = 1;

	for (uint32_t i = 0; i < n; i++) {
		phx_shm_copy_slot(copy, phx_ring_cons_slot(&r->cons, i));
		for (unsigned w = 0; w < 8; w++)
			same &= copy[w] == value + i;
	}
	phx_ring_cons_advance(&r->cons, n);
	return same;
}
