// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/schema/proto: golden bytes of image and protobuf, proto3's merging rules, hostile
// input, limits, every size of step and window, holes.
#include "lib/schema/proto.h"

#include "lib/base/bits.h"
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

static struct phx_schema *schema;
static struct t_pool pool;

static int setup(void **state)
{
	(void)state;
	schema = t_all_schema();
	t_pool_init(&pool);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	phx_schema_free(schema);
	return pool.outstanding != 0; // every test gives all blocks back
}

static const struct phx_proto_limits no_limits = {
	PHX_LIMIT_MESSAGE_BYTES_MAX, PHX_LIMIT_MESSAGE_ELEMENTS_MAX};

// Decode with steps of this much work. Returns malloc'ed image or NULL with *out_rc.
static uint8_t *decode(uint32_t message, const void *in, uint32_t len, int64_t step,
	const struct phx_proto_limits *lim, uint64_t *out_size, int *out_rc)
{
	struct phx_proto_decode d;
	struct phx_work work;
	uint8_t *image;
	int rc = 0;

	phx_proto_decode_start(&d, schema, message, in, len, &pool.pool, lim);
	while (rc == 0) {
		work = (struct phx_work){step, step};
		rc = phx_proto_decode_size(&d, &work, out_size);
	}
	*out_rc = rc;
	if (rc != 1) {
		assert_non_null(d.error);
		phx_proto_decode_finish(&d);
		return NULL;
	}
	image = malloc(*out_size);
	assert_non_null(image);
	memset(image, 0xee, *out_size);
	for (rc = 0; rc == 0;) {
		work = (struct phx_work){step, step};
		rc = phx_proto_decode_fill(&d, image, &work);
	}
	assert_int_equal(rc, 1);
	phx_proto_decode_finish(&d);
	return image;
}

static void assert_canonical(uint32_t message, const uint8_t *image, uint64_t size)
{
	const struct phx_validate_limits lim = {PHX_LIMIT_MESSAGE_ELEMENTS_MAX};
	struct phx_work work = {INT64_MAX, INT64_MAX};
	struct phx_validate v;

	phx_validate_start(&v, schema, message, image, (uint32_t)size, &lim);
	if (phx_validate_run(&v, &work) != 1)
		fail_msg("not canonical: %s", v.error);
}

// Encode with steps and output windows of this size into malloc'ed memory.
static uint8_t *encode(uint32_t message, const struct phx_image *image,
	const struct phx_source *source, int64_t step, size_t window, uint64_t *out_size,
	int *out_rc)
{
	struct phx_proto_encode e;
	struct phx_work work;
	uint8_t *out;
	size_t at = 0;
	int rc = 0;

	phx_proto_encode_start(&e, schema, message, image, source, &pool.pool);
	while (rc == 0) {
		work = (struct phx_work){step, step};
		rc = phx_proto_encode_size(&e, &work, out_size);
	}
	*out_rc = rc;
	if (rc != 1) {
		phx_proto_encode_finish(&e);
		return NULL;
	}
	out = malloc(*out_size + 1);
	assert_non_null(out);
	for (rc = 0; rc == 0;) {
		size_t room = phx_min(window, *out_size - at), put;

		work = (struct phx_work){step, step};
		rc = phx_proto_encode_fill(&e, out + at, room, &put, &work);
		assert_true(put <= room);
		at += put;
	}
	*out_rc = rc;
	if (rc == 1)
		assert_int_equal(at, *out_size);
	phx_proto_encode_finish(&e);
	return out;
}

// Decode `in`, encode the image: must give `want`.
static void assert_becomes(
	uint32_t message, const void *in, size_t len, const void *want, size_t want_len)
{
	struct phx_image img;
	uint64_t size, out_size;
	int rc;
	uint8_t *image = decode(message, in, (uint32_t)len, INT64_MAX, &no_limits, &size, &rc);
	uint8_t *out;

	assert_int_equal(rc, 1);
	assert_canonical(message, image, size);
	phx_image_borrow(&img, image, (uint32_t)size);
	out = encode(message, &img, NULL, INT64_MAX, SIZE_MAX, &out_size, &rc);
	assert_int_equal(rc, 1);
	assert_int_equal(out_size, want_len);
	assert_memory_equal(out, want, want_len);
	free(out);
	free(image);
}

