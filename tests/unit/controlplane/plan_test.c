// SPDX-License-Identifier: BSD-3-Clause
// Plans between documents, and the table of sections that they walk.
#include "controlplane/plan.h"

#include "controlplane/section.h"
#include "lib/ctl/document.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static json_t *load(const char *text)
{
	json_t *json = json_loads(text, 0, NULL);

	assert_non_null(json);
	return json;
}

static void expect(const char *from, const char *to, const char *plan)
{
	json_t *a = load(from), *b = load(to), *want = load(plan);
	json_t *have = plan_make(a, b);

	if (!json_equal(have, want))
		print_error("%s\n", json_dumps(have, JSON_COMPACT));
	assert_true(json_equal(have, want));
	json_decref(have);
	json_decref(want);
	json_decref(b);
	json_decref(a);
}

static void equal_documents_have_an_empty_plan(void **state)
{
	(void)state;
	expect("{}", "{}", "[]");
	expect("{\"peers\":[{\"name\":\"a\"}]}", "{\"peers\":[{\"name\":\"a\"}]}", "[]");
}

static void elements_are_added_changed_and_removed_by_name(void **state)
{
	(void)state;
	expect("{\"peers\":[{\"name\":\"a\",\"network\":\"::1\"},{\"name\":\"b\"}]}",
		"{\"peers\":[{\"name\":\"a\",\"network\":\"::2\"},{\"name\":\"c\"}]}",
		"[{\"op\":\"remove\",\"kind\":\"peer\",\"name\":\"b\",\"from\":{\"name\":\"b\"},"
		"\"disruptive\":true},"
		"{\"op\":\"change\",\"kind\":\"peer\",\"name\":\"a\","
		"\"from\":{\"name\":\"a\",\"network\":\"::1\"},"
		"\"to\":{\"name\":\"a\",\"network\":\"::2\"},\"disruptive\":true},"
		"{\"op\":\"add\",\"kind\":\"peer\",\"name\":\"c\",\"to\":{\"name\":\"c\"},"
		"\"disruptive\":false}]");
}

static void order_of_rules_is_a_change_and_that_of_objects_is_none(void **state)
{
	(void)state;
	expect("{\"attach\":[{\"name\":\"a\"},{\"name\":\"b\"}]}",
		"{\"attach\":[{\"name\":\"b\"},{\"name\":\"a\"}]}",
		"[{\"op\":\"change\",\"kind\":\"app_rule_order\",\"name\":\"attach\","
		"\"from\":[\"a\",\"b\"],\"to\":[\"b\",\"a\"],\"disruptive\":false}]");
	expect("{\"peers\":[{\"name\":\"a\"},{\"name\":\"b\"}]}",
		"{\"peers\":[{\"name\":\"b\"},{\"name\":\"a\"}]}", "[]");
}

// Every section of the document is one of the table: else saving would lose what it holds.
static void keys_and_documents_turn_into_each_other(void **state)
{
	json_t *document = json_object(), *keys, *again;

	(void)state;
	for (const struct section *s = sections; s->name != NULL; s++)
		assert_int_equal(json_object_set_new(document, s->name,
					 json_pack("[{s:s}, {s:s}]", "name", "x", "name", "y")),
			0);
	keys = sections_keys(document);
	again = sections_document(keys);
	assert_true(json_equal(document, again));
	json_decref(again);
	json_decref(keys);
	json_decref(document);
}

static void every_section_of_the_document_is_in_the_table(void **state)
{
	json_t *unknown = json_pack("{s:i}", "version", 1);
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	size_t count = 0;

	(void)state;
	for (const struct section *s = sections; s->name != NULL; s++, count++)
		assert_int_equal(json_object_set_new(unknown, s->name, json_array()), 0);
	assert_int_equal(phx_ctl_document_check(unknown, "", &e), 0);
	assert_int_equal(phx_ctl_document_sections(), count);
	json_decref(unknown);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(equal_documents_have_an_empty_plan),
		cmocka_unit_test(elements_are_added_changed_and_removed_by_name),
		cmocka_unit_test(order_of_rules_is_a_change_and_that_of_objects_is_none),
		cmocka_unit_test(keys_and_documents_turn_into_each_other),
		cmocka_unit_test(every_section_of_the_document_is_in_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
