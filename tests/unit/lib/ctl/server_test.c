// SPDX-License-Identifier: BSD-3-Clause
// The server driven by hand in this thread: raw clients on one side, the server's
// descriptor on the other, so that every step is deterministic.
#include "lib/ctl/server.h"

#include "lib/base/clock.h"
#include "lib/base/limits.h"
#include "lib/ctl/client.h"

#include <dirent.h>
#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_NS	   (5 * PHX_NS_PER_S)
#define LINE_BYTES 65536

static struct {
	char dir[64];
	char path[100];
	struct phx_ctl_server *server;
	struct phx_ctl_call *held[64];
	unsigned held_count;
	unsigned answered;
	int last_code;
	struct phx_ctl_stream *stream;
	unsigned left, ended;
} t;

static void handle_list(void *arg, struct phx_ctl_call *call)
{
	(void)arg;
	phx_ctl_call_rows(call, "apps",
		json_pack("[{s:s, s:s}, {s:s, s:s}]", "app", "app-1", "name", "web", "app", "app-2",
			"name", "pay"),
		7);
}

// Kept until the test answers.
static void handle_get(void *arg, struct phx_ctl_call *call)
{
	(void)arg;
	t.held[t.held_count++] = call;
}

static void handle_detach(void *arg, struct phx_ctl_call *call)
{
	(void)arg;
	phx_ctl_call_fail_code(
		call, PHX_NOT_FOUND, "no app named '%s'", phx_ctl_call_string(call, "app", "?"));
}

// An answer above the limit of a response.
static void handle_mem(void *arg, struct phx_ctl_call *call)
{
	size_t size = PHX_LIMIT_JSON_OUT_BYTES;
	char *text = malloc(size);

	(void)arg;
	assert_non_null(text);
	memset(text, 'x', size);
	phx_ctl_call_reply(call, json_pack("{s:o}", "x", json_stringn(text, size)));
	free(text);
}

// About 2 MiB.
static void handle_stats(void *arg, struct phx_ctl_call *call)
{
	size_t size = 2 << 20;
	char *text = malloc(size);

	(void)arg;
	assert_non_null(text);
	memset(text, 'x', size);
	phx_ctl_call_reply(call, json_pack("{s:o}", "x", json_stringn(text, size)));
	free(text);
}

// Notifications: n, n - 1, ... 1, then none.
static json_t *stream_next(void *arg)
{
	unsigned *left = arg;

	return *left != 0 ? json_pack("{s:i}", "left", (*left)--) : NULL;
}

static void stream_ended(void *arg)
{
	(void)arg;
	t.ended++;
}

// Subscribes; since_seq says how many notifications there are. The answer is held when asked.
static void handle_subscribe(void *arg, struct phx_ctl_call *call)
{
	int rc = phx_ctl_call_stream(call, stream_next, stream_ended, &t.left, &t.stream);

	(void)arg;
	if (rc != 0) {
		phx_ctl_call_fail_code(call, PHX_RESOURCE_EXHAUSTED, "%d", rc);
		return;
	}
	t.left = (unsigned)phx_ctl_call_int(call, "since_seq", 0);
	if (json_object_get(phx_ctl_call_params(call), "types") != NULL)
		t.held[t.held_count++] = call;
	else
		phx_ctl_call_reply(call, json_object());
}

static void answered(void *arg, const struct phx_ctl_call *call, int code)
{
	(void)arg;
	(void)call;
	t.answered++;
	t.last_code = code;
}

static const struct phx_ctl_binding bindings[] = {
	{"app.list", handle_list},
	{"app.get", handle_get},
	{"app.detach", handle_detach},
	{"mem.get", handle_mem},
	{"stats.get", handle_stats},
	{"event.subscribe", handle_subscribe},
	{NULL, NULL},
};

static struct phx_ctl_server_options default_options(void)
{
	return (struct phx_ctl_server_options){
		.path = t.path,
		.mode = 0600,
		.bindings = bindings,
		.answered = answered,
	};
}

static void start(const struct phx_ctl_server_options *options)
{
	char why[256] = "";

	assert_int_equal(phx_ctl_server_create(options, &t.server, why, sizeof(why)), 0);
}

