// SPDX-License-Identifier: BSD-3-Clause
// One-shot use of the resumable codec of lib/schema, and reading of the images it makes.
#include "lib/protoc/codec.h"

#include "lib/schema/proto.h"

#include <stdlib.h>
#include <string.h>

static void *pool_get(struct phx_block_pool *pool PHX_UNUSED, size_t size)
{
	return malloc(size);
}

static void pool_put(struct phx_block_pool *pool PHX_UNUSED, void *block, size_t size PHX_UNUSED)
{
	free(block);
}

static struct phx_work work_all(void)
{
	return (struct phx_work){.bytes = INT64_MAX, .elements = INT64_MAX};
}

const char *codec_decode(struct arena *arena, const struct phx_schema *schema, uint32_t message,
	const void *data, size_t size, struct node *out)
{
	struct phx_block_pool pool = {.get = pool_get, .put = pool_put};
	const struct phx_proto_limits limits = {
		.max_bytes = PHX_LIMIT_MESSAGE_BYTES_MAX,
		.max_elements = PHX_LIMIT_MESSAGE_ELEMENTS_MAX,
	};
	struct phx_proto_decode *d = arena_alloc(arena, sizeof(*d));
	struct phx_work work = work_all();
	const char *error = NULL;
	uint64_t need;
	void *image;

	if (!d)
		return "out of memory";
	if (size > PHX_LIMIT_MESSAGE_BYTES_MAX)
		return "request too large";
	phx_proto_decode_start(d, schema, message, data, (uint32_t)size, &pool, &limits);
	if (phx_proto_decode_size(d, &work, &need) != 1) {
		error = d->error;
		goto finish;
	}
	image = arena_alloc(arena, need);
	if (!image) {
		error = "out of memory";
		goto finish;
	}
	if (phx_proto_decode_fill(d, image, &work) != 1)
		error = d->error;
	*out = (struct node){schema, phx_schema_message(schema, message), image};
finish:
	phx_proto_decode_finish(d);
	return error;
}

const char *codec_encode(const struct phx_schema *schema, uint32_t message, const void *image,
	size_t size, struct text *out)
{
	struct phx_block_pool pool = {.get = pool_get, .put = pool_put};
	struct phx_image img = {
		.block0 = (uint8_t *)(uintptr_t)image, // read only
		.block_count = 1,
		.borrowed = true,
		.skeleton_len = (uint32_t)size,
		.total_len = size,
	};
	struct phx_proto_encode *e = calloc(1, sizeof(*e));
	struct phx_work work = work_all();
	const char *error = NULL;
	uint64_t need;
	size_t put;

	if (!e)
		return "out of memory";
	phx_proto_encode_start(e, schema, message, &img, NULL, &pool);
	if (phx_proto_encode_size(e, &work, &need) != 1) {
		error = e->error;
	} else {
		text_zero(out, need);
		if (out->failed)
			error = "out of memory";
		else if (phx_proto_encode_fill(e, out->data + out->len - need, need, &put, &work) !=
			 1)
			error = e->error;
	}
	phx_proto_encode_finish(e);
	free(e);
	return error;
}

static const uint8_t *node_field(struct node n, uint32_t number)
{
	const struct phx_field *f = n.base ? phx_message_field(n.type, number) : NULL;

	return f ? n.base + f->offset : NULL;
}

// What a reference points at; NULL for null.
static const uint8_t *node_ref(const uint8_t *ref, uint32_t *out_count)
{
	int32_t off;

	*out_count = 0;
	if (!ref)
		return NULL;
	memcpy(&off, ref, sizeof(off));
	memcpy(out_count, ref + 4, sizeof(*out_count));
	return *out_count ? ref + off : NULL;
}

static const char *node_leaf(struct arena *arena, const uint8_t *ref)
{
	uint32_t len;
	const uint8_t *p = node_ref(ref, &len);
	char *s = arena_alloc(arena, (size_t)len + 1);

	if (s && p)
		memcpy(s, p, len);
	return s;
}

const char *node_string(struct arena *arena, struct node n, uint32_t number)
{
	return node_leaf(arena, node_field(n, number));
}

const char *node_string_at(struct arena *arena, struct node n, uint32_t number, uint32_t i)
{
	uint32_t count;
	const uint8_t *p = node_ref(node_field(n, number), &count);

	return node_leaf(arena, i < count ? p + 8 * (size_t)i : NULL);
}

uint32_t node_number(struct node n, uint32_t number)
{
	const struct phx_field *f = n.base ? phx_message_field(n.type, number) : NULL;
	uint32_t v = 0;

	if (f)
		memcpy(&v, n.base + f->offset, f->width < sizeof(v) ? f->width : sizeof(v));
	return v;
}

bool node_has(struct node n, uint32_t number)
{
	const struct phx_field *f = n.base ? phx_message_field(n.type, number) : NULL;

	return f && (n.base[f->bit / 8] >> f->bit % 8 & 1);
}

struct node node_message(struct node n, uint32_t number)
{
	return node_at(n, number, 0);
}

uint32_t node_count(struct node n, uint32_t number)
{
	uint32_t count;

	(void)node_ref(node_field(n, number), &count); // only the count is wanted
	return count;
}

struct node node_at(struct node n, uint32_t number, uint32_t i)
{
	uint32_t count;
	const uint8_t *p = node_ref(node_field(n, number), &count);
	struct node out = {n.schema, n.type, NULL};

	if (i < count) {
		out.type = phx_schema_message(n.schema, phx_message_field(n.type, number)->message);
		out.base = p + (size_t)i * out.type->size;
	}
	return out;
}
