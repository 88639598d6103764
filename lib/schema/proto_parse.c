// SPDX-License-Identifier: BSD-3-Clause
// First half of the protobuf decoder: checks the bytes and leaves a tree in scratch memory.
// proto_fill.c turns that into the canonical image.
#include "lib/schema/proto_scratch.h"
#include "lib/schema/utf8.h"

#include <errno.h>
#include <string.h>

enum parse_busy {
	PARSE_FIELDS,
	PARSE_TEXT,   // checking [leaf_pos, leaf_end) for UTF-8
	PARSE_PACKED, // counting the varints of [leaf_pos, leaf_end) into the slot leaf_slot
};

#define PROTO_FIELD_MAX ((UINT32_C(1) << 29) - 1)

int phx_proto_fail(struct phx_proto_decode *d, int error, const char *text)
{
	d->error = text;
	d->phase = PROTO_FAILED;
	return error;
}

static int scratch_block(struct phx_proto_decode *d)
{
	uint8_t *block = d->pool->get(d->pool, PHX_BLOCK_LARGE);

	if (!block)
		return phx_proto_fail(d, -ENOMEM, "no block for decoding");
	if (d->block_count == PHX_PROTO_BLOCKS) {
		uint8_t **many = d->pool->get(d->pool, PHX_BLOCK_LARGE);

		if (!many) {
			d->pool->put(d->pool, block, PHX_BLOCK_LARGE);
			return phx_proto_fail(d, -ENOMEM, "no block for decoding");
		}
		memcpy(many, d->few, sizeof(d->few));
		d->blocks = many;
	} else if (d->block_count == PHX_BLOCK_LARGE / sizeof(d->blocks[0])) {
		d->pool->put(d->pool, block, PHX_BLOCK_LARGE);
		return phx_proto_fail(d, -E2BIG, "message too large to decode");
	}
	d->blocks[d->block_count++] = block;
	return 0;
}

int phx_proto_scratch_alloc(struct phx_proto_decode *d, uint32_t size, uint32_t *out_at)
{
	uint32_t at = d->used, left = size;

	if (!d->small) {
		d->small = d->pool->get(d->pool, PHX_BLOCK_SMALL);
		if (!d->small)
			return phx_proto_fail(d, -ENOMEM, "no block for decoding");
	}
	while (left > 0) {
		uint32_t n;

		if (d->used >= PHX_BLOCK_SMALL &&
			(d->used - PHX_BLOCK_SMALL) / PHX_BLOCK_LARGE == d->block_count) {
			int rc = scratch_block(d);

			if (rc)
				return rc;
		}
		n = phx_min(left, proto_scratch_room(d->used));
		memset(proto_scratch(d, d->used), 0, n);
		d->used += n;
		left -= n;
	}
	*out_at = at;
	return 0;
}

static int parse_element(struct phx_proto_decode *d)
{
	if (++d->elements > d->max_elements)
		return phx_proto_fail(d, -E2BIG, "too many elements");
	return 0;
}

// A new fixed part. The scratch never holds much more than the image will.
static int parse_instance(
	struct phx_proto_decode *d, uint32_t message, uint32_t *out_inst, struct phx_work *work)
{
	uint32_t size = phx_schema_message(d->schema, message)->size, at = 0;
	int rc = parse_element(d);

	if (!rc && size > d->max_bytes)
		rc = phx_proto_fail(d, -E2BIG, "message too large");
	if (!rc)
		rc = phx_proto_scratch_alloc(d, size + 8, &at);
	*out_inst = at + 8;
	d->cursor += size;
	if (!rc && d->cursor > d->max_bytes)
		rc = phx_proto_fail(d, -E2BIG, "message too large");
	work->bytes -= size;
	return rc;
}

static int parse_push(
	struct phx_proto_decode *d, uint32_t message, uint32_t inst, uint32_t end, uint32_t group)
{
	struct phx_proto_frame *f;

	if (d->depth == PHX_PROTO_DEPTH)
		return phx_proto_fail(d, -E2BIG, "nested too deeply");
	f = &d->frames[d->depth++];
	*f = (struct phx_proto_frame){
		.end = end, .inst = inst, .pos = group, .message = (uint16_t)message};
	return 0;
}

static int parse_list_append(
	struct phx_proto_decode *d, struct proto_slot *slot, uint32_t at, uint32_t next_off)
{
	struct proto_list *list;

