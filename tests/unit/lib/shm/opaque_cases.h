// SPDX-License-Identifier: BSD-3-Clause
// Compiled once for each case by opaque_test.py: case 0 must compile, every other must not.
#pragma once

#include "lib/shm/ring.h"

uint64_t opaque(struct phx_shm_u32 *p, struct phx_shm_u64 *q, const struct phx_shm_slot *slot);
uint64_t opaque(struct phx_shm_u32 *p, struct phx_shm_u64 *q, const struct phx_shm_slot *slot)
{
	uint64_t got[8] = {0};

#if OPAQUE_CASE == 0 // what is meant
	got[0] = phx_shm_load32_acquire(p) + phx_shm_load64_relaxed(q);
	phx_shm_copy_slot(got, slot);
#elif OPAQUE_CASE == 1	// a plain read
	got[0] = *p;
#elif OPAQUE_CASE == 2	// of the wide word
	got[0] = *q;
#elif OPAQUE_CASE == 3	// a comparison
	got[0] = *p == 7;
#elif OPAQUE_CASE == 4	// of two words
	got[0] = *p == *(p + 0);
#elif OPAQUE_CASE == 5	// arithmetic
	got[0] = *q + 1;
#elif OPAQUE_CASE == 6	// a condition
	got[0] = *p ? 1 : 2;
#elif OPAQUE_CASE == 7	// a plain store
	*p = 7;
#elif OPAQUE_CASE == 8	// an assignment from word to word
	*p = *(struct phx_shm_u32 *)q;
#elif OPAQUE_CASE == 9	// a private copy by initialisation
	struct phx_shm_u32 copy = *p;

	got[0] = sizeof(copy);
#elif OPAQUE_CASE == 10 // a slot as a value
	const struct phx_shm_slot copy = *slot;

	got[0] = sizeof(copy);
#elif OPAQUE_CASE == 11 // a member of a slot
	got[0] = slot->words[0];
#elif OPAQUE_CASE == 12 // the next word by index
	got[0] = phx_shm_load64_relaxed(&q[1]);
#elif OPAQUE_CASE == 13 // its size, as for memcpy
	memcpy(got, q, sizeof(*q));
#elif OPAQUE_CASE == 14 // the wrong width
	got[0] = phx_shm_load32_relaxed(q);
#elif OPAQUE_CASE == 15 // a store into what the peer writes
	phx_shm_store64_relaxed(phx_shm_word64(slot, 0), 1);
#elif OPAQUE_CASE == 16 // a switch
	switch (*p) {
	default:
		break;
	}
#elif OPAQUE_CASE == 17 // a C11 atomic read
	got[0] = __atomic_load_n(p, __ATOMIC_RELAXED);
#else
#error "no such case"
#endif
	(void)p, (void)q, (void)slot;
	return got[0];
}
