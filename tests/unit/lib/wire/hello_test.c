// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/wire/hello: the bytes of a hello and what is refused.
#include "lib/wire/hello.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct phx_wire_hello sample = {
	.min = 1,
	.max = 3,
	.features = PHX_WIRE_FEATURE_CRC,
	.uuid = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
	.token = UINT64_C(0x1122334455667788),
	.lane = 1,
	.lanes = 2,
	.worker = 5,
	.wish = 6,
	.workers = 7,
	.name = "host-a",
};

static void expect_refused(const uint8_t bytes[PHX_WIRE_HELLO_BYTES], enum phx_reason expected)
{
	struct phx_wire_hello h = {.token = 77};
	enum phx_reason reason = PHX_REASON_NONE;

	assert_int_equal(phx_wire_hello_decode(bytes, &h, &reason), -EPROTO);
	assert_string_equal(phx_reason_name(reason), phx_reason_name(expected));
	assert_int_equal(h.token, 77);
}

static void hello_encode_sample_gives_golden_bytes(void **)
{
	static const uint8_t golden[] = {0x50, 0x48, 0x58, 0x4c, 1, 0, 3, 0, 1, 0, 0, 0, 0, 0, 0, 0,
		1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0x88, 0x77, 0x66, 0x55, 0x44,
		0x33, 0x22, 0x11, 1, 2, 5, 0, 6, 0, 7, 0};
	uint8_t bytes[PHX_WIRE_HELLO_BYTES], zero[PHX_WIRE_HELLO_BYTES] = {0};

	phx_wire_hello_encode(&sample, bytes);
	assert_memory_equal(bytes, golden, sizeof(golden));
	assert_memory_equal(bytes + 48, zero, 16);
	assert_string_equal((const char *)bytes + 64, "host-a");
	assert_memory_equal(bytes + 70, zero, PHX_WIRE_HELLO_BYTES - 70);
}

static void hello_decode_encoded_gives_the_same(void **)
{
	struct phx_wire_hello h;
	enum phx_reason reason;
	uint8_t bytes[PHX_WIRE_HELLO_BYTES];

	phx_wire_hello_encode(&sample, bytes);
	assert_int_equal(phx_wire_hello_decode(bytes, &h, &reason), 0);
	assert_memory_equal(&h, &sample, sizeof(h));
}

static void hello_decode_wrong_bytes_refused(void **)
{
	static const struct {
		unsigned at;
		uint16_t value;
		enum phx_reason reason;
	} wrong[] = {
		{0, 0x1234, PHX_REASON_W_MAGIC},
		{4, 2, PHX_REASON_W_VERSION}, // speaks only newer ones
		{6, 0, PHX_REASON_W_VERSION}, // max below min
		{40, 0x0202, PHX_REASON_W_STATE},
		{40, 0x0300, PHX_REASON_W_STATE},
		{46, 0, PHX_REASON_W_STATE},
		{46, PHX_LIMIT_WORKERS_MAX + 1, PHX_REASON_W_STATE},
	};

	for (size_t i = 0; i < PHX_ARRAY_LEN(wrong); i++) {
		uint8_t bytes[PHX_WIRE_HELLO_BYTES];

		phx_wire_hello_encode(&sample, bytes);
		phx_le16_store(bytes + wrong[i].at, wrong[i].value);
		expect_refused(bytes, wrong[i].reason);
	}
}

static void hello_decode_strange_name_and_features_tamed(void **)
{
	struct phx_wire_hello h;
	enum phx_reason reason;
	uint8_t bytes[PHX_WIRE_HELLO_BYTES];

	phx_wire_hello_encode(&sample, bytes);
	memset(bytes + 64, 'x', 64);
	bytes[64] = '\n';
	bytes[65] = 0xff;
	phx_le64_store(bytes + 8, UINT64_MAX);
	assert_int_equal(phx_wire_hello_decode(bytes, &h, &reason), 0);
	assert_int_equal(strlen(h.name), PHX_WIRE_HELLO_NAME - 1);
	assert_memory_equal(h.name, "??xx", 4);
	assert_int_equal(h.features, PHX_WIRE_FEATURES_KNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_encode_sample_gives_golden_bytes),
		cmocka_unit_test(hello_decode_encoded_gives_the_same),
		cmocka_unit_test(hello_decode_wrong_bytes_refused),
		cmocka_unit_test(hello_decode_strange_name_and_features_tamed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
