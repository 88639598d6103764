// SPDX-License-Identifier: BSD-3-Clause
// Set-up and the slow path of the ring. Works with ring.h, where the hot path is.
#include "lib/shm/ring.h"

#include "lib/base/bits.h"

static bool ring_ok(const void *slots, uint32_t size)
{
	return size >= 2 && size <= PHX_RING_SIZE_MAX && phx_is_pow2(size) &&
	       (uintptr_t)slots % PHX_SHM_SLOT_SIZE == 0;
}

int phx_ring_prod_init(struct phx_ring_prod *p, void *slots, uint32_t size,
	struct phx_shm_u32 *prod_word, const struct phx_shm_u32 *cons_word, uint32_t start)
{
	if (!ring_ok(slots, size))
		return -EINVAL;
	*p = (struct phx_ring_prod){
		.slots = slots,
		.prod_word = prod_word,
		.cons_word = cons_word,
		.size = size,
		.mask = size - 1,
		.next = start,
		.published = start,
		.cons = start,
	};
	phx_shm_store32_release(prod_word, start);
	return 0;
}

int phx_ring_cons_init(struct phx_ring_cons *c, const void *slots, uint32_t size,
	const struct phx_shm_u32 *prod_word, struct phx_shm_u32 *cons_word, uint32_t start)
{
	if (!ring_ok(slots, size))
		return -EINVAL;
	*c = (struct phx_ring_cons){
		.slots = slots,
		.prod_word = prod_word,
		.cons_word = cons_word,
		.size = size,
		.mask = size - 1,
		.next = start,
		.published = start,
		.prod = start,
	};
	phx_shm_store32_release(cons_word, start);
	return 0;
}

int phx_ring_prod_refresh(struct phx_ring_prod *p)
{
	uint32_t cons = phx_shm_load32_acquire(p->cons_word); // pairs with phx_ring_cons_publish

	// The consumer can have moved over what we published and no further.
	if (cons - p->cons > p->published - p->cons)
		return -EPROTO;
	p->cons = cons;
	return (int)(p->size - (p->next - cons));
}
