// SPDX-License-Identifier: BSD-3-Clause
// Images: gather lists, positions, copies with text checks, borrowed and owned forms.
#include "lib/schema/image.h"

#include "lib/base/bits.h"
#include "lib/schema/pack.h"
#include "tests/unit/lib/schema/build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture {
	struct phx_schema *schema;
	struct t_arena arena;
	struct t_pool pool;
	struct phx_image image;
	uint8_t *flat; // the canonical stream
};

static void pack(struct fixture *f, uint32_t message, uint32_t root, uint32_t leaf_copy_bytes)
{
	struct phx_pack_limits lim = {1u << 30, 1u << 24, leaf_copy_bytes, NULL};
	struct phx_work work = {INT64_MAX, INT64_MAX};
	struct phx_image_copy copy;
	struct phx_pack p;

	phx_pack_start(
		&p, f->schema, message, &f->arena.source, root, &f->pool.pool, &lim, &f->image);
	assert_int_equal(phx_pack_run(&p, &work), 1);
	f->flat = malloc(f->image.total_len);
	phx_image_copy_start(&copy, &f->image, &f->arena.source, f->flat);
	assert_int_equal(phx_image_copy_run(&copy, &work), 1);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	uint64_t seed = 21;

	f->schema = t_all_schema();
	t_arena_init(&f->arena, 16u << 20);
	t_pool_init(&f->pool);
	// Holes and several blocks.
	for (int tries = 0;; tries++) {
		assert_true(tries < 1000);
		f->arena.used = 0;
		pack(f, T_ALL, t_random_message(&f->arena, f->schema, T_ALL, &seed, 5, 60000),
			40000);
		if (f->image.hole_count > 3 && f->image.block_count > 2)
			break;
		phx_image_release(&f->image, &f->pool.pool);
		free(f->flat);
	}
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
	free(f->flat);
	free(f);
	return 0;
}

static void iov_any_window_is_the_stream(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 1, total = f->image.total_len, covered, at;
	struct iovec iov[80];
	int n;

	n = phx_image_iov(&f->image, &f->arena.source, 0, UINT64_MAX, iov, 200, &covered);
	assert_true(n > 3 && n < 80);
	assert_int_equal(covered, total);
	for (int i = 0; i < 3000; i++) {
		uint64_t pos = t_random(&seed) % total, len = t_random(&seed) % (total - pos + 20);
		int max = (int)(t_random(&seed) % 6);

		n = phx_image_iov(&f->image, &f->arena.source, pos, len, iov, max, &covered);
		assert_true(n <= max);
		assert_true(covered <= len && covered <= total - pos);
		if (n < max)
			assert_int_equal(covered, len < total - pos ? len : total - pos);
		at = pos;
		for (int k = 0; k < n; k++) {
			assert_true(iov[k].iov_len != 0);
			assert_memory_equal(iov[k].iov_base, f->flat + at, iov[k].iov_len);
			at += iov[k].iov_len;
		}
		assert_int_equal(at, pos + covered);
	}
	assert_int_equal(phx_image_iov(&f->image, &f->arena.source, total, 8, iov, 5, &covered), 0);
	assert_int_equal(covered, 0);
}

// One entry after the other, as a link sends it.
static void iov_resumed_with_one_entry_covers_all(void **state)
{
	struct fixture *f = *state;
	uint64_t pos = 0, covered;
	struct iovec v;

	while (pos < f->image.total_len) {
		assert_int_equal(phx_image_iov(&f->image, &f->arena.source, pos, UINT64_MAX, &v, 1,
					 &covered),
			1);
		assert_memory_equal(v.iov_base, f->flat + pos, covered);
		pos += covered;
	}
	assert_int_equal(pos, f->image.total_len);
}

