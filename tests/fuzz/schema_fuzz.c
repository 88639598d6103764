// SPDX-License-Identifier: BSD-3-Clause
// Descriptor tables: any bytes are bound or refused; a bound table is then used to check
// and pack the same bytes as messages of each of its types.
#include "lib/schema/pack.h"
#include "lib/schema/schema.h"
#include "lib/schema/validate.h"
#include "tests/unit/lib/schema/build.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void use(
	const struct phx_schema *schema, uint32_t message, const uint8_t *bytes, uint32_t size)
{
	static const struct phx_pack_limits limits = {1u << 20, 1u << 16, 64, NULL};
	static const struct phx_validate_limits check = {1u << 16};
	static struct phx_validate v;
	struct phx_work work = {1 << 22, 1 << 20};
	struct phx_source_region region = {0, size};
	struct phx_source source = {bytes, &region, 1};
	struct phx_image image;
	struct phx_pack pack;
	struct t_pool pool;

	t_pool_init(&pool);
	phx_pack_start(&pack, schema, message, &source, 0, &pool.pool, &limits, &image);
	if (phx_pack_run(&pack, &work) == 0)
		phx_pack_abort(&pack);
	phx_image_release(&image, &pool.pool);
	if (pool.outstanding != 0)
		abort();
	phx_validate_start(&v, schema, message, bytes, size & ~7u, &check);
	(void)phx_validate_run(&v, &work);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct phx_schema *schema;
	const char *error = NULL;
	uint64_t *copy;

	if (phx_schema_bind(data, size, &schema, &error) != 0) {
		if (error == NULL)
			abort();
		return 0;
	}
	copy = malloc(size + 8);
	memcpy(copy, data, size);
	for (uint32_t i = 0; i < phx_schema_message_count(schema) && i < 16; i++) {
		if (phx_schema_message_find(schema, phx_schema_message(schema, i)->name) != (int)i)
			abort();
		use(schema, i, (const uint8_t *)copy, (uint32_t)size);
	}
	for (uint32_t i = 0; i < phx_schema_service_count(schema); i++)
		if (phx_schema_service_find(schema, phx_schema_service_name(schema, i)) != (int)i)
			abort();
	free(copy);
	phx_schema_free(schema);
	return 0;
}
