// SPDX-License-Identifier: BSD-3-Clause
// The server driven by hand in this thread: raw clients on one side, the server's descriptor on
// the other, so that every step is deterministic. Included once by each test of lib/ctl/server.
#pragma once

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

static inline void handle_list(void *arg, struct phx_ctl_call *call)
{
	(void)arg;
	phx_ctl_call_rows(call, "apps",
		json_pack("[{s:s, s:s}, {s:s, s:s}]", "app", "app-1", "name", "web", "app", "app-2",
			"name", "pay"),
		7);
}

// Kept until the test answers.
static inline void handle_get(void *arg, struct phx_ctl_call *call)
{
	(void)arg;
	t.held[t.held_count++] = call;
}

static inline void handle_detach(void *arg, struct phx_ctl_call *call)
{
	(void)arg;
	phx_ctl_call_fail_code(
		call, PHX_NOT_FOUND, "no app named '%s'", phx_ctl_call_string(call, "app", "?"));
}

// An answer above the limit of a response.
static inline void handle_mem(void *arg, struct phx_ctl_call *call)
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
static inline void handle_stats(void *arg, struct phx_ctl_call *call)
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
static inline json_t *stream_next(void *arg)
{
	unsigned *left = arg;

	return *left != 0 ? json_pack("{s:i}", "left", (*left)--) : NULL;
}

static inline void stream_ended(void *arg)
{
	(void)arg;
	t.ended++;
}

// Subscribes; since_seq says how many notifications there are. The answer is held when asked.
static inline void handle_subscribe(void *arg, struct phx_ctl_call *call)
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

static inline void answered(void *arg, const struct phx_ctl_call *call, int code)
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

static inline struct phx_ctl_server_options default_options(void)
{
	return (struct phx_ctl_server_options){
		.path = t.path,
		.mode = 0600,
		.bindings = bindings,
		.answered = answered,
	};
}

static inline void start(const struct phx_ctl_server_options *options)
{
	char why[256] = "";

	assert_int_equal(phx_ctl_server_create(options, &t.server, why, sizeof(why)), 0);
}

static inline int setup(void **state)
{
	(void)state;
	memset(&t, 0, sizeof(t));
	(void)snprintf(t.dir, sizeof(t.dir), "/tmp/phx-server-XXXXXX");
	if (mkdtemp(t.dir) == NULL)
		return -1;
	(void)snprintf(t.path, sizeof(t.path), "%s/s.sock", t.dir);
	return 0;
}

static inline int teardown(void **state)
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

static inline int dial(void)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", t.path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

// Run the server until the client can read or the deadline passes; then read a line.
// Returns its length without the newline, 0 at the end of the connection.
static inline size_t read_line(int fd, char *line, size_t size)
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
static inline void run_server(void)
{
	struct pollfd p = {.fd = phx_ctl_server_fd(t.server), .events = POLLIN};

	while (poll(&p, 1, 0) > 0)
		(void)phx_ctl_server_process(t.server);
}

// Wait until the server has no clients left but count.
static inline void wait_clients(uint64_t count)
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

static inline void put(int fd, const char *text)
{
	assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

static inline json_t *read_json(int fd)
{
	static char line[LINE_BYTES];
	json_t *json;

	assert_true(read_line(fd, line, sizeof(line)) > 0);
	json = json_loads(line, 0, NULL);
	assert_non_null(json);
	return json;
}

static inline int code_of(json_t *response)
{
	return (int)json_integer_value(json_object_get(json_object_get(response, "error"), "code"));
}

// Read one response and expect this error code (0: a result).
static inline void expect_code(int fd, int code)
{
	json_t *response = read_json(fd);

	assert_int_equal(code_of(response), code);
	if (code == 0)
		assert_non_null(json_object_get(response, "result"));
	json_decref(response);
}

static inline void expect_id(int fd, int id)
{
	json_t *response = read_json(fd);

	assert_int_equal(json_integer_value(json_object_get(response, "id")), id);
	json_decref(response);
}

static inline void expect_end(int fd)
{
	char line[1024];

	assert_int_equal(read_line(fd, line, sizeof(line)), 0);
	close(fd);
}

#define LIST(id) "{\"jsonrpc\":\"2.0\",\"id\":" #id ",\"method\":\"app.list\"}"
