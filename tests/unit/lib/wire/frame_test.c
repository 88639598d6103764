// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/wire/frame: the bytes of the header, and every way in which they can be wrong.
#include "lib/wire/frame.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/base/hash.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static const struct phx_frame sample = {
	.type = PHX_FRAME_STATUS,
	.code = PHX_UNAVAILABLE,
	.origin = PHX_ORIGIN_POLICY,
	.executed = PHX_EXECUTED_MAYBE,
	.flags = PHX_FRAME_F_MESSAGE | PHX_FRAME_F_REPLY,
	.reason = PHX_REASON_DEADLINE,
	.epoch = 0x01020304,
	.service = 0x05060708,
	.method = 0x090a,
	.number = 0x0b0c,
	.cookie = 0x0d0e0f10,
	.channel = UINT64_C(0x1112131415161718),
	.sequence = UINT64_C(0x191a1b1c1d1e1f20),
	.arg = UINT64_C(0x2122232425262728),
	.limit = 0x292a2b2c,
	.meta_len = 0x0d2e,
	.text_len = 0x0130,
	.payload_len = 0x3132,
	.payload_crc = 0x35363738,
};

static void expect_refused(const uint8_t bytes[PHX_FRAME_HEADER], enum phx_reason expected)
{
	struct phx_frame f = {.cookie = 77};
	enum phx_reason reason = PHX_REASON_NONE;

	assert_int_equal(phx_frame_decode(bytes, &f, &reason), -EPROTO);
	assert_string_equal(phx_reason_name(reason), phx_reason_name(expected));
	assert_int_equal(f.cookie, 77);
}

static void seal(uint8_t bytes[PHX_FRAME_HEADER])
{
	phx_le32_store(bytes + 76, phx_crc32c(0, bytes, 76));
}

static void frame_encode_sample_gives_golden_bytes(void **state)
{
	static const uint8_t golden[76] = {0x50, 0x48, 0x58, 0x57, 0x01, 0x0d, 0x11, 0x00, 0x32,
		0x31, 0x00, 0x00, 0x2e, 0x0d, 0x30, 0x01, 0x0e, 0x05, 0x01, 0x00, 0x08, 0x00, 0x0c,
		0x0b, 0x04, 0x03, 0x02, 0x01, 0x08, 0x07, 0x06, 0x05, 0x0a, 0x09, 0x00, 0x00, 0x10,
		0x0f, 0x0e, 0x0d, 0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11, 0x20, 0x1f, 0x1e,
		0x1d, 0x1c, 0x1b, 0x1a, 0x19, 0x28, 0x27, 0x26, 0x25, 0x24, 0x23, 0x22, 0x21, 0x2c,
		0x2b, 0x2a, 0x29, 0x38, 0x37, 0x36, 0x35};
	uint8_t bytes[PHX_FRAME_HEADER];

	(void)state;
	memset(bytes, 0xee, sizeof(bytes));
	phx_frame_encode(&sample, bytes);
	assert_memory_equal(bytes, golden, sizeof(golden));
	assert_int_equal(phx_le32_load(bytes + 76), phx_crc32c(0, bytes, 76));
}

static void frame_decode_encoded_gives_same_fields(void **state)
{
	uint8_t bytes[PHX_FRAME_HEADER];
	struct phx_frame f;
	enum phx_reason reason;

	(void)state;
	phx_frame_encode(&sample, bytes);
	memset(&f, 0, sizeof(f));
	assert_int_equal(phx_frame_decode(bytes, &f, &reason), 0);
	assert_int_equal(f.type, sample.type);
	assert_int_equal(f.code, sample.code);
	assert_int_equal(f.origin, sample.origin);
	assert_int_equal(f.executed, sample.executed);
	assert_int_equal(f.flags, sample.flags);
	assert_int_equal(f.reason, sample.reason);
	assert_int_equal(f.epoch, sample.epoch);
	assert_int_equal(f.service, sample.service);
	assert_int_equal(f.method, sample.method);
	assert_int_equal(f.number, sample.number);
	assert_int_equal(f.cookie, sample.cookie);
	assert_true(f.channel == sample.channel);
	assert_true(f.sequence == sample.sequence);
	assert_true(f.arg == sample.arg);
	assert_int_equal(f.limit, sample.limit);
	assert_int_equal(f.meta_len, sample.meta_len);
	assert_int_equal(f.text_len, sample.text_len);
	assert_int_equal(f.payload_len, sample.payload_len);
	assert_int_equal(f.payload_crc, sample.payload_crc);
	assert_false(f.payload_bad);
}

