// SPDX-License-Identifier: BSD-3-Clause
// Protobuf bytes written by hand: what they become, and what is refused.
#include "tests/unit/lib/schema/proto_fixture.h"

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

#define EMPTIES 10240

// t.List {t.Wide all = 1, EMPTIES of them}: a Wide has sixteen references, and none is there.
static struct phx_schema *wide_schema(void)
{
	static struct t_message messages[] = {
		{"t.List", 0, {{"all", 1, PHX_KIND_MESSAGE, PHX_FIELD_REPEATED, 0, 1}}},
		{"t.Wide", 0, {{NULL, 0, 0, 0, 0, 0}}},
		{NULL, 0, {{NULL, 0, 0, 0, 0, 0}}},
	};
	static const struct t_service none[] = {{NULL, {{NULL, 0, 0, 0}}}};
	static char names[16][2];
	struct phx_schema *wide = NULL;
	uint8_t *table;
	size_t size;

	for (uint32_t i = 0; i < 16; i++) {
		names[i][0] = (char)('a' + i);
		messages[1].fields[i] = (struct t_field){names[i], i + 1, PHX_KIND_STRING, 0, 0, 0};
	}
	table = t_table(messages, none, &size);
	assert_int_equal(phx_schema_bind(table, size, &wide, NULL), 0);
	free(table);
	return wide;
}

// References that are not there cost work too: a step stays as short.
static void decode_counts_references_that_are_absent(void **state)
{
	struct phx_schema *wide = wide_schema();
	static uint8_t in[2 * EMPTIES];
	struct phx_proto_decode d;
	struct phx_work work;
	unsigned sizing = 0, filling = 0;
	uint64_t size;
	uint8_t *image;
	int rc;

	(void)state;
	for (uint32_t i = 0; i < EMPTIES; i++)
		in[2 * i] = 0x0a; // field 1, length 0
	phx_proto_decode_start(&d, wide, 0, in, sizeof(in), &pool.pool, &no_limits);
	do {
		work = (struct phx_work){INT64_MAX, 1024};
		rc = phx_proto_decode_size(&d, &work, &size);
		sizing++;
	} while (rc == 0);
	assert_int_equal(rc, 1);
	image = malloc(size);
	do {
		work = (struct phx_work){INT64_MAX, 1024};
		rc = phx_proto_decode_fill(&d, image, &work);
		filling++;
	} while (rc == 0);
	assert_int_equal(rc, 1);
	phx_proto_decode_finish(&d);
	free(image);
	phx_schema_free(wide);
	// Parsed: two; counted: one and its references; placed, then walked: two and the same.
	assert_true(sizing >= 4 * EMPTIES / 1024);
	assert_true(filling >= 3 * EMPTIES / 1024);
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
		cmocka_unit_test(decode_counts_references_that_are_absent),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
