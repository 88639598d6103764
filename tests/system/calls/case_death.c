// SPDX-License-Identifier: BSD-3-Clause
// Ends without goodbye: SIGKILL of a server, of a client, and orderly ends in the middle of calls.
#include "tests/system/calls/calls.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

// Fork before anything is attached; `run` gets the writing end of a pipe.
static pid_t child_start(void (*run)(int fd, const char *group), const char *group, int *out_fd)
{
	int fds[2];
	pid_t pid;

	CHECK(pipe(fds) == 0, "%s", strerror(errno));
	pid = fork();
	CHECK(pid >= 0, "%s", strerror(errno));
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0); // not to outlive a failed case
		(void)close(fds[0]);
		run(fds[1], group);
		_exit(0);
	}
	(void)close(fds[1]);
	*out_fd = fds[0];
	return pid;
}

static void child_kill(pid_t pid, int signal)
{
	CHECK(kill(pid, signal) == 0, "%s", strerror(errno));
	CHECK(waitpid(pid, NULL, 0) == pid, "%s", strerror(errno));
}

// The child says so; a child that fails closes the pipe.
static void child_says(int fd)
{
	char c;

	CHECK(read(fd, &c, 1) == 1, "the child has failed");
}

static void say(int fd)
{
	CHECK(write(fd, "x", 1) == 1, "%s", strerror(errno));
}

static void child_server(int fd, const char *group)
{
	struct server *s = server_start_as(group, 4);

	say(fd);
	for (;;) {
		server_wait_held(s, 1);
		say(fd);
		(void)server_take(s, 0); // and never replies
	}
}

// Callers of a killed server hear of it, with what may have run; the next instance serves.
static void server_killed(void)
{
	int fd;
	pid_t pid = child_start(child_server, "server_killed", &fd);
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "server_killed");
	struct phx_queue *queue = phx_queue_default(context);
	struct outcome out[8], big;
	struct server *s;
	uint64_t begin;

	child_says(fd);
	CHECK(who(context, channel) == 4, "the child serves");
	for (int i = 0; i < 8; i++)
		start(channel, queue, phoenix_calls_Suite_method_Hold, hold_request(context, 1),
			NULL, &out[i]);
	for (int i = 0; i < 8; i++)
		child_says(fd);
	start(channel, queue, phoenix_calls_Suite_method_Big,
		big_request(context, 32 << 20, 32 << 20, 1), NULL, &big);
	(void)phx_poll(queue, 0); // a little of it is under way
	begin = now_ns();
	child_kill(pid, SIGKILL);
	for (int i = 0; i < 8; i++) {
		await(queue, &out[i]);
		CHECK(out[i].status.code == PHX_UNAVAILABLE &&
				out[i].status.reason == PHX_REASON_APP_GONE &&
				out[i].status.executed == PHX_EXECUTED_MAYBE,
			"code %u reason %u executed %u", out[i].status.code, out[i].status.reason,
			out[i].status.executed);
		CHECK(out[i].at_ns - begin < S, "heard after %llu ns",
			(unsigned long long)(out[i].at_ns - begin));
	}
	await(queue, &big);
	CHECK(big.status.code == PHX_OK || big.status.code == PHX_UNAVAILABLE, "code %u: %s",
		big.status.code, big.status.text);
	phx_message_release(big.reply);
	s = server_start_as("server_killed", 5);
	CHECK(who(context, channel) == 5, "the next instance");
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

static void child_client(int fd, const char *group)
{
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, group);
	struct outcome out[4];

	(void)who(context, channel);
	for (uint32_t i = 0; i < 3; i++)
		start(channel, phx_queue_default(context), phoenix_calls_Suite_method_Hold,
			hold_request(context, i), NULL, &out[i]);
	start(channel, phx_queue_default(context), phoenix_calls_Suite_method_Big,
		big_request(context, 48 << 20, 48 << 20, 1), NULL, &out[3]);
	say(fd);
	await(phx_queue_default(context), &out[0]);
}

