// SPDX-License-Identifier: BSD-3-Clause
// The codec in one-shot form for tests of generated code: table bytes in, image and protobuf
// bytes out. Does not show lib/schema's types, which share names with the public headers.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct phx_schema;

// Bind a generated table; aborts when it is refused.
struct phx_schema *pipeline_bind(const void *table, size_t size);
void pipeline_free(struct phx_schema *schema);
// Index of a message type.
uint32_t pipeline_message(const struct phx_schema *schema, const char *name);

// Steps of `step` work and windows; each returns malloc'ed bytes, or NULL with *out_rc.
// Message at root inside [heap, heap + size) -> canonical image.
uint8_t *pipeline_pack(const struct phx_schema *schema, uint32_t message, const void *heap,
	size_t size, const void *root, size_t *out_size, int *out_rc);
uint8_t *pipeline_decode(const struct phx_schema *schema, uint32_t message, const void *in,
	size_t len, int64_t step, size_t *out_size, int *out_rc, const char **out_error);
uint8_t *pipeline_encode(const struct phx_schema *schema, uint32_t message, void *image,
	size_t size, int64_t step, size_t window, size_t *out_size, int *out_rc);
// 1, or what phx_validate_run() says.
int pipeline_validate(
	const struct phx_schema *schema, uint32_t message, const void *image, size_t size);
