// SPDX-License-Identifier: BSD-3-Clause
// Second half of the protobuf decoder: walks the tree that proto_parse.c left in scratch memory
// in canonical order, first to count the image's bytes, then to write them.
#include "lib/schema/proto_scratch.h"

#include <errno.h>
#include <string.h>

enum fill_busy {
	FILL_WALK,
	FILL_FIXED,   // placing the fixed parts of a list: leaf_pos left, leaf_run next, leaf_out
	FILL_COPY,    // copying [leaf_pos, leaf_end) to leaf_out
	FILL_SCALARS, // decoding runs to leaf_out: leaf_run next, [leaf_pos, leaf_end) current
		      // with tags when leaf_slot
	FILL_LEAVES,  // the same; leaf_out is the next reference, leaf_slot bytes left to leaf_copy
};

void phx_proto_build_start(struct phx_proto_decode *d, uint8_t *dst)
{
	d->dst = dst;
	d->cursor = 0;
	d->depth = 0;
	d->busy = FILL_WALK;
}

// Take n bytes of the image, padded to 8 with zeros. False: over the size found by counting.
static bool fill_take(struct phx_proto_decode *d, uint64_t n, uint64_t *out_pos)
{
	uint64_t padded = phx_align_up(n, 8), limit = d->dst ? d->size : d->max_bytes;

	if (padded > limit || d->cursor > limit - padded)
		return false;
	if (d->dst && padded > n)
		memset(d->dst + d->cursor + n, 0, padded - n);
	*out_pos = d->cursor;
	d->cursor += padded;
	return true;
}

static int fill_over(struct phx_proto_decode *d)
{
	return d->dst ? phx_proto_fail(d, -EPROTO, "input changed")
		      : phx_proto_fail(d, -E2BIG, "message too large");
}

static void fill_ref(struct phx_proto_decode *d, uint64_t ref_pos, uint64_t pos, uint32_t count)
{
	if (!d->dst)
		return;
	phx_le32_store(d->dst + ref_pos, count ? (uint32_t)(pos - ref_pos) : 0);
	phx_le32_store(d->dst + ref_pos + 4, count);
}

// Copy a fixed part; its references are overwritten when the walk comes to them.
static void fill_fixed(struct phx_proto_decode *d, uint64_t pos, uint32_t inst, uint32_t size,
	struct phx_work *work)
{
	work->bytes -= size;
	work->elements--;
	while (d->dst && size > 0) {
		uint32_t n = phx_min(size, proto_scratch_room(inst));

		memcpy(d->dst + pos, proto_scratch(d, inst), n);
		pos += n;
		inst += n;
		size -= n;
	}
}

static void fill_push(
	struct phx_proto_decode *d, uint64_t pos, uint32_t inst, uint32_t count, uint16_t message)
{
	d->frames[d->depth++] = (struct phx_proto_frame){
		.inst = inst, .pos = (uint32_t)pos, .left = count, .message = message};
}

// Load the run at leaf_run. False: there is none.
static bool fill_run(struct phx_proto_decode *d, bool *out_tagged)
{
	const uint32_t *a, *b;

	if (d->leaf_run == 0)
		return false;
	a = (void *)proto_scratch(d, d->leaf_run);
	b = (void *)proto_scratch(d, d->leaf_run + 8);
	d->leaf_run = a[0];
	d->leaf_pos = a[1];
	d->leaf_end = b[0];
	*out_tagged = b[1] != 0;
	return true;
}

static int fill_list(struct phx_proto_decode *d, const struct phx_ref *r, struct proto_slot slot,
	uint64_t pos, struct phx_work *work)
{
	const struct proto_list *list = (void *)proto_scratch(d, slot.at);

	d->leaf_run = list->first;
	d->leaf_out = pos;
	d->leaf_pos = d->leaf_end = 0;
	d->leaf_slot = 0;
	switch ((enum phx_shape)r->shape) {
	case PHX_SHAPE_MESSAGE_LIST:
		fill_push(d, pos, list->first, slot.count, r->message);
		if (d->dst) {
			d->busy = FILL_FIXED;
			d->leaf_pos = slot.count;
			d->leaf_end = r->size;
		}
		break;
	case PHX_SHAPE_LEAF_LIST:
		d->busy = FILL_LEAVES;
		break;
	default:
		if (d->dst)
			d->busy = FILL_SCALARS;
		break;
	}
	work->elements--;
	return 0;
}