static int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	(void)snprintf(t.dir, sizeof(t.dir), "/tmp/phx-server-XXXXXX");
	if (mkdtemp(t.dir) == NULL)
		return -1;
	(void)snprintf(t.path, sizeof(t.path), "%s/s.sock", t.dir);
	return 0;
}

static int teardown(void **state)
{
	char lock[120];

	(void)state;
	phx_ctl_server_destroy(t.server);
	for (unsigned i = 0; i < t.held_count; i++)
		phx_ctl_call_reply(t.held[i], json_object());
	(void)snprintf(lock, sizeof(lock), "%s.lock", t.path);
	(void)unlink(lock);
	return rmdir(t.dir);
}

static int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", t.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

// Run the server until the client can read or the deadline passes; then read a line.
// Returns its length without the newline, 0 at the end of the connection.
static size_t read_line(int fd, char *line, size_t size)
{
	uint64_t deadline_ns = phx_clock_ns() + WAIT_NS;
	size_t len = 0;

	for (;;) {
		ssize_t n = recv(fd, line + len, 1, MSG_DONTWAIT);

		if (n == 0 || (n < 0 && errno == ECONNRESET))
			return 0;
		if (n == 1 && line[len] == '\n') {
			line[len] = '\0';
			return len;
		}
		if (n == 1) {
			assert_true(++len < size);
			continue;
		}
		struct pollfd p[] = {{.fd = fd, .events = POLLIN},
			{.fd = phx_ctl_server_fd(t.server), .events = POLLIN}};

		assert_true(phx_clock_ns() < deadline_ns);
		assert_true(poll(p, 2, 5000) > 0);
		if (p[1].revents != 0)
			(void)phx_ctl_server_process(t.server);
	}
}

// Let the server do everything it can do now.
static void run_server(void)
{
	struct pollfd p = {.fd = phx_ctl_server_fd(t.server), .events = POLLIN};

	while (poll(&p, 1, 0) > 0)
		(void)phx_ctl_server_process(t.server);
}

// Wait until the server has no clients left but count.
static void wait_clients(uint64_t count)
{
	uint64_t deadline_ns = phx_clock_ns() + WAIT_NS;
	struct phx_ctl_server_stats stats;

	for (;;) {
		struct pollfd p = {.fd = phx_ctl_server_fd(t.server), .events = POLLIN};

		phx_ctl_server_stats(t.server, &stats);
		if (stats.clients == count)
			return;
		assert_true(phx_clock_ns() < deadline_ns);
		(void)poll(&p, 1, 100);
		(void)phx_ctl_server_process(t.server);
	}
}

static void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static json_t *read_json(int fd)
{
	static char line[LINE_BYTES];
	json_t *json;

	assert_true(read_line(fd, line, sizeof(line)) > 0);
	json = json_loads(line, 0, NULL);
	assert_non_null(json);
	return json;
}

static int code_of(json_t *response)
{
	return (int)json_integer_value(json_object_get(json_object_get(response, "error"), "code"));
}

// Read one response and expect this error code (0: a result).
static void expect_code(int fd, int code)
{
	json_t *response = read_json(fd);

	assert_int_equal(code_of(response), code);
	if (code == 0)
		assert_non_null(json_object_get(response, "result"));
	json_decref(response);
}

static void expect_id(int fd, int id)
{
	json_t *response = read_json(fd);

	assert_int_equal(json_integer_value(json_object_get(response, "id")), id);
	json_decref(response);
}

static void expect_end(int fd)
{
	char line[1024];

	assert_int_equal(read_line(fd, line, sizeof(line)), 0);
	close(fd);
}

#define LIST(id) "{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"method\":\"app.list\"}"

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

static void request_too_large_is_refused_while_it_comes(void **state)
{
	struct phx_ctl_server_options o = default_options();
	static char block[16384];
	size_t sent = 0;
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, "{\"a\":\"");
	memset(block, 'a', sizeof(block));
	for (;;) { // endless, without a newline
		ssize_t n = send(fd, block, sizeof(block), MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN)
			break;
		sent += n > 0 ? (size_t)n : 0;
		run_server();
		assert_true(sent < 4u * PHX_LIMIT_JSON_IN_BYTES);
	}
	expect_code(fd, PHX_CTL_PARSE);
	expect_end(fd);
}

