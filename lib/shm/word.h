// SPDX-License-Identifier: BSD-3-Clause
// Words in memory that another process may change at any moment, and the only ways to
// read and write them. The types are opaque: assigning, comparing or adding one does not
// compile, so each read is one visible call. The rule for everything read from the other
// side: load or copy it once into private memory, check the private copy, use the private
// copy (reliability.md 5.2, design.md 3).
//
// Who may call what: any function by any thread; the memory orders are the caller's
// business, each release or acquire use names its partner. Plain memory written by this
// side and published through a ring needs no accessor for writing.
//
// With -DPHX_SHM_FRESH (fuzz builds only, for every file of the program) each load and copy
// asks phx_shm_fresh_hook() for the value instead of reading memory. A harness returns a
// new value for every load, so a second load of the same word shows as a failed check.
#pragma once

#include "lib/base/compiler.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Shared words, naturally aligned. Never touch the member; use the functions below.
struct phx_shm_u32 {
	uint32_t opaque_;
};
struct phx_shm_u64 {
	uint64_t opaque_;
};

// Unit of the rings: one cache line.
#define PHX_SHM_SLOT_SIZE 64
struct phx_shm_slot {
	struct phx_shm_u64 opaque_[PHX_SHM_SLOT_SIZE / 8];
} PHX_CACHE_ALIGNED;

static_assert(sizeof(struct phx_shm_u32) == 4 && sizeof(struct phx_shm_u64) == 8, "ABI");
static_assert(sizeof(struct phx_shm_slot) == PHX_SHM_SLOT_SIZE, "ABI");

#if defined(PHX_SHM_FRESH)
// Supplied by the fuzz harness: the value of this load; size is 1, 4 or 8 bytes, the value
// is in the low bytes.
uint64_t phx_shm_fresh_hook(const void *addr, unsigned size);
#define PHX_SHM_LOAD(p, bits, order) ((uint##bits##_t)phx_shm_fresh_hook((p), (bits) / 8))
#else
#define PHX_SHM_LOAD(p, bits, order) __atomic_load_n(&(p)->opaque_, (order))
#endif

// For bits in {32, 64}:
//   phx_shm_load<bits>_relaxed, _acquire, _seq_cst (word)      -> value
//   phx_shm_store<bits>_relaxed, _release, _seq_cst (word, value)
//   phx_shm_exchange<bits>_seq_cst (word, value)               -> value before
#define PHX_SHM_ACCESSORS(bits)                                                                    \
	static PHX_ALWAYS_INLINE uint##bits##_t phx_shm_load##bits##_relaxed(                      \
		const struct phx_shm_u##bits *p)                                                   \
	{                                                                                          \
		return PHX_SHM_LOAD(p, bits, __ATOMIC_RELAXED);                                    \
	}                                                                                          \
	static PHX_ALWAYS_INLINE uint##bits##_t phx_shm_load##bits##_acquire(                      \
		const struct phx_shm_u##bits *p)                                                   \
	{                                                                                          \
		return PHX_SHM_LOAD(p, bits, __ATOMIC_ACQUIRE);                                    \
	}                                                                                          \
	static PHX_ALWAYS_INLINE uint##bits##_t phx_shm_load##bits##_seq_cst(                      \
		const struct phx_shm_u##bits *p)                                                   \
	{                                                                                          \
		return PHX_SHM_LOAD(p, bits, __ATOMIC_SEQ_CST);                                    \
	}                                                                                          \
	static PHX_ALWAYS_INLINE void phx_shm_store##bits##_relaxed(                               \
		struct phx_shm_u##bits *p, uint##bits##_t v)                                       \
	{                                                                                          \
		__atomic_store_n(&p->opaque_, v, __ATOMIC_RELAXED);                                \
	}                                                                                          \
	static PHX_ALWAYS_INLINE void phx_shm_store##bits##_release(                               \
		struct phx_shm_u##bits *p, uint##bits##_t v)                                       \
	{                                                                                          \
		__atomic_store_n(&p->opaque_, v, __ATOMIC_RELEASE);                                \
	}                                                                                          \
	static PHX_ALWAYS_INLINE void phx_shm_store##bits##_seq_cst(                               \
		struct phx_shm_u##bits *p, uint##bits##_t v)                                       \
	{                                                                                          \
		__atomic_store_n(&p->opaque_, v, __ATOMIC_SEQ_CST);                                \
	}                                                                                          \
	static PHX_ALWAYS_INLINE uint##bits##_t phx_shm_exchange##bits##_seq_cst(                  \
		struct phx_shm_u##bits *p, uint##bits##_t v)                                       \
	{                                                                                          \
		return __atomic_exchange_n(&p->opaque_, v, __ATOMIC_SEQ_CST);                      \
	}
PHX_SHM_ACCESSORS(32)
PHX_SHM_ACCESSORS(64)
#undef PHX_SHM_ACCESSORS

// Copy len bytes of structure (descriptors, fixed parts) into private memory, each 8-byte
// word loaded exactly once. dst and src are 8-aligned, len is a multiple of 8. A word is never
// torn, words of one copy may be of different moments. About 1 ns for each 16 bytes.
static inline void phx_shm_copy(void *dst, const void *src, size_t len)
{
	const struct phx_shm_u64 *s = src;
	uint64_t *d = dst;

	for (size_t i = 0; i < len / 8; i++)
		d[i] = phx_shm_load64_relaxed(&s[i]);
}

// Copy one ring slot (64 bytes, unrolled) into private memory. dst is 8-aligned.
static PHX_ALWAYS_INLINE void phx_shm_copy_slot(void *dst, const struct phx_shm_slot *src)
{
	uint64_t *d = dst;
	uint64_t w0 = phx_shm_load64_relaxed(&src->opaque_[0]);
	uint64_t w1 = phx_shm_load64_relaxed(&src->opaque_[1]);
	uint64_t w2 = phx_shm_load64_relaxed(&src->opaque_[2]);
	uint64_t w3 = phx_shm_load64_relaxed(&src->opaque_[3]);
	uint64_t w4 = phx_shm_load64_relaxed(&src->opaque_[4]);
	uint64_t w5 = phx_shm_load64_relaxed(&src->opaque_[5]);
	uint64_t w6 = phx_shm_load64_relaxed(&src->opaque_[6]);
	uint64_t w7 = phx_shm_load64_relaxed(&src->opaque_[7]);

	d[0] = w0;
	d[1] = w1;
	d[2] = w2;
	d[3] = w3;
	d[4] = w4;
	d[5] = w5;
	d[6] = w6;
	d[7] = w7;
}

// Copy len bytes of payload, any alignment, at memcpy speed. Bytes that change during the
// copy arrive old or new, in any mixture; what the copy holds afterwards is private and
// stays as it is.
static inline void phx_shm_copy_bytes(void *dst, const void *src, size_t len)
{
#if defined(PHX_SHM_FRESH)
	for (size_t i = 0; i < len; i++)
		((uint8_t *)dst)[i] = (uint8_t)phx_shm_fresh_hook((const uint8_t *)src + i, 1);
#else
	memcpy(dst, src, len);
	// The compiler may not serve a later read of dst by reading src again.
	__asm__ volatile("" : : "r"(dst) : "memory");
#endif
}
