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
#include <sys/uio.h>

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
// No 8-byte aligned word ever straddles two blocks. A borrowed image is one block of any
// size.
struct phx_image_hole {
	uint32_t pos;	    // position in the canonical image, a multiple of 8
	uint32_t src_off;   // offset in the source (struct phx_source)
	uint32_t len;	    // bytes, without the padding to 8 that follows in the image
	uint8_t check_utf8; // a string: whoever copies it out checks it
	uint8_t reserved[3];
};
_Static_assert(sizeof(struct phx_image_hole) * PHX_LIMIT_GATHER_MAX <= PHX_BLOCK_SMALL,
	"the holes of a message fit one small block");

#define PHX_IMAGE_SMALL_ARRAY (PHX_BLOCK_SMALL / sizeof(uint8_t *))
#define PHX_IMAGE_BLOCKS_MAX  (PHX_BLOCK_LARGE / sizeof(uint8_t *))

struct phx_image {
	uint8_t *block0;  // first block, small or large; NULL when empty
	uint8_t **blocks; // large blocks when block_count > 1, else NULL; the array is a small
			  // pool block up to PHX_IMAGE_SMALL_ARRAY entries, else a large one
	uint32_t block_count;
	bool small;	       // block0 is a small block
	bool borrowed;	       // block0 belongs to someone else (receive buffer): not put back
	bool dirty;	       // rewritten: not canonical until phx_image_canonicalise()
	uint32_t skeleton_len; // bytes in the blocks
	uint64_t total_len;    // skeleton_len + holes + their padding
	uint32_t hole_count;
	struct phx_image_hole *holes; // room for PHX_LIMIT_GATHER_MAX, a small block; or NULL
};

// Memory that references of a message may point to: the regions of one application's send
// heap (hostile: each word is loaded once), or private memory. Offsets are global to the
// source and below 4 GiB; a part must lie inside one region.
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

// Address of skeleton byte off (an offset into the skeleton, not a position). The bytes up
// to the next multiple of PHX_BLOCK_LARGE are contiguous; off < skeleton_len or, for the
// writer of the image, inside the blocks.
static inline uint8_t *phx_image_at(const struct phx_image *image, uint32_t off)
{
	if (image->block_count <= 1)
		return image->block0 + off;
	return image->blocks[off / PHX_BLOCK_LARGE] + off % PHX_BLOCK_LARGE;
}

// Give every block back to the pool and empty the image; legal on an empty image
// ({0}) and, for what pack or canonicalise left behind, on a failed one. Worker.
void phx_image_release(struct phx_image *image, struct phx_block_pool *pool);

// View of a contiguous image (a received one, validated): nothing is copied, base stays
// the caller's and must outlive the view. size is a multiple of 8. Worker.
void phx_image_borrow(struct phx_image *image, void *base, uint32_t size);

// Turn a borrowed image into one of pool blocks (before a rewrite). 0, -ENOMEM. Worker.
int phx_image_own(struct phx_image *image, struct phx_block_pool *pool);

// Where position pos of the canonical stream stands. Returns 1 and *out_off = skeleton
// offset, or 0 and *out_off = index of the hole that covers it. pos < total_len.
int phx_image_locate(const struct phx_image *image, uint64_t pos, uint32_t *out_off);

// Copy [pos, pos + len) of the skeleton out. 0; -ENODATA when a part of it is a hole;
// -ERANGE when it is outside.
int phx_image_read(const struct phx_image *image, uint64_t pos, void *dst, uint32_t len);

// Gather list of [pos, pos + len) of the canonical stream: at most max entries, the
// padding of holes from a static block of zeros. Returns the number of entries and
// *out_covered, the bytes they cover (less than len when max was too small or the image
// ends). Entries of holes point into the source, which may change under the reader. The
// image is not dirty. Worker.
int phx_image_iov(const struct phx_image *image, const struct phx_source *source, uint64_t pos,
	uint64_t len, struct iovec *iov, int max, uint64_t *out_covered);

// Resumable copy of a whole image to contiguous memory (local delivery): skeleton and
// holes in canonical order, each source byte read once. Text of holes is checked in the
// destination, which nobody else may write.
struct phx_image_copy {
	const struct phx_image *image;
	const struct phx_source *source;
	uint8_t *dst;
	uint64_t pos;
	uint32_t hole; // next hole
	uint32_t skel; // skeleton offset of pos
	uint32_t text; // state of phx_utf8_feed()
};
// dst has room for image->total_len bytes. image and source outlive the copy.
void phx_image_copy_start(struct phx_image_copy *copy, const struct phx_image *image,
	const struct phx_source *source, void *dst);
// 1 = done, 0 = call again with new work; -EILSEQ = text that is not UTF-8 (this call
// ends with DATA_LOSS, reason UTF8).
int phx_image_copy_run(struct phx_image_copy *copy, struct phx_work *work);
