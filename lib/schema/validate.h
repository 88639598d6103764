// SPDX-License-Identifier: BSD-3-Clause
// Resumable check that contiguous bytes are the canonical image of a message: one compare
// per reference (position + offset == cursor), end == size, bools, zero padding, UTF-8,
// presence, oneofs, nesting and element limits. The bytes are private or written by the
// dataplane only. Works with schema.h. One owner; nothing here locks.
#pragma once

#include "lib/schema/image.h"
#include "lib/schema/schema.h"

struct phx_validate_limits {
	uint32_t max_elements; // parts and list elements (packed scalars count as one part)
};

struct phx_validate_frame {
	uint32_t pos; // of element 0
	uint32_t count;
	uint32_t i;
	uint16_t message;
	uint16_t ref;
	bool leaves;
	bool text;
	bool entered;
};

// State of one check; fields are private except error. Only as many frames as the
// message nests are touched.
struct phx_validate {
	const char *error; // static text after a negative result, else NULL
	const struct phx_schema *schema;
	const uint8_t *base;
	uint32_t size;
	uint32_t cursor; // end of the parts seen
	uint32_t elements;
	uint32_t max_elements;
	uint32_t part_pos;
	uint32_t part_left; // bytes of the current leaf still to check
	uint8_t part_check;
	uint8_t state;
	uint16_t depth;
	uint32_t text; // state of phx_utf8_feed()
	struct phx_validate_frame frames[PHX_LIMIT_NESTING_MAX + 1];
};

// Begin to check [base, base + size); base is 8-byte aligned. schema and bytes outlive
// the check.
void phx_validate_start(struct phx_validate *v, const struct phx_schema *schema, uint32_t message,
	const void *base, uint32_t size, const struct phx_validate_limits *lim);

// Go on until done or work is used up (either count <= 0). 1 = canonical, 0 = call again.
// -EPROTO: not canonical; -EILSEQ: a string is not UTF-8; -E2BIG: element limit; v->error
// says what.
int phx_validate_run(struct phx_validate *v, struct phx_work *work);
