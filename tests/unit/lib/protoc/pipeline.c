// SPDX-License-Identifier: BSD-3-Clause
// One-shot pack, decode, encode and validate for the tests of this folder.
#include "tests/unit/lib/protoc/pipeline.h"

#include "lib/base/compiler.h"
#include "lib/schema/pack.h"
#include "lib/schema/proto.h"
#include "lib/schema/validate.h"

#include <stdio.h>
#include <stdlib.h>

static void *pool_get(struct phx_block_pool *pool PHX_UNUSED, size_t size)
{
	return malloc(size);
}

static void pool_put(struct phx_block_pool *pool PHX_UNUSED, void *block, size_t size PHX_UNUSED)
{
	free(block);
}

static struct phx_block_pool pool = {pool_get, pool_put};

struct phx_schema *pipeline_bind(const void *table, size_t size)
{
	const char *error = NULL;
	struct phx_schema *schema;

	if (phx_schema_bind(table, size, &schema, &error) != 0) {
		(void)fprintf(stderr, "table refused: %s\n", error ? error : "?");
		abort();
	}
	return schema;
}

void pipeline_free(struct phx_schema *schema)
{
	phx_schema_free(schema);
}

uint32_t pipeline_message(const struct phx_schema *schema, const char *name)
{
	int i = phx_schema_message_find(schema, name);

	if (i < 0)
		abort();
	return (uint32_t)i;
}

uint8_t *pipeline_pack(const struct phx_schema *schema, uint32_t message, const void *heap,
	size_t size, const void *root, size_t *out_size, int *out_rc)
{
	const struct phx_source_region region = {0, size};
	const struct phx_source source = {heap, &region, 1};
	const struct phx_pack_limits lim = {PHX_LIMIT_MESSAGE_BYTES_MAX,
		PHX_LIMIT_MESSAGE_ELEMENTS_MAX, PHX_LIMIT_LEAF_COPY_BYTES, NULL};
	struct phx_work work = {INT64_MAX, INT64_MAX};
	struct phx_image_copy copy;
	struct phx_image image;
	struct phx_pack pack;
	uint8_t *out;

	phx_pack_start(&pack, schema, message, &source,
		(uint64_t)((const uint8_t *)root - (const uint8_t *)heap), &pool, &lim, &image);
	*out_rc = phx_pack_run(&pack, &work);
	if (*out_rc != 1)
		return NULL;
	*out_size = image.total_len;
	out = malloc(*out_size);
	if (!out)
		abort();
	phx_image_copy_start(&copy, &image, &source, out);
	work = (struct phx_work){INT64_MAX, INT64_MAX};
	*out_rc = phx_image_copy_run(&copy, &work);
	phx_image_release(&image, &pool);
	return out;
}

uint8_t *pipeline_decode(const struct phx_schema *schema, uint32_t message, const void *in,
	size_t len, int64_t step, size_t *out_size, int *out_rc, const char **out_error)
{
	const struct phx_proto_limits lim = {
		PHX_LIMIT_MESSAGE_BYTES_MAX, PHX_LIMIT_MESSAGE_ELEMENTS_MAX};
	struct phx_proto_decode d;
	uint8_t *out = NULL;
	uint64_t size = 0;
	int rc = 0;

	*out_error = NULL;
	phx_proto_decode_start(&d, schema, message, in, (uint32_t)len, &pool, &lim);
	while (rc == 0) {
		struct phx_work work = {step, step};

		rc = phx_proto_decode_size(&d, &work, &size);
	}
	if (rc == 1) {
		out = malloc(size);
		if (!out)
			abort();
		for (rc = 0; rc == 0;) {
			struct phx_work work = {step, step};

			rc = phx_proto_decode_fill(&d, out, &work);
		}
	}
	if (rc != 1)
		*out_error = d.error;
	phx_proto_decode_finish(&d);
	*out_size = size;
	*out_rc = rc;
	return out;
}

uint8_t *pipeline_encode(const struct phx_schema *schema, uint32_t message, void *image,
	size_t size, int64_t step, size_t window, size_t *out_size, int *out_rc)
{
	struct phx_proto_encode e;
	struct phx_image view;
	uint8_t *out = NULL;
	uint64_t need = 0;
	size_t at = 0;
	int rc = 0;

	phx_image_borrow(&view, image, (uint32_t)size);
	phx_proto_encode_start(&e, schema, message, &view, NULL, &pool);
	while (rc == 0) {
		struct phx_work work = {step, step};

		rc = phx_proto_encode_size(&e, &work, &need);
	}
	if (rc == 1) {
		out = malloc(need + 1);
		if (!out)
			abort();
		for (rc = 0; rc == 0;) {
			struct phx_work work = {step, step};
			size_t put;

			rc = phx_proto_encode_fill(
				&e, out + at, phx_min(window, (size_t)need - at), &put, &work);
			at += put;
		}
		if (rc == 1 && at != need)
			abort();
	}
	phx_proto_encode_finish(&e);
	*out_size = need;
	*out_rc = rc;
	return out;
}

int pipeline_validate(
	const struct phx_schema *schema, uint32_t message, const void *image, size_t size)
{
	const struct phx_validate_limits lim = {PHX_LIMIT_MESSAGE_ELEMENTS_MAX};
	struct phx_work work = {INT64_MAX, INT64_MAX};
	struct phx_validate v;

	phx_validate_start(&v, schema, message, image, (uint32_t)size, &lim);
	return phx_validate_run(&v, &work);
}
