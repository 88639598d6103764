// SPDX-License-Identifier: BSD-3-Clause
// Packing: round trips of random messages, resumability, hostile references and contents.
#include "lib/schema/pack.h"

#include "lib/base/bits.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/schema/validate.h"
#include "tests/unit/lib/schema/build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct phx_pack_limits limits = {
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

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->schema = t_all_schema();
	t_arena_init(&f->arena, 8u << 20);
	t_pool_init(&f->pool);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	phx_image_release(&f->image, &f->pool.pool);
	assert_int_equal(f->pool.outstanding, 0);
	t_arena_fini(&f->arena);
	phx_schema_free(f->schema);
	free(f);
	return 0;
}

static int pack_steps(struct fixture *f, uint32_t message, uint32_t root,
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

static int pack_all(
	struct fixture *f, uint32_t message, uint32_t root, const struct phx_pack_limits *lim)
{
	return pack_steps(f, message, root, lim, INT64_MAX, INT64_MAX);
}

static int copy_steps(struct fixture *f, uint8_t *dst, int64_t bytes, int64_t elements)
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

static int validate_steps(
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

static void expect_bad(
	struct fixture *f, uint32_t message, uint32_t root, int expected, const char *error)
{
	int rc = pack_all(f, message, root, &limits);

	if (rc != expected || strcmp(f->pack.error, error) != 0)
		fail_msg("%d %s instead of %d %s", rc, f->pack.error == NULL ? "" : f->pack.error,
			expected, error);
	assert_int_equal(f->pool.outstanding, 0);
	assert_int_equal(f->image.total_len, 0);
}

static void run_random_message_round_trips(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 1;
	uint64_t holes = 0, large = 0;

	for (int i = 0; i < 600; i++) {
		struct phx_pack_limits lim = limits;
		uint32_t message = (uint32_t)(t_random(&seed) % 8), root;
		uint8_t *dst, *again;

		f->arena.used = 0;
		root = t_random_message(
			&f->arena, f->schema, message, &seed, 4, i % 3 == 0 ? 20000 : 0);
		lim.leaf_copy_bytes = i % 2 == 0 ? 64 : UINT32_MAX;
		assert_true(root != UINT32_MAX);
		if (pack_all(f, message, root, &lim) != 1)
			fail_msg("round %d: %s", i, f->pack.error);
		holes += f->image.hole_count;
		large += f->image.block_count > 1;
		dst = calloc(1, f->image.total_len);
		assert_int_equal(copy_steps(f, dst, INT64_MAX, INT64_MAX), 1);
		assert_int_equal(validate_steps(f, message, dst, INT64_MAX, INT64_MAX), 1);
		assert_true(t_equal(f->schema, message, f->arena.base, root, dst, 0));
		// In the smallest steps: the same bytes.
		again = malloc(f->image.total_len);
		assert_int_equal(copy_steps(f, again, 3, 1), 1);
		assert_memory_equal(dst, again, f->image.total_len);
		phx_image_release(&f->image, &f->pool.pool);
		assert_int_equal(pack_steps(f, message, root, &lim, i % 5 == 0 ? 1 : 64, 1), 1);
		memset(again, 0xee, f->image.total_len);
		assert_int_equal(copy_steps(f, again, 64, 1), 1);
		assert_memory_equal(dst, again, f->image.total_len);
		assert_int_equal(validate_steps(f, message, dst, 1, 1), 1);
		phx_image_release(&f->image, &f->pool.pool);
		free(dst);
		free(again);
	}
	assert_true(holes > 100 && large > 10); // the shapes were all there
}

// Each 8-byte word of a canonical image that does not match is noticed, or changes a value.
static void run_mutated_image_is_refused_or_other_value(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 7;
	uint32_t refused = 0;

	for (int i = 0; i < 40; i++) {
		uint32_t root;
		uint8_t *dst;

		f->arena.used = 0;
		root = t_random_message(&f->arena, f->schema, T_ALL, &seed, 2, 0);
		assert_int_equal(pack_all(f, T_ALL, root, &limits), 1);
		dst = malloc(f->image.total_len);
		assert_int_equal(copy_steps(f, dst, INT64_MAX, INT64_MAX), 1);
		for (uint32_t b = 0; b < f->image.total_len; b++) {
			uint8_t old = dst[b];

			dst[b] ^= (uint8_t)(1u << (t_random(&seed) % 8));
			if (validate_steps(f, T_ALL, dst, INT64_MAX, INT64_MAX) == 1)
				assert_false(
					t_equal(f->schema, T_ALL, f->arena.base, root, dst, 0));
			else
				refused++;
			dst[b] = old;
		}
		phx_image_release(&f->image, &f->pool.pool);
		free(dst);
	}
	assert_true(refused > 1000);
}

static void run_out_of_blocks_releases_everything(void **state)
{
	struct fixture *f = *state;
	struct phx_pack_limits lim = limits;
	long most = 0;
	int rc;

	for (uint64_t i = 0; i < 20; i++) {
		uint64_t seed = i;
		uint32_t root;

		f->arena.used = 0;
		root = t_random_message(&f->arena, f->schema, T_ALL, &seed, 5, 60000);
		lim.leaf_copy_bytes = i % 2 == 0 ? 4096 : UINT32_MAX;
		for (long n = 0;; n++) {
			f->pool.fail_after = n;
			f->pool.gets = 0;
			rc = pack_all(f, T_ALL, root, &lim);
			if (rc == 1)
				break;
			assert_int_equal(rc, -ENOMEM);
			assert_string_equal(f->pack.error, "out of blocks");
			assert_int_equal(f->pool.outstanding, 0);
		}
		most = phx_max(most, f->pool.gets);
		phx_image_release(&f->image, &f->pool.pool);
	}
	assert_true(most > 5);
}

static void abort_between_runs_releases_everything(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 3;
	uint32_t root = t_random_message(&f->arena, f->schema, T_ALL, &seed, 5, 60000);
	struct phx_work work = {200, 20};

	phx_pack_start(&f->pack, f->schema, T_ALL, &f->arena.source, root, &f->pool.pool, &limits,
		&f->image);
	assert_int_equal(phx_pack_run(&f->pack, &work), 0);
	phx_pack_abort(&f->pack);
	phx_pack_abort(&f->pack);
	assert_int_equal(f->pool.outstanding, 0);
}

// D-01, D-03, D-05: references that leave the region, also by wrapping.
static void run_reference_outside_is_refused(void **state)
{
	struct fixture *f = *state;
	static const int32_t offs[] = {INT32_MIN, INT32_MIN + 8, -16, -8, INT32_MAX - 7};
	struct phx_source_region regions[2] = {{4096, 4096}, {8192 + 4096, 4096}};
	uint32_t root = 4096;
	uint8_t *base = f->arena.base;

	f->arena.source.regions = regions;
	f->arena.source.region_count = 2;
	memset(base, 0, 65536);
	for (size_t i = 0; i < PHX_ARRAY_LEN(offs); i++) {
		t_ref(&f->arena, root, root + (uint32_t)offs[i], 1);
		expect_bad(f, T_BYTES, root, -EPROTO, "reference outside");
	}
	for (uint32_t target = 8192; target < 8192 + 4096; target += 8) { // the gap
		t_ref(&f->arena, root, target, 1);
		expect_bad(f, T_BYTES, root, -EPROTO, "reference outside");
	}
	t_ref(&f->arena, root, 8192 - 8, 9); // over the end of a region
	expect_bad(f, T_BYTES, root, -EPROTO, "reference outside");
	t_ref(&f->arena, root, 8192 - 8, UINT32_MAX);
	expect_bad(f, T_BYTES, root, -EPROTO, "reference outside");
	t_ref(&f->arena, root, 8192 - 8, 8);
	assert_int_equal(pack_all(f, T_BYTES, root, &limits), 1);
	phx_image_release(&f->image, &f->pool.pool);
	t_ref(&f->arena, root, 12288, 4096); // another region is fine
	assert_int_equal(pack_all(f, T_BYTES, root, &limits), 1);
	phx_image_release(&f->image, &f->pool.pool);
	expect_bad(f, T_BYTES, 8192, -EPROTO, "message outside");
	expect_bad(f, T_BYTES, 16384, -EPROTO, "message outside");
	expect_bad(f, T_BYTES, UINT32_MAX - 7, -EPROTO, "message outside");
}

// D-04
static void run_misaligned_reference_is_refused(void **state)
{
	struct fixture *f = *state;
	uint32_t root = t_alloc(&f->arena, 64);

	for (uint32_t i = 1; i < 8; i++) {
		t_ref(&f->arena, root, root + 8 + i, 1);
		expect_bad(f, T_BYTES, root, -EPROTO, "reference misaligned");
		expect_bad(f, T_BYTES, root + i, -EPROTO, "message misaligned");
	}
	t_ref(&f->arena, root, root, 1);
	expect_bad(f, T_BYTES, root, -EPROTO, "reference misaligned");
	phx_pack_start(&f->pack, f->schema, T_BYTES, &f->arena.source, UINT64_C(1) << 32,
		&f->pool.pool, &limits, &f->image);
	assert_int_equal(phx_pack_run(&f->pack, &(struct phx_work){1, 1}), -EPROTO);
}

// D-02: an empty list or leaf becomes the null reference; a message is one or none.
static void run_empty_references_become_null(void **state)
{
	struct fixture *f = *state;
	const struct phx_message *m = phx_schema_message(f->schema, T_ALL);
	uint32_t root = t_alloc(&f->arena, m->size);
	uint8_t zeros[256] = {0};

	t_ref(&f->arena, root + phx_message_field_named(m, "name")->offset, root + 8, 0);
	t_ref(&f->arena, root + phx_message_field_named(m, "many")->offset, root + 800, 0);
	assert_int_equal(pack_all(f, T_ALL, root, &limits), 1);
	assert_int_equal(f->image.total_len, m->size);
	assert_memory_equal(f->image.block0, zeros, m->size);
	phx_image_release(&f->image, &f->pool.pool);
	t_ref(&f->arena, root + phx_message_field_named(m, "inner")->offset, root + 800, 0);
	expect_bad(f, T_ALL, root, -EPROTO, "reference to no message");
	t_ref(&f->arena, root + phx_message_field_named(m, "inner")->offset, root + 800, 2);
	expect_bad(f, T_ALL, root, -EPROTO, "reference to more than one message");
}

// D-06: parts that overlap each other or the root are harmless: the image has copies.
static void run_overlapping_parts_are_copied(void **state)
{
	struct fixture *f = *state;
	const struct phx_message *m = phx_schema_message(f->schema, T_MANY);
	uint32_t root = t_alloc(&f->arena, m->size);
	uint32_t text = t_leaf(&f->arena, root + m->refs[0].offset, "0123456789abcdef", 16);

	t_ref(&f->arena, root + m->refs[1].offset, text + 8, 8);
	assert_int_equal(pack_all(f, T_MANY, root, &limits), 1);
	assert_int_equal(f->image.total_len, m->size + 24);
	assert_memory_equal(f->image.block0 + m->size, "0123456789abcdef89abcdef", 24);
}

// D-07: cycles end at the nesting limit, wide ones at the element or byte limit.
static void run_cyclic_message_is_refused(void **state)
{
	struct fixture *f = *state;
	const struct phx_message *m = phx_schema_message(f->schema, T_NODE);
	uint32_t a = t_alloc(&f->arena, m->size), b = t_alloc(&f->arena, m->size);
	uint32_t left = phx_message_field_named(m, "left")->offset;
	uint32_t children = phx_message_field_named(m, "children")->offset;
	uint64_t start = phx_clock_ns();

	t_ref(&f->arena, a + left, b, 1);
	t_ref(&f->arena, b + left, a, 1);
	expect_bad(f, T_NODE, a, -EPROTO, "nesting");
	// A comb that doubles at each of 40 levels.
	f->arena.used = 0;
	a = t_alloc(&f->arena, m->size * 2);
	for (int i = 0; i < 40; i++) {
		b = t_alloc(&f->arena, m->size * 2);
		t_ref(&f->arena, b + children, a, 2);
		t_ref(&f->arena, b + m->size + children, a, 2);
		a = b;
	}
	expect_bad(f, T_NODE, a, -E2BIG, "too many elements");
	assert_true(phx_clock_ns() - start < 5 * PHX_NS_PER_S);
}

// Root at level 1, so 100 levels are legal and 101 are not.
static void run_nesting_has_an_exact_limit(void **state)
{
	struct fixture *f = *state;
	const struct phx_message *m = phx_schema_message(f->schema, T_NODE);
	uint32_t left = phx_message_field_named(m, "left")->offset;
	uint32_t at = t_alloc(&f->arena, m->size), next;
	uint8_t *dst;

	for (int i = 1; i < PHX_LIMIT_NESTING_MAX; i++) {
		next = t_alloc(&f->arena, m->size);
		t_ref(&f->arena, next + left, at, 1);
		at = next;
	}
	assert_int_equal(pack_all(f, T_NODE, at, &limits), 1);
	dst = malloc(f->image.total_len);
	assert_int_equal(copy_steps(f, dst, 64, 1), 1);
	assert_int_equal(validate_steps(f, T_NODE, dst, 64, 1), 1);
	free(dst);
	phx_image_release(&f->image, &f->pool.pool);
	next = t_alloc(&f->arena, m->size);
	t_ref(&f->arena, next + left, at, 1);
	expect_bad(f, T_NODE, next, -EPROTO, "nesting");
}

// D-08: the 65th large leaf is copied; sums stay below the limit.
static void run_too_many_leaves_are_copied(void **state)
{
	struct fixture *f = *state;
	const struct phx_message *m = phx_schema_message(f->schema, T_ALL);
	uint32_t root = t_alloc(&f->arena, m->size);
	uint32_t n = PHX_LIMIT_GATHER_MAX + 1, list = t_alloc(&f->arena, n * 8);
	struct phx_pack_limits lim = limits;
	uint8_t leaf[5001], *dst;

	memset(leaf, 'x', sizeof(leaf));
	t_ref(&f->arena, root + phx_message_field_named(m, "names")->offset, list, n);
	for (uint32_t i = 0; i < n; i++)
		(void)t_leaf(&f->arena, list + i * 8, leaf, sizeof(leaf));
	assert_int_equal(pack_all(f, T_ALL, root, &limits), 1);
	assert_int_equal(f->image.hole_count, PHX_LIMIT_GATHER_MAX);
	assert_int_equal(f->image.skeleton_len, m->size + n * 8 + 5008);
	dst = malloc(f->image.total_len);
	assert_int_equal(copy_steps(f, dst, INT64_MAX, INT64_MAX), 1);
	assert_int_equal(validate_steps(f, T_ALL, dst, INT64_MAX, INT64_MAX), 1);
	free(dst);
	phx_image_release(&f->image, &f->pool.pool);
	lim.max_bytes = 5000 * 65;
	assert_int_equal(pack_all(f, T_ALL, root, &lim), -E2BIG);
	assert_string_equal(f->pack.error, "message too large");
	// One leaf many times: the sum would be 1 TiB.
	f->arena.used = 0;
	root = t_alloc(&f->arena, m->size);
	list = t_alloc(&f->arena, 300000 * 8);
	t_ref(&f->arena, root + phx_message_field_named(m, "blobs")->offset, list, 300000);
	for (uint32_t i = 0; i < 300000; i++)
		t_ref(&f->arena, list + i * 8, f->arena.used, 4 << 20);
	expect_bad(f, T_ALL, root, -E2BIG, "message too large");
}

static void run_exact_limits_pass(void **state)
{
	struct fixture *f = *state;
	struct phx_pack_limits lim = limits;
	uint64_t seed = 11;
	uint32_t root = t_random_message(&f->arena, f->schema, T_ALL, &seed, 4, 0), elements;
	uint64_t total;

	assert_int_equal(pack_all(f, T_ALL, root, &limits), 1);
	total = f->image.total_len;
	elements = f->pack.elements;
	phx_image_release(&f->image, &f->pool.pool);
	lim.max_bytes = total;
	lim.max_elements = elements;
	assert_int_equal(pack_all(f, T_ALL, root, &lim), 1);
	phx_image_release(&f->image, &f->pool.pool);
	lim.max_bytes = total - 1;
	assert_int_equal(pack_all(f, T_ALL, root, &lim), -E2BIG);
	lim.max_bytes = total;
	lim.max_elements = elements - 1;
	assert_int_equal(pack_all(f, T_ALL, root, &lim), -E2BIG);
	assert_string_equal(f->pack.error, "too many elements");
}

// D-11, D-13: contents that are not the one encoding of a value.
static void run_bad_contents_are_refused(void **state)
{
	struct fixture *f = *state;
	const struct phx_message *m = phx_schema_message(f->schema, T_ALL);
	uint32_t root = t_alloc(&f->arena, m->size), cases = root + m->presence_words * 4u, list;
	uint8_t *base = f->arena.base;

	base[root + phx_message_field_named(m, "flag")->offset] = 2;
	expect_bad(f, T_ALL, root, -EPROTO, "bool not 0/1 or unknown presence bit");
	base[root + phx_message_field_named(m, "flag")->offset] = 1;
	phx_le32_store(base + root, 8); // three presence bits are in use
	expect_bad(f, T_ALL, root, -EPROTO, "bool not 0/1 or unknown presence bit");
	phx_le32_store(base + root, 0);
	base[root + phx_message_field_named(m, "opt_int")->offset] = 1;
	expect_bad(f, T_ALL, root, -EPROTO, "value without its presence bit");
	base[root + phx_message_field_named(m, "opt_int")->offset] = 0;
	base[root + phx_message_field_named(m, "pick_int")->offset] = 1;
	expect_bad(f, T_ALL, root, -EPROTO, "oneof member that is not selected");
	phx_le32_store(base + cases, 13);
	expect_bad(f, T_ALL, root, -EPROTO, "oneof member that is not selected");
	base[root + phx_message_field_named(m, "pick_int")->offset] = 0;
	phx_le32_store(base + cases, 14);
	expect_bad(f, T_ALL, root, -EPROTO, "oneof member missing");
	phx_le32_store(base + cases, 300); // member of the other oneof
	expect_bad(f, T_ALL, root, -EPROTO, "oneof case unknown");
	phx_le32_store(base + cases, 0);
	(void)t_leaf(&f->arena, root + phx_message_field_named(m, "name")->offset, "a\xc0\x80", 3);
	expect_bad(f, T_ALL, root, -EPROTO, "utf-8");
	(void)t_leaf(&f->arena, root + phx_message_field_named(m, "name")->offset, "a\xe2\x82", 3);
	expect_bad(f, T_ALL, root, -EPROTO, "utf-8");
	(void)t_leaf(&f->arena, root + phx_message_field_named(m, "name")->offset, "a", 1);
	(void)t_leaf(&f->arena, root + phx_message_field_named(m, "flags")->offset, "\1\0\1\2", 4);
	expect_bad(f, T_ALL, root, -EPROTO, "bool not 0/1");
	(void)t_leaf(&f->arena, root + phx_message_field_named(m, "flags")->offset, "\1\0\1\1", 4);
	assert_int_equal(pack_all(f, T_ALL, root, &limits), 1);
	phx_image_release(&f->image, &f->pool.pool);
	list = t_alloc(&f->arena, 16);
	t_ref(&f->arena, root + phx_message_field_named(m, "names")->offset, list, 2);
	(void)t_leaf(&f->arena, list + 8, "\xff", 1);
	expect_bad(f, T_ALL, root, -EPROTO, "utf-8");
}

// Text that is longer than a block is checked over the cuts.
static void run_long_text_is_checked_over_cuts(void **state)
{
	struct fixture *f = *state;
	const struct phx_message *m = phx_schema_message(f->schema, T_MANY);
	struct phx_pack_limits lim = limits;
	uint32_t root = t_alloc(&f->arena, m->size), len = 3 * 60000, text;
	uint8_t *bytes = malloc(len);

	for (uint32_t i = 0; i < len; i += 3)
		memcpy(bytes + i, "\xe2\x82\xac", 3);
	text = t_leaf(&f->arena, root + m->refs[0].offset, bytes, len);
	lim.leaf_copy_bytes = UINT32_MAX;
	assert_int_equal(pack_steps(f, T_MANY, root, &lim, 13, 100), 1);
	assert_int_equal(f->image.block_count, 3);
	phx_image_release(&f->image, &f->pool.pool);
	for (uint32_t i = 0; i < len; i += 997) {
		uint8_t old = f->arena.base[text + i];

		f->arena.base[text + i] = 0xff;
		assert_int_equal(pack_steps(f, T_MANY, root, &lim, 4001, 100), -EPROTO);
		f->arena.base[text + i] = old;
	}
	free(bytes);
}

static void run_inspected_leaf_is_copied(void **state)
{
	struct fixture *f = *state;
	struct phx_pack_limits lim = limits;
	struct phx_inspect *inspect = calloc(1, sizeof(*inspect) + 16);
	uint32_t root = t_alloc(&f->arena, 8),
		 index = phx_schema_message(f->schema, T_BYTES)->refs[0].index;
	uint8_t leaf[9000] = {1};

	inspect->count = phx_schema_field_count(f->schema);
	(void)t_leaf(&f->arena, root, leaf, sizeof(leaf));
	lim.inspect = inspect;
	assert_int_equal(pack_all(f, T_BYTES, root, &lim), 1);
	assert_int_equal(f->image.hole_count, 1);
	assert_int_equal(f->image.total_len, 9008);
	assert_int_equal(f->image.skeleton_len, 8);
	phx_image_release(&f->image, &f->pool.pool);
	inspect->bits[index / 64] |= UINT64_C(1) << (index % 64);
	assert_int_equal(pack_all(f, T_BYTES, root, &lim), 1);
	assert_int_equal(f->image.hole_count, 0);
	assert_int_equal(f->image.skeleton_len, 9008);
	free(inspect);
}

static void start_private_copies_inline_message(void **state)
{
	struct fixture *f = *state;
	_Alignas(8) uint8_t message[24] = {
		8, 0, 0, 0, 9, 0, 0, 0, 'i', 'n', 'l', 'i', 'n', 'e', ' ', 'm', 's', 7};
	struct phx_pack_limits lim = {.max_bytes = 100, .max_elements = 10};
	struct phx_work work = {100, 100};

	phx_pack_start_private(&f->pack, f->schema, T_BYTES, message, sizeof(message),
		&f->pool.pool, &lim, &f->image);
	assert_int_equal(phx_pack_run(&f->pack, &work), 1);
	assert_int_equal(f->image.total_len, 24);
	message[17] = 0; // padding is zeroed in the copy
	assert_memory_equal(f->image.block0, message, 24);
	phx_image_release(&f->image, &f->pool.pool);
	phx_pack_start_private(
		&f->pack, f->schema, T_BYTES, message, 16, &f->pool.pool, &lim, &f->image);
	assert_int_equal(phx_pack_run(&f->pack, &work), -EPROTO);
}

static void bench_small_message(void **state)
{
	struct fixture *f = *state;
	const int rounds = 300000;
	uint64_t best_pack = UINT64_MAX, best_check = UINT64_MAX, best_all = UINT64_MAX;
	static struct phx_validate v;
	struct phx_work work = {INT64_MAX, INT64_MAX};
	uint32_t root = t_alloc(&f->arena, 8);
	uint8_t leaf[64] = {1}, block[PHX_BLOCK_SMALL] __attribute__((aligned(8)));
	uint64_t seed = 5, start;

	(void)t_leaf(&f->arena, root, leaf, sizeof(leaf));
	for (int k = 0; k < 5; k++) {
		start = phx_clock_ns();
		for (int i = 0; i < rounds; i++) {
			assert(pack_all(f, T_BYTES, root, &limits) == 1);
			phx_image_release(&f->image, &f->pool.pool);
		}
		best_pack = phx_min(best_pack, phx_clock_ns() - start);
	}
	assert_int_equal(pack_all(f, T_BYTES, root, &limits), 1);
	memcpy(block, f->image.block0, f->image.total_len);
	for (int k = 0; k < 5; k++) {
		start = phx_clock_ns();
		for (int i = 0; i < rounds; i++) {
			phx_validate_start(&v, f->schema, T_BYTES, block, 72, &check_limits);
			assert(phx_validate_run(&v, &work) == 1);
		}
		best_check = phx_min(best_check, phx_clock_ns() - start);
	}
	phx_image_release(&f->image, &f->pool.pool);
	root = t_random_message(&f->arena, f->schema, T_ALL, &seed, 1, 0);
	for (int k = 0; k < 5; k++) {
		start = phx_clock_ns();
		for (int i = 0; i < rounds / 10; i++) {
			assert(pack_all(f, T_ALL, root, &limits) == 1);
			phx_image_release(&f->image, &f->pool.pool);
		}
		best_all = phx_min(best_all, phx_clock_ns() - start);
	}
	print_message("64 B bytes field: pack %.1f ns with malloc'ed block, validate %.1f ns; "
		      "message of every feature: pack %.0f ns\n",
		(double)best_pack / rounds, (double)best_check / rounds,
		(double)best_all * 10 / rounds);
	assert_true(best_pack / (uint64_t)rounds < 20000 && best_check / (uint64_t)rounds < 20000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(run_random_message_round_trips),
		TEST(run_mutated_image_is_refused_or_other_value),
		TEST(run_out_of_blocks_releases_everything),
		TEST(abort_between_runs_releases_everything),
		TEST(run_reference_outside_is_refused),
		TEST(run_misaligned_reference_is_refused),
		TEST(run_empty_references_become_null),
		TEST(run_overlapping_parts_are_copied),
		TEST(run_cyclic_message_is_refused),
		TEST(run_nesting_has_an_exact_limit),
		TEST(run_too_many_leaves_are_copied),
		TEST(run_exact_limits_pass),
		TEST(run_bad_contents_are_refused),
		TEST(run_long_text_is_checked_over_cuts),
		TEST(run_inspected_leaf_is_copied),
		TEST(start_private_copies_inline_message),
		TEST(bench_small_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
