// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/base/hash: published vectors, agreement of both CRC paths, speed (printed).
#include "lib/base/hash.h"

#include "lib/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// RFC 3720 appendix B.4, and the check value of the CRC catalogues.
static void crc32c_reference_inputs_give_published_values(void **state)
{
	uint8_t buf[32];

	(void)state;
	memset(buf, 0, sizeof(buf));
	assert_int_equal(phx_crc32c(0, buf, 32), 0x8a9136aa);
	assert_int_equal(phx_crc32c_table(0, buf, 32), 0x8a9136aa);
	memset(buf, 0xff, sizeof(buf));
	assert_int_equal(phx_crc32c(0, buf, 32), 0x62a8ab43);
	assert_int_equal(phx_crc32c_table(0, buf, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		buf[i] = (uint8_t)i;
	assert_int_equal(phx_crc32c(0, buf, 32), 0x46dd794e);
	for (int i = 0; i < 32; i++)
		buf[i] = (uint8_t)(31 - i);
	assert_int_equal(phx_crc32c(0, buf, 32), 0x113fdb5c);
	assert_int_equal(phx_crc32c(0, "123456789", 9), 0xe3069283);
	assert_int_equal(phx_crc32c_table(0, "123456789", 9), 0xe3069283);
	assert_int_equal(phx_crc32c(0, "", 0), 0);
}

// Lengths around the three-stream blocks and every alignment.
static void crc32c_any_length_and_start_agrees_with_tables(void **state)
{
	enum { SIZE = 20000 };
	uint8_t *buf = malloc(SIZE);
	uint64_t x = 7;

	(void)state;
	for (int i = 0; i < SIZE; i++)
		buf[i] = (uint8_t)(x = phx_mix64(x + 1));
	for (size_t len = 0; len < 400; len++)
		assert_int_equal(phx_crc32c(1, buf + len % 13, len),
			phx_crc32c_table(1, buf + len % 13, len));
	for (size_t len = 3000; len < SIZE - 16; len += 97)
		assert_int_equal(phx_crc32c(0x12345678, buf + len % 16, len),
			phx_crc32c_table(0x12345678, buf + len % 16, len));
	free(buf);
}

static void crc32c_in_pieces_equals_whole(void **state)
{
	uint8_t buf[7000];
	uint32_t whole;

	(void)state;
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (uint8_t)(i * 31 + 5);
	whole = phx_crc32c(0, buf, sizeof(buf));
	for (size_t cut = 0; cut <= sizeof(buf); cut += 11)
		assert_int_equal(
			phx_crc32c(phx_crc32c(0, buf, cut), buf + cut, sizeof(buf) - cut), whole);
}

// vectors_sip128 of the reference implementation: key 00..0f, input 00, 01, 02, ...
static void siphash128_reference_inputs_give_published_values(void **state)
{
	static const struct {
		uint8_t len;
		uint8_t out[16];
	} vectors[] = {
		{0, {0xa3, 0x81, 0x7f, 0x04, 0xba, 0x25, 0xa8, 0xe6, 0x6d, 0xf6, 0x72, 0x14, 0xc7,
			    0x55, 0x02, 0x93}},
		{1, {0xda, 0x87, 0xc1, 0xd8, 0x6b, 0x99, 0xaf, 0x44, 0x34, 0x76, 0x59, 0x11, 0x9b,
			    0x22, 0xfc, 0x45}},
		{7, {0xa1, 0xf1, 0xeb, 0xbe, 0xd8, 0xdb, 0xc1, 0x53, 0xc0, 0xb8, 0x4a, 0xa6, 0x1f,
			    0xf0, 0x82, 0x39}},
		{8, {0x3b, 0x62, 0xa9, 0xba, 0x62, 0x58, 0xf5, 0x61, 0x0f, 0x83, 0xe2, 0x64, 0xf3,
			    0x14, 0x97, 0xb4}},
		{15, {0x54, 0x93, 0xe9, 0x99, 0x33, 0xb0, 0xa8, 0x11, 0x7e, 0x08, 0xec, 0x0f, 0x97,
			     0xcf, 0xc3, 0xd9}},
		{63, {0x51, 0x50, 0xd1, 0x77, 0x2f, 0x50, 0x83, 0x4a, 0x50, 0x3e, 0x06, 0x9a, 0x97,
			     0x3f, 0xbd, 0x7c}},
	};
	uint8_t key[16], in[64];

	(void)state;
	for (int i = 0; i < 64; i++)
		in[i] = (uint8_t)i;
	memcpy(key, in, sizeof(key));
	for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
		struct phx_hash128 h = phx_siphash128(key, in, vectors[i].len);

		assert_memory_equal(&h.lo, vectors[i].out, 8);
		assert_memory_equal(&h.hi, vectors[i].out + 8, 8);
	}
}

static void random_bytes_two_calls_differ(void **state)
{
	uint8_t a[300] = {0}, b[300] = {0};

	(void)state;
	assert_int_equal(phx_random_bytes(a, sizeof(a)), 0);
	assert_int_equal(phx_random_bytes(b, sizeof(b)), 0);
	assert_memory_not_equal(a, b, sizeof(a));
	assert_memory_not_equal(a + 284, b + 284, 16);
	assert_int_equal(phx_random_bytes(a, 0), 0);
}

static void crc32c_speed_is_printed(void **state)
{
	enum { SIZE = 65536, ROUNDS = 2000 };
	uint8_t *buf = calloc(1, SIZE);
	uint32_t crc = 0, table = 0;
	uint64_t start = phx_clock_ns(), ns;

	(void)state;
	for (int i = 0; i < ROUNDS; i++)
		crc = phx_crc32c(crc, buf, SIZE);
	ns = phx_clock_ns() - start;
	print_message("crc32c of 64 KiB: %.1f GB/s\n", (double)SIZE * ROUNDS / (double)ns);
	start = phx_clock_ns();
	for (int i = 0; i < ROUNDS; i++)
		table = phx_crc32c_table(table, buf, SIZE);
	ns = phx_clock_ns() - start;
	print_message("by tables: %.1f GB/s\n", (double)SIZE * ROUNDS / (double)ns);
	assert_int_equal(crc, table);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crc32c_reference_inputs_give_published_values),
		cmocka_unit_test(crc32c_any_length_and_start_agrees_with_tables),
		cmocka_unit_test(crc32c_in_pieces_equals_whole),
		cmocka_unit_test(siphash128_reference_inputs_give_published_values),
		cmocka_unit_test(random_bytes_two_calls_differ),
		cmocka_unit_test(crc32c_speed_is_printed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
