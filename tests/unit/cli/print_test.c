// SPDX-License-Identifier: BSD-3-Clause
// Results as text: numbers for people, tables, objects, chosen columns, errors.
#include "cli/report.h"

#include "cli/human.h"

#include <errno.h>
#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static json_t *load(const char *text)
{
	json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

	assert_non_null(value);
	return value;
}

static void expect_human(const char *key, const char *value, const char *want)
{
	json_t *v = load(value);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	human_value(out, key, v);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, want);
	free(text);
	json_decref(v);
}

static void human_counts(void **state)
{
	(void)state;
	expect_human("calls_total", "0", "0");
	expect_human("calls_total", "999", "999");
	expect_human("calls_total", "9800", "9.8k");
	expect_human("calls_total", "99949", "99.9k");
	expect_human("calls_total", "120412", "120k");
	expect_human("calls_total", "999499", "999k");
	expect_human("calls_total", "999600", "1.0M");
	expect_human("calls_rps", "2000000", "2.0M");
	expect_human("x_total", "12345678901", "12.3G");
	// Ids, ports and the like are exact.
	expect_human("pid", "41210", "41210");
	expect_human("inflight", "16384", "16384");
	expect_human("value", "1.5", "1.5");
	expect_human("calls_total", "-5", "-5");
}

static void human_sizes(void **state)
{
	(void)state;
	expect_human("shm_bytes", "1023", "1023");
	expect_human("shm_bytes", "1024", "1.0K");
	expect_human("shm_bytes", "2097152", "2.0M");
	expect_human("tx_bytes_total", "1610612736", "1.5G");
	expect_human("tx_bytes_total", "2199023255552", "2.0T");
}

static void human_durations(void **state)
{
	(void)state;
	expect_human("p50_us", "41", "41.0us");
	expect_human("p50_us", "0.4", "400ns");
	expect_human("x_ns", "999", "999ns");
	expect_human("uptime_ms", "250", "250ms");
	expect_human("uptime_ms", "5000", "5.0s");
	expect_human("uptime_ms", "59999", "60.0s");
	expect_human("uptime_ms", "60000", "1m00s");
	expect_human("uptime_ms", "3725000", "1h02m");
	expect_human("uptime_ms", "97200000", "1d03h");
	expect_human("busy_ns_total", "12300000000", "12.3s");
	expect_human("busy_ns_total", "0", "0ns");
}

static void human_other_shapes(void **state)
{
	(void)state;
	expect_human("x", "null", "-");
	expect_human("x", "\"\"", "-");
	expect_human("x", "[]", "-");
	expect_human("x", "{}", "-");
	expect_human("x", "true", "yes");
	expect_human("x", "[\"a\",2,false]", "a,2,no");
	expect_human("x", "{\"tier\":\"front\",\"n\":1}", "tier=front,n=1");
	expect_human("x", "{\"a\":{\"b\":1},\"c\":[1,2]}", "a={b=1},c={1,2}");
	expect_human("x", "[{\"a\":1},{\"a\":2}]", "{a=1},{a=2}");
	expect_human("x", "{\"size_bytes\":4096}", "size_bytes=4.0K");
}

static void human_text_cannot_steer_a_terminal(void **state)
{
	(void)state;
	expect_human("x", "\"a\\u001b[2Jb\\n\\u007f\"", "a\\x1b[2Jb\\x0a\\x7f");
	expect_human("x", "\"\\u009b31m\"", "\\x9b31m");
	expect_human("x", "\"\\u202egpj\"", "\\u202egpj");
	expect_human("x", "\"gr\\u00fc\\u00df\"", "gr\xc3\xbc\xc3\x9f");
}

static void expect_label(const char *key, const char *want)
{
	char label[32];

	human_label(key, label, sizeof(label));
	assert_string_equal(label, want);
}

static void labels_lose_the_time_unit_that_values_carry(void **state)
{
	(void)state;
	expect_label("uptime_ms", "uptime");
	expect_label("shm_bytes", "shm_bytes");
	expect_label("busy_ns_total", "busy_total");
	expect_label("calls_total", "calls_total");
	expect_label("inflight", "inflight");
	expect_label("ns", "ns");
}

