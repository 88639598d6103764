// SPDX-License-Identifier: BSD-3-Clause
// Commands to requests: every method's example, abbreviations, and where errors point.
#include "cli/grammar.h"

#include "cli/help.h"
#include "cli/options.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int parse(const char *line, unsigned flags, struct grammar_command *c,
	struct grammar_error *e, struct words *w)
{
	const char *why;
	size_t offset;

	*w = WORDS_INIT;
	assert_int_equal(words_split(line, w, &why, &offset), 0);
	return grammar_parse(w, flags, c, e);
}

// The line means this request.
static void expect(const char *line, unsigned flags, const char *method, const char *params)
{
	struct grammar_command c;
	struct grammar_error e;
	struct words w;
	json_t *want = json_loads(params, 0, NULL);
	int rc = parse(line, flags, &c, &e, &w);

	if (rc != 0)
		print_error("%s: %s\n", line, e.error.text);
	assert_int_equal(rc, 0);
	assert_string_equal(c.name, method);
	assert_non_null(want);
	if (!json_equal(c.params, want))
		print_error("%s: %s\n", line, json_dumps(c.params, 0));
	assert_true(json_equal(c.params, want));
	json_decref(want);
	grammar_command_fini(&c);
	words_fini(&w);
}

// The line is refused; the caret stands below the part that begins with at (NULL: the end).
static struct grammar_error refuse(const char *line, unsigned flags, const char *at)
{
	struct grammar_command c;
	struct grammar_error e;
	struct words w;
	size_t column;
	char *text;

	int rc = parse(line, flags, &c, &e, &w);

	if (rc == 0)
		print_error("%s: accepted\n", line);
	assert_int_equal(rc, -EINVAL);
	assert_int_not_equal(e.error.code, 0);
	assert_null(c.params);
	text = words_line(&w, e.word, e.offset, &column);
	if (at != NULL)
		assert_string_equal(text + column, strstr(text, at));
	else
		assert_int_equal(column, strlen(text) + (w.count > 0));
	free(text);
	words_fini(&w);
	return e;
}

static void expect_refused(const char *line, unsigned flags, const char *at, const char *text_part)
{
	struct grammar_error e = refuse(line, flags, at);

	if (strstr(e.error.text, text_part) == NULL)
		print_error("%s: %s\n", line, e.error.text);
	assert_non_null(strstr(e.error.text, text_part));
	phx_ctl_error_fini(&e.error);
}

#define FOR_EACH_METHOD(m)                                                                         \
	for (size_t mi = 0; mi < phx_ctl_method_count(); mi++)                                     \
		for (const struct phx_ctl_method *m = phx_ctl_method_at(mi); m != NULL; m = NULL)

// The file that examples name, in a directory of its own, where the process goes.
static char *enter_example_dir(void)
{
	char *dir = strdup("/tmp/phx-grammar.XXXXXX");
	FILE *f;

	assert_non_null(dir);
	assert_non_null(mkdtemp(dir));
	assert_int_equal(chdir(dir), 0);
	f = fopen("site.json", "w");
	assert_non_null(f);
	assert_true(fputs("{\"version\": 1}\n", f) >= 0);
	assert_int_equal(fclose(f), 0);
	return dir;
}

static void leave_example_dir(char *dir)
{
	assert_int_equal(unlink("site.json"), 0);
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(dir), 0);
	free(dir);
}

// Examples are shown in help: they must be what they say, options included.
static void every_example_is_a_command_for_its_method(void **state)
{
	char *dir = enter_example_dir();

	(void)state;
	FOR_EACH_METHOD(m)
	{
		struct words line = WORDS_INIT, w = WORDS_INIT;
		struct grammar_command c;
		struct grammar_error e;
		struct options o;
		const char *why;
		char text[256];
		size_t offset;

		assert_int_equal(words_add(&line, "phoenix-cli", 11), 0);
		(void)snprintf(text, sizeof(text), "phoenix-cli %s", m->example);
		words_fini(&line);
		assert_int_equal(words_split(text, &line, &why, &offset), 0);
		assert_int_equal(
			options_parse((int)line.count, line.items, &o, &w, text, sizeof(text)),
			OPTIONS_RUN);
		int rc = grammar_parse(&w, 0, &c, &e);

		if (rc != 0)
			print_error("%s: %s\n", m->example, e.error.text);
		assert_int_equal(rc, 0);
		assert_string_equal(c.name, m->name);
		assert_int_equal(c.raw, (m->flags & PHX_CTL_PRIVATE) != 0);
		grammar_command_fini(&c);
		words_fini(&line);
		words_fini(&w);
	}
	leave_example_dir(dir);
}