static void assert_refused(uint32_t message, const void *in, size_t len, int error)
{
	uint8_t *copy = malloc(len + 1); // exact when len > 0: sanitizers see a byte too far
	uint64_t size;
	int rc;

	assert_non_null(copy);
	memcpy(copy + 1, in, len);
	assert_null(decode(message, copy + 1, (uint32_t)len, INT64_MAX, &no_limits, &size, &rc));
	assert_int_equal(rc, error);
	free(copy);
}

#define BECOMES(type, in, want)	 assert_becomes(type, in, sizeof(in) - 1, want, sizeof(want) - 1)
#define REFUSED(type, in, error) assert_refused(type, in, sizeof(in) - 1, error)

static void decode_inner_message_gives_these_bytes(void **state)
{
	// Inner {id 1, label "hi", weights [1.0], state -1, on, s -2, t 3}
	static const char in[] = "\x0d\x01\x00\x00\x00\x12\x02hi\x1a\x04\x00\x00\x80\x3f"
				 "\x20\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x28\x01\x30\x03"
				 "\x39\x03\x00\x00\x00\x00\x00\x00\x00";
	static const uint8_t want[] = {
		40,
		0,
		0,
		0,
		2,
		0,
		0,
		0, // label: cursor 40
		40,
		0,
		0,
		0,
		1,
		0,
		0,
		0, // weights at 8: cursor 48
		3,
		0,
		0,
		0,
		0,
		0,
		0,
		0, // t
		1,
		0,
		0,
		0, // id
		0xff,
		0xff,
		0xff,
		0xff, // state
		0xfe,
		0xff,
		0xff,
		0xff, // s
		1,
		0,
		0,
		0, // on, padding
		'h',
		'i',
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0,
		0x80,
		0x3f,
		0,
		0,
		0,
		0,
	};
	uint64_t size;
	int rc;
	uint8_t *image;

	(void)state;
	image = decode(T_INNER, in, sizeof(in) - 1, INT64_MAX, &no_limits, &size, &rc);
	assert_int_equal(rc, 1);
	assert_int_equal(size, sizeof(want));
	assert_memory_equal(image, want, sizeof(want));
	free(image);
	BECOMES(T_INNER, in, in);
}

static void decode_any_order_and_repeats_encode_in_order(void **state)
{
	(void)state;
	BECOMES(T_ALL, "", "");
	BECOMES(T_INNER, "\x28\x01\x0d\x01\x00\x00\x00", "\x0d\x01\x00\x00\x00\x28\x01");
	// the last scalar and string win, also when that is the default
	BECOMES(T_INNER, "\x28\x01\x12\x01x\x28\x00\x12\x00", "");
	// optional: presence survives the default
	BECOMES(T_ALL, "\x50\x05\x50\x00\x5a\x00", "\x50\x00\x5a\x00");
	// a bool varint that is not 0 or 1
	BECOMES(T_ALL, "\x08\x80\x02", "\x08\x01");
	// int32 from a 64-bit varint: the low 32 bits
	BECOMES(T_ALL, "\x50\x81\x80\x80\x80\x10", "\x50\x01");
}

static void decode_singular_messages_merge(void **state)
{
	(void)state;
	BECOMES(T_ALL, "\x22\x03\x12\x01x\x22\x02\x28\x01", "\x22\x05\x12\x01x\x28\x01");
	// but a list of messages does not
	BECOMES(T_ALL, "\x2a\x02\x28\x01\x2a\x00", "\x2a\x02\x28\x01\x2a\x00");
	// lists of a merged message are joined
	BECOMES(T_ALL, "\x22\x06\x1a\x04\x00\x00\x80\x3f\x22\x06\x1a\x04\x00\x00\x00\x40",
		"\x22\x0a\x1a\x08\x00\x00\x80\x3f\x00\x00\x00\x40");
}

static void decode_oneof_last_member_wins(void **state)
{
	(void)state;
	BECOMES(T_ALL, "\x60\x05\x6a\x01x", "\x6a\x01x");
	BECOMES(T_ALL, "\x6a\x01x\x60\x00", "\x60\x00");
	BECOMES(T_ALL, "\x72\x02\x28\x01\x6a\x00", "\x6a\x00");
	// the same message member twice merges; with another between it does not
	BECOMES(T_ALL, "\x72\x02\x28\x01\x72\x03\x12\x01x", "\x72\x05\x12\x01x\x28\x01");
	BECOMES(T_ALL, "\x72\x02\x28\x01\x60\x01\x72\x03\x12\x01x", "\x72\x03\x12\x01x");
}

