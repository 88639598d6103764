// SPDX-License-Identifier: BSD-3-Clause
// Words in memory that another process may change at any moment, and the only ways to
// read and write them. The types have no definition: reading, assigning, comparing or measuring
// one does not compile, so each load is one visible call. The rule for everything read from the
// other side: load or copy it once into private memory, check the private copy, use the private
// copy (reliability.md 5.2, design.md 3).
//
// Who may call what: any function by any thread; the memory orders are the caller's
// business, each release or acquire use names its partner. Plain memory written by this
// side and published through a ring needs no accessor for writing.
//
// Builds for tests change the accesses of every file of the program:
// -DPHX_SHM_FRESH (fuzzing) asks for the value of each load and copy instead of reading memory; a
// harness returns a new value every time, so a second load of the same word shows as a failed
// check. -DPHX_SHM_MODEL (tests/model) makes each load, store and exchange a step of a model of
// the machine. -DPHX_SHM_EMULATED makes an exchange of each seq_cst store: qemu-user (7.2 on x86)
// lets the ldar of a seq_cst load overtake the stlr of such a store, which no arm64 machine does.
#pragma once

#include "lib/base/compiler.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// A shared word of 4 or 8 bytes, naturally aligned, and a slot of a ring: one cache line.
struct phx_shm_u32;
struct phx_shm_u64;
struct phx_shm_slot;
#define PHX_SHM_SLOT_SIZE 64

#if defined(PHX_SHM_FRESH)
// Supplied by the fuzz harness: the value of this load; size is 1, 4 or 8 bytes, the value
// is in the low bytes.
uint64_t phx_shm_fresh_hook(const void *addr, unsigned size);
#define PHX_SHM_LOAD(p, type, order) ((type)phx_shm_fresh_hook((p), sizeof(type)))
#elif defined(PHX_SHM_MODEL)
// Supplied by the model: one access of size bytes; order is an __ATOMIC_ constant.
uint64_t phx_shm_model_load(const void *addr, unsigned size, int order);
void phx_shm_model_store(void *addr, uint64_t value, unsigned size, int order);
uint64_t phx_shm_model_exchange(void *addr, uint64_t value, unsigned size, int order);
#define PHX_SHM_LOAD(p, type, order)	 ((type)phx_shm_model_load((p), sizeof(type), (order)))
#define PHX_SHM_STORE(p, v, type, order) phx_shm_model_store((p), (v), sizeof(type), (order))
#define PHX_SHM_EXCHANGE(p, v, type, order)                                                        \
	((type)phx_shm_model_exchange((p), (v), sizeof(type), (order)))
#elif defined(PHX_SHM_EMULATED)
#define PHX_SHM_STORE(p, v, type, order)                                                           \
	((order) == __ATOMIC_SEQ_CST                                                               \
			? (void)__atomic_exchange_n((type *)(p), (v), __ATOMIC_SEQ_CST)            \
			: __atomic_store_n((type *)(p), (v), (order)))
#define PHX_SHM_EXCHANGE(p, v, type, order) __atomic_exchange_n((type *)(p), (v), (order))
#endif

#ifndef PHX_SHM_LOAD
#define PHX_SHM_LOAD(p, type, order) __atomic_load_n((const type *)(p), (order))
#endif
#ifndef PHX_SHM_STORE
#define PHX_SHM_STORE(p, v, type, order)    __atomic_store_n((type *)(p), (v), (order))
#define PHX_SHM_EXCHANGE(p, v, type, order) __atomic_exchange_n((type *)(p), (v), (order))
#endif

