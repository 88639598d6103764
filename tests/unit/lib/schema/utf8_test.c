// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/schema/utf8: the borders of every range of RFC 3629, whole and in pieces.
#include "lib/schema/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

// An independent, decoding checker: the oracle.
static bool decode_ok(const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint32_t c = p[i], extra, min;

		if (c < 0x80) {
			i++;
			continue;
		}
		if ((c & 0xe0) == 0xc0)
			c &= 0x1f, extra = 1, min = 0x80;
		else if ((c & 0xf0) == 0xe0)
			c &= 0x0f, extra = 2, min = 0x800;
		else if ((c & 0xf8) == 0xf0)
			c &= 0x07, extra = 3, min = 0x10000;
		else
			return false;
		if (extra > n - i - 1)
			return false;
		for (uint32_t k = 1; k <= extra; k++) {
			if ((p[i + k] & 0xc0) != 0x80)
				return false;
			c = c << 6 | (p[i + k] & 0x3f);
		}
		if (c < min || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
			return false;
		i += extra + 1;
	}
	return true;
}

static void utf8_ok_every_three_bytes_agrees_with_decoder(void **state)
{
	uint8_t b[4];

	(void)state;
	for (uint32_t v = 0; v < 1u << 24; v++) {
		b[0] = (uint8_t)(v >> 16), b[1] = (uint8_t)(v >> 8), b[2] = (uint8_t)v;
		if (phx_utf8_ok(b, 3) != decode_ok(b, 3))
			fail_msg("disagree on %06x", v);
	}
	for (uint32_t v = 0; v < 1u << 20; v++) {
		b[0] = (uint8_t)(0xf0 | v >> 16), b[1] = (uint8_t)(v >> 8), b[2] = (uint8_t)v;
		b[3] = (uint8_t)(0x7f + (v & 1) + ((v & 2) ? 0x3f : 0));
		if (phx_utf8_ok(b, 4) != decode_ok(b, 4))
			fail_msg("disagree on %02x %05x", b[0], v);
	}
}

static void utf8_ok_bad_byte_behind_ascii_is_found(void **state)
{
	char text[64];

	(void)state;
	for (size_t n = 1; n <= sizeof(text); n++) {
		memset(text, 'a', sizeof(text));
		assert_true(phx_utf8_ok(text, n));
		for (size_t i = 0; i < n; i++) {
			text[i] = (char)0xff;
			assert_false(phx_utf8_ok(text, n));
			text[i] = 'a';
		}
	}
	assert_true(phx_utf8_ok(NULL, 0));
}

static void utf8_feed_cut_anywhere_equals_whole(void **state)
{
	static const char good[] =
		"abcdefgh\xc3\xa9xyz\xe2\x82\xac\xf0\x9f\x98\x80_\xf4\x8f\xbf\xbf";
	const size_t n = sizeof(good) - 1;

	(void)state;
	assert_true(phx_utf8_ok(good, n));
	for (size_t a = 0; a <= n; a++) {
		for (size_t b = a; b <= n; b++) {
			uint32_t st = 0;

			assert_true(phx_utf8_feed(&st, good, a));
			assert_int_equal(st == 0, decode_ok((const uint8_t *)good, a));
			assert_true(phx_utf8_feed(&st, good + a, b - a));
			assert_true(phx_utf8_feed(&st, good + b, n - b));
			assert_int_equal(st, 0);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(utf8_ok_every_three_bytes_agrees_with_decoder),
		cmocka_unit_test(utf8_ok_bad_byte_behind_ascii_is_found),
		cmocka_unit_test(utf8_feed_cut_anywhere_equals_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