// Methods of the test itself, so that a new column in the table does no harm here.
static const struct phx_ctl_method thing_list = {
	.name = "thing.list",
	.list_key = "things",
	.columns = (const struct phx_ctl_column[]){{"thing", "THING"}, {"pid", "PID"},
		{"age_ms", "AGE_MS"}, {"shm_bytes", "SHM_BYTES"}, {"labels", "LABELS"},
		{.key = NULL}},
	.result = "things: [{thing, pid, age_ms, shm_bytes, exe, state}], generation",
};
static const struct phx_ctl_method thing_get = {
	.name = "thing.get",
	.columns = (const struct phx_ctl_column[]){{"state", "STATE"}, {"pools", "POOLS"},
		{"parts", "PARTS"}, {.key = NULL}},
	.result = "the row of app.list, and state, pools, parts",
};

static const struct phx_ctl_method *find_method(const char *name)
{
	if (strcmp(name, thing_list.name) == 0)
		return &thing_list;
	return strcmp(name, thing_get.name) == 0 ? &thing_get : phx_ctl_method_find(name);
}

static void expect_print(
	const char *method, const char *columns, const char *result, const char *want)
{
	const struct phx_ctl_method *m = method != NULL ? find_method(method) : NULL;
	struct print_columns chosen = {.count = 0};
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *v = load(result);
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);

	if (columns != NULL)
		assert_int_equal(print_columns_parse(columns, m, &chosen, &e), 0);
	print_result(out, m, &chosen, v);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(text, want);
	free(text);
	json_decref(v);
}

static void print_list_is_a_table(void **state)
{
	(void)state;
	expect_print("peer.list", NULL,
		"{\"peers\":[{\"name\":\"a\",\"network\":\"10.0.0.0/8\"},"
		"{\"network\":\"::1\",\"name\":\"longer\"}],\"generation\":\"3\"}",
		"NAME    NETWORK\n"
		"a       10.0.0.0/8\n"
		"longer  ::1\n");
	expect_print("peer.list", NULL, "{\"peers\":[],\"generation\":\"3\"}", "NAME  NETWORK\n");
	// A member that is not there is a dash.
	expect_print("thing.list", NULL,
		"{\"things\":[{\"thing\":\"thing-1\",\"pid\":41210,\"exe\":\"/bin/x\","
		"\"age_ms\":5000,\"shm_bytes\":2097152}]}",
		"THING    PID    AGE   SHM_BYTES  LABELS\n"
		"thing-1  41210  5.0s  2.0M       -\n");
}

static void print_widths_are_those_of_a_terminal(void **state)
{
	(void)state;
	expect_print(NULL, NULL, "[{\"a\":\"\xc3\xbc\xc3\xbc\",\"b\":1},{\"a\":\"xxx\",\"b\":2}]",
		"A    B\n"
		"\xc3\xbc\xc3\xbc   1\n"
		"xxx  2\n");
}

static void print_object_shows_everything(void **state)
{
	(void)state;
	expect_print("peer.add", NULL, "{\"generation\":\"7\",\"changed\":true,\"extra_ms\":10}",
		"changed:    yes\n"
		"generation: 7\n"
		"extra:      10.0ms\n");
	expect_print("thing.get", NULL,
		"{\"app_bytes\":4096,\"pools\":[{\"name\":\"p\",\"size_bytes\":1024,"
		"\"used\":1}],\"parts\":[],\"note\":{\"a\":{\"b\":[1]}}}",
		"pools:\n"
		"  NAME  SIZE_BYTES  USED\n"
		"  p     1.0K        1\n"
		"parts:     -\n"
		"app_bytes: 4.0K\n"
		"note:\n"
		"  a:\n"
		"    b: 1\n");
}

