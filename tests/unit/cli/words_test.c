// SPDX-License-Identifier: BSD-3-Clause
// Splitting a line into words, and joining them with a caret below.
#include "cli/words.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_words(const char *line, const char *joined)
{
	struct words w = WORDS_INIT;
	const char *why;
	size_t offset;
	char text[512] = "";

	assert_int_equal(words_split(line, &w, &why, &offset), 0);
	for (size_t i = 0; i < w.count; i++) {
		size_t len = strlen(text);

		(void)snprintf(text + len, sizeof(text) - len, "<%s>", w.items[i]);
	}
	assert_string_equal(text, joined);
	words_fini(&w);
}

static void split_blanks_and_comments(void **state)
{
	(void)state;
	expect_words("app  list\tfilter.uid=1 \n", "<app><list><filter.uid=1>");
	expect_words("", "");
	expect_words(" # only a comment", "");
	expect_words("app list # why", "<app><list>");
	expect_words("app a#b", "<app><a#b>");
}

static void split_quotes(void **state)
{
	(void)state;
	expect_words("reason 'two words'", "<reason><two words>");
	expect_words("reason \"a \\\"b\\\" \\\\ \\n\"", "<reason><a \"b\" \\ \\n>");
	expect_words("filter.service='hello.*'x", "<filter.service=hello.*x>");
	expect_words("a '' b", "<a><><b>");
	expect_words("a\\ b \\#c", "<a b><#c>");
}

static void split_json_goes_to_its_bracket(void **state)
{
	(void)state;
	expect_words("rpc x {\"a\": [1, 2], \"b\": \"}\"} y",
		"<rpc><x><{\"a\": [1, 2], \"b\": \"}\"}><y>");
	expect_words("k={\"s\": \"a\\\"}\"}", "<k={\"s\": \"a\\\"}\"}>");
	expect_words("peers [\"a\", \"b\"]", "<peers><[\"a\", \"b\"]>");
	expect_words("address [2001:db8::1]:5000", "<address><[2001:db8::1]:5000>");
	// Not at the start: an ordinary character.
	expect_words("a{ b", "<a{><b>");
}

static void expect_refused(const char *line, size_t at)
{
	struct words w = WORDS_INIT;
	const char *why = NULL;
	size_t offset = 999;

	assert_int_equal(words_split(line, &w, &why, &offset), -EINVAL);
	assert_int_equal(offset, at);
	assert_non_null(why);
	assert_int_equal(w.count, 0);
	assert_null(w.items);
}

static void split_unclosed_says_where_it_began(void **state)
{
	(void)state;
	expect_refused("app 'list", 4);
	expect_refused("a b\"", 3);
	expect_refused("rpc x {\"a\": 1", 6);
	expect_refused("rpc x {\"a\": \"}", 6);
}

static void expect_line(const char *line, size_t at, size_t offset, const char *want, size_t column)
{
	struct words w = WORDS_INIT;
	const char *why;
	size_t where;
	char *text;

	assert_int_equal(words_split(line, &w, &why, &where), 0);
	text = words_line(&w, at, offset, &where);
	assert_string_equal(text, want);
	assert_int_equal(where, column);
	free(text);
	words_fini(&w);
}

static void line_points_at_words(void **state)
{
	(void)state;
	expect_line("app  list x", 0, 0, "app list x", 0);
	expect_line("app  list x", 2, 0, "app list x", 9);
	expect_line("app list x=1", 2, 2, "app list x=1", 11);
	expect_line("app list", 2, 0, "app list", 9);
	expect_line("app 'a b' c", 1, 0, "app 'a b' c", 5);
	expect_line("app 'a b' c", 2, 0, "app 'a b' c", 10);
}

static void line_counts_characters_not_bytes(void **state)
{
	(void)state;
	expect_line("reason \xc3\xa4\xc3\xb6 x", 2, 0, "reason \xc3\xa4\xc3\xb6 x", 10);
}

// Whatever was joined splits into the same words again.
static void line_splits_again(void **state)
{
	static const char *const items[] = {
		"a b", "it's", "", "#x", "{\"a\": 1", "\\", "k=[", "x\ty"};
	struct words w = WORDS_INIT, again = WORDS_INIT;
	const char *why;
	size_t where;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof(items) / sizeof(items[0]); i++)
		assert_int_equal(words_add(&w, items[i], strlen(items[i])), 0);
	text = words_line(&w, 0, 0, &where);
	assert_int_equal(words_split(text, &again, &why, &where), 0);
	assert_int_equal(again.count, w.count);
	for (size_t i = 0; i < w.count; i++)
		assert_string_equal(again.items[i], w.items[i]);
	free(text);
	words_fini(&w);
	words_fini(&again);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(split_blanks_and_comments),
		cmocka_unit_test(split_quotes),
		cmocka_unit_test(split_json_goes_to_its_bracket),
		cmocka_unit_test(split_unclosed_says_where_it_began),
		cmocka_unit_test(line_points_at_words),
		cmocka_unit_test(line_counts_characters_not_bytes),
		cmocka_unit_test(line_splits_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