static void decode_packed_and_unpacked_lists_are_joined(void **state)
{
	(void)state;
	BECOMES(T_ALL, "\x40\x01\x42\x02\x02\x03\x40\x04", "\x42\x04\x01\x02\x03\x04");
	BECOMES(T_ALL, "\x42\x00", "");
	// with other fields between
	BECOMES(T_ALL, "\x40\x01\x08\x01\x40\x02\x40\x03\x08\x00\x42\x01\x04",
		"\x42\x04\x01\x02\x03\x04");
	BECOMES(T_ALL,
		"\x32\x01"
		"a\x08\x00\x32\x00\x32\x02"
		"bc",
		"\x32\x01"
		"a\x32\x00\x32\x02"
		"bc");
	BECOMES(T_ALL, "\x4a\x03\x00\x05\x01", "\x4a\x03\x00\x01\x01");
}

static void decode_map_entries_get_defaults(void **state)
{
	(void)state;
	BECOMES(T_ALL, "\x7a\x00", "\x7a\x04\x0a\x00\x10\x00");
	BECOMES(T_ALL, "\x7a\x05\x10\x07\x0a\x01k", "\x7a\x05\x0a\x01k\x10\x07");
	BECOMES(T_ALL, "\x82\x01\x02\x08\x05", "\x82\x01\x02\x08\x05");
}

static void decode_unknown_fields_are_skipped(void **state)
{
	(void)state;
	// varint, 64 bit, length, 32 bit, a group with a nested one, a known field behind
	BECOMES(T_INNER,
		"\xa0\x06\x05\xa1\x06"
		"12345678"
		"\xa2\x06\x02zz\xa5\x06"
		"1234"
		"\xa3\x06\x08\x01\xab\x06\x0a\x01x\xac\x06\xa4\x06\x28\x01",
		"\x28\x01");
	// known numbers with another wire type
	BECOMES(T_INNER,
		"\x08\x01\x10\x01\x2d"
		"1234"
		"\x28\x01",
		"\x28\x01");
}

static void decode_malformed_is_refused(void **state)
{
	(void)state;
	REFUSED(T_INNER, "\x0d\x01\x00\x00", -EPROTO); // short fixed32
	REFUSED(T_INNER, "\x12\x05hi", -EPROTO);       // short string
	REFUSED(T_INNER, "\x28", -EPROTO);	       // no value
	REFUSED(T_INNER, "\x00\x01", -EPROTO);	       // field 0
	REFUSED(T_INNER, "\x2e\x01", -EPROTO);	       // wire type 6
	REFUSED(T_INNER, "\x2c", -EPROTO);	       // group end alone
	REFUSED(T_INNER, "\xa3\x06\x08\x01", -EPROTO); // open group
	REFUSED(T_INNER, "\xa3\x06\xac\x06", -EPROTO); // other group ends
	REFUSED(T_INNER,
		"\x1a\x03"
		"abc",
		-EPROTO);				     // packed, no multiple
	REFUSED(T_ALL, "\x42\x02\x01\x80", -EPROTO);	     // packed varint cut
	REFUSED(T_ALL, "\x22\x03\x12\x05x", -EPROTO);	     // string past its message
	REFUSED(T_ALL, "\x22\x02\xa3\x06\xa4\x06", -EPROTO); // group past its message
	REFUSED(T_ALL, "\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", -EPROTO);
	REFUSED(T_ALL, "\x08\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", -EPROTO); // 11 bytes
	REFUSED(T_ALL, "\x42\x0b\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", -EPROTO);
	REFUSED(T_ALL, "\x42\x0c\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00\x00", -EPROTO);
	REFUSED(T_INNER, "\x12\x01\xff", -EILSEQ);
	REFUSED(T_INNER, "\x12\x01\xff\x12\x01x", -EILSEQ); // overwritten later
	REFUSED(T_ALL, "\x32\x02\xc3", -EPROTO);
	REFUSED(T_ALL, "\x32\x01\xc3", -EILSEQ);
	REFUSED(T_ALL, "\x7a\x03\x0a\x01\xff", -EILSEQ); // map key
	BECOMES(T_ALL, "\x1a\x01\xff", "\x1a\x01\xff");	 // bytes may be anything
}