	if (slot->count == 0) {
		int rc = phx_proto_scratch_alloc(d, sizeof(*list), &slot->at);

		if (rc)
			return rc;
		list = (void *)proto_scratch(d, slot->at);
		list->first = at;
	} else {
		list = (void *)proto_scratch(d, slot->at);
		*(uint32_t *)(void *)proto_scratch(d, list->last - next_off) = at;
	}
	list->last = at;
	return 0;
}

// Remember [pos, end) as elements of a list; neighbours with tags join the last run.
static int parse_run(struct phx_proto_decode *d, struct proto_slot *slot, uint32_t pos,
	uint32_t end, bool tagged, uint32_t count)
{
	struct proto_run *run;
	uint32_t at;
	int rc;

	if (slot->count > 0 && tagged) {
		struct proto_list *list = (void *)proto_scratch(d, slot->at);
		uint32_t *last_end = (void *)proto_scratch(d, list->last + 8);

		if (last_end[1] && last_end[0] == pos) {
			last_end[0] = end;
			slot->count += count;
			return 0;
		}
	}
	rc = phx_proto_scratch_alloc(d, sizeof(*run), &at);
	if (rc)
		return rc;
	((uint32_t *)(void *)proto_scratch(d, at))[1] = pos;
	((uint32_t *)(void *)proto_scratch(d, at + 8))[0] = end;
	((uint32_t *)(void *)proto_scratch(d, at + 8))[1] = tagged;
	rc = parse_list_append(d, slot, at, 0);
	if (!rc)
		slot->count += count;
	return rc;
}

static const struct phx_field *parse_find(
	const struct phx_message *m, struct phx_proto_frame *f, uint32_t number)
{
	const struct phx_field *field;

	// Fields mostly come in number order: try the one at the hint and the one behind it.
	for (uint32_t i = f->left; i < m->field_count && i < f->left + 2; i++) {
		if (m->fields[i].number == number) {
			f->left = i;
			return &m->fields[i];
		}
	}
	field = phx_message_field(m, number);
	if (field)
		f->left = (uint32_t)(field - m->fields);
	return field;
}

// Mark the field as set: its presence bit, or its oneof's case with the former member cleared.
static void parse_select(struct phx_proto_decode *d, const struct phx_proto_frame *f,
	const struct phx_message *m, const struct phx_field *field)
{
	if (field->flags & PHX_FIELD_PRESENCE) {
		uint8_t *p = proto_scratch(d, f->inst + field->bit / 32 * 4);

		phx_le32_store(p, phx_le32_load(p) | UINT32_C(1) << field->bit % 32);
	} else if (field->flags & PHX_FIELD_ONEOF) {
		uint8_t *p = proto_scratch(d, f->inst + (m->presence_words + field->bit) * 4u);
		uint32_t old = phx_le32_load(p);

		if (old != 0 && old != field->number) {
			const struct phx_field *o = phx_message_field(m, old);

			proto_bits_store(proto_scratch(d, f->inst + o->offset), o->width, 0);
		}
		phx_le32_store(p, field->number);
	}
}

// Reads one scalar of the wire type at d->pos.
static bool parse_scalar(
	struct phx_proto_decode *d, uint8_t kind, enum proto_wire wire, uint32_t end, uint64_t *out)
{
	uint32_t width = wire == PROTO_I64 ? 8 : 4;
	uint64_t v;

	if (wire == PROTO_VARINT) {
		if (!proto_varint_get(d->in, &d->pos, end, &v))
			return false;
		*out = proto_varint_decode(kind, v);
		return true;
	}
	if (end - d->pos < width)
		return false;
	*out = proto_bits_load(d->in + d->pos, (uint8_t)width);
	d->pos += width;
	return true;
}

static bool parse_length(struct phx_proto_decode *d, uint32_t end, uint32_t *out)
{
	uint64_t v;

	if (!proto_varint_get(d->in, &d->pos, end, &v) || v > end - d->pos)
		return false;
	*out = (uint32_t)v;
	return true;
}

static int parse_leaf(struct phx_proto_decode *d, const struct phx_field *field, uint32_t slot_at,
	uint32_t start, uint32_t end)
{
	struct proto_slot *slot = proto_scratch_slot(d, slot_at);
	uint32_t len;
	int rc;

	if (!parse_length(d, end, &len))
		return phx_proto_fail(d, -EPROTO, "truncated string");
	rc = parse_element(d);
	if (rc)
		return rc;
	if (field->shape == PHX_SHAPE_LEAF) {
		slot->at = d->pos;
		slot->count = len;
	} else {
		rc = parse_run(d, slot, start, d->pos + len, true, 1);
		if (rc)
			return rc;
	}
	if (field->kind == PHX_KIND_STRING && len > 0) {
		d->busy = PARSE_TEXT;
		d->text = 0;
		d->leaf_pos = d->pos;
		d->leaf_end = d->pos + len;
	}
	d->pos += len;
	return 0;
}