static void response_too_large_becomes_an_error(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"mem.get\"}");
	expect_code(fd, PHX_RESOURCE_EXHAUSTED);
	close(fd);
}

static void silent_client_is_dropped(void **state)
{
	struct phx_ctl_server_options o = default_options();
	struct phx_ctl_server_stats stats;
	int fd;

	(void)state;
	o.handshake_ns = 20 * PHX_NS_PER_MS;
	start(&o);
	fd = dial();
	expect_code(fd, PHX_DEADLINE_EXCEEDED);
	expect_end(fd);
	phx_ctl_server_stats(t.server, &stats);
	assert_int_equal(stats.timeouts_total, 1);
}

static void slow_request_is_dropped_in_total_time(void **state)
{
	struct phx_ctl_server_options o = default_options();
	const char *text = "{\"jsonrpc\":";
	uint64_t start_ns;
	int fd;

	(void)state;
	o.request_ns = 50 * PHX_NS_PER_MS;
	start(&o);
	fd = dial();
	put(fd, LIST(1));
	expect_id(fd, 1);
	start_ns = phx_clock_ns();
	// One byte at a time must not renew the deadline.
	for (size_t i = 0; phx_clock_ns() - start_ns < 10 * o.request_ns; i++) {
		struct pollfd p[] = {{.fd = fd, .events = POLLIN},
			{.fd = phx_ctl_server_fd(t.server), .events = POLLIN}};

		if (i < strlen(text))
			(void)send(fd, text + i, 1, MSG_NOSIGNAL);
		assert_true(poll(p, 2, 1000) > 0);
		if (p[0].revents != 0)
			break;
		(void)phx_ctl_server_process(t.server);
	}
	expect_code(fd, PHX_DEADLINE_EXCEEDED);
	expect_end(fd);
	assert_true(phx_clock_ns() - start_ns < 5 * o.request_ns);
}

static void idle_client_after_a_request_is_kept(void **state)
{
	struct phx_ctl_server_options o = default_options();
	struct pollfd p;
	int fd;

	(void)state;
	o.handshake_ns = 10 * PHX_NS_PER_MS;
	o.request_ns = 10 * PHX_NS_PER_MS;
	start(&o);
	fd = dial();
	put(fd, LIST(1) "\n");
	expect_id(fd, 1);
	run_server();
	p = (struct pollfd){.fd = phx_ctl_server_fd(t.server), .events = POLLIN};
	assert_int_equal(poll(&p, 1, 50), 0); // no deadline is armed
	put(fd, LIST(2));
	expect_id(fd, 2);
	close(fd);
}

static void client_that_never_reads_is_dropped(void **state)
{
	struct phx_ctl_server_options o = default_options();
	struct phx_ctl_server_stats stats;
	int fd, other;

	(void)state;
	o.stall_ns = 50 * PHX_NS_PER_MS;
	start(&o);
	fd = dial();
	other = dial();
	for (int i = 0; i < 8; i++)
		put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"stats.get\"}");
	run_server();
	put(other, LIST(5));
	expect_id(other, 5);
	wait_clients(1);
	phx_ctl_server_stats(t.server, &stats);
	assert_int_equal(stats.stalled_total, 1);
	// Only as many requests were started as fill the output buffer.
	assert_in_range(t.answered, 1, 4);
	close(fd);
	close(other);
}

static void clients_above_the_limit_are_refused(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fds[4], extra;

	(void)state;
	o.clients_max = 4;
	start(&o);
	for (int i = 0; i < 4; i++)
		fds[i] = dial();
	run_server();
	extra = dial();
	expect_code(extra, PHX_RESOURCE_EXHAUSTED);
	expect_end(extra);
	for (int i = 0; i < 4; i++) {
		put(fds[i], LIST(1));
		expect_id(fds[i], 1);
	}
	close(fds[0]);
	wait_clients(3);
	extra = dial();
	put(extra, LIST(2));
	expect_id(extra, 2);
	close(extra);
	for (int i = 1; i < 4; i++)
		close(fds[i]);
}

