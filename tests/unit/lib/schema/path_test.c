// SPDX-License-Identifier: BSD-3-Clause
// Field paths: compile, rebind, read in snapshots with holes and blocks, rewrite.
#include "lib/schema/path.h"

#include "lib/base/bits.h"
#include "lib/schema/validate.h"
#include "tests/unit/lib/schema/build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIELD(n, num, k, ...)                                                                      \
	{                                                                                          \
		.name = n, .number = num, .kind = PHX_KIND_##k, __VA_ARGS__                        \
	}

struct fixture {
	struct phx_schema *schema;
	struct t_arena arena;
	struct t_pool pool;
	struct phx_image image;
	uint32_t root;
};

static uint32_t at(const struct fixture *f, uint32_t message, const char *field)
{
	return phx_message_field_named(phx_schema_message(f->schema, message), field)->offset;
}

static void pack(struct fixture *f, const struct phx_inspect *inspect)
{
	struct phx_pack_limits lim = {1u << 30, 1u << 24, 100, inspect};
	struct phx_work work = {INT64_MAX, INT64_MAX};
	struct phx_pack p;

	phx_image_release(&f->image, &f->pool.pool);
	phx_pack_start(
		&p, f->schema, T_ALL, &f->arena.source, f->root, &f->pool.pool, &lim, &f->image);
	if (phx_pack_run(&p, &work) != 1)
		fail_msg("%s", p.error);
}

// name "alice"; inner {id 7, label "in"}; many [{label "m0"}, {}, {label "m2", state -1}];
// names ["x", "", "long..."(200)]; numbers [1, 2, 3]; counts {"k": 5}; data 100,000 bytes.
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint32_t inner, many, size, list;
	int64_t numbers[] = {1, 2, 3};
	uint8_t *large = malloc(100000);

	f->schema = t_all_schema();
	t_arena_init(&f->arena, 1u << 20);
	t_pool_init(&f->pool);
	size = phx_schema_message(f->schema, T_INNER)->size;
	f->root = t_alloc(&f->arena, phx_schema_message(f->schema, T_ALL)->size);
	(void)t_leaf(&f->arena, f->root + at(f, T_ALL, "name"), "alice", 5);
	memset(large, 'z', 100000);
	(void)t_leaf(&f->arena, f->root + at(f, T_ALL, "data"), large, 100000);
	inner = t_alloc(&f->arena, size);
	t_ref(&f->arena, f->root + at(f, T_ALL, "inner"), inner, 1);
	phx_le32_store(f->arena.base + inner + at(f, T_INNER, "id"), 7);
	(void)t_leaf(&f->arena, inner + at(f, T_INNER, "label"), "in", 2);
	many = t_alloc(&f->arena, size * 3);
	t_ref(&f->arena, f->root + at(f, T_ALL, "many"), many, 3);
	(void)t_leaf(&f->arena, many + at(f, T_INNER, "label"), "m0", 2);
	(void)t_leaf(&f->arena, many + 2 * size + at(f, T_INNER, "label"), "m2", 2);
	phx_le32_store(f->arena.base + many + 2 * size + at(f, T_INNER, "state"), UINT32_MAX);
	list = t_alloc(&f->arena, 24);
	t_ref(&f->arena, f->root + at(f, T_ALL, "names"), list, 3);
	(void)t_leaf(&f->arena, list, "x", 1);
	(void)t_leaf(&f->arena, list + 16, large, 200);
	(void)t_leaf(&f->arena, f->root + at(f, T_ALL, "numbers"), numbers, sizeof(numbers));
	phx_le32_store(f->arena.base + f->root + at(f, T_ALL, "numbers") + 4, 3);
	list = t_alloc(&f->arena, phx_schema_message(f->schema, T_MAP_SI)->size);
	t_ref(&f->arena, f->root + at(f, T_ALL, "counts"), list, 1);
	(void)t_leaf(&f->arena, list + at(f, T_MAP_SI, "key"), "k", 1);
	f->arena.base[list + at(f, T_MAP_SI, "value")] = 5;
	free(large);
	pack(f, NULL);
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

static struct phx_path compile(const struct fixture *f, const char *text)
{
	struct phx_path path;

	assert_int_equal(phx_path_compile(f->schema, T_ALL, text, &path), 0);
	return path;
}

static void expect_text(const struct fixture *f, const char *path_text, const char *expected)
{
	struct phx_path path = compile(f, path_text);
	struct phx_path_value value;

	assert_int_equal(phx_path_get(&path, &f->image, &value), 1);
	assert_int_equal(value.len, strlen(expected));
	assert_memory_equal(value.data, expected, value.len);
}

