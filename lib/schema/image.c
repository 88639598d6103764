// SPDX-License-Identifier: BSD-3-Clause
// Blocks and positions of an image, gather lists and the copy to contiguous memory.
// Works with pack.c and path.c, which write images.
#include "lib/schema/image.h"

#include "lib/schema/image_priv.h"
#include "lib/schema/source.h"
#include "lib/schema/utf8.h"

#include <errno.h>

void phx_image_release(struct phx_image *image, struct phx_block_pool *pool)
{
	bool small_array = image->block_count <= PHX_IMAGE_SMALL_ARRAY;

	if (image->holes != NULL)
		pool->put(pool, image->holes, PHX_BLOCK_SMALL);
	if (image->block_count > 1 && !image->borrowed) {
		for (uint32_t i = 0; i < image->block_count; i++)
			pool->put(pool, image->blocks[i], PHX_BLOCK_LARGE);
		pool->put(pool, image->blocks, small_array ? PHX_BLOCK_SMALL : PHX_BLOCK_LARGE);
	} else if (image->block_count == 1 && !image->borrowed) {
		pool->put(pool, image->block0, image->small ? PHX_BLOCK_SMALL : PHX_BLOCK_LARGE);
	}
	*image = (struct phx_image){0};
}

void phx_image_borrow(struct phx_image *image, void *base, uint32_t size)
{
	*image = (struct phx_image){
		.block0 = base,
		.block_count = 1,
		.borrowed = true,
		.skeleton_len = size,
		.total_len = size,
	};
}

// The array of block pointers for one more block.
static int grow_array(struct phx_image *image, struct phx_block_pool *pool)
{
	uint8_t **blocks;

	if (image->block_count == 1) {
		blocks = pool->get(pool, PHX_BLOCK_SMALL);
		if (blocks == NULL)
			return -ENOMEM;
		blocks[0] = image->block0;
		image->blocks = blocks;
	} else if (image->block_count == PHX_IMAGE_SMALL_ARRAY) {
		blocks = pool->get(pool, PHX_BLOCK_LARGE);
		if (blocks == NULL)
			return -ENOMEM;
		memcpy(blocks, image->blocks, PHX_BLOCK_SMALL);
		pool->put(pool, image->blocks, PHX_BLOCK_SMALL);
		image->blocks = blocks;
	}
	return 0;
}

int phx_image_grow(struct phx_image *image, uint32_t need, struct phx_block_pool *pool)
{
	uint8_t *block;
	int rc;

	if (image->block_count == PHX_IMAGE_BLOCKS_MAX)
		return -E2BIG;
	if (image->block_count == 0 && need <= PHX_BLOCK_SMALL) {
		image->block0 = pool->get(pool, PHX_BLOCK_SMALL);
		if (image->block0 == NULL)
			return -ENOMEM;
		image->small = true;
		image->block_count = 1;
		return 0;
	}
	block = pool->get(pool, PHX_BLOCK_LARGE);
	if (block == NULL)
		return -ENOMEM;
	if (image->small) {
		memcpy(block, image->block0, image->skeleton_len);
		pool->put(pool, image->block0, PHX_BLOCK_SMALL);
		image->small = false;
		image->block0 = block;
		return 0;
	}
	if (image->block_count == 0) {
		image->block0 = block;
	} else {
		rc = grow_array(image, pool);
		if (rc != 0) {
			pool->put(pool, block, PHX_BLOCK_LARGE);
			return rc;
		}
		image->blocks[image->block_count] = block;
	}
	image->block_count++;
	return 0;
}

int phx_image_own(struct phx_image *image, struct phx_block_pool *pool)
{
	struct phx_image copy = {0};
	int rc;

	if (!image->borrowed)
		return 0;
	while (copy.skeleton_len < image->skeleton_len) {
		uint32_t left = image->skeleton_len - copy.skeleton_len;
		uint32_t n = phx_min(left, phx_image_room(&copy));

		if (n == 0) {
			rc = phx_image_grow(&copy, left, pool);
			if (rc != 0) {
				phx_image_release(&copy, pool);
				return -ENOMEM;
			}
			continue;
		}
		memcpy(phx_image_at(&copy, copy.skeleton_len),
			phx_image_at(image, copy.skeleton_len), n);
		copy.skeleton_len += n;
	}
	copy.total_len = image->total_len;
	copy.dirty = image->dirty;
	*image = copy;
	return 0;
}

int phx_image_locate(const struct phx_image *image, uint64_t pos, uint32_t *out_off)
{
	uint64_t before = 0;

	for (uint32_t i = 0; i < image->hole_count; i++) {
		const struct phx_image_hole *hole = &image->holes[i];
		uint64_t size = phx_align_up(hole->len, 8);

		if (pos < hole->pos)
			break;
		if (pos - hole->pos < size) {
			*out_off = i;
			return 0;
		}
		before += size;
	}
	*out_off = (uint32_t)(pos - before);
	return 1;
}

// Skeleton bytes that follow off in one piece.
static uint32_t piece(const struct phx_image *image, uint32_t off)
{
	if (image->block_count <= 1)
		return image->skeleton_len - off;
	return phx_min(PHX_BLOCK_LARGE - off % PHX_BLOCK_LARGE, image->skeleton_len - off);
}

