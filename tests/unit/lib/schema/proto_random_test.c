// SPDX-License-Identifier: BSD-3-Clause
// Random messages to protobuf and back, cut, without memory, and with memory that changes.
#include "tests/unit/lib/schema/proto_fixture.h"

// A random message as canonical image (contiguous) and as packed image with holes.
struct sample {
	struct t_arena arena;
	struct phx_image image;
	uint8_t *flat;
	uint64_t size;
};

static void sample_make(struct sample *s, uint32_t message, uint64_t seed, uint32_t leaf_copy)
{
	const struct phx_pack_limits lim = {
		PHX_LIMIT_MESSAGE_BYTES_MAX, PHX_LIMIT_MESSAGE_ELEMENTS_MAX, leaf_copy, NULL};
	struct phx_work work = {INT64_MAX, INT64_MAX};
	struct phx_image_copy copy;
	struct phx_pack pack;
	uint32_t root;
	int rc;

	t_arena_init(&s->arena, 32 << 20);
	root = t_random_message(&s->arena, schema, message, &seed, 4, 70000);
	phx_pack_start(&pack, schema, message, &s->arena.source, root, &pool.pool, &lim, &s->image);
	rc = phx_pack_run(&pack, &work);
	if (rc != 1)
		fail_msg("pack: %s", pack.error);
	s->size = s->image.total_len;
	s->flat = malloc(s->size);
	assert_non_null(s->flat);
	phx_image_copy_start(&copy, &s->image, &s->arena.source, s->flat);
	work = (struct phx_work){INT64_MAX, INT64_MAX};
	assert_int_equal(phx_image_copy_run(&copy, &work), 1);
}

static void sample_free(struct sample *s)
{
	phx_image_release(&s->image, &pool.pool);
	t_arena_fini(&s->arena);
	free(s->flat);
}

static void encode_random_messages_decode_to_the_same_image(void **state)
{
	static const uint32_t types[] = {T_ALL, T_NODE, T_MANY, T_INNER, T_EMPTY};

	(void)state;
	for (uint64_t seed = 0; seed < 400; seed++) {
		uint32_t type = types[seed % PHX_ARRAY_LEN(types)];
		struct sample s;
		uint64_t size, out_size;
		uint8_t *out, *image;
		int rc;

		sample_make(&s, type, seed, seed % 2 ? 64 : 4096);
		out = encode(type, &s.image, &s.arena.source, INT64_MAX, SIZE_MAX, &out_size, &rc);
		assert_int_equal(rc, 1);
		image = decode(type, out, (uint32_t)out_size, INT64_MAX, &no_limits, &size, &rc);
		assert_int_equal(rc, 1);
		assert_int_equal(size, s.size);
		assert_memory_equal(image, s.flat, size);
		free(image);
		free(out);
		sample_free(&s);
	}
}

static void encode_and_decode_any_step_and_window_give_the_same_bytes(void **state)
{
	static const size_t windows[] = {1, 3, 31, 32, 33, 100, 65536};

	(void)state;
	for (uint64_t seed = 1000; seed < 1060; seed++) {
		size_t window = windows[seed % PHX_ARRAY_LEN(windows)];
		int64_t step = (int64_t)(seed % 5) * 7 + 1;
		struct sample s;
		uint64_t size, out_size, small_size;
		uint8_t *out, *small, *image;
		int rc;

		sample_make(&s, T_ALL, seed, 100);
		out = encode(T_ALL, &s.image, &s.arena.source, INT64_MAX, SIZE_MAX, &out_size, &rc);
		assert_int_equal(rc, 1);
		small = encode(T_ALL, &s.image, &s.arena.source, step, window, &small_size, &rc);
		assert_int_equal(rc, 1);
		assert_int_equal(small_size, out_size);
		assert_memory_equal(small, out, out_size);
		image = decode(T_ALL, out, (uint32_t)out_size, step, &no_limits, &size, &rc);
		assert_int_equal(rc, 1);
		assert_int_equal(size, s.size);
		assert_memory_equal(image, s.flat, size);
		free(image);
		free(small);
		free(out);
		sample_free(&s);
	}
}

static void decode_every_truncation_gives_an_error_or_a_canonical_image(void **state)
{
	struct sample s;
	uint64_t size, out_size;
	uint8_t *out;
	int rc;

	(void)state;
	sample_make(&s, T_NODE, 7, UINT32_MAX);
	out = encode(T_NODE, &s.image, NULL, INT64_MAX, SIZE_MAX, &out_size, &rc);
	assert_int_equal(rc, 1);
	for (uint64_t n = 0; n < phx_min(out_size, 3000u); n++) {
		uint8_t *copy = malloc(n + 1), *image;

		assert_non_null(copy);
		memcpy(copy + 1, out, n);
		image = decode(T_NODE, copy + 1, (uint32_t)n, 50, &no_limits, &size, &rc);
		if (rc == 1)
			assert_canonical(T_NODE, image, size);
		else
			assert_true(rc == -EPROTO || rc == -EILSEQ);
		free(image);
		free(copy);
	}
	free(out);
	sample_free(&s);
}

