// SPDX-License-Identifier: BSD-3-Clause
// Standard protobuf from a peer: input = 4 bytes of settings, then the message. What decodes is a
// canonical image; encoding it and decoding that gives the same image, and encoding is stable.
#include "lib/base/bits.h"
#include "lib/schema/proto.h"
#include "lib/schema/validate.h"
#include "tests/unit/lib/schema/build.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct phx_schema *schema;
static struct t_pool pool;

struct bytes {
	uint8_t *p;
	uint64_t len;
};

// The image, {NULL, 0} when it was refused.
static struct bytes decode(uint32_t message, const void *in, uint32_t len, int64_t step)
{
	const struct phx_proto_limits limits = {1u << 20, 1u << 14};
	static struct phx_proto_decode d;
	struct phx_work work;
	struct bytes out = {NULL, 0};
	int rc;

	phx_proto_decode_start(&d, schema, message, in, len, &pool.pool, &limits);
	do {
		work = (struct phx_work){step, step};
		rc = phx_proto_decode_size(&d, &work, &out.len);
	} while (rc == 0);
	if (rc < 0) {
		if (d.error == NULL)
			abort();
		phx_proto_decode_finish(&d);
		return (struct bytes){NULL, 0};
	}
	out.p = aligned_alloc(8, phx_align_up(out.len, 8) + 8);
	do {
		work = (struct phx_work){step, step};
		rc = phx_proto_decode_fill(&d, out.p, &work);
	} while (rc == 0);
	if (rc != 1)
		abort(); // it was checked in the first pass
	phx_proto_decode_finish(&d);
	return out;
}

static struct bytes encode(uint32_t message, struct bytes image, int64_t step)
{
	static struct phx_proto_encode e;
	struct phx_image borrowed;
	struct phx_work work;
	struct bytes out = {NULL, 0};
	uint64_t at = 0;
	size_t n;
	int rc;

	memset(&borrowed, 0, sizeof(borrowed));
	phx_image_borrow(&borrowed, image.p, (uint32_t)image.len);
	phx_proto_encode_start(&e, schema, message, &borrowed, NULL, &pool.pool);
	do {
		work = (struct phx_work){step, step};
		rc = phx_proto_encode_size(&e, &work, &out.len);
	} while (rc == 0);
	if (rc != 1)
		abort();
	out.p = malloc(out.len + 1);
	do {
		work = (struct phx_work){step, step};
		rc = phx_proto_encode_fill(&e, out.p + at, out.len - at, &n, &work);
		at += n;
	} while (rc == 0);
	if (rc != 1 || at != out.len)
		abort();
	phx_proto_encode_finish(&e);
	return out;
}

static void check_canonical(uint32_t message, struct bytes image)
{
	static const struct phx_validate_limits limits = {1u << 20};
	static struct phx_validate v;
	struct phx_work work = {INT64_MAX, INT64_MAX};

	phx_validate_start(&v, schema, message, image.p, (uint32_t)image.len, &limits);
	if (phx_validate_run(&v, &work) != 1)
		abort();
}

static bool same(struct bytes a, struct bytes b)
{
	return a.len == b.len && memcmp(a.p, b.p, a.len) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bytes in, image, wire, again, twice;
	uint32_t message;
	int64_t step;

	if (schema == NULL)
		schema = t_all_schema();
	if (size < 4 || size > 1u << 16)
		return 0;
	message = data[0] % phx_schema_message_count(schema);
	step = 1 + data[1] * 16;
	t_pool_init(&pool);
	pool.fail_after = data[2] == 0 ? -1 : data[2];
	in = (struct bytes){malloc(size), size - 4};
	memcpy(in.p, data + 4, in.len);
	image = decode(message, in.p, (uint32_t)in.len, step);
	free(in.p);
	if (image.p != NULL) {
		pool.fail_after = -1;
		check_canonical(message, image);
		wire = encode(message, image, step);
		again = decode(message, wire.p, (uint32_t)wire.len, INT64_MAX);
		if (again.p == NULL || !same(image, again))
			abort();
		twice = encode(message, again, INT64_MAX);
		if (!same(wire, twice))
			abort();
		free(wire.p);
		free(twice.p);
		free(again.p);
		free(image.p);
	}
	if (pool.outstanding != 0)
		abort();
	return 0;
}