// For bits in {32, 64}:
//   phx_shm_load<bits>_relaxed, _acquire, _seq_cst (word)      -> value
//   phx_shm_store<bits>_relaxed, _release, _seq_cst (word, value)
//   phx_shm_exchange<bits>_seq_cst (word, value)               -> value before
#define PHX_SHM_ACCESSORS(bits)                                                                    \
	static PHX_ALWAYS_INLINE uint##bits##_t phx_shm_load##bits##_relaxed(                      \
		const struct phx_shm_u##bits *p)                                                   \
	{                                                                                          \
		return PHX_SHM_LOAD(p, uint##bits##_t, __ATOMIC_RELAXED);                          \
	}                                                                                          \
	static PHX_ALWAYS_INLINE uint##bits##_t phx_shm_load##bits##_acquire(                      \
		const struct phx_shm_u##bits *p)                                                   \
	{                                                                                          \
		return PHX_SHM_LOAD(p, uint##bits##_t, __ATOMIC_ACQUIRE);                          \
	}                                                                                          \
	static PHX_ALWAYS_INLINE uint##bits##_t phx_shm_load##bits##_seq_cst(                      \
		const struct phx_shm_u##bits *p)                                                   \
	{                                                                                          \
		return PHX_SHM_LOAD(p, uint##bits##_t, __ATOMIC_SEQ_CST);                          \
	}                                                                                          \
	static PHX_ALWAYS_INLINE void phx_shm_store##bits##_relaxed(                               \
		struct phx_shm_u##bits *p, uint##bits##_t v)                                       \
	{                                                                                          \
		PHX_SHM_STORE(p, v, uint##bits##_t, __ATOMIC_RELAXED);                             \
	}                                                                                          \
	static PHX_ALWAYS_INLINE void phx_shm_store##bits##_release(                               \
		struct phx_shm_u##bits *p, uint##bits##_t v)                                       \
	{                                                                                          \
		PHX_SHM_STORE(p, v, uint##bits##_t, __ATOMIC_RELEASE);                             \
	}                                                                                          \
	static PHX_ALWAYS_INLINE void phx_shm_store##bits##_seq_cst(                               \
		struct phx_shm_u##bits *p, uint##bits##_t v)                                       \
	{                                                                                          \
		PHX_SHM_STORE(p, v, uint##bits##_t, __ATOMIC_SEQ_CST);                             \
	}                                                                                          \
	static PHX_ALWAYS_INLINE uint##bits##_t phx_shm_exchange##bits##_seq_cst(                  \
		struct phx_shm_u##bits *p, uint##bits##_t v)                                       \
	{                                                                                          \
		return PHX_SHM_EXCHANGE(p, v, uint##bits##_t, __ATOMIC_SEQ_CST);                   \
	}
PHX_SHM_ACCESSORS(32)
PHX_SHM_ACCESSORS(64)
#undef PHX_SHM_ACCESSORS

// Word i of an array of 8-byte words.
static PHX_ALWAYS_INLINE const struct phx_shm_u64 *phx_shm_word64(const void *base, size_t i)
{
	return (const void *)((const uint8_t *)base + i * 8);
}

// Copy len bytes of structure (descriptors, fixed parts) into private memory, each 8-byte
// word loaded exactly once. dst and src are 8-aligned, len is a multiple of 8. A word is never
// torn, words of one copy may be of different moments. About 1 ns for each 16 bytes.
static inline void phx_shm_copy(void *dst, const void *src, size_t len)
{
	uint64_t *d = dst;

	for (size_t i = 0; i < len / 8; i++)
		d[i] = phx_shm_load64_relaxed(phx_shm_word64(src, i));
}

// Copy one ring slot (64 bytes, unrolled) into private memory. dst is 8-aligned.
static PHX_ALWAYS_INLINE void phx_shm_copy_slot(void *dst, const struct phx_shm_slot *src)
{
	uint64_t *d = dst;
	uint64_t w0 = phx_shm_load64_relaxed(phx_shm_word64(src, 0));
	uint64_t w1 = phx_shm_load64_relaxed(phx_shm_word64(src, 1));
	uint64_t w2 = phx_shm_load64_relaxed(phx_shm_word64(src, 2));
	uint64_t w3 = phx_shm_load64_relaxed(phx_shm_word64(src, 3));
	uint64_t w4 = phx_shm_load64_relaxed(phx_shm_word64(src, 4));
	uint64_t w5 = phx_shm_load64_relaxed(phx_shm_word64(src, 5));
	uint64_t w6 = phx_shm_load64_relaxed(phx_shm_word64(src, 6));
	uint64_t w7 = phx_shm_load64_relaxed(phx_shm_word64(src, 7));

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
