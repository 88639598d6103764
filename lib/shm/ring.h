// SPDX-License-Identifier: BSD-3-Clause
// Single-producer single-consumer ring of 64-byte slots between two address spaces that do
// not trust each other (design.md 3). Slots and the producer index lie in memory that the
// producer writes, the consumer index in memory that the consumer writes. Everything else,
// masks, sizes, shadows of the own index, the last known peer index, is in the two private
// handles below; what the peer stores in its index is checked once and never used unchecked.
//
// Indices count slots, run free over 32 bits and start at 0; each lies on a cache line of
// its own. One thread (or one lock) owns the producer, one the consumer. An entry takes
// one or more slots, may wrap, and is published whole.
//
// States a reader of the index words can see: consumer <= producer <= consumer + size, modulo
// 2^32. Anything else, also an index that moves back, is answered with -EPROTO
// (reason RING_INDEX), and the handle stays as it was. If the peer dies its index stands
// still: the ring runs full or empty, never anything else.
#pragma once

#include "lib/shm/bell.h"
#include "lib/shm/word.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#define PHX_RING_SIZE_MAX (UINT32_C(1) << 30)

// Private memory of the producer.
struct phx_ring_prod {
	uint8_t *slots;
	struct phx_shm_u32 *prod_word;	     // we write
	const struct phx_shm_u32 *cons_word; // the peer writes
	uint32_t size;			     // slots, power of two
	uint32_t mask;
	uint32_t next;	    // first slot not yet advanced over
	uint32_t published; // value of *prod_word
	uint32_t cons;	    // last good value of *cons_word
};

// Private memory of the consumer.
struct phx_ring_cons {
	const uint8_t *slots;
	const struct phx_shm_u32 *prod_word; // the peer writes
	struct phx_shm_u32 *cons_word;	     // we write
	uint32_t size;
	uint32_t mask;
	uint32_t next;	    // first slot not yet advanced over
	uint32_t published; // value of *cons_word
	uint32_t prod;	    // last good value of *prod_word
};

// Attach to a ring of size slots (power of two, 2 .. PHX_RING_SIZE_MAX; protocol limits are
// the caller's). Stores start into the own index word. start is 0, except in tests, which
// initialise both ends before using either. The three pointers stay valid while the handle
// is used. 0 or -EINVAL (reason RING_CFG).
int phx_ring_prod_init(struct phx_ring_prod *p, void *slots, uint32_t size,
	struct phx_shm_u32 *prod_word, const struct phx_shm_u32 *cons_word, uint32_t start);
int phx_ring_cons_init(struct phx_ring_cons *c, const void *slots, uint32_t size,
	const struct phx_shm_u32 *prod_word, struct phx_shm_u32 *cons_word, uint32_t start);

// Slow path of phx_ring_prod_room(): read the peer's index.
int phx_ring_prod_refresh(struct phx_ring_prod *p);

// Free slots, at least want if there are that many; the peer's index is read only when
// what is known does not suffice. -EPROTO: the peer's index is impossible.
static PHX_ALWAYS_INLINE int phx_ring_prod_room(struct phx_ring_prod *p, uint32_t want)
{
	uint32_t room = p->size - (p->next - p->cons);

	if (phx_likely(room >= want))
		return (int)room;
	return phx_ring_prod_refresh(p);
}

// The i-th slot after those advanced over, i < room. 64 bytes, 64-aligned, written by plain
// stores until published. Entries of several slots ask for each, since slot i + 1 may be
// at the start of the ring.
static PHX_ALWAYS_INLINE void *phx_ring_prod_slot(const struct phx_ring_prod *p, uint32_t i)
{
	return p->slots + (size_t)((p->next + i) & p->mask) * PHX_SHM_SLOT_SIZE;
}

// Count n slots as written; the consumer does not see them yet. n <= room.
static PHX_ALWAYS_INLINE void phx_ring_prod_advance(struct phx_ring_prod *p, uint32_t n)
{
	p->next += n;
}

// Slots advanced over and not published.
static PHX_ALWAYS_INLINE uint32_t phx_ring_prod_pending(const struct phx_ring_prod *p)
{
	return p->next - p->published;
}

// Show all slots advanced over to a consumer that polls. Once per burst.
static PHX_ALWAYS_INLINE void phx_ring_prod_publish_release(struct phx_ring_prod *p)
{
	p->published = p->next;
	phx_shm_store32_release(p->prod_word, p->next); // pairs with phx_ring_cons_avail
}

// The same for a consumer that may sleep. True: ring its bell now (phx_bell_ring_...).
// Nothing pending: false, without touching shared memory.
static PHX_ALWAYS_INLINE bool phx_ring_prod_publish_bell(
	struct phx_ring_prod *p, struct phx_bell_waker *bell)
{
	if (p->next == p->published)
		return false;
	p->published = p->next;
	(void)phx_shm_exchange32_seq_cst(p->prod_word, p->next); // the old value is ours
	return phx_bell_should_ring(bell);
}

// Take over an index just loaded from the peer: slots available or -EPROTO.
static PHX_ALWAYS_INLINE int phx_ring_cons_take_(struct phx_ring_cons *c, uint32_t prod)
{
	// Forward by no more than an honest producer has room for.
	if (phx_unlikely(prod - c->prod > c->size - (c->prod - c->published)))
		return -EPROTO;
	c->prod = prod;
	return (int)(prod - c->next);
}

// Slots that can be read. The peer's index is loaded only when all known ones are
// consumed, so an empty poll is one load. -EPROTO: the peer's index is impossible.
static PHX_ALWAYS_INLINE int phx_ring_cons_avail(struct phx_ring_cons *c)
{
	if (c->prod != c->next)
		return (int)(c->prod - c->next);
	return phx_ring_cons_take_(c, phx_shm_load32_acquire(c->prod_word));
}

// The same between phx_bell_arm() and sleep; always loads, seq_cst.
static PHX_ALWAYS_INLINE int phx_ring_cons_recheck(struct phx_ring_cons *c)
{
	return phx_ring_cons_take_(c, phx_shm_load32_seq_cst(c->prod_word));
}

// The i-th slot after those advanced over, i < available. Copy it out with
// phx_shm_copy_slot() before looking at it. Valid until phx_ring_cons_publish().
static PHX_ALWAYS_INLINE const struct phx_shm_slot *phx_ring_cons_slot(
	const struct phx_ring_cons *c, uint32_t i)
{
	size_t at = (size_t)((c->next + i) & c->mask) * PHX_SHM_SLOT_SIZE;

	return (const void *)(c->slots + at);
}

// Count n slots as consumed; the producer does not get them back yet. n <= available.
static PHX_ALWAYS_INLINE void phx_ring_cons_advance(struct phx_ring_cons *c, uint32_t n)
{
	c->next += n;
}

// Give all slots advanced over back to the producer. Once per burst; nothing consumed since
// the last time: nothing is stored.
static PHX_ALWAYS_INLINE void phx_ring_cons_publish(struct phx_ring_cons *c)
{
	if (c->published == c->next)
		return;
	c->published = c->next;
	phx_shm_store32_release(c->cons_word, c->next); // pairs with phx_ring_prod_refresh
}
