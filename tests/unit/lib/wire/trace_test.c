// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/wire/trace: the bytes of the times of a traced call and what is refused.
#include "lib/wire/trace.h"

#include "lib/base/bits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t sample[PHX_TRACE_COUNT] = {0, 1, 0x0102, 0x0102, UINT64_C(0x010203040506)};

static void trace_encode_sample_gives_golden_bytes(void **)
{
	static const uint8_t golden[PHX_WIRE_TRACE_BYTES] = {
		0, 0, 0, 0, 0, 0, 0, 0, //
		1, 0, 0, 0, 0, 0, 0, 0, //
		2, 1, 0, 0, 0, 0, 0, 0, //
		2, 1, 0, 0, 0, 0, 0, 0, //
		6, 5, 4, 3, 2, 1, 0, 0, //
	};
	uint8_t bytes[PHX_WIRE_TRACE_BYTES];

	phx_wire_trace_encode(sample, bytes);
	assert_memory_equal(bytes, golden, sizeof(golden));
}

static void trace_decode_encoded_gives_the_same(void **)
{
	static const uint64_t longest[PHX_TRACE_COUNT] = {[4] = PHX_WIRE_TRACE_NS_MAX};
	uint8_t bytes[PHX_WIRE_TRACE_BYTES];
	uint64_t times[PHX_TRACE_COUNT];

	phx_wire_trace_encode(sample, bytes);
	assert_int_equal(phx_wire_trace_decode(bytes, sizeof(bytes), times), 0);
	assert_memory_equal(times, sample, sizeof(times));
	phx_wire_trace_encode(longest, bytes);
	assert_int_equal(phx_wire_trace_decode(bytes, sizeof(bytes), times), 0);
	assert_memory_equal(times, longest, sizeof(times));
}

static void trace_decode_wrong_bytes_refused_and_nothing_written(void **)
{
	static const uint64_t falls[][PHX_TRACE_COUNT] = {
		{1, 0, 1, 1, 1},
		{1, 2, 3, 4, 3},
		{0, 0, 0, 0, PHX_WIRE_TRACE_NS_MAX + 1},
		{UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX, UINT64_MAX},
	};
	static const uint32_t lengths[] = {
		0, 8, PHX_WIRE_TRACE_BYTES - 1, PHX_WIRE_TRACE_BYTES + 8, UINT32_MAX};
	uint64_t times[PHX_TRACE_COUNT] = {7, 7, 7, 7, 7};
	uint8_t bytes[PHX_WIRE_TRACE_BYTES] = {0};

	for (size_t i = 0; i < sizeof(falls) / sizeof(falls[0]); i++) {
		phx_wire_trace_encode(falls[i], bytes);
		assert_int_equal(phx_wire_trace_decode(bytes, sizeof(bytes), times), -EPROTO);
	}
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++)
		assert_int_equal(phx_wire_trace_decode(bytes, lengths[i], times), -EPROTO);
	for (size_t i = 0; i < PHX_TRACE_COUNT; i++)
		assert_int_equal(times[i], 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(trace_encode_sample_gives_golden_bytes),
		cmocka_unit_test(trace_decode_encoded_gives_the_same),
		cmocka_unit_test(trace_decode_wrong_bytes_refused_and_nothing_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
