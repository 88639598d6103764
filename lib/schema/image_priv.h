// SPDX-License-Identifier: BSD-3-Clause
// How pack and path write to an image. Works with image.c.
#pragma once

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/schema/image.h"
#include "lib/schema/schema.h"
#include "lib/schema/utf8.h"

// Contiguous bytes free behind the skeleton.
static PHX_ALWAYS_INLINE uint32_t phx_image_room(const struct phx_image *image)
{
	if (image->small)
		return PHX_BLOCK_SMALL - image->skeleton_len;
	if (image->skeleton_len / PHX_BLOCK_LARGE == image->block_count)
		return 0;
	return PHX_BLOCK_LARGE - image->skeleton_len % PHX_BLOCK_LARGE;
}

// Make room: the first block (small when need fits), a large one instead of the small one,
// or one more large block. 0; -ENOMEM; -E2BIG: more than PHX_IMAGE_BLOCKS_MAX blocks.
int phx_image_grow(struct phx_image *image, uint32_t need, struct phx_block_pool *pool);

// Presence bits and case words of the fixed part at skeleton offset off against the fields
// that depend on them. NULL, or what is wrong.
const char *phx_image_check_guards(
	const struct phx_image *image, const struct phx_message *message, uint32_t off);

// phx_pack.state
enum { PHX_PACK_START, PHX_PACK_RUN, PHX_PACK_END };

// Give the frames beyond the embedded ones back.
struct phx_pack;
void phx_pack_release_chunks(struct phx_pack *pack);

// UTF-8 check of a small leaf that is padded with zeros to a multiple of 8: nearly all text is
// ASCII, which whole words show without a look at the odd bytes.
static PHX_ALWAYS_INLINE bool phx_text_padded_ok(const uint8_t *text, uint32_t size)
{
	uint64_t all = 0;

	for (uint32_t i = 0; i < size; i += 8)
		all |= phx_le64_load(text + i);
	return phx_likely((all & UINT64_C(0x8080808080808080)) == 0) || phx_utf8_ok(text, size);
}

static PHX_ALWAYS_INLINE uint64_t phx_image_get64(const struct phx_image *image, uint32_t off)
{
	return phx_le64_load(phx_image_at(image, off));
}

static PHX_ALWAYS_INLINE uint32_t phx_image_get32(const struct phx_image *image, uint32_t off)
{
	return phx_le32_load(phx_image_at(image, off));
}
