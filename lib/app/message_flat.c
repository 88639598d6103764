// SPDX-License-Identifier: BSD-3-Clause
// Flattens a message of the application's own. Works with message_move.c.
#include "lib/app/message_flat.h"

#include "lib/base/compiler.h"
#include "lib/schema/pack.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct phx_flat {
	struct phx_block_pool pool;
	struct phx_schema *schema;
	struct phx_image image;
	struct phx_pack pack;
	struct phx_source source;
	struct phx_source_region regions[];
};

static void *flat_get(struct phx_block_pool *, size_t size)
{
	return malloc(size);
}

static void flat_put(struct phx_block_pool *, void *block, size_t)
{
	free(block);
}

// The codec wants them sorted.
static void flat_regions(struct phx_flat *f, const struct phx_flat_source *source)
{
	for (uint32_t i = 0; i < source->region_count; i++) {
		struct phx_source_region r = {source->regions[i].off, source->regions[i].size};
		uint32_t at = i;

		for (; at > 0 && f->regions[at - 1].off > r.off; at--)
			f->regions[at] = f->regions[at - 1];
		f->regions[at] = r;
	}
	f->source = (struct phx_source){source->base, f->regions, source->region_count};
}

static int flat_pack(struct phx_flat *f, const struct phx_flat_source *source)
{
	const struct phx_pack_limits limits = {.max_bytes = PHX_LIMIT_MESSAGE_BYTES_MAX,
		.max_elements = UINT32_MAX,
		.leaf_copy_bytes = UINT32_MAX}; // no holes
	int rc;

	phx_pack_start(&f->pack, f->schema, source->type, &f->source, source->root, &f->pool,
		&limits, &f->image);
	do {
		struct phx_work work = {INT64_MAX, INT64_MAX};

		rc = phx_pack_run(&f->pack, &work);
	} while (rc == 0);
	return rc == 1 ? 0 : rc;
}

int phx_flat_create(const struct phx_flat_source *source, struct phx_flat **out_flat)
{
	struct phx_flat *f = calloc(1, sizeof(*f) + source->region_count * sizeof(f->regions[0]));
	int rc;

	if (f == NULL)
		return -ENOMEM;
	f->pool = (struct phx_block_pool){flat_get, flat_put};
	flat_regions(f, source);
	rc = phx_schema_bind(source->table, source->table_size, &f->schema, NULL);
	if (rc == 0)
		rc = flat_pack(f, source);
	if (rc) {
		phx_flat_destroy(f);
		return rc == -ENOMEM ? rc : -EINVAL;
	}
	*out_flat = f;
	return 0;
}

uint32_t phx_flat_size(const struct phx_flat *f)
{
	return f->image.skeleton_len;
}

void phx_flat_read(const struct phx_flat *f, void *dst)
{
	for (uint32_t off = 0; off < f->image.skeleton_len; off += PHX_BLOCK_LARGE)
		memcpy((uint8_t *)dst + off, phx_image_at(&f->image, off),
			phx_min(f->image.skeleton_len - off, (uint32_t)PHX_BLOCK_LARGE));
}

void phx_flat_destroy(struct phx_flat *f)
{
	phx_image_release(&f->image, &f->pool);
	phx_schema_free(f->schema);
	free(f);
}
