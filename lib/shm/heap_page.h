// SPDX-License-Identifier: BSD-3-Clause
// Inside of the heap: page table and runs of pages. Shared by heap.c (blocks, slabs) and
// heap_page.c (runs); nobody else includes it.
#pragma once

#include "lib/base/limits.h"
#include "lib/shm/heap.h"

#define HEAP_PAGE_SHIFT 12
#define HEAP_NONE	UINT32_MAX
#define HEAP_CLASSES	35
// Runs below 16 pages have a bin for each length, longer ones two bins a power of two.
#define HEAP_BINS     48
#define HEAP_SCAN_MAX 64 // runs looked at within one bin

enum heap_kind {
	HEAP_INNER = 0, // inside a run, or in no region
	HEAP_FREE,	// first and last page of a free run
	HEAP_SLAB,	// every page of a slab
	HEAP_LARGE,	// first page of a large block
};

// One for each page. [owner] throughout.
struct heap_page {
	uint64_t bits[4];     // slab head: 1 = free block
	uint32_t pages;	      // first page: length of the run
	uint32_t next;	      // first page of a free run: bin; slab head: list of its class
	uint32_t prev;	      //
	uint32_t head;	      // slab pages, last page of a free run: first page
	uint16_t free_blocks; // slab head
	uint8_t kind;	      // enum heap_kind
	uint8_t class_index;  // slab head
	bool region_start;
};

struct heap_class {
	uint32_t size;	 // bytes of a block
	uint32_t recip;	 // ceil(2^32 / size): divides offsets within a slab
	uint16_t pages;	 // of a slab
	uint16_t blocks; // of a slab
	uint32_t list;	 // slabs with a free block
	uint32_t empty;	 // one empty slab is kept, else HEAP_NONE
};

struct heap_region {
	uint64_t off;
	uint64_t size;
};

struct phx_heap {
	struct heap_class class[HEAP_CLASSES];
	struct heap_page *page;
	uint32_t pages_len; // entries of page
	uint32_t bin[HEAP_BINS];
	uint64_t bin_bits; // 1 = bin is not empty
	struct heap_region region[PHX_LIMIT_HEAP_REGIONS_MAX];
	struct phx_heap_stats stats;
};

// Make [first, first + pages) one free run; no merging (a new region).
void phx_heap_run_add(struct phx_heap *h, uint32_t first, uint32_t pages);
// Take a free run out of its bin; its pages become HEAP_INNER.
void phx_heap_run_remove(struct phx_heap *h, uint32_t first);
// Take pages whose first is a multiple of align_pages; all are HEAP_INNER. HEAP_NONE: no room.
uint32_t phx_heap_run_alloc(struct phx_heap *h, uint32_t pages, uint32_t align_pages);
// Give pages back, all HEAP_INNER; merges with free neighbours of the same region.
void phx_heap_run_free(struct phx_heap *h, uint32_t first, uint32_t pages);
// Length of the longest free run that phx_heap_run_alloc() finds.
uint32_t phx_heap_run_longest(const struct phx_heap *h);
