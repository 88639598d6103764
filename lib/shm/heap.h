// SPDX-License-Identifier: BSD-3-Clause
// Allocator of offsets in a shared heap: the application uses one for its send heap, the
// dataplane one for each receive heap. It never touches the memory it manages; all it knows
// is in the owner's private memory, so nothing the peer writes can mislead it
// (reliability.md H-03).
//
// Blocks up to 32 KiB come from slabs of equal blocks (16, 32, 48, then multiples of 64, four
// classes a power of two from 512 on: at most 25 % lost above 256 bytes), larger ones from
// runs of 4 KiB pages kept in two-level bins (TLSF: Masmano et al., ECRTS 2004). Alloc and
// free take constant time. Blocks of 64 bytes and more are 64-aligned, smaller ones 16.
//
// Not thread-safe: the owner locks. Fork: private memory, so the child has a copy of its own.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PHX_HEAP_PAGE	   4096
#define PHX_HEAP_SMALL_MAX 32768 // largest block from a slab
#define PHX_HEAP_SIZE_MAX  UINT64_C(0x80000000)
#define PHX_HEAP_ALIGN_MAX UINT64_C(0x200000)

struct phx_heap;

struct phx_heap_stats {
	uint64_t size;	    // bytes of all regions
	uint64_t used;	    // bytes of live blocks, rounded to their class
	uint64_t used_peak; // largest used so far
	uint64_t footprint; // bytes of pages that are not free: blocks and slabs
	uint64_t blocks;    // live blocks
	uint64_t allocs;    // successful allocations so far
	uint64_t failures;  // allocations refused with -ENOMEM so far
	uint32_t regions;
};

// A heap without regions. 0 or -ENOMEM. Ended by phx_heap_destroy().
int phx_heap_create(struct phx_heap **out);

// Legal with live blocks (their offsets are void) and on NULL.
void phx_heap_destroy(struct phx_heap *heap);

// Add [off, off + size): multiples of PHX_HEAP_PAGE, beyond all earlier regions, end at most
// PHX_HEAP_SIZE_MAX. No block crosses a region, adjacent or not. -EINVAL: not so, or
// PHX_LIMIT_HEAP_REGIONS_MAX regions already; -ENOMEM: private memory.
int phx_heap_add_region(struct phx_heap *heap, uint64_t off, uint64_t size);

// Take the last region back when no block lives in it, e.g. to shrink. Its offsets may be
// added again. -EBUSY: blocks; -EINVAL: off is not the start of the last region.
int phx_heap_remove_region(struct phx_heap *heap, uint64_t off);

// A block of at least size bytes. -EINVAL: size 0 or above PHX_HEAP_SIZE_MAX; -ENOMEM: no
// room, the caller may add a region and try again. The contents are whatever was there.
int phx_heap_alloc(struct phx_heap *heap, uint64_t size, uint64_t *out_off);

// The same with the offset a multiple of align (power of two, 1 .. PHX_HEAP_ALIGN_MAX; else
// -EINVAL). The address is aligned too where the range is (phx_range: 2 MiB).
int phx_heap_alloc_aligned(struct phx_heap *heap, uint64_t size, uint64_t align, uint64_t *out_off);

// End a block. -EINVAL: off is not the start of a live block (never allocated, inside a
// block, freed already); nothing changes then.
int phx_heap_free(struct phx_heap *heap, uint64_t off);

// Usable bytes of the live block at off, 0 when there is none.
uint64_t phx_heap_size(const struct phx_heap *heap, uint64_t off);

// Bytes of the largest run of free pages: phx_heap_alloc() of that size succeeds now. Smaller
// blocks may fit into slabs even when it is 0.
uint64_t phx_heap_largest_free(struct phx_heap *heap);

void phx_heap_stats(const struct phx_heap *heap, struct phx_heap_stats *out);