// The next reference of the message at hand, or its end. 1 = the root ended.
static int fill_walk(struct phx_proto_decode *d, struct phx_work *work)
{
	struct phx_proto_frame *f = &d->frames[d->depth - 1];
	const struct phx_message *m = phx_schema_message(d->schema, f->message);
	const struct phx_ref *r;
	struct proto_slot slot;
	uint64_t pos;

	if (f->ref == 0) // it begins; those that are absent cost nothing later
		work->elements -= m->ref_count / 16;
	if (f->ref == m->ref_count) {
		work->elements--;
		if (--f->left == 0)
			return --d->depth == 0;
		f->inst = *(uint32_t *)(void *)proto_scratch(d, f->inst - 8);
		f->pos += m->size;
		f->ref = 0;
		return 0;
	}
	r = &m->refs[f->ref++];
	slot = *proto_scratch_slot(d, f->inst + r->offset);
	if (slot.count == 0) {
		fill_ref(d, f->pos + r->offset, 0, 0);
		return 0;
	}
	if (!fill_take(d, (uint64_t)slot.count * r->size, &pos))
		return fill_over(d);
	fill_ref(d, f->pos + r->offset, pos, slot.count);
	if (r->shape == PHX_SHAPE_LEAF) {
		work->elements--;
		if (d->dst) {
			d->busy = FILL_COPY;
			d->leaf_pos = slot.at;
			d->leaf_end = slot.at + slot.count;
			d->leaf_out = pos;
		}
		return 0;
	}
	if (r->shape == PHX_SHAPE_MESSAGE) {
		fill_fixed(d, pos, slot.at, r->size, work);
		fill_push(d, pos, slot.at, 1, r->message);
		return 0;
	}
	// What FILL_SCALARS needs: kind and width of the elements.
	d->width = (uint8_t)r->size;
	if (r->shape == PHX_SHAPE_SCALAR_LIST)
		d->kind = m->fields[r->index - m->fields[0].index].kind;
	return fill_list(d, r, slot, pos, work);
}

static int fill_fixed_list(struct phx_proto_decode *d, struct phx_work *work)
{
	uint32_t inst = d->leaf_run;

	fill_fixed(d, d->leaf_out, inst, d->leaf_end, work);
	d->leaf_out += d->leaf_end;
	d->leaf_run = *(uint32_t *)(void *)proto_scratch(d, inst - 8);
	if (--d->leaf_pos == 0)
		d->busy = FILL_WALK;
	return 0;
}

static int fill_copy(struct phx_proto_decode *d, struct phx_work *work)
{
	uint32_t n = phx_min(d->leaf_end - d->leaf_pos, (uint32_t)PHX_LIMIT_WORK_BYTES);

	memcpy(d->dst + d->leaf_out, d->in + d->leaf_pos, n);
	d->leaf_pos += n;
	d->leaf_out += n;
	work->bytes -= n;
	if (d->leaf_pos == d->leaf_end)
		d->busy = FILL_WALK;
	return 0;
}

// Decode elements of the current run.
static int fill_scalars(struct phx_proto_decode *d, struct phx_work *work)
{
	enum proto_wire wire = proto_kind_wire(d->kind);
	uint32_t start;
	uint64_t v;

	if (d->leaf_pos == d->leaf_end) {
		bool tagged;

		if (!fill_run(d, &tagged)) {
			d->busy = FILL_WALK;
			return 0;
		}
		d->leaf_slot = tagged;
	}
	start = d->leaf_pos;
	for (uint32_t i = 0; i < PHX_LIMIT_WORK_ELEMENTS && d->leaf_pos < d->leaf_end; i++) {
		if (d->leaf_slot && !proto_varint_get(d->in, &d->leaf_pos, d->leaf_end, &v))
			return fill_over(d);
		if (wire == PROTO_VARINT) {
			if (!proto_varint_get(d->in, &d->leaf_pos, d->leaf_end, &v))
				return fill_over(d);
			v = proto_varint_decode(d->kind, v);
		} else {
			if (d->leaf_end - d->leaf_pos < d->width)
				return fill_over(d);
			v = proto_bits_load(d->in + d->leaf_pos, d->width);
			d->leaf_pos += d->width;
		}
		if (d->leaf_out + d->width > d->cursor)
			return fill_over(d);
		proto_bits_store(d->dst + d->leaf_out, d->width, v);
		d->leaf_out += d->width;
	}
	work->bytes -= d->leaf_pos - start;
	work->elements--;
	return 0;
}

