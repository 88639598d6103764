// SPDX-License-Identifier: BSD-3-Clause
// Output of the protobuf encoder's leaves and lists, in pieces: bytes as they are, scalars one
// by one, arrays of references. Works with proto_encode.c, which walks the messages.
#include "lib/schema/proto_put.h"
#include "lib/schema/utf8.h"

#include <errno.h>

int phx_proto_encode_leaf_start(struct phx_proto_encode *e, const struct phx_field *field)
{
	int rc = encode_head(e, field, e->leaf_end);

	if (e->phase == ENCODE_SIZE)
		e->frames[e->depth - 1].acc += e->leaf_end;
	else if (e->leaf_end > 0 && e->busy == ENCODE_WALK)
		e->busy = ENCODE_BYTES;
	return rc;
}

int phx_proto_encode_list_start(
	struct phx_proto_encode *e, const struct phx_field *field, uint32_t count)
{
	struct phx_proto_out_frame *f = &e->frames[e->depth - 1];
	bool varint = proto_kind_wire(field->kind) == PROTO_VARINT;
	bool packed = field->flags & PHX_FIELD_PACKED;

	if (packed && !varint)
		return phx_proto_encode_leaf_start(e, field);
	if (!packed && !varint && e->phase == ENCODE_SIZE) {
		f->acc += (uint64_t)count *
			  (proto_varint_size(encode_tag(field, PROTO_I64)) + field->width);
		return 0;
	}
	e->busy = ENCODE_VARINTS;
	e->leaf_slot = NULL;
	e->leaf_acc = 0;
	if (packed) {
		int rc = phx_proto_encode_slot(e, &e->leaf_slot);

		if (rc)
			return rc;
		if (e->phase == ENCODE_FILL) {
			rc = encode_head(e, field, *e->leaf_slot);
			e->leaf_acc = e->done + *e->leaf_slot;
			return rc;
		}
	}
	return 0;
}

// Put bytes of the leaf out. When it is through, busy goes back to `then`.
int phx_proto_encode_bytes(struct phx_proto_encode *e, enum encode_busy then, struct phx_work *work)
{
	size_t out = e->out_cap - e->out_len;
	uint32_t n;
	const uint8_t *from = encode_leaf(e, e->leaf_pos, &n);

	if (e->done + (e->leaf_end - e->leaf_pos) > e->size)
		return phx_proto_encode_fail(e, -EPROTO, "a leaf in place changed");
	n = phx_min(n, (uint32_t)PHX_LIMIT_WORK_BYTES);
	if (n > out)
		n = (uint32_t)out;
	memcpy(e->out + e->out_len, from, n);
	if (e->check && !phx_utf8_feed(&e->text, e->out + e->out_len, n))
		return phx_proto_encode_fail(e, -EILSEQ, "string in place is not UTF-8");
	e->out_len += n;
	e->done += n;
	e->leaf_pos += n;
	work->bytes -= n;
	if (e->leaf_pos < e->leaf_end)
		return 0;
	if (e->check && e->text != 0)
		return phx_proto_encode_fail(e, -EILSEQ, "string in place is not UTF-8");
	e->busy = then;
	return 0;
}

static int encode_varints_end(struct phx_proto_encode *e)
{
	e->busy = ENCODE_WALK;
	if (e->phase == ENCODE_SIZE) {
		if (e->leaf_slot) {
			int rc = encode_head(e, e->field, e->leaf_acc);

			*e->leaf_slot = (uint32_t)e->leaf_acc;
			if (rc)
				return rc;
		}
		e->frames[e->depth - 1].acc += e->leaf_acc;
	} else if (e->leaf_slot && e->done != e->leaf_acc) {
		return phx_proto_encode_fail(e, -EPROTO, "a leaf in place changed");
	}
	return 0;
}

// Scalars of a list, some at a time: with tags, or without when it is packed.
int phx_proto_encode_varints(struct phx_proto_encode *e, struct phx_work *work)
{
	const struct phx_field *field = e->field;
	uint32_t tag = encode_tag(field, proto_kind_wire(field->kind)), width = field->width, room;
	unsigned tag_size = e->leaf_slot ? 0 : proto_varint_size(tag);
	const uint8_t *p = encode_leaf(e, e->leaf_pos, &room);
	uint32_t count = phx_min(room / width, (uint32_t)PHX_LIMIT_WORK_ELEMENTS);

	for (uint32_t i = 0; i < count; i++, p += width) {
		uint64_t bits = proto_bits_load(p, field->width);

		if (e->phase == ENCODE_SIZE) {
			e->leaf_acc += tag_size + encode_scalar_size(field, bits);
		} else {
			uint8_t *o = encode_begin(e), *end = o;

			if (tag_size)
				end = proto_varint_put(end, tag);
			end = encode_scalar_put(end, field, bits);
			if (e->done + (uint64_t)(end - o) > e->size)
				return phx_proto_encode_fail(e, -EPROTO, "a leaf in place changed");
			encode_commit(e, o, end);
		}
		e->leaf_pos += width;
		work->bytes -= width;
		if (e->stage_pos < e->stage_len)
			break;
	}
	work->elements--;
	return e->leaf_pos == e->leaf_end ? encode_varints_end(e) : 0;
}

// The next element of a list of strings or bytes.
int phx_proto_encode_leaves(struct phx_proto_encode *e, struct phx_work *work)
{
	const uint8_t *ref;
	uint32_t off, count;
	int rc = 0;

	if (e->leaf_pos < e->leaf_end && e->phase == ENCODE_FILL)
		return phx_proto_encode_bytes(e, ENCODE_LEAVES, work);
	if (e->array_left == 0) {
		e->busy = ENCODE_WALK;
		return 0;
	}
	ref = encode_skel(e, e->array);
	off = phx_le32_load(ref);
	count = phx_le32_load(ref + 4);
	e->leaf_pos = e->leaf_end = 0;
	if (count > 0)
		rc = phx_proto_encode_part(e, e->array_pos, off, count, true);
	e->array += 8;
	e->array_pos += 8;
	e->array_left--;
	work->elements--;
	return rc ? rc : phx_proto_encode_leaf_start(e, e->field);
}
