// SPDX-License-Identifier: BSD-3-Clause
// Set-up and steps that pack_test.c and pack_hostile_test.c share.
#pragma once

#include "lib/base/bits.h"
#include "lib/base/clock.h"
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

static PHX_UNUSED const struct phx_pack_limits limits = {
	.max_bytes = PHX_LIMIT_MESSAGE_BYTES_DEFAULT,
	.max_elements = 1000000,
	.leaf_copy_bytes = PHX_LIMIT_LEAF_COPY_BYTES,
};
static const struct phx_validate_limits check_limits = {.max_elements = 1000000};

struct fixture {
	struct phx_schema *schema;
	struct t_arena arena;
	struct t_pool pool;
	struct phx_image image;
	struct phx_pack pack;
};

static PHX_UNUSED int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->schema = t_all_schema();
	t_arena_init(&f->arena, 8u << 20);
	t_pool_init(&f->pool);
	*state = f;
	return 0;
}

static PHX_UNUSED int teardown(void **state)
{
	struct fixture *f = *state;

	phx_image_release(&f->image, &f->pool.pool);
	assert_int_equal(f->pool.outstanding, 0);
	t_arena_fini(&f->arena);
	phx_schema_free(f->schema);
	free(f);
	return 0;
}

static PHX_UNUSED int pack_steps(struct fixture *f, uint32_t message, uint32_t root,
	const struct phx_pack_limits *lim, int64_t bytes, int64_t elements)
{
	struct phx_work work;
	int rc;

	phx_pack_start(&f->pack, f->schema, message, &f->arena.source, root, &f->pool.pool, lim,
		&f->image);
	do {
		work = (struct phx_work){bytes, elements};
		rc = phx_pack_run(&f->pack, &work);
	} while (rc == 0);
	return rc;
}

static PHX_UNUSED int pack_all(
	struct fixture *f, uint32_t message, uint32_t root, const struct phx_pack_limits *lim)
{
	return pack_steps(f, message, root, lim, INT64_MAX, INT64_MAX);
}

static PHX_UNUSED int copy_steps(struct fixture *f, uint8_t *dst, int64_t bytes, int64_t elements)
{
	struct phx_image_copy copy;
	struct phx_work work;
	int rc;

	phx_image_copy_start(&copy, &f->image, &f->arena.source, dst);
	do {
		work = (struct phx_work){bytes, elements};
		rc = phx_image_copy_run(&copy, &work);
	} while (rc == 0);
	return rc;
}

static PHX_UNUSED int validate_steps(
	struct fixture *f, uint32_t message, const uint8_t *image, int64_t bytes, int64_t elements)
{
	static struct phx_validate v;
	struct phx_work work;
	int rc;

	phx_validate_start(
		&v, f->schema, message, image, (uint32_t)f->image.total_len, &check_limits);
	do {
		work = (struct phx_work){bytes, elements};
		rc = phx_validate_run(&v, &work);
	} while (rc == 0);
	return rc;
}

static PHX_UNUSED void expect_bad(
	struct fixture *f, uint32_t message, uint32_t root, int expected, const char *error)
{
	int rc = pack_all(f, message, root, &limits);

	if (rc != expected || strcmp(f->pack.error, error) != 0)
		fail_msg("%d %s instead of %d %s", rc, f->pack.error == NULL ? "" : f->pack.error,
			expected, error);
	assert_int_equal(f->pool.outstanding, 0);
	assert_int_equal(f->image.total_len, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
