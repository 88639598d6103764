// SPDX-License-Identifier: BSD-3-Clause
#include "lib/ctl/message.h"

#include "lib/base/limits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void expect_parse_error(const char *text, size_t len)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *message = NULL;

	assert_int_equal(phx_ctl_message_parse(text, len, &message, &e), -EINVAL);
	assert_null(message);
	assert_int_equal(e.code, PHX_CTL_PARSE);
	assert_true(e.text[0] != '\0');
	phx_ctl_error_fini(&e);
}

#define EXPECT_PARSE_ERROR(literal) expect_parse_error(literal, sizeof(literal) - 1)

static void parse_malformed_text_is_refused(void **state)
{
	(void)state;
	EXPECT_PARSE_ERROR("");
	EXPECT_PARSE_ERROR("{");
	EXPECT_PARSE_ERROR("{]");
	EXPECT_PARSE_ERROR("{}{}");
	EXPECT_PARSE_ERROR("{} x");
	EXPECT_PARSE_ERROR("\xef\xbb\xbf{}");
	EXPECT_PARSE_ERROR("[1,]");
	EXPECT_PARSE_ERROR("{'a':1}");
}

static void parse_bad_strings_are_refused(void **state)
{
	(void)state;
	EXPECT_PARSE_ERROR("[\"\xff\"]");
	EXPECT_PARSE_ERROR("[\"\xc0\xaf\"]");
	EXPECT_PARSE_ERROR("[\"\xed\xa0\x80\"]");
	EXPECT_PARSE_ERROR("[\"\\ud800\"]");
	EXPECT_PARSE_ERROR("[\"\\u0000\"]");
	EXPECT_PARSE_ERROR("[\"a\0b\"]");
	EXPECT_PARSE_ERROR("[\"\x01\"]");
}

static void parse_duplicate_keys_are_refused(void **state)
{
	(void)state;
	EXPECT_PARSE_ERROR("{\"a\":1,\"a\":1}");
	EXPECT_PARSE_ERROR("{\"a\":1,\"\\u0061\":2}");
}

static void parse_numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	EXPECT_PARSE_ERROR("[9223372036854775808]");
	EXPECT_PARSE_ERROR("[-9223372036854775809]");
	EXPECT_PARSE_ERROR("[1e999]");
	EXPECT_PARSE_ERROR("[NaN]");
	EXPECT_PARSE_ERROR("[Infinity]");
	EXPECT_PARSE_ERROR("[01]");
}

// Code of the error of a request text, 0 when it is good.
static int check(const char *text, bool *out_has_id)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct phx_ctl_request r;
	json_t *message;
	int code, rc;

	assert_int_equal(phx_ctl_message_parse(text, strlen(text), &message, &e), 0);
	rc = phx_ctl_request_check(message, &r, &e);
	assert_int_equal(rc, e.code == 0 ? 0 : -EINVAL);
	code = e.code;
	if (code == 0)
		assert_true(json_is_object(r.params));
	*out_has_id = r.id != NULL;
	phx_ctl_request_fini(&r);
	phx_ctl_error_fini(&e);
	json_decref(message);
	return code;
}

static void check_good_requests_are_accepted(void **state)
{
	bool has_id;

	(void)state;
	assert_int_equal(check("{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"a\"}", &has_id), 0);
	assert_true(has_id);
	assert_int_equal(
		check("{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"a\",\"params\":{}}", &has_id),
		0);
	assert_true(has_id);
	assert_int_equal(check("{\"jsonrpc\":\"2.0\",\"method\":\"a\"}", &has_id), 0);
	assert_false(has_id);
}

static void check_malformed_requests_are_refused(void **state)
{
	static const struct {
		const char *text;
		int code;
		bool has_id;
	} rows[] = {
		{"[]", PHX_CTL_INVALID_REQUEST, false},
		{"{}", PHX_CTL_INVALID_REQUEST, false},
		{"{\"id\":7,\"method\":\"a\"}", PHX_CTL_INVALID_REQUEST, true},
		{"{\"jsonrpc\":\"1.0\",\"id\":7,\"method\":\"a\"}", PHX_CTL_INVALID_REQUEST, true},
		{"{\"jsonrpc\":\"2.0\",\"id\":7}", PHX_CTL_INVALID_REQUEST, true},
		{"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":5}", PHX_CTL_INVALID_REQUEST, true},
		{"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"a\"}", PHX_CTL_INVALID_REQUEST,
			false},
		{"{\"jsonrpc\":\"2.0\",\"id\":{},\"method\":\"a\"}", PHX_CTL_INVALID_REQUEST,
			false},
		{"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"a\"}", PHX_CTL_INVALID_REQUEST,
			false},
		{"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"a\",\"param\":{}}",
			PHX_CTL_INVALID_REQUEST, true},
		{"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"a\",\"params\":[]}",
			PHX_CTL_INVALID_PARAMS, true},
		{"{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"a\",\"params\":null}",
			PHX_CTL_INVALID_PARAMS, true},
	};
	bool has_id;

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		assert_int_equal(check(rows[i].text, &has_id), rows[i].code);
		assert_int_equal(has_id, rows[i].has_id);
	}
}

