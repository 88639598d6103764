// SPDX-License-Identifier: BSD-3-Clause
// What a connection is told: requests, batches, order, errors.
#include "tests/unit/lib/ctl/server_fixture.h"

static void request_is_answered_on_one_line(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, "{\n  \"jsonrpc\": \"2.0\",\n  \"id\": \"x\",\n  \"method\": \"app.list\",\n"
		"  \"params\": { \"filter\": { \"name\": \"w*\" } }\n}\n");
	json_t *response = read_json(fd);
	json_t *result = json_object_get(response, "result");

	assert_string_equal(json_string_value(json_object_get(response, "id")), "x");
	assert_int_equal(json_array_size(json_object_get(result, "apps")), 1);
	assert_string_equal(json_string_value(json_object_get(result, "generation")), "7");
	assert_true(json_is_null(json_object_get(result, "next")));
	json_decref(response);
	close(fd);
}

static void request_errors_leave_the_connection_open(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, "{]");
	expect_code(fd, PHX_CTL_PARSE);
	put(fd, "{\"a\":1,\"a\":2}");
	expect_code(fd, PHX_CTL_PARSE);
	put(fd, "[]");
	expect_code(fd, PHX_CTL_INVALID_REQUEST);
	put(fd, "{\"id\":1}");
	expect_code(fd, PHX_CTL_INVALID_REQUEST);
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"app.lost\"}");
	expect_code(fd, PHX_CTL_METHOD_NOT_FOUND);
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"peer.list\"}"); // known, not bound
	expect_code(fd, PHX_CTL_METHOD_NOT_FOUND);
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"app.list\",\"params\":{\"x\":1}}");
	expect_code(fd, PHX_CTL_INVALID_PARAMS);
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"app.detach\",\"params\":{\"app\":\"x\"}"
		"}");
	expect_code(fd, PHX_NOT_FOUND);
	put(fd, LIST(1));
	expect_code(fd, 0);
	close(fd);
}

static void stream_without_framing_is_answered_and_closed(void **state)
{
	static const char *const rows[] = {"hello\n", "\xef\xbb\xbf{}", "5"};
	struct phx_ctl_server_options o = default_options();

	(void)state;
	start(&o);
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		int fd = dial();

		put(fd, rows[i]);
		expect_code(fd, PHX_CTL_PARSE);
		expect_end(fd);
	}
}

static void stream_ending_in_a_request_is_answered(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, LIST(1) "{\"jsonrpc\"");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	expect_id(fd, 1);
	expect_code(fd, PHX_CTL_PARSE);
	expect_end(fd);
}

static void half_closed_client_still_gets_late_answers(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"app.get\",\"params\":{\"app\":\"a\"}}");
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	run_server();
	assert_int_equal(t.held_count, 1);
	phx_ctl_call_reply(t.held[--t.held_count], json_pack("{s:s}", "app", "a"));
	expect_id(fd, 1);
	expect_end(fd);
}

static void answers_leave_in_the_order_of_requests(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"app.get\",\"params\":{\"app\":\"a\"}"
		"}" LIST(2) "{\"jsonrpc\":\"2.0\",\"id\":3,\"method\":\"app.get\",\"params\":{"
			    "\"app\":\"a\"}}");
	run_server();
	assert_int_equal(t.held_count, 2);
	phx_ctl_call_reply(t.held[1], json_object());
	phx_ctl_call_fail_code(t.held[0], PHX_UNAVAILABLE, "gone");
	t.held_count = 0;
	expect_id(fd, 1);
	expect_id(fd, 2);
	expect_id(fd, 3);
	close(fd);
}

static void pipelined_requests_are_all_answered_in_order(void **state)
{
	struct phx_ctl_server_options o = default_options();
	char text[128];
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	for (int i = 0; i < 1000; i++) {
		(void)snprintf(text, sizeof(text),
			"{\"jsonrpc\":\"2.0\",\"id\":%d,\"method\":\"app.list\"}\n", i);
		put(fd, text);
		if (i % 50 == 0)
			run_server();
	}
	for (int i = 0; i < 1000; i++)
		expect_id(fd, i);
	close(fd);
}

