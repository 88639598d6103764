// SPDX-License-Identifier: BSD-3-Clause
// What the two passes of the protobuf decoder share: scratch memory made of pool blocks,
// addressed by 32-bit offsets. Private to proto_*.c.
//
// Parsing leaves a tree there. A message is its fixed part as in the image, except that
// the 8 bytes of a reference hold {uint32 at, uint32 count}: string or bytes: input position
// and length; message: scratch offset and 1; lists: offset of a struct proto_list and number
// of elements. 8 bytes before a fixed part stands the offset of the next one of its list. No
// aligned word straddles two blocks, but a fixed part may.
#pragma once

#include "lib/schema/proto.h"
#include "lib/schema/proto_wire.h"

enum proto_phase {
	PROTO_PARSE,
	PROTO_COUNT,
	PROTO_FILL,
	PROTO_DONE,
	PROTO_FAILED,
};

// A list: its first and last member (runs of scalars and leaves, or messages).
struct proto_list {
	uint32_t first;
	uint32_t last;
};

// Input bytes with elements of a list: the content of a packed field, or neighbouring
// fields with their tags.
struct proto_run {
	uint32_t next;
	uint32_t pos;
	uint32_t end;
	uint32_t tagged;
};

struct proto_slot {
	uint32_t at;
	uint32_t count;
};

// Address of scratch offset `at`; only the aligned word there may be touched.
static inline uint8_t *proto_scratch(const struct phx_proto_decode *d, uint32_t at)
{
	if (at < PHX_BLOCK_SMALL)
		return d->small + at;
	at -= PHX_BLOCK_SMALL;
	return d->blocks[at / PHX_BLOCK_LARGE] + at % PHX_BLOCK_LARGE;
}

// Bytes from `at` to the end of its block.
static inline uint32_t proto_scratch_room(uint32_t at)
{
	return at < PHX_BLOCK_SMALL ? PHX_BLOCK_SMALL - at
				    : PHX_BLOCK_LARGE - (at - PHX_BLOCK_SMALL) % PHX_BLOCK_LARGE;
}

static inline struct proto_slot *proto_scratch_slot(const struct phx_proto_decode *d, uint32_t at)
{
	return (struct proto_slot *)(void *)proto_scratch(d, at);
}

// Zeroed scratch of a multiple of 8 bytes. -ENOMEM or -E2BIG with d->error set.
int phx_proto_scratch_alloc(struct phx_proto_decode *d, uint32_t size, uint32_t *out_at);

int phx_proto_fail(struct phx_proto_decode *d, int error, const char *text);

// The passes: 1 done, 0 again, negative.
int phx_proto_parse(struct phx_proto_decode *d, struct phx_work *work);
int phx_proto_build(struct phx_proto_decode *d, struct phx_work *work);
// Begin a pass of phx_proto_build; dst NULL counts.
void phx_proto_build_start(struct phx_proto_decode *d, uint8_t *dst);
