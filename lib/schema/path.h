// SPDX-License-Identifier: BSD-3-Clause
// Field paths ("customer.name", "items.price"): compiled against a schema, bound to field
// numbers and types, read from images and rewritten there. Works with schema.h, image.h and
// pack.h (inspect masks). Compiled paths are immutable; images belong to one worker.
#pragma once

#include "lib/schema/pack.h"

#define PHX_PATH_STEPS 16

struct phx_path_step {
	uint32_t number;
	uint32_t offset;
	uint32_t index; // phx_field.index
	uint32_t size;	// fixed part of the nested type, or bytes of one scalar
	uint16_t bit;
	uint32_t bit_word; // byte offset of the presence or case word
	uint8_t kind;
	uint8_t flags;
	uint8_t shape;
	uint8_t width;
};

struct phx_path {
	uint32_t step_count;
	uint32_t root_size;
	bool repeated; // some step is a list: more than one value is possible
	struct phx_path_step steps[PHX_PATH_STEPS];
};

struct phx_path_value {
	uint8_t kind;	  // enum phx_kind of the last step
	uint64_t bits;	  // scalars: raw little-endian bits, int32 and enum sign-extended
	const void *data; // string and bytes: contiguous bytes, NULL when they span blocks
	uint32_t len;	  // of string and bytes
	uint64_t pos;	  // canonical position of the bytes: phx_image_read() when data is NULL
};

// Compile a path: field names joined by dots, starting at message. A list step means any
// of its elements; map entries have key and value. 0; -EINVAL: empty, malformed or more
// than PHX_PATH_STEPS; -ENOENT: no such field; -ENOTDIR: a step through a scalar. Any thread.
int phx_path_compile(
	const struct phx_schema *schema, uint32_t message, const char *text, struct phx_path *out);

// Bind a compiled path to another schema by number: same numbers, kinds and labels at every
// step. 0 and *out with the other's offsets; -ENOENT: a field is missing there; -EPROTO: a
// type differs. Any thread.
int phx_path_rebind(const struct phx_path *path, const struct phx_schema *other, uint32_t message,
	struct phx_path *out);

// 0 when the path could be rebound to other, else the error of phx_path_rebind().
int phx_path_compatible(
	const struct phx_path *path, const struct phx_schema *other, uint32_t message);

// Called for each value; non-zero stops the iteration.
typedef int (*phx_path_fn)(void *arg, const struct phx_path_value *value);

// Visit the values of a path in a canonical or rewritten image. Fields that are absent (no
// presence bit, other oneof case, null message) are skipped; fields without presence are
// always there. At most budget elements are looked at. Returns 0, or what fn returned;
// -ENODATA: a leaf is a hole (its field was not in the inspect mask); -E2BIG: budget.
int phx_path_each(const struct phx_path *path, const struct phx_image *image, uint32_t budget,
	phx_path_fn fn, void *arg);

// First value of a path. 1 = found, 0 = absent; errors of phx_path_each(). *out is valid
// until the image is changed or released.
int phx_path_get(
	const struct phx_path *path, const struct phx_image *image, struct phx_path_value *out);

// An empty mask for the fields of a schema, NULL when out of memory; free with
// phx_inspect_free (NULL is legal). Control thread.
struct phx_inspect *phx_inspect_create(const struct phx_schema *schema);
void phx_inspect_free(struct phx_inspect *inspect);
// Mark what a path (compiled or rebound for this schema) reads.
void phx_inspect_add(struct phx_inspect *inspect, const struct phx_path *path);

// Rewrite the value of a path without lists. The field becomes present where it has a
// presence bit. A string is appended to the image and must be UTF-8 unless the kind is bytes;
// the image is dirty until phx_image_canonicalise(). A borrowed image is copied first.
// 0; -ENOTSUP: a list in the path; -ENOENT: a message on the way is null or the oneof selects
// another member; -EINVAL: wrong kind, bool not 0 or 1, 32-bit value out of range; -EILSEQ;
// -E2BIG: image over PHX_LIMIT_MESSAGE_BYTES_MAX; -ENOMEM. The image is unchanged on failure,
// except that it may be owned already. Worker.
int phx_image_set_scalar(struct phx_image *image, const struct phx_path *path, uint64_t bits,
	struct phx_block_pool *pool);
int phx_image_set_string(struct phx_image *image, const struct phx_path *path, const void *data,
	uint32_t len, struct phx_block_pool *pool);

// Pack a rewritten image again into *out (canonical, holes taken over) in one go; for
// the resumable form see phx_pack_start_image(). image stays as it is. 0; the errors of
// phx_pack_run().
int phx_image_canonicalise(const struct phx_image *image, const struct phx_schema *schema,
	uint32_t message, struct phx_block_pool *pool, struct phx_image *out);
