// SPDX-License-Identifier: BSD-3-Clause
// Protobuf from a canonical image: one walk in field number order, made twice. The first
// remembers the size of each nested message and packed list in the order in which the second
// needs them. Works with proto.h; the image's holes are hostile memory, read once a pass.
#include "lib/schema/proto_put.h"

#include <errno.h>

int phx_proto_encode_fail(struct phx_proto_encode *e, int error, const char *text)
{
	e->error = text;
	e->phase = ENCODE_DONE;
	return error;
}

// ---- sizes remembered between the passes ----

static int encode_size_block(struct phx_proto_encode *e)
{
	void **block;

	if (e->phase == ENCODE_FILL) {
		block = e->sizes_at ? *(void **)e->sizes_at : e->sizes_block;
	} else {
		block = e->pool->get(e->pool, PHX_BLOCK_LARGE);
		if (!block)
			return phx_proto_encode_fail(e, -ENOMEM, "no block for sizes");
		*block = NULL;
		if (e->sizes_at)
			*(void **)e->sizes_at = block;
		else
			e->sizes_block = block;
	}
	e->sizes_at = block;
	e->sizes_next = (uint32_t *)(void *)(block + 1);
	e->sizes_end = e->sizes_next + ENCODE_SIZES_BLOCK;
	return 0;
}

// The place of the next remembered size: to be written, or to be read when filling.
int phx_proto_encode_slot(struct phx_proto_encode *e, uint32_t **out_slot)
{
	if (e->sizes_next == e->sizes_end) {
		int rc = encode_size_block(e);

		if (rc)
			return rc;
	}
	*out_slot = e->sizes_next++;
	return 0;
}

static void encode_pass(struct phx_proto_encode *e, enum encode_phase phase)
{
	e->phase = phase;
	e->cursor = 0;
	e->hole_bytes = 0;
	e->hole = 0;
	e->depth = 0;
	e->busy = ENCODE_WALK;
	e->done = 0;
	e->sizes_next = e->sizes;
	e->sizes_end = e->sizes + PHX_PROTO_SIZES;
	e->sizes_at = NULL;
}

// Empties the stage. False: no room for all of it.
static bool encode_flush(struct phx_proto_encode *e)
{
	size_t n = phx_min((size_t)(e->stage_len - e->stage_pos), e->out_cap - e->out_len);

	if (n > 0)
		memcpy(e->out + e->out_len, e->stage + e->stage_pos, n);
	e->out_len += n;
	e->stage_pos += (uint32_t)n;
	return e->stage_pos == e->stage_len;
}

// ---- the walk ----

// Take the part of `size` bytes that a reference at ref_pos announces: it must be at the
// cursor. Sets the leaf to it. hole_ok: it may be a hole.
int phx_proto_encode_part(
	struct phx_proto_encode *e, uint64_t ref_pos, uint32_t off, uint64_t size, bool hole_ok)
{
	const struct phx_image *img = e->image;
	uint64_t padded = phx_align_up(size, 8);

	if ((uint32_t)(e->cursor - ref_pos) != off || padded > img->total_len - e->cursor)
		return phx_proto_encode_fail(e, -EPROTO, "image is not canonical");
	e->leaf = NULL;
	e->check = false;
	e->leaf_skel = e->cursor - e->hole_bytes;
	e->leaf_pos = 0;
	e->leaf_end = (uint32_t)size;
	if (e->hole < img->hole_count && img->holes[e->hole].pos == e->cursor) {
		const struct phx_image_hole *h = &img->holes[e->hole++];

		if (!hole_ok || h->len != size || !e->source)
			return phx_proto_encode_fail(e, -EPROTO, "image is not canonical");
		e->leaf = e->source->base + h->src_off;
		e->check = h->check_utf8;
		e->text = 0;
		e->hole_bytes += padded;
	} else if (e->leaf_skel + padded > img->skeleton_len) {
		return phx_proto_encode_fail(e, -EPROTO, "image is not canonical");
	}
	e->cursor += padded;
	return 0;
}

static int encode_push(
	struct phx_proto_encode *e, const struct phx_field *field, uint64_t pos, uint32_t count)
{
	struct phx_proto_out_frame *p, *f = &e->frames[e->depth];

	if (e->depth == PHX_PROTO_DEPTH)
		return phx_proto_encode_fail(e, -E2BIG, "nested too deeply");
	*f = (struct phx_proto_out_frame){
		.skel = e->leaf_skel, .pos = (uint32_t)pos, .left = count};
	if (e->depth > 0) {
		p = &e->frames[e->depth - 1];
		f->message = field->message;
		f->parent = (uint16_t)(field - phx_schema_message(e->schema, p->message)->fields);
	} else {
		f->message = (uint16_t)e->message;
		f->acc = e->phase == ENCODE_FILL ? e->size : 0;
		f->open = true;
	}
	e->depth++;
	return 0;
}