static void print_lists_of_nested_objects_are_blocks(void **state)
{
	(void)state;
	expect_print(NULL, NULL, "{\"list\":[{\"n\":1,\"deep\":[{\"x\":2}]},{\"n\":3}]}",
		"list:\n"
		"  -\n"
		"    n: 1\n"
		"    deep:\n"
		"      X\n"
		"      2\n"
		"  -\n"
		"    n: 3\n");
}

static void print_chosen_columns(void **state)
{
	static const char things[] =
		"{\"things\":[{\"thing\":\"thing-1\",\"shm_bytes\":1024,\"exe\":\"/bin/x\","
		"\"labels\":{\"tier\":\"front\"}}]}";

	(void)state;
	expect_print("thing.list", "exe,SHM_BYTES,labels.tier", things,
		"EXE     SHM_BYTES  LABELS.TIER\n"
		"/bin/x  1.0K       front\n");
	expect_print("thing.list", "thing,thing", things, "THING\nthing-1\n");
	expect_print("thing.get", "state,parts.up",
		"{\"state\":\"running\",\"parts\":{\"up\":true},\"x\":1}",
		"state:    running\n"
		"parts.up: yes\n");
}

static void columns_with_numbers_in_their_names_are_those_of_the_rows(void **state)
{
	(void)state;
	expect_print("stats.get", "app,p#_us",
		"{\"series\":[{\"app\":\"app-1\",\"p90_us\":2,\"p9999_us\":7,\"px_us\":1}]}",
		"APP    P90    P9999\n"
		"app-1  2.0us  7.0us\n");
	expect_print("stats.get", "p90_us", "{\"series\":[{\"app\":\"app-1\",\"p90_us\":2}]}",
		"P90\n"
		"2.0us\n");
	expect_print("stats.get", NULL, "{\"series\":[{\"app\":\"app-1\",\"p90_us\":2}]}",
		"APP    SIDE  SERVICE  METHOD  STATUS  CALLS  P90\n"
		"app-1  -     -        -       -       -      2.0us\n");
	expect_print("stats.get", NULL, "{\"series\":[]}",
		"APP  SIDE  SERVICE  METHOD  STATUS  CALLS\n");
}

static void columns_that_do_not_exist_are_refused(void **state)
{
	struct print_columns c;
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	const struct phx_ctl_method *m = &thing_list;

	(void)state;
	assert_int_equal(print_columns_parse("pid,stat", m, &c, &e), -EINVAL);
	assert_non_null(strstr(e.text, "'stat'"));
	assert_int_equal(json_array_size(json_object_get(e.data, "expected")), 5);
	phx_ctl_error_fini(&e);
	assert_int_equal(print_columns_parse(",", m, &c, &e), -EINVAL);
	phx_ctl_error_fini(&e);
	// The words of one method refer to the row of another.
	assert_int_equal(print_columns_parse("inflight,parts.x", &thing_get, &c, &e), 0);
}

// Every column of the table is a member that the table's own words promise.
static void columns_of_every_method_are_in_its_result(void **state)
{
	(void)state;
	for (size_t i = 0; i < phx_ctl_method_count(); i++) {
		const struct phx_ctl_method *m = phx_ctl_method_at(i);

		for (const struct phx_ctl_column *c = m->columns; c->key != NULL; c++) {
			struct print_columns chosen;
			struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

			assert_int_equal(print_columns_parse(c->key, m, &chosen, &e), 0);
			assert_string_equal(chosen.headers[0], c->header);
		}
	}
}

struct texts {
	char *out, *err;
	size_t out_size, err_size;
	struct report report;
};

static void texts_open(struct texts *t, bool json)
{
	*t = (struct texts){.report = {.json = json}};
	t->report.out = open_memstream(&t->out, &t->out_size);
	t->report.err = open_memstream(&t->err, &t->err_size);
}

static void texts_close(struct texts *t, const char *want_out, const char *want_err)
{
	assert_int_equal(fclose(t->report.out), 0);
	assert_int_equal(fclose(t->report.err), 0);
	assert_string_equal(t->out, want_out);
	assert_string_equal(t->err, want_err);
	free(t->out);
	free(t->err);
}