static void every_method_has_what_help_shows(void **state)
{
	json_t *dump = help_dump(), *row;
	size_t i, commands = 0;

	(void)state;
	FOR_EACH_METHOD(m)
	{
		assert_true(m->summary != NULL && m->summary[0] != '\0');
		assert_true(m->example != NULL && m->example[0] != '\0');
		assert_true(m->result != NULL && m->result[0] != '\0');
		for (const struct phx_ctl_param *p = m->params; p->name != NULL; p++)
			assert_true(p->help != NULL && p->help[0] != '\0');
		commands += grammar_is_command(m);
	}
	assert_int_equal(json_array_size(dump), commands);
	json_array_foreach(dump, i, row)
	{
		const char *method = json_string_value(json_object_get(row, "method"));
		struct words w = WORDS_INIT;
		const char *why;
		size_t offset, size = 0;
		char *text = NULL;
		FILE *out = open_memstream(&text, &size);

		assert_int_equal(words_split(json_string_value(json_object_get(row, "command")), &w,
					 &why, &offset),
			0);
		assert_int_equal(help_print(out, &w), 0);
		assert_int_equal(fclose(out), 0);
		assert_non_null(strstr(text, phx_ctl_method_find(method)->summary));
		free(text);
		words_fini(&w);
	}
	json_decref(dump);
}

static void help_of_nothing_lists_all_and_refuses_others(void **state)
{
	struct words none = WORDS_INIT, bad = WORDS_INIT;
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(help_print(out, &none), 0);
	assert_int_equal(fclose(out), 0);
	FOR_EACH_METHOD(m)
	{
		bool listed = strstr(text, m->summary) != NULL;

		assert_int_equal(listed, grammar_is_command(m));
	}
	free(text);
	assert_int_equal(words_add(&bad, "rules", 5), 0);
	assert_int_equal(help_print(stdout, &bad), -EINVAL);
	assert_int_equal(words_add(&bad, "push", 4), 0);
	assert_int_equal(help_print(stdout, &bad), -EINVAL);
	words_fini(&bad);
}

static void parse_verbs(void **state)
{
	(void)state;
	expect("app list", 0, "app.list", "{}");
	expect("app", 0, "app.list", "{}");
	expect("app show", 0, "app.list", "{}");
	expect("app app-3", 0, "app.get", "{\"app\":\"app-3\"}");
	expect("app show app-3", 0, "app.get", "{\"app\":\"app-3\"}");
	expect("app get app-3", 0, "app.get", "{\"app\":\"app-3\"}");
	expect("app filter.uid=5", 0, "app.list", "{\"filter\":{\"uid\":5}}");
	expect("stats", 0, "stats.get", "{}");
	expect("mem web", 0, "mem.get", "{\"app\":\"web\"}");
	expect("mem", 0, "mem.get", "{}");
	expect("status", 0, "system.status", "{}");
	expect("system", 0, "system.status", "{}");
	expect("version", 0, "system.version", "{}");
	expect("rpc methods app", 0, "rpc.methods", "{\"prefix\":\"app\"}");
}

static void parse_parameters(void **state)
{
	(void)state;
	expect("listener add web transport tcp address=127.0.0.1:5000 peers a,b peers=c", 0,
		"listener.add",
		"{\"name\":\"web\",\"transport\":\"tcp\",\"address\":\"127.0.0.1:5000\","
		"\"peers\":[\"a\",\"b\",\"c\"]}");
	expect("listener add transport tcp name web address 127.0.0.1:1", 0, "listener.add",
		"{\"name\":\"web\",\"transport\":\"tcp\",\"address\":\"127.0.0.1:1\"}");
	expect("listener add {\"name\": \"web\", \"transport\": \"tcp\"} address [::1]:5", 0,
		"listener.add", "{\"name\":\"web\",\"transport\":\"tcp\",\"address\":\"[::1]:5\"}");
	expect("app rule_set web action allow labels tier=front zone=a uid=1k", 0, "app.rule_set",
		"{\"name\":\"web\",\"action\":\"allow\",\"labels\":{\"tier\":\"front\","
		"\"zone\":\"a\"},\"uid\":1000}");
	expect("app list filter.uid 7 timeout_ms 2s", 0, "app.list",
		"{\"filter\":{\"uid\":7},\"timeout_ms\":2000}");
	expect("app list filter uid=7,state=attached", 0, "app.list",
		"{\"filter\":{\"uid\":7,\"state\":\"attached\"}}");
	expect("app detach web reason 'over there'", 0, "app.detach",
		"{\"app\":\"web\",\"reason\":\"over there\"}");
	expect("peer del a dry_run yes if_generation 12", 0, "peer.del",
		"{\"name\":\"a\",\"dry_run\":true,\"if_generation\":\"12\"}");
	expect("stats quantiles 0.5,0.99", 0, "stats.get", "{\"quantiles\":[0.5,0.99]}");
	// The last word alone cannot be a key; elsewhere name= says what it is.
	expect("app rule_set name=action action=deny", 0, "app.rule_set",
		"{\"name\":\"action\",\"action\":\"deny\"}");
	expect("peer del network", 0, "peer.del", "{\"name\":\"network\"}");
	expect("app get timeout_ms", 0, "app.get", "{\"app\":\"timeout_ms\"}");
}