static int parse_message(struct phx_proto_decode *d, const struct phx_field *field,
	uint32_t slot_at, uint32_t end, struct phx_work *work)
{
	struct proto_slot *slot = proto_scratch_slot(d, slot_at);
	uint32_t len, inst = slot->at;
	int rc = 0;

	if (!parse_length(d, end, &len))
		return phx_proto_fail(d, -EPROTO, "truncated message");
	if (field->shape == PHX_SHAPE_MESSAGE_LIST || slot->count == 0) {
		rc = parse_instance(d, field->message, &inst, work);
		if (!rc && field->shape == PHX_SHAPE_MESSAGE_LIST)
			rc = parse_list_append(d, slot, inst, 8);
		else
			slot->at = inst;
		if (rc)
			return rc;
		slot->count++;
	}
	return parse_push(d, field->message, inst, d->pos + len, 0);
}

static int parse_packed(
	struct phx_proto_decode *d, const struct phx_field *field, uint32_t slot_at, uint32_t end)
{
	struct proto_slot *slot = proto_scratch_slot(d, slot_at);
	enum proto_wire wire = proto_kind_wire(field->kind);
	uint32_t len, count = 0;
	int rc;

	if (!parse_length(d, end, &len))
		return phx_proto_fail(d, -EPROTO, "truncated packed field");
	if (len == 0)
		return 0;
	if (wire != PROTO_VARINT) {
		if (len % field->width)
			return phx_proto_fail(d, -EPROTO, "packed field is not a multiple");
		count = len / field->width;
	} else {
		if (d->in[d->pos + len - 1] & 0x80)
			return phx_proto_fail(d, -EPROTO, "truncated varint in packed field");
		count = 1; // the last one; PARSE_PACKED counts the others
		d->busy = PARSE_PACKED;
		d->text = 0;
		d->leaf_pos = d->pos;
		d->leaf_end = d->pos + len - 1;
		d->leaf_slot = slot_at;
	}
	rc = parse_element(d);
	if (!rc)
		rc = parse_run(d, slot, d->pos, d->pos + len, false, count);
	d->pos += len;
	return rc;
}

static int parse_skip(struct phx_proto_decode *d, uint32_t number, uint32_t wire, uint32_t end)
{
	uint64_t v;
	uint32_t len;

	switch (wire) {
	case PROTO_VARINT:
	case PROTO_I64:
	case PROTO_I32:
		if (!parse_scalar(d, PHX_KIND_UINT64, wire, end, &v))
			return phx_proto_fail(d, -EPROTO, "truncated unknown field");
		return 0;
	case PROTO_LEN:
		if (!parse_length(d, end, &len))
			return phx_proto_fail(d, -EPROTO, "truncated unknown field");
		d->pos += len;
		return 0;
	case PROTO_GROUP:
		return parse_push(d, 0, 0, end, number);
	default:
		return phx_proto_fail(d, -EPROTO, "bad wire type");
	}
}

static int parse_known(struct phx_proto_decode *d, struct phx_proto_frame *f,
	const struct phx_message *m, const struct phx_field *field, uint32_t wire, uint32_t start,
	struct phx_work *work)
{
	uint32_t at = f->inst + field->offset;
	uint64_t v;

	parse_select(d, f, m, field);
	switch ((enum phx_shape)field->shape) {
	case PHX_SHAPE_LEAF:
	case PHX_SHAPE_LEAF_LIST:
		return parse_leaf(d, field, at, start, f->end);
	case PHX_SHAPE_MESSAGE:
	case PHX_SHAPE_MESSAGE_LIST:
		return parse_message(d, field, at, f->end, work);
	case PHX_SHAPE_SCALAR:
	case PHX_SHAPE_SCALAR_LIST:
		break;
	}
	if (field->shape == PHX_SHAPE_SCALAR_LIST && wire == PROTO_LEN)
		return parse_packed(d, field, at, f->end);
	if (!parse_scalar(d, field->kind, wire, f->end, &v))
		return phx_proto_fail(d, -EPROTO, "truncated scalar");
	if (field->shape == PHX_SHAPE_SCALAR) {
		proto_bits_store(proto_scratch(d, at), field->width, v);
		return 0;
	}
	v = (uint64_t)parse_element(d);
	return v ? (int)v : parse_run(d, proto_scratch_slot(d, at), start, d->pos, true, 1);
}

