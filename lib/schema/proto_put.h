// SPDX-License-Identifier: BSD-3-Clause
// What the walk of the protobuf encoder (proto_encode.c) and its output of leaves and lists
// (proto_leaf.c) share. Private to them.
#pragma once

#include "lib/schema/proto.h"
#include "lib/schema/proto_wire.h"

#include <string.h>

enum encode_phase {
	ENCODE_SIZE,
	ENCODE_FILL,
	ENCODE_DONE,
};

enum encode_busy {
	ENCODE_WALK,
	ENCODE_BYTES,	// leaf_pos..leaf_end of the leaf as they are
	ENCODE_VARINTS, // scalars of the leaf, leaf_pos in bytes
	ENCODE_LEAVES,	// array of references
};

#define ENCODE_SIZE_MAX	   UINT64_C(0x7fffffff)
#define ENCODE_SIZES_BLOCK ((PHX_BLOCK_LARGE - sizeof(void *)) / sizeof(uint32_t))
#define ENCODE_STEP_MAX	   (sizeof(((struct phx_proto_encode *)0)->stage))

// Sets the error and ends the encode; returns error.
int phx_proto_encode_fail(struct phx_proto_encode *e, int error, const char *text);

// The place of the next remembered size: to be written, or to be read when filling.
int phx_proto_encode_slot(struct phx_proto_encode *e, uint32_t **out_slot);

// Take the part of `size` bytes that a reference at ref_pos announces: it must be at the
// cursor. Sets the leaf to it. hole_ok: it may be a hole.
int phx_proto_encode_part(
	struct phx_proto_encode *e, uint64_t ref_pos, uint32_t off, uint64_t size, bool hole_ok);

// proto_leaf.c: begin the leaf or list at hand, and steps of the states of enum encode_busy.
int phx_proto_encode_leaf_start(struct phx_proto_encode *e, const struct phx_field *field);
int phx_proto_encode_list_start(
	struct phx_proto_encode *e, const struct phx_field *field, uint32_t count);
int phx_proto_encode_bytes(
	struct phx_proto_encode *e, enum encode_busy then, struct phx_work *work);
int phx_proto_encode_varints(struct phx_proto_encode *e, struct phx_work *work);
int phx_proto_encode_leaves(struct phx_proto_encode *e, struct phx_work *work);

static inline const uint8_t *encode_skel(const struct phx_proto_encode *e, uint64_t at)
{
	const struct phx_image *img = e->image;

	if (img->block_count > 1)
		return img->blocks[at / PHX_BLOCK_LARGE] + at % PHX_BLOCK_LARGE;
	return img->block0 + at;
}

// Bytes from skeleton offset `at` that stand together.
static inline uint64_t encode_skel_room(const struct phx_proto_encode *e, uint64_t at)
{
	return e->image->block_count > 1 ? PHX_BLOCK_LARGE - at % PHX_BLOCK_LARGE
					 : e->image->skeleton_len - at;
}

// Address of byte `at` of the leaf at hand and how many bytes follow it there.
static inline const uint8_t *encode_leaf(
	const struct phx_proto_encode *e, uint32_t at, uint32_t *room)
{
	uint32_t left = e->leaf_end - at;
	uint64_t there;

	if (e->leaf) {
		*room = left;
		return e->leaf + at;
	}
	there = encode_skel_room(e, e->leaf_skel + at);
	*room = there < left ? (uint32_t)there : left;
	return encode_skel(e, e->leaf_skel + at);
}

// Room for one step's tag, length or scalar: in the caller's buffer, or staged.
static inline uint8_t *encode_begin(struct phx_proto_encode *e)
{
	return e->out_cap - e->out_len >= ENCODE_STEP_MAX ? e->out + e->out_len : e->stage;
}

static inline void encode_commit(struct phx_proto_encode *e, uint8_t *from, const uint8_t *end)
{
	uint32_t n = (uint32_t)(end - from);

	e->done += n;
	if (from != e->stage) {
		e->out_len += n;
	} else {
		e->stage_len = n;
		e->stage_pos = 0;
	}
}

static inline uint32_t encode_tag(const struct phx_field *field, enum proto_wire wire)
{
	return field->number << 3 | wire;
}

// A tag and a length.
static inline int encode_head(
	struct phx_proto_encode *e, const struct phx_field *field, uint64_t len)
{
	struct phx_proto_out_frame *f = &e->frames[e->depth - 1];
	uint32_t tag = encode_tag(field, PROTO_LEN);

	if (e->phase == ENCODE_SIZE) {
		f->acc += proto_varint_size(tag) + proto_varint_size(len);
	} else {
		uint8_t *o = encode_begin(e);

		encode_commit(e, o, proto_varint_put(proto_varint_put(o, tag), len));
	}
	return 0;
}

static inline uint8_t *encode_scalar_put(uint8_t *o, const struct phx_field *field, uint64_t bits)
{
	enum proto_wire wire = proto_kind_wire(field->kind);

	if (wire == PROTO_VARINT)
		return proto_varint_put(o, proto_varint_encode(field->kind, bits));
	proto_bits_store(o, field->width, bits);
	return o + field->width;
}

static inline unsigned encode_scalar_size(const struct phx_field *field, uint64_t bits)
{
	if (proto_kind_wire(field->kind) == PROTO_VARINT)
		return proto_varint_size(proto_varint_encode(field->kind, bits));
	return field->width;
}