static void expect_bits(const struct fixture *f, const char *path_text, uint64_t expected)
{
	struct phx_path path = compile(f, path_text);
	struct phx_path_value value;

	assert_int_equal(phx_path_get(&path, &f->image, &value), 1);
	assert_int_equal(value.bits, expected);
}

static void expect_absent(const struct fixture *f, const char *path_text)
{
	struct phx_path path = compile(f, path_text);
	struct phx_path_value value;

	assert_int_equal(phx_path_get(&path, &f->image, &value), 0);
}

static void compile_bad_path_is_refused(void **state)
{
	struct fixture *f = *state;
	struct phx_path path;
	char deep[200] = "tree";

	assert_int_equal(phx_path_compile(f->schema, T_ALL, "", &path), -EINVAL);
	assert_int_equal(phx_path_compile(f->schema, T_ALL, ".", &path), -EINVAL);
	assert_int_equal(phx_path_compile(f->schema, T_ALL, "inner.", &path), -EINVAL);
	assert_int_equal(phx_path_compile(f->schema, T_ALL, "inner..id", &path), -EINVAL);
	assert_int_equal(phx_path_compile(f->schema, T_ALL, "nope", &path), -ENOENT);
	assert_int_equal(phx_path_compile(f->schema, T_ALL, "inner.nope", &path), -ENOENT);
	assert_int_equal(phx_path_compile(f->schema, T_ALL, "name.x", &path), -ENOTDIR);
	for (size_t i = 1; i < PHX_PATH_STEPS; i++)
		memcpy(deep + 4 + (i - 1) * 5, ".left", 6);
	assert_int_equal(phx_path_compile(f->schema, T_ALL, deep, &path), 0);
	memcpy(deep + 4 + (PHX_PATH_STEPS - 1) * 5, ".left", 6);
	assert_int_equal(phx_path_compile(f->schema, T_ALL, deep, &path), -EINVAL);
}

static void get_values_of_each_shape(void **state)
{
	struct fixture *f = *state;

	assert_true(f->image.hole_count >= 2);
	expect_text(f, "name", "alice");
	expect_text(f, "inner.label", "in");
	expect_bits(f, "inner.id", 7);
	expect_text(f, "many.label", "m0");
	expect_text(f, "names", "x");
	expect_bits(f, "numbers", 1);
	expect_text(f, "counts.key", "k");
	expect_bits(f, "counts.value", 5);
	expect_bits(f, "flag", 0); // no presence: always there
	expect_absent(f, "opt_int");
	expect_absent(f, "pick_text");
	expect_absent(f, "tree.value");
	expect_absent(f, "pick_inner.id");
}