static int parse_field(struct phx_proto_decode *d, struct phx_work *work)
{
	struct phx_proto_frame *f = &d->frames[d->depth - 1];
	const struct phx_field *field = NULL;
	const struct phx_message *m = phx_schema_message(d->schema, f->message);
	uint32_t start = d->pos, number, wire;
	uint64_t tag;
	int rc;

	if (!proto_varint_get(d->in, &d->pos, f->end, &tag) || tag > UINT32_MAX)
		return phx_proto_fail(d, -EPROTO, "bad tag");
	number = (uint32_t)tag >> 3;
	wire = tag & 7;
	if (number == 0 || number > PROTO_FIELD_MAX)
		return phx_proto_fail(d, -EPROTO, "bad field number");
	if (wire == PROTO_GROUP_END) {
		if (f->pos != number)
			return phx_proto_fail(d, -EPROTO, "group ends that did not start");
		d->depth--;
		return 0;
	}
	if (f->pos == 0)
		field = parse_find(m, f, number);
	if (field && wire != (uint32_t)proto_kind_wire(field->kind) &&
		!(field->shape == PHX_SHAPE_SCALAR_LIST && wire == PROTO_LEN))
		field = NULL;
	rc = field ? parse_known(d, f, m, field, wire, start, work)
		   : parse_skip(d, number, wire, f->end);
	work->bytes -= d->pos - start;
	work->elements--;
	return rc;
}

// A message ends: 1 when it was the root.
static int parse_end(struct phx_proto_decode *d, struct phx_work *work)
{
	if (d->frames[d->depth - 1].pos != 0)
		return phx_proto_fail(d, -EPROTO, "group does not end");
	d->depth--;
	work->elements--;
	return d->depth == 0;
}

static int parse_text(struct phx_proto_decode *d, struct phx_work *work)
{
	uint32_t n = phx_min(d->leaf_end - d->leaf_pos, (uint32_t)PHX_LIMIT_WORK_BYTES);

	if (!phx_utf8_feed(&d->text, d->in + d->leaf_pos, n))
		return phx_proto_fail(d, -EILSEQ, "string is not UTF-8");
	d->leaf_pos += n;
	work->bytes -= n;
	if (d->leaf_pos < d->leaf_end)
		return 0;
	if (d->text != 0)
		return phx_proto_fail(d, -EILSEQ, "string is not UTF-8");
	d->busy = PARSE_FIELDS;
	return 0;
}

static int parse_packed_count(struct phx_proto_decode *d, struct phx_work *work)
{
	uint32_t n = phx_min(d->leaf_end - d->leaf_pos, (uint32_t)PHX_LIMIT_WORK_BYTES);
	uint32_t count = 0, length = d->text; // bytes of the varint so far

	for (uint32_t i = 0; i < n; i++) {
		if (++length > PROTO_VARINT_MAX)
			return phx_proto_fail(d, -EPROTO, "varint longer than 10 bytes");
		if (d->in[d->leaf_pos + i] < 0x80) {
			count++;
			length = 0;
		}
	}
	d->text = length;
	d->leaf_pos += n;
	work->bytes -= n;
	proto_scratch_slot(d, d->leaf_slot)->count += count;
	if (d->leaf_pos < d->leaf_end)
		return 0;
	if (length >= PROTO_VARINT_MAX)
		return phx_proto_fail(d, -EPROTO, "varint longer than 10 bytes");
	d->busy = PARSE_FIELDS;
	return 0;
}

int phx_proto_parse(struct phx_proto_decode *d, struct phx_work *work)
{
	int rc = 0;

	if (d->depth == 0) {
		uint32_t inst;

		rc = parse_instance(d, d->message, &inst, work);
		if (!rc)
			rc = parse_push(d, d->message, inst, d->in_len, 0);
	}
	while (rc == 0 && work->bytes > 0 && work->elements > 0) {
		switch ((enum parse_busy)d->busy) {
		case PARSE_FIELDS:
			rc = d->pos == d->frames[d->depth - 1].end ? parse_end(d, work)
								   : parse_field(d, work);
			break;
		case PARSE_TEXT:
			rc = parse_text(d, work);
			break;
		case PARSE_PACKED:
			rc = parse_packed_count(d, work);
			break;
		}
	}
	return rc;
}