static void pending_requests_above_the_limit_wait(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	for (int i = 0; i < PHX_LIMIT_JSON_PENDING + 3; i++)
		put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"app.get\",\"params\":"
			"{\"app\":\"a\"}}");
	run_server();
	assert_int_equal(t.held_count, PHX_LIMIT_JSON_PENDING);
	for (unsigned i = 0; i < PHX_LIMIT_JSON_PENDING; i++)
		phx_ctl_call_reply(t.held[i], json_object());
	t.held_count = 0;
	run_server();
	assert_int_equal(t.held_count, 3);
	close(fd);
}

static void batch_answers_each_element_in_order(void **state)
{
	struct phx_ctl_server_options o = default_options();
	json_t *response;
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, "[" LIST(1) ",{\"jsonrpc\":\"2.0\",\"method\":\"app.list\"},7,"
			    "{\"jsonrpc\":\"2.0\",\"id\":2,\"method\":\"none.none\"}]");
	response = read_json(fd);
	assert_int_equal(json_array_size(response), 3);
	assert_int_equal(code_of(json_array_get(response, 0)), 0);
	assert_int_equal(code_of(json_array_get(response, 1)), PHX_CTL_INVALID_REQUEST);
	assert_int_equal(code_of(json_array_get(response, 2)), PHX_CTL_METHOD_NOT_FOUND);
	json_decref(response);
	assert_int_equal(t.answered, 4);
	close(fd);
}

static void batch_of_notifications_is_not_answered(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, "[{\"jsonrpc\":\"2.0\",\"method\":\"app.list\"},"
		"{\"jsonrpc\":\"2.0\",\"method\":\"none.none\"}]" LIST(9));
	expect_id(fd, 9);
	assert_int_equal(t.answered, 3);
	close(fd);
}

static void batch_above_the_limit_is_refused(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, "[1");
	for (int i = 0; i < PHX_LIMIT_JSON_PENDING; i++)
		put(fd, ",1");
	put(fd, "]");
	expect_code(fd, PHX_CTL_INVALID_REQUEST);
	assert_int_equal(t.answered, 0);
	close(fd);
}

static void introspection_shows_bound_methods_only(void **state)
{
	struct phx_ctl_server_options o = default_options();
	json_t *response;
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.methods\",\"params\":"
		"{\"prefix\":\"app\"}}");
	response = read_json(fd);
	assert_int_equal(
		json_array_size(json_object_get(json_object_get(response, "result"), "methods")),
		3);
	json_decref(response);
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"rpc.limits\"}");
	expect_code(fd, 0);
	close(fd);
}

static void create_unknown_binding_is_refused(void **state)
{
	static const struct phx_ctl_binding bad[] = {{"no.method", handle_list}, {NULL, NULL}};
	struct phx_ctl_server_options o = default_options();
	char why[256] = "";

	(void)state;
	o.bindings = bad;
	assert_int_equal(phx_ctl_server_create(&o, &t.server, why, sizeof(why)), -EINVAL);
	assert_non_null(strstr(why, "no.method"));
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(request_is_answered_on_one_line),
		T(request_errors_leave_the_connection_open),
		T(stream_without_framing_is_answered_and_closed),
		T(stream_ending_in_a_request_is_answered),
		T(half_closed_client_still_gets_late_answers),
		T(answers_leave_in_the_order_of_requests),
		T(pipelined_requests_are_all_answered_in_order),
		T(pending_requests_above_the_limit_wait),
		T(batch_answers_each_element_in_order),
		T(batch_of_notifications_is_not_answered),
		T(batch_above_the_limit_is_refused),
		T(introspection_shows_bound_methods_only),
		T(create_unknown_binding_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
