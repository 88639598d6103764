// SPDX-License-Identifier: BSD-3-Clause
// Protobuf in and out of the plug-in through lib/schema: one-shot decode to an image, a
// reader of images by field number, and encode. Single thread.
#pragma once

#include "lib/protoc/text.h"
#include "lib/schema/schema.h"

// A message inside an image that lives in the arena.
struct node {
	const struct phx_schema *schema;
	const struct phx_message *type;
	const uint8_t *base; // NULL: absent
};

// Decode protobuf bytes. NULL, or what is wrong (static).
const char *codec_decode(struct arena *arena, const struct phx_schema *schema, uint32_t message,
	const void *data, size_t size, struct node *out);

// Encode a canonical image onto `out`. NULL, or what is wrong (static).
const char *codec_encode(const struct phx_schema *schema, uint32_t message, const void *image,
	size_t size, struct text *out);

// Fields of a node by number; the schema has them with the kind that is asked for. Strings are
// copied into the arena; NULL when memory runs out.
const char *node_string(struct arena *arena, struct node n, uint32_t number);
const char *node_string_at(struct arena *arena, struct node n, uint32_t number, uint32_t i);
uint32_t node_number(struct node n, uint32_t number); // 32-bit kinds and bool
bool node_has(struct node n, uint32_t number);	      // presence bit
struct node node_message(struct node n, uint32_t number);
uint32_t node_count(struct node n, uint32_t number);
struct node node_at(struct node n, uint32_t number, uint32_t i);
