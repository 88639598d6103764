// SPDX-License-Identifier: BSD-3-Clause
// The canonical check: input = 8 bytes of settings, then an image. What passes packs to
// exactly the same bytes: there is one encoding for given values.
#include "lib/base/bits.h"
#include "lib/schema/pack.h"
#include "lib/schema/validate.h"
#include "tests/unit/lib/schema/build.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int validate(const struct phx_schema *schema, uint32_t message, const void *bytes,
	uint32_t size, int64_t step)
{
	static const struct phx_validate_limits limits = {1u << 16};
	static struct phx_validate v;
	struct phx_work work;
	int rc;

	phx_validate_start(&v, schema, message, bytes, size, &limits);
	do {
		work = (struct phx_work){step, step};
		rc = phx_validate_run(&v, &work);
	} while (rc == 0);
	if (rc < 0 && v.error == NULL)
		abort();
	return rc;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct phx_pack_limits limits = {1u << 20, 1u << 16, UINT32_MAX, NULL};
	static struct phx_schema *schema;
	struct phx_work work = {INT64_MAX, INT64_MAX};
	uint32_t message, len = (uint32_t)(size - 8);
	struct phx_image image;
	struct phx_pack pack;
	struct t_pool pool;
	uint8_t *bytes, *back;
	int rc;

	if (schema == NULL)
		schema = t_all_schema();
	if (size < 8)
		return 0;
	message = data[0] % phx_schema_message_count(schema);
	bytes = malloc(len + 1);
	memcpy(bytes, data + 8, len);
	rc = validate(schema, message, bytes, len, INT64_MAX);
	if (validate(schema, message, bytes, len, 1 + data[1]) != rc)
		abort();
	if (rc == 1) {
		t_pool_init(&pool);
		phx_pack_start_private(
			&pack, schema, message, bytes, len, &pool.pool, &limits, &image);
		if (phx_pack_run(&pack, &work) != 1 || image.total_len != len)
			abort();
		back = malloc(len + 1);
		if (phx_image_read(&image, 0, back, len) != 0 || memcmp(back, bytes, len) != 0)
			abort();
		free(back);
		phx_image_release(&image, &pool.pool);
	}
	free(bytes);
	return 0;
}
