// SPDX-License-Identifier: BSD-3-Clause
// Protobuf's wire format (protobuf.dev/programming-guides/encoding): varints, tags, and
// scalars between their wire and image forms. Private to proto_*.c.
#pragma once

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/schema/table.h"

enum proto_wire {
	PROTO_VARINT,
	PROTO_I64,
	PROTO_LEN,
	PROTO_GROUP,
	PROTO_GROUP_END,
	PROTO_I32,
};

#define PROTO_VARINT_MAX 10

// Reads a varint at *pos < end; bits beyond 64 are dropped as protobuf does. False: it
// does not end before end or within 10 bytes.
static inline bool proto_varint_get(const uint8_t *in, uint32_t *pos, uint32_t end, uint64_t *out)
{
	uint64_t v = 0;
	uint32_t at = *pos;

	for (unsigned shift = 0; shift < 7 * PROTO_VARINT_MAX && at < end; shift += 7) {
		uint8_t b = in[at++];

		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80) {
			*pos = at;
			*out = v;
			return true;
		}
	}
	return false;
}

static inline unsigned proto_varint_size(uint64_t v)
{
	return (phx_log2(v | 1) * 9 + 73) / 64;
}

static inline uint8_t *proto_varint_put(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}

static inline enum proto_wire proto_kind_wire(uint8_t kind)
{
	switch (kind) {
	case PHX_KIND_DOUBLE:
	case PHX_KIND_FIXED64:
	case PHX_KIND_SFIXED64:
		return PROTO_I64;
	case PHX_KIND_FLOAT:
	case PHX_KIND_FIXED32:
	case PHX_KIND_SFIXED32:
		return PROTO_I32;
	case PHX_KIND_STRING:
	case PHX_KIND_BYTES:
	case PHX_KIND_MESSAGE:
		return PROTO_LEN;
	default:
		return PROTO_VARINT;
	}
}

// A varint as it stands on the wire -> the bits of the image.
static inline uint64_t proto_varint_decode(uint8_t kind, uint64_t v)
{
	switch (kind) {
	case PHX_KIND_BOOL:
		return v != 0;
	case PHX_KIND_SINT32:
		v = (uint32_t)v;
		return (uint32_t)(v >> 1) ^ (0u - (uint32_t)(v & 1));
	case PHX_KIND_SINT64:
		return (v >> 1) ^ (UINT64_C(0) - (v & 1));
	default:
		return v;
	}
}

// The bits of the image -> the varint on the wire; negative int32 and enums take 10 bytes.
static inline uint64_t proto_varint_encode(uint8_t kind, uint64_t v)
{
	switch (kind) {
	case PHX_KIND_BOOL:
		return (v & 0xff) != 0;
	case PHX_KIND_INT32:
	case PHX_KIND_ENUM:
		return (uint64_t)(int64_t)(int32_t)(uint32_t)v;
	case PHX_KIND_SINT32:
		return (uint32_t)(((uint32_t)v << 1) ^ (0u - ((uint32_t)v >> 31)));
	case PHX_KIND_SINT64:
		return (v << 1) ^ (UINT64_C(0) - (v >> 63));
	default:
		return v;
	}
}

// One scalar of the image, width 8, 4 or 1. The address is aligned to the width.
static inline uint64_t proto_bits_load(const uint8_t *p, uint8_t width)
{
	return width == 8 ? phx_le64_load(p) : width == 4 ? phx_le32_load(p) : *p;
}

static inline void proto_bits_store(uint8_t *p, uint8_t width, uint64_t v)
{
	if (width == 8)
		phx_le64_store(p, v);
	else if (width == 4)
		phx_le32_store(p, (uint32_t)v);
	else
		*p = (uint8_t)v;
}