static void check_long_id_is_refused(void **state)
{
	char text[256], id[PHX_LIMIT_JSON_ID_BYTES + 2];
	bool has_id;

	(void)state;
	memset(id, 'i', sizeof(id));
	id[PHX_LIMIT_JSON_ID_BYTES] = '\0';
	(void)snprintf(
		text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"method\":\"a\"}", id);
	assert_int_equal(check(text, &has_id), 0);
	id[PHX_LIMIT_JSON_ID_BYTES] = 'i';
	id[PHX_LIMIT_JSON_ID_BYTES + 1] = '\0';
	(void)snprintf(
		text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"method\":\"a\"}", id);
	assert_int_equal(check(text, &has_id), PHX_CTL_INVALID_REQUEST);
}

static void error_json_round_trips(void **state)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT, back = PHX_CTL_ERROR_INIT;
	json_t *value = json_string("pay");
	json_t *json;

	(void)state;
	(void)phx_ctl_error_set(&e, PHX_NOT_FOUND, "no app named '%s'", "pay");
	phx_ctl_error_field(&e, "app", value);
	phx_ctl_error_add(&e, "candidates", json_pack("[s]", "payments"));
	json = phx_ctl_error_json(&e);
	assert_int_equal(json_integer_value(json_object_get(json, "code")), 5);
	json_t *data = json_object_get(json, "data");
	assert_string_equal(json_string_value(json_object_get(data, "status")), "NOT_FOUND");
	assert_string_equal(json_string_value(json_object_get(data, "field")), "app");
	assert_string_equal(json_string_value(json_object_get(data, "value")), "pay");
	assert_true(json_is_false(json_object_get(data, "retryable")));
	phx_ctl_error_from_json(&back, json);
	assert_int_equal(back.code, PHX_NOT_FOUND);
	assert_string_equal(back.text, "no app named 'pay'");
	json_decref(json);
	json_decref(value);
	phx_ctl_error_fini(&e);
	phx_ctl_error_fini(&back);
}

static void error_set_long_text_is_cut_between_characters(void **state)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	char text[512];
	json_t *json;

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(text); i += 2)
		memcpy(text + i, "\xc3\xa4", 3);
	(void)phx_ctl_error_set(&e, PHX_INTERNAL, "%s", text);
	assert_int_equal(strlen(e.text), PHX_CTL_ERROR_TEXT - 2);
	json = phx_ctl_error_json(&e);
	assert_string_equal(json_string_value(json_object_get(json, "message")), e.text);
	json_decref(json);
	phx_ctl_error_fini(&e);
}

static void error_from_malformed_json_is_internal(void **state)
{
	static const char *const rows[] = {"{}", "[]", "{\"code\":\"5\",\"message\":\"x\"}",
		"{\"code\":5}", "{\"code\":0,\"message\":\"x\"}",
		"{\"code\":9999999999,\"message\":\"x\"}"};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
		json_t *json = json_loads(rows[i], 0, NULL);

		phx_ctl_error_from_json(&e, json);
		assert_int_equal(e.code, PHX_CTL_INTERNAL);
		json_decref(json);
		phx_ctl_error_fini(&e);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(parse_malformed_text_is_refused),
		cmocka_unit_test(parse_bad_strings_are_refused),
		cmocka_unit_test(parse_duplicate_keys_are_refused),
		cmocka_unit_test(parse_numbers_out_of_range_are_refused),
		cmocka_unit_test(check_good_requests_are_accepted),
		cmocka_unit_test(check_malformed_requests_are_refused),
		cmocka_unit_test(check_long_id_is_refused),
		cmocka_unit_test(error_json_round_trips),
		cmocka_unit_test(error_set_long_text_is_cut_between_characters),
		cmocka_unit_test(error_from_malformed_json_is_internal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