static void report_json_list_is_the_array_everything_else_the_object(void **state)
{
	json_t *result = load("{\"peers\":[{\"name\":\"a\"}],\"generation\":\"1\"}");
	json_t *series = load("{\"series\":[],\"generation\":\"1\"}");
	struct texts t;

	(void)state;
	texts_open(&t, true);
	report_result(&t.report, phx_ctl_method_find("peer.list"), false, NULL, result);
	report_result(&t.report, phx_ctl_method_find("peer.list"), true, NULL, result);
	report_result(&t.report, phx_ctl_method_find("stats.get"), false, NULL, series);
	texts_close(&t,
		"[{\"name\":\"a\"}]\n"
		"{\"peers\":[{\"name\":\"a\"}],\"generation\":\"1\"}\n"
		"{\"series\":[],\"generation\":\"1\"}\n",
		"");
	json_decref(result);
	json_decref(series);
}

static void report_error_offers_candidates_and_hint(void **state)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct texts t;

	(void)state;
	(void)phx_ctl_error_set(&e, PHX_NOT_FOUND, "no app named 'pay\x1b'");
	phx_ctl_error_add(&e, "candidates", json_pack("[s, s]", "payments", "pay-batch"));
	phx_ctl_error_add(&e, "hint", json_string("phoenix-cli app list"));
	texts_open(&t, false);
	report_error(&t.report, &e);
	texts_close(&t, "",
		"error: no app named 'pay\\x1b' (NOT_FOUND); did you mean: payments, pay-batch\n"
		"hint: phoenix-cli app list\n");
	texts_open(&t, true);
	t.report.where = "f:3";
	(void)phx_ctl_error_set(&e, PHX_NOT_FOUND, "no");
	report_error(&t.report, &e);
	texts_close(&t,
		"{\"error\":{\"code\":5,\"message\":\"no\",\"data\":{\"status\":\"NOT_FOUND\","
		"\"retryable\":false,\"where\":\"f:3\"}}}\n",
		"");
	phx_ctl_error_fini(&e);
}

static void report_usage_puts_a_caret_below_the_word(void **state)
{
	struct words w = WORDS_INIT;
	struct grammar_command c;
	struct grammar_error e;
	struct texts t;
	const char *why;
	size_t offset;

	(void)state;
	assert_int_equal(words_split("peer add rack1 netwrk 10.0.0.0/8", &w, &why, &offset), 0);
	assert_int_equal(grammar_parse(&w, 0, &c, &e), -EINVAL);
	texts_open(&t, false);
	t.report.where = "site.phx:2";
	report_usage(&t.report, &w, &e);
	texts_close(&t, "",
		"site.phx:2:\n"
		"* peer add rack1 netwrk 10.0.0.0/8\n"
		"*                ^ 'netwrk' is no parameter of peer.add; did you mean: network\n"
		"* expected: network, timeout_ms, dry_run, if_generation\n");
	phx_ctl_error_fini(&e.error);
	words_fini(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(human_counts),
		cmocka_unit_test(human_sizes),
		cmocka_unit_test(human_durations),
		cmocka_unit_test(human_other_shapes),
		cmocka_unit_test(human_text_cannot_steer_a_terminal),
		cmocka_unit_test(labels_lose_the_time_unit_that_values_carry),
		cmocka_unit_test(print_list_is_a_table),
		cmocka_unit_test(print_widths_are_those_of_a_terminal),
		cmocka_unit_test(print_object_shows_everything),
		cmocka_unit_test(print_lists_of_nested_objects_are_blocks),
		cmocka_unit_test(print_chosen_columns),
		cmocka_unit_test(columns_with_numbers_in_their_names_are_those_of_the_rows),
		cmocka_unit_test(columns_that_do_not_exist_are_refused),
		cmocka_unit_test(columns_of_every_method_are_in_its_result),
		cmocka_unit_test(report_json_list_is_the_array_everything_else_the_object),
		cmocka_unit_test(report_error_offers_candidates_and_hint),
		cmocka_unit_test(report_usage_puts_a_caret_below_the_word),
	};

	(void)setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
