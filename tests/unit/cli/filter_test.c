// SPDX-License-Identifier: BSD-3-Clause
// Filters of the shell: what they are, what they print, what is refused.
#include "cli/filter.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char rows[] = "{\"peers\":[{\"name\":\"rack1\",\"network\":\"10.0.0.0/24\"},"
			   "{\"name\":\"rack2\",\"network\":\"10.0.2.0/24\"}],"
			   "\"generation\":\"3\",\"next\":null}";

static void expect(const char *text, const char *method, const char *result, const char *want)
{
	json_t *value = json_loads(result, 0, NULL);
	struct filters f;
	char why[128] = "", *got = NULL;
	size_t size;
	FILE *out = open_memstream(&got, &size);

	assert_non_null(value);
	assert_non_null(out);
	assert_int_equal(filters_parse(text, &f, why, sizeof(why)), 0);
	filters_print(&f, out, phx_ctl_method_find(method), false, NULL, value);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(got, want);
	free(got);
	filters_fini(&f);
	json_decref(value);
}

static void refuse(const char *text, const char *reason)
{
	struct filters f;
	char why[128] = "";

	assert_int_equal(filters_parse(text, &f, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, reason));
	assert_int_equal(f.count, 0);
}

static void count_counts_rows_or_lines(void **state)
{
	(void)state;
	expect("count", "peer.list", rows, "2\n");
	expect("count", "peer.list", "{\"peers\":[]}", "0\n");
	expect("count", "system.status", "{\"state\":\"running\"}", "1\n");
	expect("grep 10 | count", "peer.list", rows, "2\n");
	expect("grep nothing | count", "peer.list", rows, "0\n");
	expect("json | grep name | count", "peer.list", rows, "2\n");
}

static void grep_keeps_lines_that_match(void **state)
{
	(void)state;
	expect("grep rack2", "peer.list", rows, "rack2  10.0.2.0/24\n");
	expect("grep 'rack1|^NAME'", "peer.list", rows, "NAME   NETWORK\nrack1  10.0.0.0/24\n");
	expect("grep rack | grep 2.0", "peer.list", rows, "rack2  10.0.2.0/24\n");
	expect("grep x", "peer.list", rows, "");
}

static void json_prints_what_a_script_gets(void **state)
{
	(void)state;
	expect("json", "peer.list", "{\"peers\":[1],\"next\":null}", "[\n  1\n]\n");
	expect("json", "system.status", "{\"a\":1}", "{\n  \"a\": 1\n}\n");
}

static void nonsense_is_refused(void **state)
{
	(void)state;
	refuse("", "not: ");
	refuse("sort", "not: sort");
	refuse("grep", "one pattern");
	refuse("grep a b", "one pattern");
	refuse("grep 'a", "not closed");
	refuse("grep (", "grep: ");
	refuse("json x", "nothing may follow json");
	refuse("grep a | json", "first filter");
	refuse("count | grep 1", "nothing may follow count");
	refuse("count |", "not: ");
	refuse("grep a | grep b | grep c | grep d | grep e", "too many");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(count_counts_rows_or_lines),
		cmocka_unit_test(grep_keeps_lines_that_match),
		cmocka_unit_test(json_prints_what_a_script_gets),
		cmocka_unit_test(nonsense_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
