// SPDX-License-Identifier: BSD-3-Clause
// The image of a message while the dataplane owns it: a private skeleton (fixed parts,
// small leaves and every inspected field, in canonical order) plus holes for large leaves
// that stay in the sender's memory and are gathered in place. Positions are positions of
// the full canonical image; a hole takes part in them but not in the skeleton's bytes.
// Single owner (a worker); nothing here locks.
#pragma once

#include "lib/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Where pool blocks come from: two sizes, owned by the caller. get returns NULL when
// the quota or the pool is used up; it never blocks.
#define PHX_BLOCK_SMALL 1024
#define PHX_BLOCK_LARGE 65536
struct phx_block_pool {
	void *(*get)(struct phx_block_pool *pool, size_t size);
	void (*put)(struct phx_block_pool *pool, void *block, size_t size);
};

// Skeleton bytes. Up to PHX_BLOCK_SMALL bytes they stand in one small block; larger
// ones in large blocks of exactly PHX_BLOCK_LARGE bytes each (the last partly used).
// No 8-byte aligned word ever straddles two blocks.
struct phx_image_hole {
	uint64_t pos;	    // position in the canonical image, a multiple of 8
	uint64_t src_off;   // offset in the source (struct phx_source)
	uint32_t len;	    // bytes, without the padding to 8 that follows in the image
	uint8_t check_utf8; // a string: whoever copies it out checks it
};

struct phx_image {
	uint8_t *block0;  // first block, small or large; NULL when empty
	uint8_t **blocks; // large blocks when block_count > 1 (array is a pool block), else NULL
	uint32_t block_count;
	bool small;	       // block0 is a small block
	bool borrowed;	       // block0 belongs to someone else (receive buffer): not put back
	bool dirty;	       // rewritten: not canonical until phx_image_canonicalise()
	uint32_t skeleton_len; // bytes in the blocks
	uint64_t total_len;    // skeleton_len + holes + their padding
	uint32_t hole_count;
	struct phx_image_hole *holes; // PHX_LIMIT_GATHER_MAX of them in a pool block, or NULL
};

// Memory that references of a message may point to: the regions of one application's send
// heap (hostile: each word is loaded once), or private memory. Offsets are global to the
// source; a part must lie inside one region.
struct phx_source_region {
	uint64_t off;
	uint64_t size;
};
struct phx_source {
	const uint8_t *base;			 // address of offset 0
	const struct phx_source_region *regions; // sorted by off
	uint32_t region_count;
};

// What one resumable step may still do; the codec counts down and stops at zero.
struct phx_work {
	int64_t bytes;
	int64_t elements;
};
