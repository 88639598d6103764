// SPDX-License-Identifier: BSD-3-Clause
// The only ways to read a struct phx_source: the memory may be an application's, which can
// change it at any time. Each call loads each byte once; whoever needs it twice keeps the copy.
// Builds with PHX_SHM_FRESH (fuzzing) take every loaded value from a hook instead, so that
// a second load of the same word would show.
#pragma once

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/schema/image.h"

#ifdef PHX_SHM_FRESH
// Value that a load of size bytes at p sees.
extern uint64_t phx_shm_fresh_hook(const void *p, unsigned size);
#endif

// ThreadSanitizer sees a copy of memory that its owner writes as the race it is; only the
// private copy is ever judged, so it gets the same copy in relaxed loads.
#if defined(__SANITIZE_THREAD__)
#define PHX_SOURCE_TSAN
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define PHX_SOURCE_TSAN
#endif
#endif

// One 8-byte word; p is 8-byte aligned.
static PHX_ALWAYS_INLINE uint64_t phx_source_load64(const void *p)
{
#ifdef PHX_SHM_FRESH
	return phx_shm_fresh_hook(p, 8);
#else
	return __atomic_load_n((const uint64_t *)p, __ATOMIC_RELAXED);
#endif
}

// size bytes, a multiple of 8; both sides 8-byte aligned.
static PHX_ALWAYS_INLINE void phx_source_copy_words(void *dst, const void *src, size_t size)
{
	for (size_t i = 0; i < size; i += 8)
		((uint64_t *)dst)[i / 8] = phx_source_load64((const uint8_t *)src + i);
}

// size bytes of a leaf.
static PHX_ALWAYS_INLINE void phx_source_copy(void *dst, const void *src, size_t size)
{
#ifdef PHX_SHM_FRESH
	for (size_t i = 0; i < size; i++)
		((uint8_t *)dst)[i] = (uint8_t)phx_shm_fresh_hook((const uint8_t *)src + i, 1);
#elif defined(PHX_SOURCE_TSAN)
	for (size_t i = 0; i < size; i++)
		((uint8_t *)dst)[i] = __atomic_load_n((const uint8_t *)src + i, __ATOMIC_RELAXED);
#else
	memcpy(dst, src, size);
#endif
}

// True when [off, off + size) lies in one region below 4 GiB. *hint is the region where the
// last one was found (start with 0).
static inline bool phx_source_has(
	const struct phx_source *source, uint64_t off, uint64_t size, uint32_t *hint)
{
	const struct phx_source_region *r = source->regions;
	uint32_t low = 0, high = source->region_count;

	if (off > UINT32_MAX || size > UINT32_MAX - off)
		return false;
	if (phx_likely(*hint < high) &&
		phx_likely(phx_range_ok(off - r[*hint].off, size, r[*hint].size)))
		return true;
	while (low < high) { // the last region that starts at or before off
		uint32_t mid = (low + high) / 2;

		if (r[mid].off <= off)
			low = mid + 1;
		else
			high = mid;
	}
	if (low == 0 || !phx_range_ok(off - r[low - 1].off, size, r[low - 1].size))
		return false;
	*hint = low - 1;
	return true;
}
