// SPDX-License-Identifier: BSD-3-Clause
// What a connection may cost: bytes, time, connections, and who it is.
#include "tests/unit/lib/ctl/server_fixture.h"

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

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	static const struct CMUnitTest tests[] = {
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
		T(foreign_uid_has_the_lowest_role),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