// The next string or bytes of a list; in the fill pass its bytes follow at once, in pieces.
static int fill_leaf(struct phx_proto_decode *d, struct phx_work *work)
{
	uint64_t v, pos = 0;
	uint32_t len;
	bool tagged;

	if (d->leaf_slot > 0) {
		len = phx_min(d->leaf_slot, (uint32_t)PHX_LIMIT_WORK_BYTES);
		memcpy(d->dst + d->leaf_copy, d->in + d->leaf_pos, len);
		d->leaf_copy += len;
		d->leaf_pos += len;
		d->leaf_slot -= len;
		work->bytes -= len;
		return 0;
	}
	if (d->leaf_pos == d->leaf_end && !fill_run(d, &tagged)) {
		d->busy = FILL_WALK;
		return 0;
	}
	if (!proto_varint_get(d->in, &d->leaf_pos, d->leaf_end, &v) ||
		!proto_varint_get(d->in, &d->leaf_pos, d->leaf_end, &v) ||
		v > d->leaf_end - d->leaf_pos)
		return fill_over(d);
	len = (uint32_t)v;
	if (len > 0 && !fill_take(d, len, &pos))
		return fill_over(d);
	fill_ref(d, d->leaf_out, pos, len);
	d->leaf_out += 8;
	if (d->dst) {
		d->leaf_slot = len;
		d->leaf_copy = pos;
	} else {
		d->leaf_pos += len;
	}
	work->elements--;
	return 0;
}

int phx_proto_build(struct phx_proto_decode *d, struct phx_work *work)
{
	int rc = 0;

	if (d->depth == 0) {
		uint32_t size = phx_schema_message(d->schema, d->message)->size;
		uint64_t pos;

		if (!fill_take(d, size, &pos))
			return fill_over(d);
		fill_fixed(d, pos, 8, size, work);
		fill_push(d, pos, 8, 1, (uint16_t)d->message);
	}
	while (rc == 0 && work->bytes > 0 && work->elements > 0) {
		switch ((enum fill_busy)d->busy) {
		case FILL_WALK:
			rc = fill_walk(d, work);
			break;
		case FILL_FIXED:
			rc = fill_fixed_list(d, work);
			break;
		case FILL_COPY:
			rc = fill_copy(d, work);
			break;
		case FILL_SCALARS:
			rc = fill_scalars(d, work);
			break;
		case FILL_LEAVES:
			rc = fill_leaf(d, work);
			break;
		}
	}
	return rc;
}

void phx_proto_decode_start(struct phx_proto_decode *d, const struct phx_schema *schema,
	uint32_t message, const void *in, uint32_t in_len, struct phx_block_pool *pool,
	const struct phx_proto_limits *lim)
{
	memset(d, 0, offsetof(struct phx_proto_decode, frames));
	d->schema = schema;
	d->message = message;
	d->in = in;
	d->in_len = in_len;
	d->pool = pool;
	d->blocks = d->few;
	d->max_bytes = phx_min(lim->max_bytes, (uint64_t)PHX_LIMIT_MESSAGE_BYTES_MAX);
	d->max_elements = lim->max_elements;
	d->phase = PROTO_PARSE;
}

int phx_proto_decode_size(struct phx_proto_decode *d, struct phx_work *work, uint64_t *out_size)
{
	int rc;

	if (d->in_len > PHX_LIMIT_MESSAGE_BYTES_MAX)
		return phx_proto_fail(d, -E2BIG, "input too large");
	if (d->phase == PROTO_PARSE) {
		rc = phx_proto_parse(d, work);
		if (rc != 1)
			return rc;
		d->phase = PROTO_COUNT;
		phx_proto_build_start(d, NULL);
	}
	rc = phx_proto_build(d, work);
	if (rc != 1)
		return rc;
	d->phase = PROTO_FILL;
	d->size = d->cursor;
	*out_size = d->size;
	phx_proto_build_start(d, NULL);
	return 1;
}

int phx_proto_decode_fill(struct phx_proto_decode *d, void *dst, struct phx_work *work)
{
	int rc;

	if (d->phase != PROTO_FILL)
		return -EINVAL;
	d->dst = dst;
	rc = phx_proto_build(d, work);
	if (rc != 1)
		return rc;
	d->phase = PROTO_DONE;
	return d->cursor == d->size ? 1 : phx_proto_fail(d, -EPROTO, "input changed");
}

void phx_proto_decode_finish(struct phx_proto_decode *d)
{
	if (d->small)
		d->pool->put(d->pool, d->small, PHX_BLOCK_SMALL);
	for (uint32_t i = 0; i < d->block_count; i++)
		d->pool->put(d->pool, d->blocks[i], PHX_BLOCK_LARGE);
	if (d->blocks != d->few)
		d->pool->put(d->pool, d->blocks, PHX_BLOCK_LARGE);
	d->small = NULL;
	d->block_count = 0;
	d->blocks = d->few;
}
