// SPDX-License-Identifier: BSD-3-Clause
// The client of lib/ctl, and streams of notifications.
#include "tests/unit/lib/ctl/server_fixture.h"

static void client_done(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	int *code = arg;

	*code = result != NULL ? 0 : e->code;
}

// Run both ends until the callback wrote another code than 1.
static void run_both(struct phx_ctl_client *client, const int *code)
{
	uint64_t deadline_ns = phx_clock_ns() + WAIT_NS;

	while (*code == 1) {
		struct pollfd p[] = {{.fd = phx_ctl_client_fd(client), .events = POLLIN},
			{.fd = phx_ctl_server_fd(t.server), .events = POLLIN}};

		assert_true(phx_clock_ns() < deadline_ns);
		assert_true(poll(p, 2, 5000) > 0);
		(void)phx_ctl_server_process(t.server);
		(void)phx_ctl_client_process(client);
	}
}

static void client_request_is_answered_or_times_out(void **state)
{
	struct phx_ctl_server_options o = default_options();
	json_t *params = json_pack("{s:s}", "app", "x");
	struct phx_ctl_client *client;
	int code = 1;

	(void)state;
	start(&o);
	assert_int_equal(phx_ctl_client_open(t.path, &client), 0);
	assert_int_equal(
		phx_ctl_client_send(client, "app.list", NULL, WAIT_NS, client_done, &code), 0);
	run_both(client, &code);
	assert_int_equal(code, 0);
	code = 1;
	assert_int_equal(phx_ctl_client_send(
				 client, "app.get", params, 20 * PHX_NS_PER_MS, client_done, &code),
		0);
	run_both(client, &code);
	assert_int_equal(code, PHX_DEADLINE_EXCEEDED);
	// The late answer of the first must not be taken for that of the second.
	code = 1;
	assert_int_equal(
		phx_ctl_client_send(client, "app.detach", params, WAIT_NS, client_done, &code), 0);
	phx_ctl_call_reply(t.held[0], json_object());
	t.held_count = 0;
	run_both(client, &code);
	assert_int_equal(code, PHX_NOT_FOUND);
	json_decref(params);
	phx_ctl_client_destroy(client);
}

static void client_lost_connection_ends_its_requests(void **state)
{
	struct phx_ctl_server_options o = default_options();
	json_t *params = json_pack("{s:s}", "app", "x");
	struct phx_ctl_client *client;
	int code = 1;

	(void)state;
	start(&o);
	assert_int_equal(phx_ctl_client_open(t.path, &client), 0);
	assert_int_equal(
		phx_ctl_client_send(client, "app.get", params, WAIT_NS, client_done, &code), 0);
	run_server();
	phx_ctl_server_destroy(t.server);
	t.server = NULL;
	assert_int_equal(phx_ctl_client_process(client), -ECONNRESET);
	assert_int_equal(code, PHX_UNAVAILABLE);
	assert_int_equal(
		phx_ctl_client_send(client, "app.get", params, 1, client_done, &code), -ENOTCONN);
	phx_ctl_client_destroy(client);
	assert_int_equal(phx_ctl_client_open(t.path, &client), -ENOENT);
	json_decref(params);
}

static void expect_left(int fd, int left)
{
	json_t *json = read_json(fd);

	assert_int_equal(json_integer_value(json_object_get(json, "left")), left);
	json_decref(json);
}

#define SUBSCRIBE(params)                                                                          \
	"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"event.subscribe\",\"params\":{" params "}}"

static void notifications_follow_the_answer(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, SUBSCRIBE("\"since_seq\":2,\"types\":[\"x\"]"));
	run_server();
	assert_int_equal(t.left, 2);
	phx_ctl_call_reply(t.held[0], json_object());
	t.held_count = 0;
	expect_id(fd, 1);
	expect_left(fd, 2);
	expect_left(fd, 1);
	t.left = 1;
	phx_ctl_server_wake(t.server);
	expect_left(fd, 1);
	put(fd, LIST(7));
	expect_id(fd, 7);
	// One who only listens may stop talking.
	assert_int_equal(shutdown(fd, SHUT_WR), 0);
	run_server();
	t.left = 1;
	phx_ctl_server_wake(t.server);
	expect_left(fd, 1);
	phx_ctl_stream_end(t.stream);
	phx_ctl_server_wake(t.server);
	expect_end(fd);
	assert_int_equal(t.ended, 1);
	close(fd);
}

static void streams_end_with_their_connection_and_are_limited(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	for (int i = 0; i < PHX_LIMIT_JSON_STREAMS; i++) {
		put(fd, SUBSCRIBE(""));
		expect_id(fd, 1);
	}
	put(fd, SUBSCRIBE(""));
	expect_code(fd, PHX_RESOURCE_EXHAUSTED);
	close(fd);
	wait_clients(0);
	assert_int_equal(t.ended, PHX_LIMIT_JSON_STREAMS);
}

// Nothing is made for a client who does not read, beyond what fills the buffers.
static void subscriber_who_does_not_read_is_dropped(void **state)
{
	struct phx_ctl_server_options o = default_options();
	struct phx_ctl_server_stats stats;
	int fd;

	(void)state;
	o.stall_ns = 50 * PHX_NS_PER_MS;
	start(&o);
	fd = dial();
	put(fd, SUBSCRIBE("\"since_seq\":1000000"));
	expect_id(fd, 1);
	wait_clients(0);
	phx_ctl_server_stats(t.server, &stats);
	assert_int_equal(stats.stalled_total, 1);
	assert_in_range(t.left, 900000, 999999);
	assert_int_equal(t.ended, 1);
	close(fd);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
		T(client_request_is_answered_or_times_out),
		T(client_lost_connection_ends_its_requests),
		T(notifications_follow_the_answer),
		T(streams_end_with_their_connection_and_are_limited),
		T(subscriber_who_does_not_read_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