static void read_skeleton_and_holes(void **state)
{
	struct fixture *f = *state;
	const struct phx_image_hole *h = &f->image.holes[1];
	uint8_t buf[16384];
	uint32_t off;

	assert_int_equal(phx_image_read(&f->image, 0, buf, 64), 0);
	assert_memory_equal(buf, f->flat, 64);
	assert_int_equal(phx_image_locate(&f->image, h->pos, &off), 0);
	assert_int_equal(off, 1);
	assert_int_equal(phx_image_locate(&f->image, h->pos - 8, &off), 1);
	assert_int_equal(phx_image_read(&f->image, h->pos, buf, 8), -ENODATA);
	assert_int_equal(phx_image_read(&f->image, h->pos - 8, buf, 16), -ENODATA);
	assert_int_equal(
		phx_image_read(&f->image, h->pos - 8, buf, phx_align_up(h->len, 8) + 16), -ENODATA);
	assert_int_equal(phx_image_read(&f->image, h->pos - 8, buf, 8), 0);
	assert_memory_equal(buf, f->flat + h->pos - 8, 8);
	assert_int_equal(phx_image_read(&f->image, f->image.total_len, buf, 0), 0);
	assert_int_equal(phx_image_read(&f->image, f->image.total_len, buf, 1), -ERANGE);
	assert_int_equal(phx_image_read(&f->image, UINT64_MAX, buf, 8), -ERANGE);
}

// The application changes a string after it was packed: the copy says so, nothing else breaks.
static void copy_late_bad_text_ends_that_call(void **state)
{
	struct fixture *f = *state;
	struct phx_image_copy copy;
	struct phx_work work;
	uint8_t *dst = malloc(f->image.total_len);
	uint32_t texts = 0;
	int rc;

	for (uint32_t i = 0; i < f->image.hole_count; i++) {
		const struct phx_image_hole *h = &f->image.holes[i];
		uint8_t *byte = f->arena.base + h->src_off + h->len - 1, old = *byte;

		*byte = 0xe2; // a character that does not end
		phx_image_copy_start(&copy, &f->image, &f->arena.source, dst);
		do {
			work = (struct phx_work){100, 100};
			rc = phx_image_copy_run(&copy, &work);
		} while (rc == 0);
		assert_int_equal(rc, h->check_utf8 ? -EILSEQ : 1);
		texts += h->check_utf8;
		*byte = old;
	}
	assert_true(texts > 0 && texts < f->image.hole_count);
	free(dst);
}

static void own_borrowed_image_copies_it(void **state)
{
	struct fixture *f = *state;
	uint32_t size = (uint32_t)f->image.total_len;
	struct phx_image view;
	uint8_t *back = malloc(size);

	phx_image_borrow(&view, f->flat, size);
	assert_ptr_equal(phx_image_at(&view, size - 8), f->flat + size - 8);
	assert_int_equal(phx_image_own(&view, &f->pool.pool), 0);
	assert_false(view.borrowed);
	assert_int_equal(phx_image_read(&view, 0, back, size), 0);
	assert_memory_equal(back, f->flat, size);
	phx_image_release(&view, &f->pool.pool);
	phx_image_borrow(&view, f->flat, size);
	f->pool.fail_after = f->pool.gets + 1;
	assert_int_equal(phx_image_own(&view, &f->pool.pool), -ENOMEM);
	assert_true(view.borrowed);
	phx_image_release(&view, &f->pool.pool);
	free(back);
}

// More than 128 large blocks: the array of pointers changes its size too.
static void release_of_many_blocks_returns_all(void **state)
{
	struct fixture *f = *state;
	uint32_t size = 200 * PHX_BLOCK_LARGE + 8;
	uint8_t *bytes = calloc(1, size), *back = malloc(size);
	struct phx_image view;
	long before = f->pool.outstanding;

	for (uint32_t i = 0; i < size; i += 4096)
		phx_le32_store(bytes + i, i);
	phx_image_borrow(&view, bytes, size);
	assert_int_equal(phx_image_own(&view, &f->pool.pool), 0);
	assert_int_equal(f->pool.outstanding, before + 202);
	assert_int_equal(phx_image_read(&view, 0, back, size), 0);
	assert_memory_equal(back, bytes, size);
	phx_image_release(&view, &f->pool.pool);
	assert_int_equal(f->pool.outstanding, before);
	free(bytes);
	free(back);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(iov_any_window_is_the_stream),
		TEST(iov_resumed_with_one_entry_covers_all),
		TEST(read_skeleton_and_holes),
		TEST(copy_late_bad_text_ends_that_call),
		TEST(own_borrowed_image_copies_it),
		TEST(release_of_many_blocks_returns_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
