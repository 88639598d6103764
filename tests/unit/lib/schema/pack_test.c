// SPDX-License-Identifier: BSD-3-Clause
// Packing: round trips of random messages, resumability, memory, small messages.
#include "lib/schema/path.h"
#include "tests/unit/lib/schema/pack_fixture.h"

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

// Policies may come between the pack and the chain: what they inspect is copied late, and only
// that.
static void fill_copies_holes_that_are_inspected_now(void **state)
{
	struct fixture *f = *state;
	uint32_t size = phx_schema_message(f->schema, T_MANY)->size;
	uint32_t root = t_alloc(&f->arena, size), leaf[2];
	struct phx_inspect *inspect = phx_inspect_create(f->schema);
	const struct phx_field *fields[2];
	struct phx_pack_limits lim = limits;
	struct phx_image filled;
	uint8_t *text = malloc(20000), *flat;
	int rc;

	memset(text, 'a', 20000);
	for (unsigned i = 0; i < 2; i++) {
		fields[i] = phx_message_field(phx_schema_message(f->schema, T_MANY), 6 + i);
		leaf[i] = t_leaf(&f->arena, root + fields[i]->offset, text, 20000);
	}
	assert_int_equal(pack_all(f, T_MANY, root, &lim), 1);
	assert_int_equal(f->image.hole_count, 2);
	inspect->bits[fields[1]->index / 64] |= UINT64_C(1) << (fields[1]->index % 64);
	lim.inspect = inspect;
	f->arena.base[leaf[1]] = 'b';
	phx_pack_start_fill(&f->pack, f->schema, T_MANY, &f->image, &f->arena.source, &f->pool.pool,
		&lim, &filled);
	do {
		struct phx_work work = {1000, 1000};

		rc = phx_pack_run(&f->pack, &work);
	} while (rc == 0);
	assert_int_equal(rc, 1);
	phx_image_release(&f->image, &f->pool.pool);
	f->image = filled;
	assert_int_equal(filled.hole_count, 1);
	// What happens to the source from now on changes the hole alone.
	memset(f->arena.base + leaf[0], 'c', 20000);
	memset(f->arena.base + leaf[1], 'd', 20000);
	flat = aligned_alloc(8, filled.total_len);
	assert_int_equal(copy_steps(f, flat, INT64_MAX, INT64_MAX), 1);
	assert_int_equal(validate_steps(f, T_MANY, flat, INT64_MAX, INT64_MAX), 1);
	assert_int_equal(flat[size], 'c');
	assert_int_equal(flat[size + 20000], 'b');
	assert_int_equal(flat[size + 20001], 'a');
	free(flat);
	free(text);
	phx_inspect_free(inspect);
}

static void fill_refuses_text_that_has_become_bad(void **state)
{
	struct fixture *f = *state;
	uint32_t root = t_alloc(&f->arena, phx_schema_message(f->schema, T_MANY)->size), leaf;
	const struct phx_field *field = phx_message_field(phx_schema_message(f->schema, T_MANY), 6);
	struct phx_inspect *inspect = phx_inspect_create(f->schema);
	struct phx_pack_limits lim = limits;
	struct phx_work work = {INT64_MAX, INT64_MAX};
	struct phx_image filled;
	uint8_t *text = malloc(20000);

	memset(text, 'a', 20000);
	leaf = t_leaf(&f->arena, root + field->offset, text, 20000);
	assert_int_equal(pack_all(f, T_MANY, root, &lim), 1);
	inspect->bits[field->index / 64] |= UINT64_C(1) << (field->index % 64);
	lim.inspect = inspect;
	f->arena.base[leaf + 9999] = 0xff;
	phx_pack_start_fill(&f->pack, f->schema, T_MANY, &f->image, &f->arena.source, &f->pool.pool,
		&lim, &filled);
	assert_int_equal(phx_pack_run(&f->pack, &work), -EPROTO);
	assert_string_equal(f->pack.error, "utf-8");
	free(text);
	phx_inspect_free(inspect);
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
	const struct CMUnitTest tests[] = {
		TEST(run_random_message_round_trips),
		TEST(run_mutated_image_is_refused_or_other_value),
		TEST(run_out_of_blocks_releases_everything),
		TEST(abort_between_runs_releases_everything),
		TEST(run_long_text_is_checked_over_cuts),
		TEST(run_inspected_leaf_is_copied),
		TEST(fill_copies_holes_that_are_inspected_now),
		TEST(fill_refuses_text_that_has_become_bad),
		TEST(start_private_copies_inline_message),
		TEST(bench_small_message),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
