// SPDX-License-Identifier: BSD-3-Clause
// Decoding and encoding in steps of any size, for tests of lib/schema/proto. Included once by each.
#pragma once

#include "lib/schema/proto.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/schema/pack.h"
#include "lib/schema/validate.h"
#include "tests/unit/lib/schema/build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct phx_schema *schema;
static struct t_pool pool;

static inline int setup(void **state)
{
	(void)state;
	schema = t_all_schema();
	t_pool_init(&pool);
	return 0;
}

static inline int teardown(void **state)
{
	(void)state;
	phx_schema_free(schema);
	return pool.outstanding != 0; // every test gives all blocks back
}

static const struct phx_proto_limits no_limits = {
	PHX_LIMIT_MESSAGE_BYTES_MAX, PHX_LIMIT_MESSAGE_ELEMENTS_MAX};

// Decode with steps of this much work. Returns malloc'ed image or NULL with *out_rc.
static inline uint8_t *decode(uint32_t message, const void *in, uint32_t len, int64_t step,
	const struct phx_proto_limits *lim, uint64_t *out_size, int *out_rc)
{
	struct phx_proto_decode d;
	struct phx_work work;
	uint8_t *image;
	int rc = 0;

	phx_proto_decode_start(&d, schema, message, in, len, &pool.pool, lim);
	while (rc == 0) {
		work = (struct phx_work){step, step};
		rc = phx_proto_decode_size(&d, &work, out_size);
	}
	*out_rc = rc;
	if (rc != 1) {
		assert_non_null(d.error);
		phx_proto_decode_finish(&d);
		return NULL;
	}
	image = malloc(*out_size);
	assert_non_null(image);
	memset(image, 0xee, *out_size);
	for (rc = 0; rc == 0;) {
		work = (struct phx_work){step, step};
		rc = phx_proto_decode_fill(&d, image, &work);
	}
	assert_int_equal(rc, 1);
	phx_proto_decode_finish(&d);
	return image;
}

static inline void assert_canonical(uint32_t message, const uint8_t *image, uint64_t size)
{
	const struct phx_validate_limits lim = {PHX_LIMIT_MESSAGE_ELEMENTS_MAX};
	struct phx_work work = {INT64_MAX, INT64_MAX};
	struct phx_validate v;

	phx_validate_start(&v, schema, message, image, (uint32_t)size, &lim);
	if (phx_validate_run(&v, &work) != 1)
		fail_msg("not canonical: %s", v.error);
}

// Encode with steps and output windows of this size into malloc'ed memory.
static inline uint8_t *encode(uint32_t message, const struct phx_image *image,
	const struct phx_source *source, int64_t step, size_t window, uint64_t *out_size,
	int *out_rc)
{
	struct phx_proto_encode e;
	struct phx_work work;
	uint8_t *out;
	size_t at = 0;
	int rc = 0;

	phx_proto_encode_start(&e, schema, message, image, source, &pool.pool);
	while (rc == 0) {
		work = (struct phx_work){step, step};
		rc = phx_proto_encode_size(&e, &work, out_size);
	}
	*out_rc = rc;
	if (rc != 1) {
		phx_proto_encode_finish(&e);
		return NULL;
	}
	out = malloc(*out_size + 1);
	assert_non_null(out);
	for (rc = 0; rc == 0;) {
		size_t room = phx_min(window, *out_size - at), put;

		work = (struct phx_work){step, step};
		rc = phx_proto_encode_fill(&e, out + at, room, &put, &work);
		assert_true(put <= room);
		at += put;
	}
	*out_rc = rc;
	if (rc == 1)
		assert_int_equal(at, *out_size);
	phx_proto_encode_finish(&e);
	return out;
}

// Decode `in`, encode the image: must give `want`.
static inline void assert_becomes(
	uint32_t message, const void *in, size_t len, const void *want, size_t want_len)
{
	struct phx_image img;
	uint64_t size, out_size;
	int rc;
	uint8_t *image = decode(message, in, (uint32_t)len, INT64_MAX, &no_limits, &size, &rc);
	uint8_t *out;

	assert_int_equal(rc, 1);
	assert_canonical(message, image, size);
	phx_image_borrow(&img, image, (uint32_t)size);
	out = encode(message, &img, NULL, INT64_MAX, SIZE_MAX, &out_size, &rc);
	assert_int_equal(rc, 1);
	assert_int_equal(out_size, want_len);
	assert_memory_equal(out, want, want_len);
	free(out);
	free(image);
}

static inline void assert_refused(uint32_t message, const void *in, size_t len, int error)
{
	uint8_t *copy = malloc(len + 1); // exact when len > 0: sanitizers see a byte too far
	uint64_t size;
	int rc;

	assert_non_null(copy);
	memcpy(copy + 1, in, len);
	assert_null(decode(message, copy + 1, (uint32_t)len, INT64_MAX, &no_limits, &size, &rc));
	assert_int_equal(rc, error);
	free(copy);
}

#define BECOMES(type, in, want)	 assert_becomes(type, in, sizeof(in) - 1, want, sizeof(want) - 1)
#define REFUSED(type, in, error) assert_refused(type, in, sizeof(in) - 1, error)
