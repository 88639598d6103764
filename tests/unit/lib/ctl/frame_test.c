// SPDX-License-Identifier: BSD-3-Clause
#include "lib/ctl/frame.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Whole text at once.
static int scan(const char *text, size_t len, size_t *out_begin, size_t *out_end)
{
	struct phx_ctl_frame f;
	int rc;

	phx_ctl_frame_init(&f, PHX_CTL_FRAME_REQUEST);
	rc = phx_ctl_frame_scan(&f, text, len);
	*out_begin = f.begin;
	*out_end = f.pos;
	return rc;
}

static void expect_frame(const char *text, size_t want_begin, size_t want_end)
{
	size_t begin, end;

	assert_int_equal(scan(text, strlen(text), &begin, &end), 0);
	assert_int_equal(begin, want_begin);
	assert_int_equal(end, want_end);
}

static void expect_code(const char *text, int want)
{
	size_t begin, end;

	assert_int_equal(scan(text, strlen(text), &begin, &end), want);
}

static void scan_complete_text_ends_at_last_brace(void **state)
{
	(void)state;
	expect_frame("{}", 0, 2);
	expect_frame("  \n[1,2]tail", 3, 8);
	expect_frame("{\n  \"a\": {\n    \"b\": [ ]\n  }\n}\n{}", 0, 29);
	expect_frame("{}{}", 0, 2);
}

static void scan_braces_in_strings_are_ignored(void **state)
{
	(void)state;
	expect_frame("{\"a\":\"}]\\\"}\"}x", 0, 14 - 1);
	expect_frame("{\"\\\\\":1}", 0, 8);
	expect_code("{\"a\":\"}", -EAGAIN);
}

static void scan_incomplete_text_wants_more(void **state)
{
	(void)state;
	expect_code("", -EAGAIN);
	expect_code(" \r\n\t", -EAGAIN);
	expect_code("{", -EAGAIN);
	expect_code("{\"a", -EAGAIN);
}

static void scan_garbage_first_is_refused(void **state)
{
	size_t begin, end;

	(void)state;
	expect_code("x{}", -EPROTO);
	expect_code("\xef\xbb\xbf{}", -EPROTO);
	expect_code("5", -EPROTO);
	assert_int_equal(scan("\0{}", 3, &begin, &end), -EPROTO);
}

static void scan_one_byte_at_a_time_gives_same_frame(void **state)
{
	const char *text = " {\"k\\\"\":[1,{\"x\":\"]}\"}],\"n\":null} {";
	struct phx_ctl_frame f;
	size_t len = 1;

	(void)state;
	phx_ctl_frame_init(&f, PHX_CTL_FRAME_REQUEST);
	while (phx_ctl_frame_scan(&f, text, len) == -EAGAIN)
		assert_true(++len <= strlen(text));
	assert_int_equal(f.begin, 1);
	assert_int_equal(f.pos, strlen(text) - 2);
}

static void scan_depth_above_limit_is_refused(void **state)
{
	char text[2 * PHX_LIMIT_JSON_DEPTH + 3];

	(void)state;
	memset(text, '[', PHX_LIMIT_JSON_DEPTH);
	memset(text + PHX_LIMIT_JSON_DEPTH, ']', PHX_LIMIT_JSON_DEPTH);
	text[2 * PHX_LIMIT_JSON_DEPTH] = '\0';
	expect_frame(text, 0, 2 * PHX_LIMIT_JSON_DEPTH);
	memset(text, '[', PHX_LIMIT_JSON_DEPTH + 1);
	text[PHX_LIMIT_JSON_DEPTH + 1] = '\0';
	expect_code(text, -E2BIG);
}

// "[" then count scalars: count + 1 values.
static int scan_values(size_t count)
{
	size_t len = 1 + count * 2 + 1;
	char *text = malloc(len);
	size_t begin, end;
	int rc;

	assert_non_null(text);
	text[0] = '[';
	for (size_t i = 0; i < count; i++) {
		text[1 + 2 * i] = '1';
		text[2 + 2 * i] = ',';
	}
	text[len - 1] = ']';
	rc = scan(text, len, &begin, &end);
	free(text);
	return rc;
}

static void scan_values_above_limit_are_refused(void **state)
{
	(void)state;
	assert_int_equal(scan_values(PHX_LIMIT_JSON_VALUES - 1), 0);
	assert_int_equal(scan_values(PHX_LIMIT_JSON_VALUES), -E2BIG);
}

static void scan_counts_each_kind_of_value_once(void **state)
{
	static const char text[] = "{\"a\":-1.5e3, \"b\" : [true,null,{},\"x\"]}";
	struct phx_ctl_frame f;

	(void)state;
	phx_ctl_frame_init(&f, PHX_CTL_FRAME_REQUEST);
	assert_int_equal(phx_ctl_frame_scan(&f, text, strlen(text)), 0);
	assert_int_equal(f.values, 9); // two objects, an array, three strings that are keys or not,
				       // a number, true, null
}

static void scan_bytes_above_limit_are_refused(void **state)
{
	size_t len = PHX_LIMIT_JSON_IN_BYTES + 1;
	char *text = malloc(len);
	size_t begin, end;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', len);
	text[0] = '{';
	text[PHX_LIMIT_JSON_IN_BYTES - 1] = '}';
	assert_int_equal(scan(text, len, &begin, &end), 0);
	assert_int_equal(end, PHX_LIMIT_JSON_IN_BYTES);
	text[PHX_LIMIT_JSON_IN_BYTES - 1] = ' ';
	assert_int_equal(scan(text, len - 1, &begin, &end), -EAGAIN);
	assert_int_equal(scan(text, len, &begin, &end), -EMSGSIZE);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(scan_complete_text_ends_at_last_brace),
		cmocka_unit_test(scan_braces_in_strings_are_ignored),
		cmocka_unit_test(scan_incomplete_text_wants_more),
		cmocka_unit_test(scan_garbage_first_is_refused),
		cmocka_unit_test(scan_one_byte_at_a_time_gives_same_frame),
		cmocka_unit_test(scan_depth_above_limit_is_refused),
		cmocka_unit_test(scan_values_above_limit_are_refused),
		cmocka_unit_test(scan_counts_each_kind_of_value_once),
		cmocka_unit_test(scan_bytes_above_limit_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