// Open the current element: its tag and length.
static int encode_open(struct phx_proto_encode *e, struct phx_proto_out_frame *f)
{
	const struct phx_message *parent;
	uint32_t *slot;
	int rc = phx_proto_encode_slot(e, &slot);

	if (rc)
		return rc;
	f->open = true;
	f->field = 0;
	f->acc = 0;
	f->slot = slot;
	if (e->phase == ENCODE_SIZE)
		return 0;
	parent = phx_schema_message(e->schema, (f - 1)->message);
	rc = encode_head(e, &parent->fields[f->parent], *slot);
	f->acc = e->done + *slot;
	return rc;
}

// The current element ends. 1: the root.
static int encode_close(struct phx_proto_encode *e, struct phx_proto_out_frame *f)
{
	const struct phx_message *m = phx_schema_message(e->schema, f->message);
	const struct phx_field *field;

	if (e->phase == ENCODE_FILL && e->done != f->acc)
		return phx_proto_encode_fail(e, -EPROTO, "a leaf in place changed");
	if (e->phase == ENCODE_SIZE && f->acc > ENCODE_SIZE_MAX)
		return phx_proto_encode_fail(e, -E2BIG, "protobuf over 2 GiB");
	if (e->depth == 1) {
		if (e->cursor != e->image->total_len)
			return phx_proto_encode_fail(e, -EPROTO, "image is not canonical");
		if (e->phase == ENCODE_SIZE)
			e->size = f->acc;
		e->depth = 0;
		return 1;
	}
	if (e->phase == ENCODE_SIZE) {
		*f->slot = (uint32_t)f->acc;
		field = &phx_schema_message(e->schema, (f - 1)->message)->fields[f->parent];
		(f - 1)->acc += proto_varint_size(encode_tag(field, PROTO_LEN)) +
				proto_varint_size(f->acc) + f->acc;
	}
	f->open = false;
	f->skel += m->size;
	f->pos += m->size;
	if (--f->left == 0)
		e->depth--;
	return 0;
}

// Whether a field without reference is to be put out.
static bool encode_is_set(const struct phx_proto_encode *e, const struct phx_proto_out_frame *f,
	const struct phx_message *m, const struct phx_field *field, uint64_t bits)
{
	if (field->flags & PHX_FIELD_PRESENCE)
		return phx_le32_load(encode_skel(e, f->skel + field->bit / 32 * 4)) >>
			       field->bit % 32 &
		       1;
	if (field->flags & PHX_FIELD_ONEOF)
		return phx_le32_load(encode_skel(e,
			       f->skel + (m->presence_words + field->bit) * 4u)) == field->number;
	return bits != 0 || m->map_entry;
}

static int encode_scalar(struct phx_proto_encode *e, struct phx_proto_out_frame *f,
	const struct phx_message *m, const struct phx_field *field)
{
	uint64_t bits = proto_bits_load(encode_skel(e, f->skel + field->offset), field->width);
	uint32_t tag = encode_tag(field, proto_kind_wire(field->kind));

	if (!encode_is_set(e, f, m, field, bits))
		return 0;
	if (e->phase == ENCODE_SIZE) {
		f->acc += proto_varint_size(tag) + encode_scalar_size(field, bits);
	} else {
		uint8_t *o = encode_begin(e);

		encode_commit(e, o, encode_scalar_put(proto_varint_put(o, tag), field, bits));
	}
	return 0;
}

