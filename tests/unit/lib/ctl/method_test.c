// SPDX-License-Identifier: BSD-3-Clause
// The method table and its validator. Most tests walk every method and parameter.
#include "lib/ctl/method.h"

#include "lib/base/limits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// A value that the parameter accepts (new reference).
static json_t *good_value(const struct phx_ctl_param *p)
{
	json_t *object;

	switch (p->type) {
	case PHX_CTL_BOOL:
		return json_true();
	case PHX_CTL_INT:
		return json_integer(p->min);
	case PHX_CTL_GENERATION:
		return json_string("12");
	case PHX_CTL_NAME:
	case PHX_CTL_GLOB:
		return json_string("web-1");
	case PHX_CTL_TEXT:
		return json_string("text");
	case PHX_CTL_ENUM:
		return json_stringn(p->values, strcspn(p->values, "|"));
	case PHX_CTL_ADDRESS:
		return json_string("127.0.0.1:5000");
	case PHX_CTL_NETWORK:
		return json_string("10.0.0.0/8");
	case PHX_CTL_PATH:
		return json_string("/tmp/file");
	case PHX_CTL_DOCUMENT:
		return json_pack("{s:i}", "version", 1);
	case PHX_CTL_NUMBER:
		return json_real(0.5);
	case PHX_CTL_MAP:
		return json_pack("{s:s}", "tier", "front");
	case PHX_CTL_OBJECT:
		object = json_object();
		for (const struct phx_ctl_param *f = p->fields; f != NULL && f->name != NULL; f++)
			assert_int_equal(json_object_set_new(object, f->name, good_value(f)), 0);
		return object;
	case PHX_CTL_ARRAY:
		return json_pack("[o]", good_value(&p->fields[0]));
	}
	return NULL;
}

// A value of a type that the parameter never accepts.
static json_t *wrong_type(const struct phx_ctl_param *p)
{
	switch (p->type) {
	case PHX_CTL_BOOL:
		return json_integer(1);
	case PHX_CTL_OBJECT:
	case PHX_CTL_DOCUMENT:
	case PHX_CTL_MAP:
		return json_array();
	case PHX_CTL_ARRAY:
		return json_object();
	case PHX_CTL_INT:
	case PHX_CTL_NUMBER:
		return json_string("5");
	case PHX_CTL_GENERATION:
	case PHX_CTL_NAME:
	case PHX_CTL_GLOB:
	case PHX_CTL_TEXT:
	case PHX_CTL_ENUM:
	case PHX_CTL_ADDRESS:
	case PHX_CTL_NETWORK:
	case PHX_CTL_PATH:
		return json_integer(5);
	}
	return NULL;
}

// All parameters of a method, own and common, with good values.
static json_t *good_params(const struct phx_ctl_method *m)
{
	json_t *params = json_object();
	const struct phx_ctl_param *lists[] = {m->params, phx_ctl_method_common(m)};

	for (size_t i = 0; i < PHX_ARRAY_LEN(lists); i++)
		for (const struct phx_ctl_param *p = lists[i]; p->name != NULL; p++)
			assert_int_equal(json_object_set_new(params, p->name, good_value(p)), 0);
	return params;
}

static void expect_refused(const struct phx_ctl_method *m, json_t *params, const char *field)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	assert_int_equal(phx_ctl_method_validate(m, params, &e), -EINVAL);
	assert_int_equal(e.code, PHX_CTL_INVALID_PARAMS);
	assert_string_equal(json_string_value(json_object_get(e.data, "field")), field);
	assert_non_null(strstr(e.text, field));
	phx_ctl_error_fini(&e);
}

#define FOR_EACH_METHOD(m)                                                                         \
	for (size_t mi = 0; mi < phx_ctl_method_count(); mi++)                                     \
		for (const struct phx_ctl_method *m = phx_ctl_method_at(mi); m != NULL; m = NULL)

