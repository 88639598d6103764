// SPDX-License-Identifier: BSD-3-Clause
// Copy and check a message from the sender's heap (hostile, changes under the reader) into
// a struct phx_image in canonical form, resumably. Each word of a fixed part or reference
// is loaded once into the private skeleton; the private copy is checked and used.
// Works with image.h and schema.h. One owner (a worker); nothing here locks.
#pragma once

#include "lib/schema/image.h"
#include "lib/schema/schema.h"

// Fields that policies read, by phx_field.index: such leaves are always copied.
struct phx_inspect {
	uint32_t count; // bits
	uint64_t bits[];
};

struct phx_pack_limits {
	uint64_t max_bytes;    // of the canonical image; at most PHX_LIMIT_MESSAGE_BYTES_MAX counts
	uint32_t max_elements; // parts and list elements (packed scalars count as one part)
	uint32_t leaf_copy_bytes;	   // longer leaves become holes
	const struct phx_inspect *inspect; // of the same schema, or NULL
};

// One open list of fixed parts or references. Private.
struct phx_pack_frame {
	uint32_t pos;  // canonical position of element 0
	uint32_t skel; // skeleton offset of element 0
	uint32_t src;  // source offset of element 0
	uint32_t count;
	uint32_t i; // current element
	uint16_t message;
	uint16_t ref; // message: next reference; list of leaves: the reference in the parent
	bool leaves;
	bool entered; // the checks of element i are done
};

#define PHX_PACK_EMBEDDED     8
#define PHX_PACK_CHUNK_FRAMES (PHX_BLOCK_SMALL / sizeof(struct phx_pack_frame))
#define PHX_PACK_CHUNKS                                                                            \
	((PHX_LIMIT_NESTING_MAX + 1 - PHX_PACK_EMBEDDED + PHX_PACK_CHUNK_FRAMES - 1) /             \
		PHX_PACK_CHUNK_FRAMES)

// State of one pack; fields are private except error and inspect. Only the head and as many frames
// as the message nests are touched.
struct phx_pack {
	const char *error; // static text after a negative result, else NULL
	const struct phx_schema *schema;
	const struct phx_source *source;
	const struct phx_image *from;  // set: repack of an image, the source is the image
	const struct phx_source *fill; // set: where holes that are inspected are copied from
	struct phx_block_pool *pool;
	struct phx_image *out;
	const struct phx_inspect *inspect; // the caller may replace it between two runs
	uint64_t max_bytes;
	uint32_t max_elements;
	uint32_t leaf_copy_bytes;
	uint32_t elements;
	uint32_t region;   // where the last reference was found
	uint32_t copy_src; // part being copied
	uint32_t copy_left;
	uint8_t copy_check; // what its bytes must be
	bool copy_fill;	    // it comes from fill
	uint8_t state;
	uint16_t depth; // open frames
	uint32_t chunk_count;
	uint32_t text;		      // state of phx_utf8_feed()
	struct phx_source own_source; // of phx_pack_start_private
	struct phx_source_region own_region;
	struct phx_pack_frame frames[PHX_PACK_EMBEDDED];
	struct phx_pack_frame *chunks[PHX_PACK_CHUNKS]; // deeper frames, small blocks
};

// Begin to pack the message of type message whose fixed part is at root_off of source.
// schema, source, pool and lim->inspect outlive the pack; *lim is copied. *out is
// overwritten; it is the caller's to release after success and empty after failure.
void phx_pack_start(struct phx_pack *pack, const struct phx_schema *schema, uint32_t message,
	const struct phx_source *source, uint64_t root_off, struct phx_block_pool *pool,
	const struct phx_pack_limits *lim, struct phx_image *out);

// The same for a message in private memory [base, base + size) with its fixed part at base
// (an inline message): everything is copied, no holes. base is 8-byte aligned and lives
// until the pack is done.
void phx_pack_start_private(struct phx_pack *pack, const struct phx_schema *schema,
	uint32_t message, const void *base, uint32_t size, struct phx_block_pool *pool,
	const struct phx_pack_limits *lim, struct phx_image *out);

// The same for an image that was rewritten: *out is canonical again, holes are taken over
// (they still point into the original source). Limits bound the result.
void phx_pack_start_image(struct phx_pack *pack, const struct phx_schema *schema, uint32_t message,
	const struct phx_image *from, struct phx_block_pool *pool,
	const struct phx_pack_limits *lim, struct phx_image *out);

// The same where more is inspected now: holes that lim->inspect names are copied from source, in
// which the image was packed first. The mask (pack->inspect) may be replaced between two runs.
void phx_pack_start_fill(struct phx_pack *pack, const struct phx_schema *schema, uint32_t message,
	const struct phx_image *from, const struct phx_source *source, struct phx_block_pool *pool,
	const struct phx_pack_limits *lim, struct phx_image *out);

// Go on until done or work is used up (either count <= 0). 1 = done, 0 = call again.
// -EPROTO: bad content, -E2BIG: a limit, -ENOMEM: the pool; pack->error says what. After 1
// or a negative result the pack holds nothing.
int phx_pack_run(struct phx_pack *pack, struct phx_work *work);

// Give up between two runs: frees what the pack holds, the image too.
void phx_pack_abort(struct phx_pack *pack);