static void frame_decode_every_bit_flip_is_refused(void **state)
{
	uint8_t bytes[PHX_FRAME_HEADER];

	(void)state;
	phx_frame_encode(&sample, bytes);
	for (unsigned bit = 0; bit < 8 * PHX_FRAME_HEADER; bit++) {
		enum phx_reason expected = bit < 32   ? PHX_REASON_W_MAGIC
					   : bit < 40 ? PHX_REASON_W_VERSION
						      : PHX_REASON_W_CRC;

		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
		expect_refused(bytes, expected);
		bytes[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
}

static void frame_decode_other_versions_are_refused(void **state)
{
	uint8_t bytes[PHX_FRAME_HEADER];

	(void)state;
	phx_frame_encode(&sample, bytes);
	for (unsigned version = 0; version < 256; version++) {
		if (version >= PHX_WIRE_MIN && version <= PHX_WIRE_MAX)
			continue;
		bytes[4] = (uint8_t)version;
		seal(bytes);
		expect_refused(bytes, PHX_REASON_W_VERSION);
		assert_int_equal(phx_frame_version(bytes), version);
	}
}

static void frame_decode_lengths_above_their_limits_are_refused(void **state)
{
	static const struct {
		unsigned at, size;
		uint32_t value;
		bool ok;
	} cases[] = {
		{8, 4, 0, true},
		{8, 4, PHX_LIMIT_CHUNK_BYTES, true},
		{8, 4, PHX_LIMIT_CHUNK_BYTES + 1, false},
		{8, 4, UINT32_MAX, false},
		{8, 4, UINT32_C(1) << 31, false},
		{12, 2, PHX_LIMIT_METADATA_BYTES, true},
		{12, 2, PHX_LIMIT_METADATA_BYTES + 1, false},
		{12, 2, UINT16_MAX, false},
		{14, 2, PHX_LIMIT_STATUS_TEXT_BYTES, true},
		{14, 2, PHX_LIMIT_STATUS_TEXT_BYTES + 1, false},
		{14, 2, UINT16_MAX, false},
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(cases); i++) {
		uint8_t bytes[PHX_FRAME_HEADER];
		struct phx_frame f;
		enum phx_reason reason;

		phx_frame_encode(&sample, bytes);
		if (cases[i].size == 4)
			phx_le32_store(bytes + cases[i].at, cases[i].value);
		else
			phx_le16_store(bytes + cases[i].at, (uint16_t)cases[i].value);
		seal(bytes);
		if (cases[i].ok)
			assert_int_equal(phx_frame_decode(bytes, &f, &reason), 0);
		else
			expect_refused(bytes, PHX_REASON_W_LENGTH);
	}
}

static void frame_decode_reserved_bits_are_refused(void **state)
{
	static const unsigned bits[] = {
		19 * 8, 19 * 8 + 7, 34 * 8, 35 * 8 + 7, 72 * 8, 75 * 8 + 7, 7 * 8 + 1, 7 * 8 + 7};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(bits); i++) {
		uint8_t bytes[PHX_FRAME_HEADER];

		phx_frame_encode(&sample, bytes);
		bytes[bits[i] / 8] ^= (uint8_t)(1 << bits[i] % 8);
		seal(bytes);
		expect_refused(bytes, PHX_REASON_W_LENGTH);
	}
}

static void frame_decode_unknown_type_needs_ignorable(void **state)
{
	static const uint8_t types[] = {0, PHX_FRAME_TYPE_COUNT, 255};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(types); i++) {
		uint8_t bytes[PHX_FRAME_HEADER];
		struct phx_frame f = sample;
		enum phx_reason reason;

		f.type = types[i];
		phx_frame_encode(&f, bytes);
		expect_refused(bytes, PHX_REASON_W_STATE);
		f.flags |= PHX_FRAME_F_IGNORABLE;
		phx_frame_encode(&f, bytes);
		assert_int_equal(phx_frame_decode(bytes, &f, &reason), 0);
		assert_int_equal(f.type, types[i]);
	}
}

static void frame_decode_unknown_status_is_mapped(void **state)
{
	uint8_t bytes[PHX_FRAME_HEADER];
	struct phx_frame f = sample;
	enum phx_reason reason;

	(void)state;
	f.code = PHX_CODE_COUNT;
	f.origin = PHX_ORIGIN_COUNT;
	f.executed = 3;
	f.reason = PHX_REASON_COUNT;
	phx_frame_encode(&f, bytes);
	assert_int_equal(phx_frame_decode(bytes, &f, &reason), 0);
	assert_int_equal(f.code, PHX_INTERNAL);
	assert_int_equal(f.origin, PHX_ORIGIN_REMOTE_DATAPLANE);
	assert_int_equal(f.executed, PHX_EXECUTED_MAYBE);
	assert_int_equal(f.reason, PHX_REASON_INTERNAL);
}

static void frame_type_name_knows_every_type(void **state)
{
	(void)state;
	for (unsigned t = PHX_FRAME_HELLO; t < PHX_FRAME_TYPE_COUNT; t++)
		assert_string_not_equal(phx_frame_type_name(t), "?");
	assert_string_equal(phx_frame_type_name(0), "?");
	assert_string_equal(phx_frame_type_name(PHX_FRAME_TYPE_COUNT), "?");
	assert_string_equal(phx_frame_type_name(PHX_FRAME_GOAWAY), "GOAWAY");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_encode_sample_gives_golden_bytes),
		cmocka_unit_test(frame_decode_encoded_gives_same_fields),
		cmocka_unit_test(frame_decode_every_bit_flip_is_refused),
		cmocka_unit_test(frame_decode_other_versions_are_refused),
		cmocka_unit_test(frame_decode_lengths_above_their_limits_are_refused),
		cmocka_unit_test(frame_decode_reserved_bits_are_refused),
		cmocka_unit_test(frame_decode_unknown_type_needs_ignorable),
		cmocka_unit_test(frame_decode_unknown_status_is_mapped),
		cmocka_unit_test(frame_type_name_knows_every_type),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