// Handlers of a killed client's calls learn that nobody waits; others are not disturbed. Many
// times: nothing may add up.
static void client_killed(void)
{
	struct server *s;
	pid_t pid[5];
	int fd[5];

	for (int i = 0; i < 5; i++)
		pid[i] = child_start(child_client, "client_killed", &fd[i]);
	s = server_start("client_killed");
	for (int i = 0; i < 5; i++) {
		struct phx_context *context;
		struct phx_channel *channel;

		child_says(fd[i]);
		server_wait_held(s, (uint32_t)(5 - i) * 3);
		child_kill(pid[i], SIGKILL);
		context = client_attach();
		channel = channel_to(context, "client_killed");
		CHECK(who(context, channel) == 1, "others go on");
		phx_channel_close(channel);
		phx_detach(context);
		for (int k = 0; k < 3; k++) { // the dead one's, wherever they stand in the list
			struct held h = {.request = NULL};

			for (uint64_t end = now_ns() + PATIENCE; h.request == NULL;) {
				for (uint32_t at = 0; at < server_held(s); at++) {
					h = server_take(s, at);
					if (phx_request_is_cancelled(h.request))
						break;
					(void)pthread_mutex_lock(&s->lock);
					s->held[s->held_count++] = h;
					(void)pthread_mutex_unlock(&s->lock);
					h.request = NULL;
				}
				CHECK(now_ns() < end, "a handler does not learn");
			}
			held_reply(h);
		}
	}
	server_stop(s);
}

// A client detaches in the middle of calls; a server ends with requests in its handlers.
static void orderly_ends(void)
{
	struct server *s = server_start("orderly_ends");
	struct phx_context *context = client_attach(), *other = client_attach();
	struct phx_channel *channel = channel_to(context, "orderly_ends");
	struct phx_channel *second = channel_to(other, "orderly_ends");
	struct outcome out, closed;
	struct held h;

	start(channel, phx_queue_default(context), phoenix_calls_Suite_method_Hold,
		hold_request(context, 1), NULL, &closed);
	server_wait_held(s, 1);
	h = server_take(s, 0);
	phx_channel_close(channel);
	await(phx_queue_default(context), &closed);
	CHECK(closed.status.code == PHX_CANCELLED, "code %u", closed.status.code);
	UNTIL(held_cancelled, &h, "the channel was closed");
	held_reply(h);
	channel = channel_to(context, "orderly_ends");
	start(channel, phx_queue_default(context), phoenix_calls_Suite_method_Hold,
		hold_request(context, 2), NULL, &closed);
	server_wait_held(s, 1);
	h = server_take(s, 0);
	phx_detach(context);
	UNTIL(held_cancelled, &h, "the client has detached");
	held_reply(h);
	start(second, phx_queue_default(other), phoenix_calls_Suite_method_Hold,
		hold_request(other, 3), NULL, &out);
	server_wait_held(s, 1);
	server_stop(s); // with a request in its handler
	await(phx_queue_default(other), &out);
	CHECK(out.status.code == PHX_UNAVAILABLE && out.status.executed != PHX_EXECUTED_NO,
		"code %u executed %u", out.status.code, out.status.executed);
	phx_channel_close(second);
	phx_detach(other);
}

// A client of another version of the proto: added, removed and renamed fields. Goes by protobuf.
static void other_version(void)
{
	struct server *s = server_start("other_version");
	int status = 0;
	pid_t pid = fork();

	CHECK(pid >= 0, "%s", strerror(errno));
	if (pid == 0) {
		(void)execl(suite.v2, suite.v2, suite.target, suite.client_dir, "other_version",
			(char *)NULL);
		_exit(127);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "the other version: %#x",
		(unsigned)status);
	CHECK(server_seen(s) > 0, "nothing came");
	server_stop(s);
}

const struct test_case cases_death[] = {
	{"server_killed", server_killed},
	{"client_killed", client_killed},
	{"orderly_ends", orderly_ends},
	{"other_version", other_version},
	{NULL, NULL},
};