static void parse_raw(void **state)
{
	(void)state;
	expect("rpc app.list", 0, "app.list", "{}");
	expect("rpc rules.get {\"document\": true}", 0, "rules.get", "{\"document\":true}");
	expect("rpc not.known '{\"x\":[1]}'", 0, "not.known", "{\"x\":[1]}");
	// Not validated: the server is asked.
	expect("rpc peer.add {\"nonsense\":1}", 0, "peer.add", "{\"nonsense\":1}");
	expect_refused("rpc app.list 5", 0, "5", "JSON object");
	expect_refused("rpc app.list {} x", 0, "x", "nothing follows");
	expect_refused("rpc app.list {\"a\":}", 0, "{", "JSON");
	expect_refused("rpc applist", 0, "applist", "no verb of rpc");
	expect_refused("rpc", 0, NULL, "verb is missing");
}

static void parse_abbreviations_only_where_allowed(void **state)
{
	(void)state;
	expect("serv li", GRAMMAR_ABBREVIATE, "service.list", "{}");
	expect("sy v", GRAMMAR_ABBREVIATE, "system.version", "{}");
	expect("statu", GRAMMAR_ABBREVIATE, "system.status", "{}");
	expect("listener add web tr tcp addr=127.0.0.1:1", GRAMMAR_ABBREVIATE, "listener.add",
		"{\"name\":\"web\",\"transport\":\"tcp\",\"address\":\"127.0.0.1:1\"}");
	// Whole words win over longer ones: lists are stats and status, rule_list and rule_...
	expect("stats", GRAMMAR_ABBREVIATE, "stats.get", "{}");
	expect_refused("serv list", 0, "serv", "no command");
	expect_refused("peer ad x network 10.0.0.1", 0, "ad", "no verb");
	expect_refused("listener add web tr tcp", 0, "tr", "no parameter");
}

static void ambiguous_words_name_what_they_could_be(void **state)
{
	struct grammar_error e = refuse("li list", GRAMMAR_ABBREVIATE, "li");
	json_t *want = json_pack("[s, s]", "listener", "link");

	(void)state;
	assert_non_null(strstr(e.error.text, "ambiguous"));
	assert_true(json_equal(json_object_get(e.error.data, "candidates"), want));
	json_decref(want);
	phx_ctl_error_fini(&e.error);

	e = refuse("app rule_ x", GRAMMAR_ABBREVIATE, "rule_");
	assert_true(json_array_size(json_object_get(e.error.data, "candidates")) >= 3);
	phx_ctl_error_fini(&e.error);

	e = refuse("app rule_set x a=1", GRAMMAR_ABBREVIATE, "a=1");
	want = json_pack("[s, s]", "action", "app");
	assert_true(json_equal(json_object_get(e.error.data, "candidates"), want));
	json_decref(want);
	phx_ctl_error_fini(&e.error);
}

static void unknown_words_offer_the_nearest(void **state)
{
	struct grammar_error e = refuse("app rule_set web acton allow", 0, "acton");
	json_t *candidate = json_array_get(json_object_get(e.error.data, "candidates"), 0);
	json_t *expected = json_object_get(e.error.data, "expected"), *word;
	size_t i;

	(void)state;
	assert_string_equal(json_string_value(candidate), "action");
	json_array_foreach(expected, i, word) // not name: that is given
		assert_string_not_equal(json_string_value(word), "name");
	assert_true(i > 5);
	phx_ctl_error_fini(&e.error);

	e = refuse("lisener", 0, "lisener");
	candidate = json_array_get(json_object_get(e.error.data, "candidates"), 0);
	assert_string_equal(json_string_value(candidate), "listener");
	phx_ctl_error_fini(&e.error);

	e = refuse("app lst", 0, "lst");
	candidate = json_array_get(json_object_get(e.error.data, "candidates"), 0);
	assert_string_equal(json_string_value(candidate), "list");
	phx_ctl_error_fini(&e.error);
}

