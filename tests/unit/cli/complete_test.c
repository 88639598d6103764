// SPDX-License-Identifier: BSD-3-Clause
// Completion: words of the table, values, and names of what exists.
#include "cli/complete.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char *asked; // name of the last list that was asked for
static const char *answer;

static json_t *rows(void *arg, const struct phx_ctl_method *list)
{
	(void)arg;
	asked = list->name;
	return answer != NULL ? json_loads(answer, 0, NULL) : NULL;
}

// The words after line that begin with partial, each followed by a blank; those words begin
// at start of partial.
static void expect_at(const char *line, const char *partial, size_t start, const char *want)
{
	struct words w = WORDS_INIT;
	struct choices found = CHOICES_INIT;
	const char *why;
	size_t offset, at;
	char text[1024] = "";

	asked = "";
	assert_int_equal(words_split(line, &w, &why, &offset), 0);
	at = complete_words(&w, partial, rows, NULL, &found);
	for (size_t i = 0; i < found.count; i++) {
		size_t len = strlen(text);

		(void)snprintf(text + len, sizeof(text) - len, "%s ", found.items[i].word);
	}
	assert_string_equal(text, want);
	if (found.count > 0)
		assert_int_equal(at, start);
	choices_fini(&found);
	words_fini(&w);
}

static void expect(const char *line, const char *partial, const char *want)
{
	expect_at(line, partial, 0, want);
}

static void words_follow_the_table(void **state)
{
	(void)state;
	answer = NULL;
	expect("", "li", "listener link ");
	expect("", "stat", "stats status ");
	expect("", "doc", "doctor ");
	expect("", "rules", "");
	expect("peer", "", "list add set del timeout_ms ");
	expect("app", "rule_", "rule_list rule_set rule_del ");
	expect("app rule_set web", "a", "action app ");
	expect("app list", "filter.ui", "filter.uid ");
	expect("rpc", "peer.d", "peer.del ");
	expect("nothing", "", "");
	expect("doctor", "", "");
}

static void values_follow_the_table(void **state)
{
	(void)state;
	answer = NULL;
	expect("app rule_set web action", "", "allow deny ");
	expect_at("app rule_set web", "action=d", strlen("action="), "deny ");
	expect("peer del x dry_run", "", "yes no ");
	expect("peer add x network", "", "");
	expect_at("peer add x", "nonsense=", strlen("nonsense="), "");
}

static void what_was_given_is_not_offered_again(void **state)
{
	(void)state;
	answer = NULL;
	expect("peer add x network 10.0.0.1 timeout_ms=3", "", "dry_run if_generation ");
	expect("peer add network 10.0.0.1", "n", "name ");
	expect("app list filter.uid=3", "filter.", "filter.app filter.name filter.state ");
	expect("listener add web peers rack1", "p", "peers ");	// a list may grow
	expect("app rule_set name action", "a", "action app "); // the value comes first
}

static void abbreviations_are_understood(void **state)
{
	(void)state;
	answer = NULL;
	expect("pe a x", "", "network timeout_ms dry_run if_generation ");
	expect("li", "", "");
}

static void names_come_from_the_list_of_the_noun(void **state)
{
	(void)state;
	answer = "[{\"app\":\"app-1\",\"name\":\"bench\",\"claimed_name\":\"\"},"
		 " {\"app\":\"app-2\",\"name\":\"echo\",\"claimed_name\":\"bench\"}]";
	expect("app get", "", "app-1 bench app-2 echo app timeout_ms ");
	assert_string_equal(asked, "app.list");
	expect("app detach app", "be", "bench ");
	expect("mem", "", "get app-1 bench app-2 echo app timeout_ms ");
	answer = "[{\"name\":\"r1\"},{\"name\":\"r2\"}]";
	expect("listener add x peers", "", "r1 r2 ");
	assert_string_equal(asked, "peer.list");
	expect_at("listener add x", "peers=r1,", strlen("peers=r1,"), "r1 r2 ");
	expect("peer del", "r", "r1 r2 ");
	expect("app rule_del name", "", "r1 r2 ");
	assert_string_equal(asked, "app.rule_list");
	expect("app rule_set r9 before", "", "r1 r2 ");
	assert_string_equal(asked, "app.rule_list");
}

static void names_come_from_the_table_of_a_noun_without_list(void **state)
{
	(void)state;
	answer = "[{\"daemon\":\"dataplane\",\"component\":\"attach\",\"level\":\"info\"}]";
	expect("log set", "a", "attach ");
	assert_string_equal(asked, "log.get");
	expect("log set attach level", "d", "debug ");
	expect("log get component", "", "attach ");
}

static void new_things_are_given_new_names(void **state)
{
	(void)state;
	answer = "[{\"name\":\"r1\"}]";
	expect("peer add name", "", "");
	assert_string_equal(asked, "");
}

static void filters_offer_what_the_rows_have(void **state)
{
	(void)state;
	answer = "[{\"app\":\"app-1\",\"uid\":1000},{\"app\":\"app-2\",\"uid\":33},"
		 " {\"app\":\"app-3\",\"uid\":1000}]";
	expect_at("app", "filter.uid=", strlen("filter.uid="), "1000 33 ");
	expect("app list filter.uid", "3", "33 ");
}

static void names_that_steer_a_terminal_are_not_offered(void **state)
{
	(void)state;
	answer = "[{\"app\":\"app-1\",\"name\":\"a b\",\"claimed_name\":\"\\u001b[31m\"},"
		 " {\"app\":\"app-2\",\"name\":7,\"claimed_name\":\"x'y\"}]";
	expect("app get app", "", "app-1 app-2 7 ");
}

static void common_part_is_that_of_all(void **state)
{
	struct choices c = CHOICES_INIT;

	(void)state;
	assert_int_equal(choices_common(&c), 0);
	choices_add(&c, "rule_list", NULL, NULL);
	assert_int_equal(choices_common(&c), strlen("rule_list"));
	choices_add(&c, "rule_set", NULL, NULL);
	choices_add(&c, "rule_set", NULL, NULL);
	assert_int_equal(c.count, 2);
	assert_int_equal(choices_common(&c), strlen("rule_"));
	choices_add(&c, "list", NULL, NULL);
	assert_int_equal(choices_common(&c), 0);
	choices_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_follow_the_table),
		cmocka_unit_test(values_follow_the_table),
		cmocka_unit_test(what_was_given_is_not_offered_again),
		cmocka_unit_test(abbreviations_are_understood),
		cmocka_unit_test(names_come_from_the_list_of_the_noun),
		cmocka_unit_test(names_come_from_the_table_of_a_noun_without_list),
		cmocka_unit_test(new_things_are_given_new_names),
		cmocka_unit_test(filters_offer_what_the_rows_have),
		cmocka_unit_test(names_that_steer_a_terminal_are_not_offered),
		cmocka_unit_test(common_part_is_that_of_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