int phx_image_read(const struct phx_image *image, uint64_t pos, void *dst, uint32_t len)
{
	uint32_t off, last, n;

	if (!phx_range_ok(pos, len, image->total_len))
		return -ERANGE;
	if (len == 0)
		return 0;
	if (!phx_image_locate(image, pos, &off) || !phx_image_locate(image, pos + len - 1, &last) ||
		last - off != len - 1)
		return -ENODATA;
	for (uint32_t done = 0; done < len; done += n) {
		n = phx_min(piece(image, off + done), len - done);
		memcpy((uint8_t *)dst + done, phx_image_at(image, off + done), n);
	}
	return 0;
}

// The piece at position pos, which *hole and *skel describe: its address and length in *out,
// at most len bytes. Steps *hole and *skel over it.
static void next_piece(const struct phx_image *image, const struct phx_source *source, uint64_t pos,
	uint64_t len, uint32_t *hole, uint32_t *skel, struct iovec *out)
{
	static const uint8_t zeros[8];
	const struct phx_image_hole *h = *hole < image->hole_count ? &image->holes[*hole] : NULL;
	uint64_t n;

	if (h == NULL || pos < h->pos) {
		n = piece(image, *skel);
		if (h != NULL)
			n = phx_min(n, h->pos - pos);
		n = phx_min(n, len);
		out->iov_base = phx_image_at(image, *skel);
		*skel += (uint32_t)n;
	} else if (pos - h->pos < h->len) {
		n = phx_min(h->len - (pos - h->pos), len);
		// iovec has no const; gather lists are read only.
		out->iov_base = (void *)(source->base + h->src_off + (pos - h->pos));
	} else {
		n = phx_min(phx_align_up(h->len, 8) - (pos - h->pos), len);
		out->iov_base = (void *)zeros;
	}
	if (h != NULL && pos + n >= h->pos + phx_align_up(h->len, 8))
		(*hole)++;
	out->iov_len = n;
}

int phx_image_iov(const struct phx_image *image, const struct phx_source *source, uint64_t pos,
	uint64_t len, struct iovec *iov, int max, uint64_t *out_covered)
{
	uint32_t hole = 0, skel = 0;
	uint64_t before = 0, done = 0, size;
	int count = 0;

	*out_covered = 0;
	if (pos >= image->total_len)
		return 0;
	len = phx_min(len, image->total_len - pos);
	for (; hole < image->hole_count; hole++) {
		size = phx_align_up(image->holes[hole].len, 8);
		if (pos < image->holes[hole].pos + size)
			break;
		before += size;
	}
	if (hole < image->hole_count && pos > image->holes[hole].pos)
		skel = (uint32_t)(image->holes[hole].pos - before);
	else
		skel = (uint32_t)(pos - before);
	while (done < len && count < max) {
		next_piece(image, source, pos + done, len - done, &hole, &skel, &iov[count]);
		done += iov[count++].iov_len;
	}
	*out_covered = done;
	return count;
}

void phx_image_copy_start(struct phx_image_copy *copy, const struct phx_image *image,
	const struct phx_source *source, void *dst)
{
	*copy = (struct phx_image_copy){.image = image, .source = source, .dst = dst};
}

// Check what was copied from hole h to [pos, pos + n).
static bool text_ok(struct phx_image_copy *copy, const struct phx_image_hole *h, uint64_t n)
{
	uint64_t done = copy->pos - h->pos;

	if (!phx_utf8_feed(&copy->text, copy->dst + copy->pos, n))
		return false;
	return done + n != h->len || copy->text == 0;
}

int phx_image_copy_run(struct phx_image_copy *copy, struct phx_work *work)
{
	const struct phx_image *image = copy->image;
	const struct phx_image_hole *h;
	struct iovec v;

	while (copy->pos < image->total_len) {
		if (work->bytes <= 0 || work->elements <= 0)
			return 0;
		h = copy->hole < image->hole_count ? &image->holes[copy->hole] : NULL;
		next_piece(image, copy->source, copy->pos,
			phx_min(image->total_len - copy->pos, (uint64_t)work->bytes), &copy->hole,
			&copy->skel, &v);
		if (h != NULL && copy->pos >= h->pos && copy->pos - h->pos < h->len) {
			phx_source_copy(copy->dst + copy->pos, v.iov_base, v.iov_len);
			if (h->check_utf8 && !text_ok(copy, h, v.iov_len))
				return -EILSEQ;
		} else {
			memcpy(copy->dst + copy->pos, v.iov_base, v.iov_len);
		}
		copy->pos += v.iov_len;
		work->bytes -= (int64_t)v.iov_len;
		work->elements--;
	}
	return 1;
}

const char *phx_image_check_guards(
	const struct phx_image *image, const struct phx_message *message, uint32_t off)
{
	uint32_t cases = off + 4u * message->presence_words;
	uint32_t matched = 0, selected = 0;

	for (uint32_t i = 0; i < message->guard_count; i++) {
		const struct phx_guard *g = &message->guards[i];
		uint64_t value;

		value = g->width == 8	? phx_image_get64(image, off + g->offset)
			: g->width == 4 ? phx_image_get32(image, off + g->offset)
					: *phx_image_at(image, off + g->offset);
		if (!g->oneof) {
			uint32_t word = phx_image_get32(image, off + g->bit / 32 * 4u);

			if (value != 0 && (word >> (g->bit % 32) & 1) == 0)
				return "value without its presence bit";
		} else if (phx_image_get32(image, cases + g->bit * 4u) != g->number) {
			if (value != 0)
				return "oneof member that is not selected";
		} else {
			if (value == 0 && g->message)
				return "oneof member missing";
			matched++;
		}
	}
	for (uint32_t i = 0; i < message->oneof_count; i++)
		selected += phx_image_get32(image, cases + i * 4) != 0;
	return selected == matched ? NULL : "oneof case unknown";
}
