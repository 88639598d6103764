// SPDX-License-Identifier: BSD-3-Clause
// Packing of hostile references and contents: rows D-01..D-08, D-11, D-13 of the catalogue.
#include "tests/unit/lib/schema/pack_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

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

struct rewriter {
	uint64_t *words; // fixed part of the root
	uint32_t count;
	uint64_t choices[4][64]; // what the words alternate between
	_Atomic bool stop;
};

static void *rewrite(void *arg)
{
	struct rewriter *r = arg;
	uint64_t seed = 77;

	while (!atomic_load_explicit(&r->stop, memory_order_relaxed)) {
		uint64_t x = t_random(&seed);
		uint32_t i = (uint32_t)(x % r->count);

		__atomic_store_n(&r->words[i], r->choices[x >> 62][i], __ATOMIC_RELAXED);
	}
	return NULL;
}

// D-09: another thread rewrites references and values all the time. Whatever a pack saw, its
// result is canonical or it is refused.
static void run_while_words_change_gives_canonical_or_error(void **state)
{
	struct fixture *f = *state;
	const struct phx_message *m = phx_schema_message(f->schema, T_ALL);
	struct phx_pack_limits lim = limits;
	static struct rewriter r;
	uint8_t *flat = malloc(1u << 20);
	uint64_t seed = 5, deadline = phx_clock_ns() + 20 * PHX_NS_PER_S;
	uint32_t root, packed = 0, refused = 0;
	bool bad = false;
	pthread_t thread;

	lim.leaf_copy_bytes = UINT32_MAX;
	lim.max_bytes = 1u << 20;
	root = t_random_message(&f->arena, f->schema, T_ALL, &seed, 3, 200);
	r.words = (uint64_t *)(f->arena.base + root);
	r.count = m->size / 8;
	assert_true(r.count <= 64);
	memcpy(r.choices[0], r.words, m->size);
	memcpy(r.choices[1], r.words, m->size);
	memcpy(r.choices[3], r.words, m->size);
	for (uint32_t i = 0; i < r.count; i++) // longer, elsewhere, other bits
		r.choices[2][i] = r.words[i] ^ UINT64_C(1) << (t_random(&seed) % 64);
	memset(r.choices[3], 0, m->size);
	assert_int_equal(pthread_create(&thread, NULL, rewrite, &r), 0);
	while (!bad && (packed < 2000 || refused < 2000) && phx_clock_ns() < deadline) {
		if (pack_all(f, T_ALL, root, &lim) != 1) {
			refused++;
			continue;
		}
		packed++;
		bad = phx_image_read(&f->image, 0, flat, (uint32_t)f->image.total_len) != 0 ||
		      validate_steps(f, T_ALL, flat, INT64_MAX, INT64_MAX) != 1;
		phx_image_release(&f->image, &f->pool.pool);
	}
	atomic_store_explicit(&r.stop, true, memory_order_relaxed);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_false(bad);
	assert_true(packed > 0 && refused > 0);
	free(flat);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(run_reference_outside_is_refused),
		TEST(run_misaligned_reference_is_refused),
		TEST(run_empty_references_become_null),
		TEST(run_overlapping_parts_are_copied),
		TEST(run_cyclic_message_is_refused),
		TEST(run_nesting_has_an_exact_limit),
		TEST(run_too_many_leaves_are_copied),
		TEST(run_exact_limits_pass),
		TEST(run_bad_contents_are_refused),
		TEST(run_while_words_change_gives_canonical_or_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