static void table_every_method_is_complete(void **state)
{
	(void)state;
	FOR_EACH_METHOD(m)
	{
		const char *dot = strchr(m->name, '.');

		assert_non_null(dot);
		assert_ptr_equal(phx_ctl_method_find(m->name), m);
		assert_non_null(m->summary);
		assert_non_null(m->result);
		assert_non_null(m->example);
		assert_non_null(m->columns);
		assert_non_null(m->params);
		for (const struct phx_ctl_param *p = m->params; p->name != NULL; p++) {
			assert_non_null(p->help);
			assert_true(p->type != PHX_CTL_ENUM || p->values != NULL);
			assert_true(p->type != PHX_CTL_ARRAY || p->fields != NULL);
			assert_true(p->type != PHX_CTL_INT || p->max > p->min);
		}
		// Lists end in list or describe the API; nothing else has rows.
		size_t len = strlen(m->name);
		bool list = strcmp(m->name + len - 4, "list") == 0;
		if (list)
			assert_non_null(m->list_key);
	}
}

static void validate_good_values_are_accepted(void **state)
{
	(void)state;
	FOR_EACH_METHOD(m)
	{
		struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
		json_t *params = good_params(m);

		assert_int_equal(phx_ctl_method_validate(m, params, &e), 0);
		json_decref(params);
	}
}

static void validate_unknown_field_is_refused(void **state)
{
	(void)state;
	FOR_EACH_METHOD(m)
	{
		json_t *params = good_params(m);

		assert_int_equal(json_object_set_new(params, "no_such_field", json_true()), 0);
		expect_refused(m, params, "no_such_field");
		json_decref(params);
	}
}

static void validate_missing_field_is_refused(void **state)
{
	unsigned refused = 0;

	(void)state;
	FOR_EACH_METHOD(m)
	{
		for (const struct phx_ctl_param *p = m->params; p->name != NULL; p++) {
			json_t *params = good_params(m);

			assert_int_equal(json_object_del(params, p->name), 0);
			if (p->required) {
				expect_refused(m, params, p->name);
				refused++;
			} else {
				struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

				assert_int_equal(phx_ctl_method_validate(m, params, &e), 0);
			}
			json_decref(params);
		}
	}
	assert_true(refused > 10);
}

static void expect_each_refused(const struct phx_ctl_method *m, const struct phx_ctl_param *p)
{
	json_t *values[] = {wrong_type(p), json_null()};

	for (size_t i = 0; i < PHX_ARRAY_LEN(values); i++) {
		json_t *params = good_params(m);

		assert_int_equal(json_object_set_new(params, p->name, values[i]), 0);
		expect_refused(m, params, p->name);
		json_decref(params);
	}
}

static void validate_wrong_type_is_refused(void **state)
{
	(void)state;
	FOR_EACH_METHOD(m)
	{
		for (const struct phx_ctl_param *p = m->params; p->name != NULL; p++)
			expect_each_refused(m, p);
		for (const struct phx_ctl_param *p = phx_ctl_method_common(m); p->name != NULL; p++)
			expect_each_refused(m, p);
	}
}

static void validate_integers_outside_their_range_are_refused(void **state)
{
	unsigned checked = 0;

	(void)state;
	FOR_EACH_METHOD(m)
	{
		const struct phx_ctl_param *lists[] = {m->params, phx_ctl_method_common(m)};

		for (size_t i = 0; i < PHX_ARRAY_LEN(lists); i++)
			for (const struct phx_ctl_param *p = lists[i]; p->name != NULL; p++) {
				json_t *params;

				if (p->type != PHX_CTL_INT)
					continue;
				checked++;
				params = good_params(m);
				(void)json_object_set_new(
					params, p->name, json_integer(p->min - 1));
				expect_refused(m, params, p->name);
				if (p->max < INT64_MAX) {
					(void)json_object_set_new(
						params, p->name, json_integer(p->max + 1));
					expect_refused(m, params, p->name);
				}
				(void)json_object_set_new(params, p->name, json_real(1.5));
				expect_refused(m, params, p->name);
				json_decref(params);
			}
	}
	assert_true(checked > 0);
}

