// SPDX-License-Identifier: BSD-3-Clause
// Standard protobuf bytes from images and canonical images from protobuf bytes, walking the
// same tables as pack. Everything is resumable and works on explicit stacks. Works with
// schema.h and image.h. One owner (a worker) per state; nothing here locks.
//
// Encoding is deterministic: fields in number order, map entries in image order with both
// key and value (unless that is a null message). Decoding follows proto3: any field order, packed
// and unpacked lists, the last scalar wins, singular messages merge, the last member of a oneof
// wins, unknown fields and groups are skipped, a field with another wire type counts as unknown.
// Map entries with equal keys are all kept in order (the last one counts); a missing key or value
// is the default, for messages the null reference.
#pragma once

#include "lib/schema/image.h"
#include "lib/schema/schema.h"

struct phx_proto_limits {
	uint64_t max_bytes;    // of the canonical image, at most PHX_LIMIT_MESSAGE_BYTES_MAX
	uint32_t max_elements; // parts and list elements (a packed run counts as one)
};

#define PHX_PROTO_DEPTH	 PHX_LIMIT_NESTING_MAX
#define PHX_PROTO_BLOCKS 8
#define PHX_PROTO_SIZES	 32

// An open message or skipped group while parsing, or list of messages while filling. Private.
struct phx_proto_frame {
	uint32_t end;  // parse: input position behind it
	uint32_t inst; // scratch offset of its fixed part
	uint32_t pos;  // fill: image position of its fixed part; parse: number of a group
	uint32_t left; // fill: elements left, this one included; parse: hint for the next field
	uint16_t message;
	uint16_t ref; // fill: next reference
};

// State of one decode; private except error. Only as many frames as the message nests and the
// head are touched.
struct phx_proto_decode {
	const char *error; // static text after a negative result, else NULL
	const struct phx_schema *schema;
	struct phx_block_pool *pool;
	const uint8_t *in;
	uint64_t max_bytes;
	uint64_t cursor;  // fill: image position behind the parts so far
	uint64_t size;	  // exact size of the image, once known
	uint8_t *dst;	  // NULL while counting
	uint8_t *small;	  // first scratch block
	uint8_t **blocks; // further scratch blocks: few, or a pool block
	uint8_t *few[PHX_PROTO_BLOCKS];
	uint32_t block_count;
	uint32_t used; // scratch bytes
	uint32_t in_len;
	uint32_t message;
	uint32_t max_elements;
	uint32_t elements;
	uint32_t pos;	   // parse: input position
	uint32_t text;	   // UTF-8 state of the string being checked
	uint32_t leaf_pos; // what the current leaf, run or list is at, by state
	uint32_t leaf_end;
	uint32_t leaf_run;
	uint32_t leaf_slot;
	uint64_t leaf_out;
	uint64_t leaf_copy;
	uint16_t depth;
	uint8_t phase;
	uint8_t busy;
	uint8_t kind;
	uint8_t width;
	struct phx_proto_frame frames[PHX_PROTO_DEPTH];
};

// Begin to decode in_len (at most 1 GiB) bytes at in as a message of this type. The bytes must not
// change until the end (private memory, or memory that only the dataplane writes). schema,
// in and pool outlive the decode; *lim is copied. Touches no pool block yet.
void phx_proto_decode_start(struct phx_proto_decode *d, const struct phx_schema *schema,
	uint32_t message, const void *in, uint32_t in_len, struct phx_block_pool *pool,
	const struct phx_proto_limits *lim);

// First pass: check everything and compute the size of the image. 1 = done, *out_size set;
// 0 = work used up, call again; -EPROTO malformed; -EILSEQ a string is not UTF-8;
// -E2BIG over a limit or nesting; -ENOMEM the pool. After an error only finish is legal.
int phx_proto_decode_size(struct phx_proto_decode *d, struct phx_work *work, uint64_t *out_size);

// Second pass: write the canonical image into dst, which is 8-byte aligned, of exactly that
// size and the same in all calls. 1 = done, 0 = call again; -EPROTO: the input changed.
int phx_proto_decode_fill(struct phx_proto_decode *d, void *dst, struct phx_work *work);

// Give the pool blocks back: after the end, an error, or in between to give up.
void phx_proto_decode_finish(struct phx_proto_decode *d);

// An open message of an encode. Private.
struct phx_proto_out_frame {
	uint64_t skel;	// skeleton offset of the fixed part
	uint64_t acc;	// size: bytes of the content so far; fill: where the content must end
	uint32_t *slot; // size: where the content's size goes
	uint32_t pos;	// image position of the fixed part
	uint32_t left;	// elements left, this one included
	uint16_t message;
	uint16_t field;	 // next field
	uint16_t parent; // field of the parent that this is
	bool open;	 // the element's tag and length are out
};

// State of one encode; private except error.
struct phx_proto_encode {
	const char *error; // static text after a negative result, else NULL
	const struct phx_schema *schema;
	const struct phx_image *image;
	const struct phx_source *source;
	struct phx_block_pool *pool;
	uint64_t cursor;     // image position behind the parts seen
	uint64_t hole_bytes; // of the holes before it
	uint64_t size;	     // of the protobuf bytes, once known
	uint64_t done;	     // bytes put out
	uint8_t *out;
	size_t out_len;
	size_t out_cap;
	uint32_t *sizes_next; // the next free (size) or unread (fill) remembered size
	uint32_t *sizes_end;
	void *sizes_block; // first and current pool block of sizes
	void *sizes_at;
	const uint8_t *leaf; // the leaf or list at hand: in a hole, else NULL
	uint64_t leaf_skel;
	uint32_t leaf_pos;
	uint32_t leaf_end;
	uint32_t *leaf_slot;
	uint64_t leaf_acc;
	uint64_t array; // skeleton offset of an array of references
	uint32_t array_pos;
	uint32_t array_left;
	uint32_t message;
	uint32_t hole;
	uint32_t text;
	uint32_t stage_len;
	uint32_t stage_pos;
	uint16_t depth;
	uint8_t phase;
	uint8_t busy;
	bool check;
	const struct phx_field *field;
	uint8_t stage[32];
	uint32_t sizes[PHX_PROTO_SIZES];
	struct phx_proto_out_frame frames[PHX_PROTO_DEPTH];
};

// Begin to encode a canonical image (not dirty). source is where its holes are, NULL
// when it has none. All pointers outlive the encode.
void phx_proto_encode_start(struct phx_proto_encode *e, const struct phx_schema *schema,
	uint32_t message, const struct phx_image *image, const struct phx_source *source,
	struct phx_block_pool *pool);

// First pass: the exact size of the protobuf bytes. 1 = done, 0 = call again; -EPROTO: not a
// canonical image of that type; -E2BIG: nesting, or more than 2 GiB; -ENOMEM: the pool.
int phx_proto_encode_size(struct phx_proto_encode *e, struct phx_work *work, uint64_t *out_size);

// Second pass: put the next bytes into [dst, dst + cap). *out_len: how many (in all cases). 1 = the
// last byte is out; 0 = work or room is used up, call again with more; -EPROTO: a hole
// changed so that the size no longer fits; -EILSEQ: a string in a hole is not UTF-8.
int phx_proto_encode_fill(
	struct phx_proto_encode *e, void *dst, size_t cap, size_t *out_len, struct phx_work *work);

// Give the pool blocks back: after the end, an error, or in between to give up.
void phx_proto_encode_finish(struct phx_proto_encode *e);