static void clients_of_one_uid_above_the_limit_are_refused(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fds[PHX_LIMIT_JSON_CLIENTS_UID], extra;

	(void)state;
	start(&o);
	for (int i = 0; i < PHX_LIMIT_JSON_CLIENTS_UID; i++)
		fds[i] = dial();
	run_server();
	extra = dial();
	expect_code(extra, PHX_RESOURCE_EXHAUSTED);
	expect_end(extra);
	for (int i = 0; i < PHX_LIMIT_JSON_CLIENTS_UID; i++)
		close(fds[i]);
	wait_clients(0);
}

static unsigned open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned count = 0;

	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

static void many_connections_leak_no_descriptor(void **state)
{
	struct phx_ctl_server_options o = default_options();
	unsigned before;

	(void)state;
	start(&o);
	before = open_fds();
	for (int i = 0; i < 5000; i++) {
		int fd = dial();

		if (i % 2 == 0)
			put(fd, "{\"jsonrpc\":");
		close(fd);
		run_server();
	}
	wait_clients(0);
	assert_int_equal(open_fds(), before);
}

static void vanished_client_leaves_its_call_valid(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int fd;

	(void)state;
	start(&o);
	fd = dial();
	put(fd, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"app.get\",\"params\":{\"app\":\"a\"}}");
	run_server();
	assert_int_equal(t.held_count, 1);
	close(fd);
	wait_clients(0);
	assert_string_equal(phx_ctl_call_string(t.held[0], "app", ""), "a");
	phx_ctl_call_reply(t.held[0], json_object());
	t.held_count = 0;
	assert_int_equal(t.answered, 1);
	assert_int_equal(t.last_code, 0);
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

// A child with another uid, talking to the server of this process.
static void foreign_uid_has_the_lowest_role(void **state)
{
	struct phx_ctl_server_options o = default_options();
	int pipe_fds[2];
	char byte = 0;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	o.mode = 0666;
	start(&o);
	assert_int_equal(chmod(t.dir, 0755), 0);
	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0) {
		struct sockaddr_un address = {.sun_family = AF_UNIX};
		char buf[4096] = "";
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);
		const char *text = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"app.detach\","
				   "\"params\":{\"app\":\"a\"}}";

		(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", t.path);
		if (setgroups(0, NULL) != 0 || setresgid(65534, 65534, 65534) != 0 ||
			setresuid(65534, 65534, 65534) != 0 ||
			connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 ||
			write(fd, text, strlen(text)) < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
			_exit(1);
		byte = strstr(buf, "\"code\":7") != NULL ? 'y' : 'n';
		_exit(write(pipe_fds[1], &byte, 1) == 1 ? 0 : 1);
	}
	uint64_t deadline_ns = phx_clock_ns() + WAIT_NS;
	for (;;) {
		struct pollfd p[] = {{.fd = pipe_fds[0], .events = POLLIN},
			{.fd = phx_ctl_server_fd(t.server), .events = POLLIN}};

		assert_true(phx_clock_ns() < deadline_ns);
		assert_true(poll(p, 2, 5000) > 0);
		if (p[1].revents != 0)
			(void)phx_ctl_server_process(t.server);
		if (p[0].revents != 0)
			break;
	}
	assert_int_equal(read(pipe_fds[0], &byte, 1), 1);
	assert_int_equal(byte, 'y');
	close(pipe_fds[0]);
	close(pipe_fds[1]);
}

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
		T(request_too_large_is_refused_while_it_comes),
		T(response_too_large_becomes_an_error),
		T(silent_client_is_dropped),
		T(slow_request_is_dropped_in_total_time),
		T(idle_client_after_a_request_is_kept),
		T(client_that_never_reads_is_dropped),
		T(clients_above_the_limit_are_refused),
		T(clients_of_one_uid_above_the_limit_are_refused),
		T(many_connections_leak_no_descriptor),
		T(vanished_client_leaves_its_call_valid),
		T(introspection_shows_bound_methods_only),
		T(foreign_uid_has_the_lowest_role),
		T(client_request_is_answered_or_times_out),
		T(client_lost_connection_ends_its_requests),
		T(notifications_follow_the_answer),
		T(streams_end_with_their_connection_and_are_limited),
		T(subscriber_who_does_not_read_is_dropped),
		T(create_unknown_binding_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