static void validate_range_error_names_the_limit(void **state)
{
	const struct phx_ctl_method *m = phx_ctl_method_find("app.list");
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *params = json_pack("{s:i}", "timeout_ms", 0);

	(void)state;
	assert_int_equal(phx_ctl_method_validate(m, params, &e), -EINVAL);
	json_t *limit = json_object_get(e.data, "limit");
	assert_int_equal(json_integer_value(json_object_get(limit, "min")), 1);
	assert_int_equal(json_integer_value(json_object_get(limit, "max")), 600000);
	assert_int_equal(json_integer_value(json_object_get(e.data, "value")), 0);
	phx_ctl_error_fini(&e);
	json_decref(params);
}

static void validate_unknown_field_proposes_the_nearest(void **state)
{
	const struct phx_ctl_method *m = phx_ctl_method_find("listener.add");
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *params = json_pack("{s:s}", "adress", "127.0.0.1:1");

	(void)state;
	assert_int_equal(phx_ctl_method_validate(m, params, &e), -EINVAL);
	assert_string_equal(
		json_string_value(json_array_get(json_object_get(e.data, "candidates"), 0)),
		"address");
	phx_ctl_error_fini(&e);
	json_decref(params);
}

static void validate_nested_field_is_named_with_its_path(void **state)
{
	json_t *params = json_pack("{s:{s:s}}", "filter", "uid", "root");

	(void)state;
	expect_refused(phx_ctl_method_find("app.list"), params, "filter.uid");
	json_decref(params);
	params = json_pack("{s:[i, f]}", "quantiles", 0, 1.5);
	expect_refused(phx_ctl_method_find("stats.get"), params, "quantiles[1]");
	json_decref(params);
}

// Text of len bytes, all 'a'.
static json_t *long_string(size_t len)
{
	char *text = malloc(len);
	json_t *value;

	assert_non_null(text);
	memset(text, 'a', len);
	value = json_stringn(text, len);
	free(text);
	return value;
}

static void validate_hostile_names_are_refused(void **state)
{
	static const char *const rows[] = {"", "../etc", "a/b", "%s%n", "\x1b[2J", "a\nb", "a\"b",
		"a b", ".hidden", "-x", "_x", "\xc3\xa4"};
	const struct phx_ctl_method *m = phx_ctl_method_find("peer.del");
	json_t *params = json_object();
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		assert_int_equal(json_object_set_new(params, "name", json_string(rows[i])), 0);
		expect_refused(m, params, "name");
	}
	assert_int_equal(json_object_set_new(params, "name", long_string(65)), 0);
	expect_refused(m, params, "name");
	assert_int_equal(json_object_set_new(params, "name", long_string(100000)), 0);
	expect_refused(m, params, "name");
	assert_int_equal(json_object_set_new(params, "name", long_string(64)), 0);
	assert_int_equal(phx_ctl_method_validate(m, params, &e), 0);
	json_decref(params);
}

static void validate_paths_are_absolute_and_printable(void **state)
{
	static const char *const bad[] = {"", "site.json", "./site.json", "/a\nb", "/\x1b[31m"};
	const struct phx_ctl_method *m = phx_ctl_method_find("config.save");
	json_t *params = json_object();
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(bad); i++) {
		assert_int_equal(json_object_set_new(params, "path", json_string(bad[i])), 0);
		expect_refused(m, params, "path");
	}
	assert_int_equal(json_object_set_new(params, "path", json_string("/a/b c.json")), 0);
	assert_int_equal(phx_ctl_method_validate(m, params, &e), 0);
	json_decref(params);
}

static void validate_hostile_texts_are_refused(void **state)
{
	const struct phx_ctl_method *m = phx_ctl_method_find("app.detach");
	json_t *params = json_pack("{s:s}", "app", "app-1");
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	(void)state;
	assert_int_equal(json_object_set_new(params, "reason", json_string("100 %s")), 0);
	assert_int_equal(phx_ctl_method_validate(m, params, &e), 0);
	assert_int_equal(json_object_set_new(params, "reason", json_string("a\nb")), 0);
	expect_refused(m, params, "reason");
	assert_int_equal(json_object_set_new(params, "reason", json_string("")), 0);
	expect_refused(m, params, "reason");
	assert_int_equal(json_object_set_new(params, "reason", long_string(201)), 0);
	expect_refused(m, params, "reason");
	json_decref(params);
}