static int encode_ref(struct phx_proto_encode *e, struct phx_proto_out_frame *f,
	const struct phx_message *m, const struct phx_field *field)
{
	const uint8_t *ref = encode_skel(e, f->skel + field->offset);
	uint32_t off = phx_le32_load(ref), count = phx_le32_load(ref + 4), size = 8;
	uint64_t pos = f->pos + field->offset;
	int rc;

	e->field = field;
	e->leaf = NULL;
	e->leaf_end = 0;
	if (count == 0) {
		if (field->shape == PHX_SHAPE_LEAF && encode_is_set(e, f, m, field, 0))
			return encode_head(e, field, 0);
		return 0;
	}
	if (field->shape == PHX_SHAPE_LEAF)
		size = 1;
	else if (field->shape == PHX_SHAPE_SCALAR_LIST)
		size = field->width;
	else if (field->kind == PHX_KIND_MESSAGE)
		size = phx_schema_message(e->schema, field->message)->size;
	rc = phx_proto_encode_part(e, pos, off, (uint64_t)count * size,
		field->shape == PHX_SHAPE_LEAF || field->shape == PHX_SHAPE_SCALAR_LIST);
	if (rc)
		return rc;
	switch ((enum phx_shape)field->shape) {
	case PHX_SHAPE_LEAF:
		return phx_proto_encode_leaf_start(e, field);
	case PHX_SHAPE_MESSAGE:
	case PHX_SHAPE_MESSAGE_LIST:
		return encode_push(e, field, pos + off, count);
	case PHX_SHAPE_LEAF_LIST:
		e->busy = ENCODE_LEAVES;
		e->array = e->leaf_skel;
		e->array_pos = (uint32_t)(pos + off);
		e->array_left = count;
		e->leaf_pos = e->leaf_end;
		return 0;
	default:
		return phx_proto_encode_list_start(e, field, count);
	}
}

static int encode_walk(struct phx_proto_encode *e, struct phx_work *work)
{
	struct phx_proto_out_frame *f = &e->frames[e->depth - 1];
	const struct phx_message *m = phx_schema_message(e->schema, f->message);
	const struct phx_field *field;

	work->bytes -= 16;
	if (!f->open)
		return encode_open(e, f);
	if (f->field == m->field_count) {
		work->elements--;
		return encode_close(e, f);
	}
	field = &m->fields[f->field++];
	return field->shape == PHX_SHAPE_SCALAR ? encode_scalar(e, f, m, field)
						: encode_ref(e, f, m, field);
}

static int encode_run(struct phx_proto_encode *e, struct phx_work *work)
{
	int rc = 0;

	if (e->depth == 0) {
		uint32_t size = phx_schema_message(e->schema, e->message)->size;

		if (e->image->total_len > PHX_LIMIT_MESSAGE_BYTES_MAX)
			return phx_proto_encode_fail(e, -E2BIG, "image too large");
		rc = phx_proto_encode_part(e, 0, 0, size, false);
		if (!rc)
			rc = encode_push(e, NULL, 0, 1);
	}
	while (rc == 0 && work->bytes > 0 && work->elements > 0) {
		// With all bytes out only steps remain that put nothing out.
		if (e->phase == ENCODE_FILL &&
			(!encode_flush(e) || (e->out_len == e->out_cap && e->done < e->size)))
			return 0;
		switch ((enum encode_busy)e->busy) {
		case ENCODE_WALK:
			rc = encode_walk(e, work);
			break;
		case ENCODE_BYTES:
			rc = phx_proto_encode_bytes(e, ENCODE_WALK, work);
			break;
		case ENCODE_VARINTS:
			rc = phx_proto_encode_varints(e, work);
			break;
		case ENCODE_LEAVES:
			rc = phx_proto_encode_leaves(e, work);
			break;
		}
	}
	return rc;
}

void phx_proto_encode_start(struct phx_proto_encode *e, const struct phx_schema *schema,
	uint32_t message, const struct phx_image *image, const struct phx_source *source,
	struct phx_block_pool *pool)
{
	memset(e, 0, offsetof(struct phx_proto_encode, stage));
	e->schema = schema;
	e->message = message;
	e->image = image;
	e->source = source;
	e->pool = pool;
	encode_pass(e, ENCODE_SIZE);
}

int phx_proto_encode_size(struct phx_proto_encode *e, struct phx_work *work, uint64_t *out_size)
{
	int rc;

	if (e->phase != ENCODE_SIZE)
		return -EINVAL;
	rc = encode_run(e, work);
	if (rc != 1)
		return rc;
	*out_size = e->size;
	encode_pass(e, ENCODE_FILL);
	return 1;
}

int phx_proto_encode_fill(
	struct phx_proto_encode *e, void *dst, size_t cap, size_t *out_len, struct phx_work *work)
{
	int rc;

	*out_len = 0;
	if (e->phase != ENCODE_FILL)
		return -EINVAL;
	e->out = dst;
	e->out_cap = cap;
	e->out_len = 0;
	rc = encode_run(e, work);
	*out_len = e->out_len;
	return rc;
}

void phx_proto_encode_finish(struct phx_proto_encode *e)
{
	void **block = e->sizes_block;

	while (block) {
		void **next = *block;

		e->pool->put(e->pool, block, PHX_BLOCK_LARGE);
		block = next;
	}
	e->sizes_block = NULL;
}
