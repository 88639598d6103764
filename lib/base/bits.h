// SPDX-License-Identifier: BSD-3-Clause
// Alignment, powers of two, checked size arithmetic and little-endian access.
// All functions are pure and callable from any thread.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

// align is a power of two.
static inline uint64_t phx_align_up(uint64_t v, uint64_t align)
{
	return (v + align - 1) & ~(align - 1);
}

static inline uint64_t phx_align_down(uint64_t v, uint64_t align)
{
	return v & ~(align - 1);
}

static inline bool phx_is_pow2(uint64_t v)
{
	return v != 0 && (v & (v - 1)) == 0;
}

// Smallest power of two >= v; v is in [1, 2^63].
static inline uint64_t phx_pow2_up(uint64_t v)
{
	return v <= 1 ? 1 : UINT64_C(1) << (64 - __builtin_clzll(v - 1));
}

// Floor of log2; v > 0.
static inline unsigned phx_log2(uint64_t v)
{
	return 63u - (unsigned)__builtin_clzll(v);
}

// True when [off, off + len) lies inside [0, size); cannot wrap.
static inline bool phx_range_ok(uint64_t off, uint64_t len, uint64_t size)
{
	return len <= size && off <= size - len;
}

// Checked arithmetic: false on overflow, *out untouched then.
static inline bool phx_add_ok(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t v;

	if (__builtin_add_overflow(a, b, &v))
		return false;
	*out = v;
	return true;
}

static inline bool phx_mul_ok(uint64_t a, uint64_t b, uint64_t *out)
{
	uint64_t v;

	if (__builtin_mul_overflow(a, b, &v))
		return false;
	*out = v;
	return true;
}

// Unaligned little-endian loads and stores: the order of every byte Phoenix puts
// on a wire, in an image or in shared memory.
#define PHX_BITS_LE(bits, swap)                                                                    \
	static inline uint##bits##_t phx_le##bits##_load(const void *p)                            \
	{                                                                                          \
		uint##bits##_t v;                                                                  \
		memcpy(&v, p, sizeof(v));                                                          \
		return swap(v);                                                                    \
	}                                                                                          \
	static inline void phx_le##bits##_store(void *p, uint##bits##_t v)                         \
	{                                                                                          \
		v = swap(v);                                                                       \
		memcpy(p, &v, sizeof(v));                                                          \
	}
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PHX_BITS_SAME(v) (v)
PHX_BITS_LE(16, PHX_BITS_SAME)
PHX_BITS_LE(32, PHX_BITS_SAME)
PHX_BITS_LE(64, PHX_BITS_SAME)
#undef PHX_BITS_SAME
#else
PHX_BITS_LE(16, __builtin_bswap16)
PHX_BITS_LE(32, __builtin_bswap32)
PHX_BITS_LE(64, __builtin_bswap64)
#endif
#undef PHX_BITS_LE
