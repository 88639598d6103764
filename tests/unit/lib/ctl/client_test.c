// SPDX-License-Identifier: BSD-3-Clause
// The blocking call of the client against a server that plays prepared answers.
#include "lib/ctl/client.h"

#include "lib/base/clock.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define LONG_NS (20 * PHX_NS_PER_S)

// One connection: for each answer one line is read. NULL: no answer. Hangs up after the last.
struct bed {
	char dir[32];
	char path[64];
	int listen_fd;
	const char *const *answers;
	size_t count;
	pthread_t thread;
	struct phx_ctl_client *client;
	struct phx_ctl_error e;
	json_t *result;
};

static bool read_line(int fd)
{
	char c = 0;

	while (c != '\n')
		if (read(fd, &c, 1) != 1)
			return false;
	return true;
}

static void *serve(void *arg)
{
	struct bed *b = arg;
	int fd = accept(b->listen_fd, NULL, NULL);

	for (size_t i = 0; i < b->count && read_line(fd); i++)
		if (b->answers[i] != NULL && write(fd, b->answers[i], strlen(b->answers[i])) < 0)
			break;
	// A request without an answer: the client ends it, by closing.
	if (b->count > 0 && b->answers[b->count - 1] == NULL)
		(void)read_line(fd);
	close(fd);
	return NULL;
}

static void bed_open(struct bed *b, const char *const *answers, size_t count)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};

	*b = (struct bed){.dir = "/tmp/phx-client.XXXXXX", .answers = answers, .count = count};
	assert_non_null(mkdtemp(b->dir));
	(void)snprintf(b->path, sizeof(b->path), "%s/s", b->dir);
	(void)snprintf(address.sun_path, sizeof(address.sun_path), "%s", b->path);
	b->listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(b->listen_fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(b->listen_fd, 4), 0);
	assert_int_equal(pthread_create(&b->thread, NULL, serve, b), 0);
	assert_int_equal(phx_ctl_client_open(b->path, &b->client), 0);
}

static int call(struct bed *b, uint64_t timeout_ns, const sigset_t *mask)
{
	json_decref(b->result);
	b->result = NULL;
	phx_ctl_error_fini(&b->e);
	return phx_ctl_client_call(
		b->client, "peer.list", NULL, timeout_ns, mask, &b->result, &b->e);
}

static void bed_close(struct bed *b)
{
	phx_ctl_client_destroy(b->client);
	assert_int_equal(pthread_join(b->thread, NULL), 0);
	json_decref(b->result);
	phx_ctl_error_fini(&b->e);
	close(b->listen_fd);
	assert_int_equal(unlink(b->path), 0);
	assert_int_equal(rmdir(b->dir), 0);
}

static void call_result_then_error_each_says_which(void **state)
{
	static const char *const answers[] = {
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{\"x\":1}}\n",
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"error\":{\"code\":5,\"message\":\"no\"}}\n",
	};
	struct bed b;

	(void)state;
	bed_open(&b, answers, 2);
	assert_int_equal(call(&b, LONG_NS, NULL), 0);
	assert_int_equal(json_integer_value(json_object_get(b.result, "x")), 1);
	assert_int_equal(call(&b, LONG_NS, NULL), -EREMOTEIO);
	assert_int_equal(b.e.code, PHX_NOT_FOUND);
	assert_string_equal(b.e.text, "no");
	bed_close(&b);
}

static void note(void *arg, const char *method, json_t *params)
{
	unsigned *sum = arg;

	assert_string_equal(method, "event");
	*sum += (unsigned)json_integer_value(json_object_get(params, "seq"));
}

static void notifications_come_beside_answers(void **state)
{
	static const char *const answers[] = {
		"{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":1}}\n"
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n"
		"{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":20}}\n",
		("{\"jsonrpc\":\"2.0\",\"method\":\"event\",\"params\":{\"seq\":300}}\n"
		 "{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n"),
		"{\"jsonrpc\":\"2.0\",\"method\":\"event\"}\n",
	};
	unsigned sum = 0;
	struct bed b;

	(void)state;
	bed_open(&b, answers, 3);
	phx_ctl_client_on_notify(b.client, note, &sum);
	assert_int_equal(call(&b, LONG_NS, NULL), 0);
	while (sum < 21)
		assert_int_equal(phx_ctl_client_wait(b.client, NULL), 0);
	assert_int_equal(sum, 21);
	phx_ctl_client_on_notify(b.client, NULL, NULL); // dropped from now on
	assert_int_equal(call(&b, LONG_NS, NULL), 0);
	assert_int_equal(sum, 21);
	assert_int_equal(call(&b, LONG_NS, NULL), -ECONNRESET); // none has an answer
	assert_int_equal(phx_ctl_client_wait(b.client, NULL), -ECONNRESET);
	bed_close(&b);
}

static void call_without_answer_times_out_and_the_next_works(void **state)
{
	static const char *const answers[] = {
		NULL,
		"{\"jsonrpc\":\"2.0\",\"id\":2,\"result\":{}}\n",
	};
	struct bed b;

	(void)state;
	bed_open(&b, answers, 2);
	assert_int_equal(call(&b, PHX_NS_PER_MS, NULL), -ETIMEDOUT);
	assert_int_equal(b.e.code, PHX_DEADLINE_EXCEEDED);
	assert_int_equal(call(&b, LONG_NS, NULL), 0);
	bed_close(&b);
}

static void call_ended_by_hang_up_is_connreset(void **state)
{
	static const char *const answers[] = {""};
	struct bed b;

	(void)state;
	bed_open(&b, answers, 1);
	assert_int_equal(call(&b, LONG_NS, NULL), -ECONNRESET);
	assert_int_equal(b.e.code, PHX_UNAVAILABLE);
	assert_int_equal(call(&b, LONG_NS, NULL), -ECONNRESET);
	bed_close(&b);
}

static void call_answered_with_rubbish_is_proto(void **state)
{
	static const char *const answers[] = {"{\"id\":1}\n"};
	struct bed b;

	(void)state;
	bed_open(&b, answers, 1);
	assert_int_equal(call(&b, LONG_NS, NULL), -EPROTO);
	assert_int_equal(b.e.code, PHX_CTL_INTERNAL);
	bed_close(&b);
}

static void on_signal(int)
{
}

// The signal is pending before the wait begins: only its mask can let it in.
static void call_with_mask_sees_a_signal_that_came_before(void **state)
{
	static const char *const answers[] = {NULL};
	struct sigaction action = {.sa_handler = on_signal}, before;
	sigset_t block, mask;
	struct bed b;

	(void)state;
	bed_open(&b, answers, 1);
	assert_int_equal(sigaction(SIGUSR1, &action, &before), 0);
	(void)sigemptyset(&block);
	(void)sigaddset(&block, SIGUSR1);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &block, &mask), 0);
	assert_int_equal(pthread_kill(pthread_self(), SIGUSR1), 0);
	assert_int_equal(call(&b, LONG_NS, &mask), -EINTR);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &mask, NULL), 0);
	assert_int_equal(sigaction(SIGUSR1, &before, NULL), 0);
	bed_close(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_result_then_error_each_says_which),
		cmocka_unit_test(notifications_come_beside_answers),
		cmocka_unit_test(call_without_answer_times_out_and_the_next_works),
		cmocka_unit_test(call_ended_by_hang_up_is_connreset),
		cmocka_unit_test(call_answered_with_rubbish_is_proto),
		cmocka_unit_test(call_with_mask_sees_a_signal_that_came_before),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