static void decode_nesting_ends_at_the_limit(void **state)
{
	uint8_t in[3 * PHX_LIMIT_NESTING_MAX];
	uint64_t size;
	uint8_t *image;
	int rc;

	(void)state;
	for (uint32_t levels = PHX_LIMIT_NESTING_MAX - 1; levels <= PHX_LIMIT_NESTING_MAX;
		levels++) {
		uint32_t at = sizeof(in);

		for (uint32_t i = 0; i < levels; i++) { // Node.left inside Node.left
			uint32_t len = (uint32_t)sizeof(in) - at;

			in[--at] = (uint8_t)(len & 0x7f);
			if (len > 0x7f) {
				in[at] |= 0x80;
				at--;
				in[at] = in[at + 1];
				in[at + 1] = (uint8_t)(len >> 7);
			}
			in[--at] = 0x12;
		}
		image = decode(T_NODE, in + at, (uint32_t)sizeof(in) - at, INT64_MAX, &no_limits,
			&size, &rc);
		assert_int_equal(rc, levels < PHX_LIMIT_NESTING_MAX ? 1 : -E2BIG);
		if (image) {
			struct phx_image img;
			uint64_t out_size;
			uint8_t *out;

			assert_canonical(T_NODE, image, size);
			phx_image_borrow(&img, image, (uint32_t)size);
			out = encode(T_NODE, &img, NULL, 1, 7, &out_size, &rc);
			assert_int_equal(rc, 1);
			assert_int_equal(out_size, sizeof(in) - at);
			assert_memory_equal(out, in + at, out_size);
			free(out);
		}
		free(image);
	}
	memset(in, 0xa3, sizeof(in)); // groups nest too: tag a3 06 over and over
	for (uint32_t i = 1; i < 2 * PHX_LIMIT_NESTING_MAX; i += 2)
		in[i] = 6;
	assert_refused(T_NODE, in, 2 * PHX_LIMIT_NESTING_MAX, -E2BIG);
}

static void decode_over_limits_is_refused(void **state)
{
	static const char in[] = "\x2a\x02\x28\x01\x2a\x00\x32\x09"
				 "123456789";
	uint64_t size, at_limit;
	int rc;
	struct phx_proto_limits lim = no_limits;
	uint8_t *image = decode(T_ALL, in, sizeof(in) - 1, INT64_MAX, &lim, &at_limit, &rc);

	(void)state;
	assert_int_equal(rc, 1);
	free(image);
	lim.max_bytes = at_limit;
	free(decode(T_ALL, in, sizeof(in) - 1, INT64_MAX, &lim, &size, &rc));
	assert_int_equal(rc, 1);
	lim.max_bytes = at_limit - 1;
	assert_null(decode(T_ALL, in, sizeof(in) - 1, INT64_MAX, &lim, &size, &rc));
	assert_int_equal(rc, -E2BIG);
	lim = no_limits;
	lim.max_elements = 4; // root, two messages, one string
	free(decode(T_ALL, in, sizeof(in) - 1, INT64_MAX, &lim, &size, &rc));
	assert_int_equal(rc, 1);
	lim.max_elements = 3;
	assert_null(decode(T_ALL, in, sizeof(in) - 1, INT64_MAX, &lim, &size, &rc));
	assert_int_equal(rc, -E2BIG);
}

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
		cmocka_unit_test(decode_inner_message_gives_these_bytes),
		cmocka_unit_test(decode_any_order_and_repeats_encode_in_order),
		cmocka_unit_test(decode_singular_messages_merge),
		cmocka_unit_test(decode_oneof_last_member_wins),
		cmocka_unit_test(decode_packed_and_unpacked_lists_are_joined),
		cmocka_unit_test(decode_map_entries_get_defaults),
		cmocka_unit_test(decode_unknown_fields_are_skipped),
		cmocka_unit_test(decode_malformed_is_refused),
		cmocka_unit_test(decode_nesting_ends_at_the_limit),
		cmocka_unit_test(decode_over_limits_is_refused),
		cmocka_unit_test(encode_random_messages_decode_to_the_same_image),
		cmocka_unit_test(encode_and_decode_any_step_and_window_give_the_same_bytes),
		cmocka_unit_test(decode_every_truncation_gives_an_error_or_a_canonical_image),
		cmocka_unit_test(decode_and_encode_without_blocks_report_no_memory),
		cmocka_unit_test(encode_hole_that_changes_is_refused),
		cmocka_unit_test(encode_image_that_is_not_canonical_is_refused),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