static void get_uninspected_large_leaf_is_nodata(void **state)
{
	struct fixture *f = *state;
	struct phx_path path = compile(f, "data");
	struct phx_inspect *inspect = phx_inspect_create(f->schema);
	struct phx_path_value value;
	uint8_t bytes[100];

	assert_int_equal(phx_path_get(&path, &f->image, &value), -ENODATA);
	phx_inspect_add(inspect, &path);
	pack(f, inspect);
	assert_int_equal(phx_path_get(&path, &f->image, &value), 1);
	assert_int_equal(value.len, 100000);
	assert_null(value.data); // more than one block
	assert_int_equal(phx_image_read(&f->image, value.pos + 65490, bytes, 100), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(bytes[i], 'z');
	phx_inspect_free(inspect);
	phx_inspect_free(NULL);
}

struct seen {
	int count;
	uint64_t sum;
	int stop_after;
};

static int see(void *arg, const struct phx_path_value *value)
{
	struct seen *s = arg;

	s->sum += value->bits + value->len;
	return ++s->count == s->stop_after ? 42 : 0;
}

static void each_visits_all_elements_within_budget(void **state)
{
	struct fixture *f = *state;
	struct phx_path labels = compile(f, "many.label"), numbers = compile(f, "numbers");
	struct phx_path states = compile(f, "many.state");
	struct seen s = {0};

	assert_int_equal(phx_path_each(&labels, &f->image, 100, see, &s), 0);
	assert_int_equal(s.count, 3);
	assert_int_equal(s.sum, 4);
	s = (struct seen){0};
	assert_int_equal(phx_path_each(&numbers, &f->image, 3, see, &s), 0);
	assert_int_equal(s.sum, 6);
	s = (struct seen){0};
	assert_int_equal(phx_path_each(&states, &f->image, 100, see, &s), 0);
	assert_int_equal(s.sum, UINT64_MAX); // enum -1, sign-extended
	s = (struct seen){.stop_after = 2};
	assert_int_equal(phx_path_each(&labels, &f->image, 100, see, &s), 42);
	assert_int_equal(phx_path_each(&numbers, &f->image, 2, see, &s), -E2BIG);
}

static void rebind_follows_numbers_and_types(void **state)
{
	static const struct t_message moved[] = {
		{"x.Other", 0,
			{FIELD("pad", 1, BOOL), FIELD("renamed", 2, STRING), FIELD("z", 3, DOUBLE),
				FIELD("sub", 4, MESSAGE, .message = 1)}},
		{"x.Sub", 0, {FIELD("no", 1, FIXED32), FIELD("text", 2, BYTES)}},
		{NULL},
	};
	struct fixture *f = *state;
	struct phx_path path = compile(f, "name"), bound;
	struct phx_schema *other;
	size_t size;
	uint8_t *table = t_table(moved, NULL, &size);

	assert_int_equal(phx_schema_bind(table, size, &other, NULL), 0);
	free(table);
	assert_int_equal(phx_path_rebind(&path, other, 0, &bound), 0);
	assert_int_equal(
		bound.steps[0].offset, phx_message_field(phx_schema_message(other, 0), 2)->offset);
	assert_int_not_equal(bound.steps[0].offset, path.steps[0].offset);
	path = compile(f, "inner.id");
	assert_int_equal(phx_path_compatible(&path, other, 0), 0);
	path = compile(f, "inner.label"); // bytes there
	assert_int_equal(phx_path_compatible(&path, other, 0), -EPROTO);
	path = compile(f, "data"); // double there
	assert_int_equal(phx_path_compatible(&path, other, 0), -EPROTO);
	path = compile(f, "many.id");
	assert_int_equal(phx_path_compatible(&path, other, 0), -ENOENT);
	path = compile(f, "tree.left.left.value");
	assert_int_equal(phx_path_compatible(&path, f->schema, T_ALL), 0);
	phx_schema_free(other);
}

// Canonicalise f->image and replace it; the result validates and has no garbage.
static void canonicalise(struct fixture *f)
{
	struct phx_validate_limits lim = {1000};
	struct phx_work work = {INT64_MAX, INT64_MAX};
	struct phx_image_copy copy;
	static struct phx_validate v;
	struct phx_image fresh;
	uint8_t *flat;

	assert_int_equal(
		phx_image_canonicalise(&f->image, f->schema, T_ALL, &f->pool.pool, &fresh), 0);
	assert_false(fresh.dirty);
	assert_int_equal(fresh.hole_count, f->image.hole_count);
	phx_image_release(&f->image, &f->pool.pool);
	f->image = fresh;
	flat = malloc(fresh.total_len);
	phx_image_copy_start(&copy, &f->image, &f->arena.source, flat);
	assert_int_equal(phx_image_copy_run(&copy, &work), 1);
	phx_validate_start(&v, f->schema, T_ALL, flat, (uint32_t)fresh.total_len, &lim);
	if (phx_validate_run(&v, &work) != 1)
		fail_msg("%s", v.error);
	free(flat);
}

static void canonicalise_unchanged_image_is_identity(void **state)
{
	struct fixture *f = *state;
	uint64_t total = f->image.total_len;
	uint32_t skeleton = f->image.skeleton_len;

	canonicalise(f);
	assert_int_equal(f->image.total_len, total);
	assert_int_equal(f->image.skeleton_len, skeleton);
	expect_text(f, "name", "alice");
}

static void set_rewrites_values(void **state)
{
	struct fixture *f = *state;
	struct phx_path name = compile(f, "name"), label = compile(f, "inner.label");
	struct phx_path id = compile(f, "inner.id"), opt = compile(f, "opt_int");
	struct phx_path opt_name = compile(f, "opt_name"), data = compile(f, "data");
	struct phx_block_pool *pool = &f->pool.pool;

	assert_int_equal(phx_image_set_string(&f->image, &name, "somebody else", 13, pool), 0);
	assert_true(f->image.dirty);
	assert_int_equal(phx_image_set_string(&f->image, &label, "", 0, pool), 0);
	assert_int_equal(phx_image_set_string(&f->image, &opt_name, "new", 3, pool), 0);
	assert_int_equal(phx_image_set_scalar(&f->image, &id, 99, pool), 0);
	assert_int_equal(phx_image_set_scalar(&f->image, &opt, (uint64_t)-5, pool), 0);
	expect_text(f, "name", "somebody else"); // also before it is canonical
	canonicalise(f);
	expect_text(f, "name", "somebody else");
	expect_text(f, "inner.label", "");
	expect_text(f, "opt_name", "new");
	expect_bits(f, "inner.id", 99);
	expect_bits(f, "opt_int", (uint64_t)-5);
	expect_text(f, "many.label", "m0");
	// A hole can be replaced too.
	assert_int_equal(phx_image_set_string(&f->image, &data, "\xff", 1, pool), 0);
	expect_text(f, "data", "\xff");
}

static void set_refuses_what_does_not_fit(void **state)
{
	struct fixture *f = *state;
	struct phx_path name = compile(f, "name"), many = compile(f, "many.label");
	struct phx_path id = compile(f, "inner.id"), opt = compile(f, "opt_int"),
			flag = compile(f, "flag");
	struct phx_path tree = compile(f, "tree.value"), pick = compile(f, "pick_text");
	struct phx_block_pool *pool = &f->pool.pool;

	assert_int_equal(phx_image_set_string(&f->image, &many, "x", 1, pool), -ENOTSUP);
	assert_int_equal(phx_image_set_string(&f->image, &pick, "x", 1, pool), -ENOENT);
	assert_int_equal(phx_image_set_string(&f->image, &id, "x", 1, pool), -EINVAL);
	assert_int_equal(phx_image_set_string(&f->image, &name, "\xff", 1, pool), -EILSEQ);
	assert_int_equal(phx_image_set_scalar(&f->image, &tree, 1, pool), -ENOENT);
	assert_int_equal(phx_image_set_scalar(&f->image, &name, 1, pool), -EINVAL);
	assert_int_equal(phx_image_set_scalar(&f->image, &flag, 2, pool), -EINVAL);
	assert_int_equal(phx_image_set_scalar(&f->image, &id, UINT64_C(1) << 32, pool), -EINVAL);
	assert_int_equal(phx_image_set_scalar(&f->image, &opt, UINT64_C(1) << 31, pool), -EINVAL);
	assert_false(f->image.dirty);
}

static void set_long_string_spans_blocks(void **state)
{
	struct fixture *f = *state;
	struct phx_path name = compile(f, "name");
	struct phx_path_value value;
	uint32_t len = 200001, total = (uint32_t)f->image.total_len;
	uint8_t *bytes = malloc(len), *back = malloc(len);
	int rc = -ENOMEM;

	for (uint32_t i = 0; i < len; i++)
		bytes[i] = (uint8_t)('a' + i % 26);
	// Out of blocks at each point: nothing has changed.
	for (long n = 0; rc != 0; n++) {
		f->pool.fail_after = f->pool.gets + n;
		rc = phx_image_set_string(&f->image, &name, bytes, len, &f->pool.pool);
		if (rc != 0) {
			assert_int_equal(rc, -ENOMEM);
			assert_int_equal(f->image.total_len, total);
			expect_text(f, "name", "alice");
		}
	}
	f->pool.fail_after = -1;
	canonicalise(f);
	assert_int_equal(phx_path_get(&name, &f->image, &value), 1);
	assert_int_equal(value.len, len);
	assert_int_equal(phx_image_read(&f->image, value.pos, back, len), 0);
	assert_memory_equal(back, bytes, len);
	free(bytes);
	free(back);
}

static void set_in_borrowed_image_leaves_the_buffer(void **state)
{
	struct fixture *f = *state;
	struct phx_path id = compile(f, "inner.id");
	struct phx_work work = {INT64_MAX, INT64_MAX};
	struct phx_image_copy copy;
	uint32_t total = (uint32_t)f->image.total_len;
	uint8_t *flat = malloc(total), *before = malloc(total);

	phx_image_copy_start(&copy, &f->image, &f->arena.source, flat);
	assert_int_equal(phx_image_copy_run(&copy, &work), 1);
	memcpy(before, flat, total);
	phx_image_release(&f->image, &f->pool.pool);
	phx_image_borrow(&f->image, flat, total);
	expect_bits(f, "inner.id", 7);
	assert_int_equal(phx_image_set_scalar(&f->image, &id, 8, &f->pool.pool), 0);
	expect_bits(f, "inner.id", 8);
	assert_memory_equal(flat, before, total);
	canonicalise(f);
	expect_bits(f, "inner.id", 8);
	free(flat);
	free(before);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(compile_bad_path_is_refused),
		TEST(get_values_of_each_shape),
		TEST(get_uninspected_large_leaf_is_nodata),
		TEST(each_visits_all_elements_within_budget),
		TEST(rebind_follows_numbers_and_types),
		TEST(canonicalise_unchanged_image_is_identity),
		TEST(set_rewrites_values),
		TEST(set_refuses_what_does_not_fit),
		TEST(set_long_string_spans_blocks),
		TEST(set_in_borrowed_image_leaves_the_buffer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
