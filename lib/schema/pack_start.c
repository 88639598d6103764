// SPDX-License-Identifier: BSD-3-Clause
// Beginning and giving up a pack, from each of its three kinds of source. Works with pack.c.
#include "lib/base/compiler.h"
#include "lib/schema/image_priv.h"
#include "lib/schema/pack.h"

void phx_pack_release_chunks(struct phx_pack *p)
{
	while (p->chunk_count != 0)
		p->pool->put(p->pool, p->chunks[--p->chunk_count], PHX_BLOCK_SMALL);
}

void phx_pack_abort(struct phx_pack *p)
{
	if (p->state == PHX_PACK_END)
		return;
	p->state = PHX_PACK_END;
	phx_pack_release_chunks(p);
	phx_image_release(p->out, p->pool);
}

void phx_pack_start(struct phx_pack *p, const struct phx_schema *schema, uint32_t message,
	const struct phx_source *source, uint64_t root_off, struct phx_block_pool *pool,
	const struct phx_pack_limits *lim, struct phx_image *out)
{
	// Not the frames: only those that are used get touched.
	p->error = root_off > UINT32_MAX ? "message outside" : NULL;
	p->schema = schema;
	p->source = source;
	p->from = NULL;
	p->fill = NULL;
	p->pool = pool;
	p->out = out;
	p->inspect = lim->inspect;
	p->max_bytes = phx_min(lim->max_bytes, (uint64_t)PHX_LIMIT_MESSAGE_BYTES_MAX);
	p->max_elements = lim->max_elements;
	p->leaf_copy_bytes = lim->leaf_copy_bytes;
	p->elements = 0;
	p->region = 0;
	p->copy_left = 0;
	p->copy_fill = false;
	p->text = 0;
	p->state = PHX_PACK_START;
	p->depth = 0;
	p->chunk_count = 0;
	p->frames[0].message = (uint16_t)message;
	p->frames[0].src = (uint32_t)root_off;
	*out = (struct phx_image){0};
}

void phx_pack_start_private(struct phx_pack *p, const struct phx_schema *schema, uint32_t message,
	const void *base, uint32_t size, struct phx_block_pool *pool,
	const struct phx_pack_limits *lim, struct phx_image *out)
{
	p->own_region = (struct phx_source_region){.off = 0, .size = size};
	p->own_source =
		(struct phx_source){.base = base, .regions = &p->own_region, .region_count = 1};
	phx_pack_start(p, schema, message, &p->own_source, 0, pool, lim, out);
	p->leaf_copy_bytes = UINT32_MAX; // the memory may be gone after the pack
}

void phx_pack_start_image(struct phx_pack *p, const struct phx_schema *schema, uint32_t message,
	const struct phx_image *from, struct phx_block_pool *pool,
	const struct phx_pack_limits *lim, struct phx_image *out)
{
	phx_pack_start(p, schema, message, NULL, 0, pool, lim, out);
	p->from = from;
}

void phx_pack_start_fill(struct phx_pack *p, const struct phx_schema *schema, uint32_t message,
	const struct phx_image *from, const struct phx_source *source, struct phx_block_pool *pool,
	const struct phx_pack_limits *lim, struct phx_image *out)
{
	phx_pack_start_image(p, schema, message, from, pool, lim, out);
	p->fill = source;
}