static void validate_generation_is_a_decimal_64_bit_string(void **state)
{
	static const char *const bad[] = {"", "-1", "+1", "01", "1x", " 1", "18446744073709551616"};
	const struct phx_ctl_method *m = phx_ctl_method_find("peer.del");
	json_t *params =
		json_pack("{s:s, s:s}", "name", "x", "if_generation", "18446744073709551615");
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

	(void)state;
	assert_int_equal(phx_ctl_method_validate(m, params, &e), 0);
	for (size_t i = 0; i < PHX_ARRAY_LEN(bad); i++) {
		assert_int_equal(
			json_object_set_new(params, "if_generation", json_string(bad[i])), 0);
		expect_refused(m, params, "if_generation");
	}
	json_decref(params);
}

static void filter_rows_matches_globs_and_numbers(void **state)
{
	json_t *rows = json_pack("[{s:s, s:i}, {s:s, s:i}, {s:i}]", "name", "web-1", "uid", 5,
		"name", "pay", "uid", 5, "uid", 5);
	json_t *filter = json_pack("{s:s, s:i}", "name", "web*", "uid", 5);
	json_t *kept = phx_ctl_filter_rows(rows, filter);

	(void)state;
	assert_int_equal(json_array_size(kept), 1);
	assert_ptr_equal(json_array_get(kept, 0), json_array_get(rows, 0));
	json_decref(kept);
	json_decref(filter);
	json_decref(rows);
}

static void nearest_far_word_is_not_proposed(void **state)
{
	static const char *const words[] = {"transport", NULL, "address", "peers"};

	(void)state;
	assert_string_equal(phx_ctl_nearest("trnsport", words, 4), "transport");
	assert_string_equal(phx_ctl_nearest("peer", words, 4), "peers");
	assert_null(phx_ctl_nearest("zzzzzz", words, 4));
}

static bool all_bound(void *arg, const struct phx_ctl_method *m)
{
	(void)arg;
	(void)m;
	return true;
}

static void discover_describes_every_method(void **state)
{
	json_t *document = phx_ctl_discover_json(all_bound, NULL);
	json_t *methods = json_object_get(document, "methods");
	json_t *method;
	size_t i;

	(void)state;
	assert_int_equal(json_array_size(methods), phx_ctl_method_count());
	json_array_foreach(methods, i, method)
	{
		const struct phx_ctl_method *m = phx_ctl_method_at(i);

		assert_string_equal(json_string_value(json_object_get(method, "name")), m->name);
		assert_true(json_array_size(json_object_get(method, "params")) >= 1);
		assert_true(json_is_object(json_object_get(method, "result")));
	}
	json_decref(document);
}

static void limits_json_has_every_row(void **state)
{
	json_t *result = phx_ctl_limits_json();
	json_t *rows = json_object_get(result, "limits");
	size_t count;
	const struct phx_limit *limits = phx_limits(&count);

	(void)state;
	assert_int_equal(json_array_size(rows), count);
	for (size_t i = 0; i < count; i++)
		assert_int_equal(
			json_integer_value(json_object_get(json_array_get(rows, i), "value")),
			limits[i].value);
	json_decref(result);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(table_every_method_is_complete),
		cmocka_unit_test(validate_good_values_are_accepted),
		cmocka_unit_test(validate_unknown_field_is_refused),
		cmocka_unit_test(validate_missing_field_is_refused),
		cmocka_unit_test(validate_wrong_type_is_refused),
		cmocka_unit_test(validate_integers_outside_their_range_are_refused),
		cmocka_unit_test(validate_range_error_names_the_limit),
		cmocka_unit_test(validate_unknown_field_proposes_the_nearest),
		cmocka_unit_test(validate_nested_field_is_named_with_its_path),
		cmocka_unit_test(validate_hostile_names_are_refused),
		cmocka_unit_test(validate_paths_are_absolute_and_printable),
		cmocka_unit_test(validate_hostile_texts_are_refused),
		cmocka_unit_test(validate_generation_is_a_decimal_64_bit_string),
		cmocka_unit_test(filter_rows_matches_globs_and_numbers),
		cmocka_unit_test(nearest_far_word_is_not_proposed),
		cmocka_unit_test(discover_describes_every_method),
		cmocka_unit_test(limits_json_has_every_row),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
