// SPDX-License-Identifier: BSD-3-Clause
// Packing from a hostile arena: input = 8 bytes of settings, then the arena. What is packed
// must be canonical, whatever the step size, and leak nothing. Built a second time as
// pack_fresh_fuzz with PHX_SHM_FRESH: each load takes the next bytes of the input, as if the
// application rewrote its memory between any two loads.
#include "lib/base/bits.h"
#include "lib/schema/pack.h"
#include "lib/schema/path.h"
#include "lib/schema/validate.h"
#include "tests/unit/lib/schema/build.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ARENA 65536

#ifdef PHX_SHM_FRESH
static const uint8_t *fresh;
static size_t fresh_left;

uint64_t phx_shm_fresh_hook(const void *p, unsigned size);
uint64_t phx_shm_fresh_hook(const void *p, unsigned size)
{
	uint64_t value = 0;
	size_t n = size < fresh_left ? size : fresh_left;

	(void)p;
	memcpy(&value, fresh, n);
	fresh += n;
	fresh_left -= n;
	return value;
}
#endif

static struct phx_schema *schema;
static struct phx_path paths[4];

static void setup(void)
{
	static const char *const texts[] = {"name", "many.label", "tree.up.inner.id", "counts.key"};

	schema = t_all_schema();
	for (size_t i = 0; i < 4; i++)
		if (phx_path_compile(schema, T_ALL, texts[i], &paths[i]) != 0)
			abort();
}

// The copy is canonical, or its text changed late.
static void check_image(const struct phx_image *image, const struct phx_source *source,
	uint32_t message, int64_t step)
{
	static const struct phx_validate_limits limits = {1u << 20};
	static struct phx_validate v;
	struct phx_path_value value;
	struct phx_image_copy copy;
	struct phx_work work;
	uint8_t *flat = malloc(image->total_len);
	int rc;

	phx_image_copy_start(&copy, image, source, flat);
	do {
		work = (struct phx_work){step, step};
		rc = phx_image_copy_run(&copy, &work);
	} while (rc == 0);
	if (rc == 1) {
		phx_validate_start(&v, schema, message, flat, (uint32_t)image->total_len, &limits);
		do {
			work = (struct phx_work){step, step};
			rc = phx_validate_run(&v, &work);
		} while (rc == 0);
		if (rc != 1)
			abort();
	} else if (rc != -EILSEQ) {
		abort();
	}
	free(flat);
	for (size_t i = 0; message == T_ALL && i < 4; i++)
		(void)phx_path_get(&paths[i], image, &value);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static _Alignas(8) uint8_t arena[ARENA];
	struct phx_source_region regions[2] = {{0, ARENA / 2}, {ARENA / 2, ARENA / 2}};
	struct phx_source source = {arena, regions, 2};
	struct phx_pack_limits limits = {1u << 18, 1u << 14, 64, NULL};
	struct phx_work work;
	struct phx_image image, again;
	struct phx_pack pack;
	struct t_pool pool;
	uint32_t message;
	int64_t step;
	int rc;

	if (schema == NULL)
		setup();
	if (size < 8)
		return 0;
	message = data[0] % phx_schema_message_count(schema);
	limits.leaf_copy_bytes = data[1];
	step = 1 + data[2] * 16;
	regions[0].size = phx_le16_load(data + 4);
	if (regions[0].size > ARENA / 2)
		regions[0].size = ARENA / 2;
	size = size - 8 > ARENA ? ARENA + 8 : size;
	memset(arena, 0, sizeof(arena));
#ifdef PHX_SHM_FRESH
	fresh = data + 8;
	fresh_left = size - 8;
#else
	memcpy(arena, data + 8, size - 8);
#endif
	t_pool_init(&pool);
	pool.fail_after = data[3] == 0 ? -1 : data[3];
	phx_pack_start(&pack, schema, message, &source, phx_le16_load(data + 6), &pool.pool,
		&limits, &image);
	do {
		work = (struct phx_work){step, step};
		rc = phx_pack_run(&pack, &work);
	} while (rc == 0);
	if (rc == 1) {
		pool.fail_after = -1;
		check_image(&image, &source, message, step);
		if (phx_image_canonicalise(&image, schema, message, &pool.pool, &again) != 0 ||
			again.total_len != image.total_len ||
			again.skeleton_len != image.skeleton_len)
			abort();
		phx_image_release(&again, &pool.pool);
	} else if (pack.error == NULL) {
		abort();
	}
	phx_image_release(&image, &pool.pool);
	if (pool.outstanding != 0)
		abort();
	return 0;
}
