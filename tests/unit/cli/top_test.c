// SPDX-License-Identifier: BSD-3-Clause
// Rates of top from two answers.
#include "cli/top_views.h"

#include "lib/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void expect(
	enum top_view_id view, const char *before, const char *now, uint64_t ns, const char *want)
{
	json_t *a = before != NULL ? json_loads(before, 0, NULL) : NULL;
	json_t *b = json_loads(now, 0, NULL), *w = json_loads(want, 0, NULL), *rows;
	char *text;

	assert_non_null(b);
	assert_non_null(w);
	rows = top_rows(&top_views[view], a, b, ns);
	text = json_dumps(rows, JSON_COMPACT);
	if (!json_equal(rows, w))
		print_error("%s\n", text);
	assert_true(json_equal(rows, w));
	free(text);
	json_decref(rows);
	json_decref(w);
	json_decref(b);
	json_decref(a);
}

static void shares_are_of_the_time_that_passed(void **state)
{
	(void)state;
	expect(TOP_LCORES, "{\"lcores\":[{\"lcore\":1,\"busy_ns_total\":1000,\"work_total\":10}]}",
		"{\"lcores\":[{\"lcore\":0,\"role\":\"control\"},"
		"{\"lcore\":1,\"busy_ns_total\":501000,\"work_total\":30}]}",
		2 * PHX_NS_PER_MS,
		"[{\"lcore\":0,\"role\":\"control\"},"
		"{\"lcore\":1,\"busy_pct\":25.0,\"work_rps\":10000}]");
	// More than all of it is only the clocks.
	expect(TOP_LCORES, "{\"lcores\":[{\"lcore\":1,\"busy_ns_total\":0}]}",
		"{\"lcores\":[{\"lcore\":1,\"busy_ns_total\":1001}]}", 1000,
		"[{\"lcore\":1,\"busy_pct\":100.0}]");
}

static void rows_are_found_by_all_their_keys(void **state)
{
	static const char before[] =
		"{\"series\":[{\"app\":\"a\",\"service\":\"s\",\"method\":\"m\",\"status\":\"OK\","
		"\"calls_total\":5},{\"app\":\"a\",\"service\":\"s\",\"method\":\"m\","
		"\"status\":\"CANCELLED\",\"calls_total\":100}]}";
	static const char now[] = "{\"series\":[{\"app\":\"a\",\"service\":\"s\",\"method\":\"m\","
				  "\"status\":\"CANCELLED\",\"calls_total\":101,\"p99_us\":7}]}";

	(void)state;
	expect(TOP_METHODS, before, now, PHX_NS_PER_S,
		"[{\"app\":\"a\",\"service\":\"s\",\"method\":\"m\",\"status\":\"CANCELLED\","
		"\"calls_rps\":1,\"p99_us\":7}]");
}

static void new_rows_and_counters_that_went_back_have_no_rate(void **state)
{
	(void)state;
	expect(TOP_APPS, "{\"apps\":[{\"app\":\"app-1\",\"calls_total\":9}]}",
		"{\"apps\":[{\"app\":\"app-1\",\"calls_total\":3},"
		"{\"app\":\"app-2\",\"calls_total\":3}]}",
		PHX_NS_PER_S, "[{\"app\":\"app-1\"},{\"app\":\"app-2\"}]");
	expect(TOP_APPS, NULL, "{\"apps\":[{\"app\":\"app-1\",\"calls_total\":3}]}", PHX_NS_PER_S,
		"[{\"app\":\"app-1\"}]");
	expect(TOP_APPS, NULL, "{\"apps\":[]}", 0, "[]");
}

static void views_come_from_methods_for_operators(void **state)
{
	(void)state;
	for (size_t i = 0; i < TOP_VIEW_COUNT; i++) {
		const struct phx_ctl_method *m = phx_ctl_method_find(top_views[i].method);

		assert_non_null(m);
		assert_non_null(m->list_key);
		assert_int_equal(m->role, PHX_CTL_RO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shares_are_of_the_time_that_passed),
		cmocka_unit_test(rows_are_found_by_all_their_keys),
		cmocka_unit_test(new_rows_and_counters_that_went_back_have_no_rate),
		cmocka_unit_test(views_come_from_methods_for_operators),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