static void errors_point_at_the_value(void **state)
{
	(void)state;
	expect_refused("peer add a network 10.0.0.0/33", 0, "10.0", "network");
	expect_refused("peer add a network=10.0.0.0/33", 0, "10.0", "network");
	expect_refused("peer add a/b network 10.0.0.0/8", 0, "a/b", "name");
	expect_refused("app rule_set web action alow", 0, "alow", "allow|deny");
	expect_refused("app rule_set web action allow uid abc", 0, "abc", "whole number");
	expect_refused("app rule_set web action allow uid=-1", 0, "-1", "0..");
	expect_refused("app list filter.uid=x", 0, "x", "whole number");
	expect_refused("app list filter.uod=1", 0, "1", "uod");
	expect_refused("app list filter {\"uid\":\"x\"}", 0, "{", "filter.uid");
	expect_refused("listener add web transport tcp address 127.0.0.1:1 peers a,b/c", 0, "a,b",
		"peers[1]");
	expect_refused("app rule_set w action deny labels.tier= labels.b/d=1", 0, "1", "labels");
	expect_refused("app list timeout_ms 1us", 0, "1us", "no whole number of ms");
	expect_refused("app get a app=b", 0, "b", "given twice");
}

static void errors_point_at_the_end_for_what_is_missing(void **state)
{
	(void)state;
	expect_refused("peer add", 0, NULL, "name: is required");
	expect_refused("peer add a", 0, NULL, "network: is required");
	expect_refused("peer add a network", 0, NULL, "needs a value: IP/BITS");
	expect_refused("", 0, NULL, "command is missing");
}

static void errors_for_words_too_many(void **state)
{
	(void)state;
	expect_refused("app get a b", 0, "b", "no parameter");
	expect_refused("listener list x", 0, "x", "no parameter");
	expect_refused("rules get", 0, "rules", "no command");
	expect_refused("app list {x}", 0, "x}", "no valid JSON");
}

static void files_that_cannot_be_read_are_no_usage_errors(void **state)
{
	struct grammar_error e = refuse("app list filter @/nonexistent/x", 0, "@/nonexistent");

	(void)state;
	assert_true(e.local);
	phx_ctl_error_fini(&e.error);
	e = refuse("rpc app.list @/nonexistent/x", 0, "@/nonexistent");
	assert_true(e.local);
	phx_ctl_error_fini(&e.error);
	e = refuse("app lst", 0, "lst");
	assert_false(e.local);
	phx_ctl_error_fini(&e.error);
}

static void expect_dry_run(const char *line, bool possible, bool asked)
{
	struct phx_ctl_error error = PHX_CTL_ERROR_INIT;
	struct grammar_command c;
	struct grammar_error e;
	struct words w;

	assert_int_equal(parse(line, 0, &c, &e, &w), 0);
	assert_int_equal(grammar_dry_run(&c, &error), possible ? 0 : -EINVAL);
	assert_int_equal(json_is_true(json_object_get(c.params, "dry_run")), asked);
	phx_ctl_error_fini(&error);
	grammar_command_fini(&c);
	words_fini(&w);
}

static void dry_run_never_does_what_it_cannot_try(void **state)
{
	(void)state;
	expect_dry_run("peer add a network 10.0.0.1", true, true);
	expect_dry_run("rpc peer.del {\"name\":\"a\"}", true, true);
	expect_dry_run("peer list", true, false);
	expect_dry_run("app detach web", false, false);
	expect_dry_run("rpc some.thing", false, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_example_is_a_command_for_its_method),
		cmocka_unit_test(every_method_has_what_help_shows),
		cmocka_unit_test(help_of_nothing_lists_all_and_refuses_others),
		cmocka_unit_test(parse_verbs),
		cmocka_unit_test(parse_parameters),
		cmocka_unit_test(parse_raw),
		cmocka_unit_test(parse_abbreviations_only_where_allowed),
		cmocka_unit_test(ambiguous_words_name_what_they_could_be),
		cmocka_unit_test(unknown_words_offer_the_nearest),
		cmocka_unit_test(errors_point_at_the_value),
		cmocka_unit_test(errors_point_at_the_end_for_what_is_missing),
		cmocka_unit_test(errors_for_words_too_many),
		cmocka_unit_test(files_that_cannot_be_read_are_no_usage_errors),
		cmocka_unit_test(dry_run_never_does_what_it_cannot_try),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