static void decode_and_encode_without_blocks_report_no_memory(void **state)
{
	struct sample s;
	uint64_t size, out_size;
	uint8_t *out, *image;
	int rc;

	(void)state;
	sample_make(&s, T_ALL, 21, UINT32_MAX);
	out = encode(T_ALL, &s.image, NULL, INT64_MAX, SIZE_MAX, &out_size, &rc);
	assert_int_equal(rc, 1);
	for (long n = 0;; n++) {
		pool.gets = 0;
		pool.fail_after = n;
		image = decode(T_ALL, out, (uint32_t)out_size, 1000, &no_limits, &size, &rc);
		if (rc == 1)
			break;
		assert_int_equal(rc, -ENOMEM);
	}
	pool.fail_after = -1;
	assert_true(pool.gets > 0);
	free(image);
	free(out);
	sample_free(&s);
}

// A list of bools in a hole: the bytes there can change between the passes.
static void encode_hole_that_changes_is_refused(void **state)
{
	struct sample s = {0};
	struct phx_work work = {INT64_MAX, INT64_MAX};
	const struct phx_pack_limits lim = {1 << 20, 1 << 20, 16, NULL};
	const struct phx_field *f = phx_message_field(phx_schema_message(schema, T_ALL), 2);
	struct phx_proto_encode e;
	struct phx_pack pack;
	uint64_t size;
	uint32_t root, leaf;
	uint8_t out[256];
	size_t put;

	(void)state;
	t_arena_init(&s.arena, 1 << 20);
	root = t_alloc(&s.arena, phx_schema_message(schema, T_ALL)->size);
	leaf = t_leaf(&s.arena, root + f->offset, "0123456789abcdefghij", 20);
	phx_pack_start(&pack, schema, T_ALL, &s.arena.source, root, &pool.pool, &lim, &s.image);
	assert_int_equal(phx_pack_run(&pack, &work), 1);
	assert_int_equal(s.image.hole_count, 1);
	phx_proto_encode_start(&e, schema, T_ALL, &s.image, &s.arena.source, &pool.pool);
	assert_int_equal(phx_proto_encode_size(&e, &work, &size), 1);
	assert_int_equal(size, 22);
	s.arena.base[leaf + 19] = 0xff; // no longer UTF-8
	assert_int_equal(phx_proto_encode_fill(&e, out, sizeof(out), &put, &work), -EILSEQ);
	phx_proto_encode_finish(&e);
	sample_free(&s);
}

static void encode_image_that_is_not_canonical_is_refused(void **state)
{
	static const char in[] = "\x2a\x03\x12\x01x\x32\x01"
				 "a\x42\x01\x05";
	uint64_t size, out_size;
	int rc;
	uint8_t *image = decode(T_ALL, in, sizeof(in) - 1, INT64_MAX, &no_limits, &size, &rc);
	struct phx_image img;

	(void)state;
	assert_int_equal(rc, 1);
	for (uint32_t at = 0; at < size; at += 4) {
		uint32_t word = phx_le32_load(image + at);
		uint8_t *out;

		phx_le32_store(image + at, word + 0x10000);
		phx_image_borrow(&img, image, (uint32_t)size);
		out = encode(T_ALL, &img, NULL, INT64_MAX, SIZE_MAX, &out_size, &rc);
		assert_true(rc == 1 || rc == -EPROTO); // scalars may be anything
		free(out);
		phx_le32_store(image + at, word);
	}
	phx_image_borrow(&img, image, (uint32_t)size - 8);
	free(encode(T_ALL, &img, NULL, INT64_MAX, SIZE_MAX, &out_size, &rc));
	assert_int_equal(rc, -EPROTO);
	free(image);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encode_random_messages_decode_to_the_same_image),
		cmocka_unit_test(encode_and_decode_any_step_and_window_give_the_same_bytes),
		cmocka_unit_test(decode_every_truncation_gives_an_error_or_a_canonical_image),
		cmocka_unit_test(decode_and_encode_without_blocks_report_no_memory),
		cmocka_unit_test(encode_hole_that_changes_is_refused),
		cmocka_unit_test(encode_image_that_is_not_canonical_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
