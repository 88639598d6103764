// SPDX-License-Identifier: BSD-3-Clause
// Waiting: event loops, sleep that costs nothing, and fork.
#include "tests/system/calls/calls.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

// poll to empty, arm, epoll: no call is missed.
static void event_loop(void)
{
	struct server *s = server_start("event_loop");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "event_loop");
	struct phx_queue *queue = phx_queue_default(context);
	int fd = phx_fd(queue), ep = epoll_create1(0);
	struct epoll_event ev = {.events = EPOLLIN};
	uint32_t slept = 0;

	CHECK(fd >= 0 && ep >= 0, "descriptors %d %d", fd, ep);
	CHECK(phx_fd(queue) == fd, "the same descriptor");
	CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev) == 0, "%s", strerror(errno));
	(void)who(context, channel);
	for (uint32_t i = 0; i < 300; i++) {
		bool hold = i % 10 == 0;
		uint64_t end = now_ns() + PATIENCE;
		struct outcome out;

		start(channel, queue,
			hold ? phoenix_calls_Suite_method_Hold : phoenix_calls_Suite_method_Who,
			hold_request(context, i), NULL, &out);
		while (!out.done) {
			int rc = phx_poll(queue, 0);

			if (rc == 0)
				rc = phx_fd_arm(queue);
			CHECK(rc >= 0 && now_ns() < end, "%s", strerror(-rc));
			if (rc != 0 || out.done)
				continue;
			if (hold) { // asleep for certain when the reply comes
				server_wait_held(s, 1);
				held_reply(server_take(s, 0));
				hold = false;
			}
			rc = epoll_wait(ep, &ev, 1, 5000);
			CHECK(rc == 1, "call %u: epoll_wait says %d", i, rc);
			slept++;
		}
		CHECK(out.status.code == PHX_OK, "%s", out.status.text);
		phx_message_release(out.reply);
	}
	CHECK(slept >= 30, "slept %u times", slept);
	(void)close(ep);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// Client and server connected, nothing to do: no CPU time.
static void idle_costs_nothing(void)
{
	struct server *s = server_start("idle_costs_nothing");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "idle_costs_nothing");
	uint64_t cpu, took;

	(void)who(context, channel);
	CHECK(phx_wait(phx_queue_default(context), 100 * MS) == 0, "nothing comes");
	cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID); // the server's thread included
	CHECK(phx_wait(phx_queue_default(context), S) == 0, "nothing comes");
	took = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	(void)printf("  %llu us of CPU time in a second\n", (unsigned long long)took / 1000);
	CHECK(took < 10 * MS, "more than 1 %%");
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// A blocking call sleeps for its reply.
static void blocking_call_sleeps(void)
{
	const struct phx_call_options o = {.size = sizeof(o), .timeout_ns = 500 * MS};
	struct server *s = server_start("blocking_call_sleeps");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "blocking_call_sleeps");
	struct phx_message *reply;
	struct phx_status status;
	uint64_t cpu;
	int rc;

	(void)who(context, channel);
	cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
	rc = phoenix_calls_Suite_Hold(channel, hold_request(context, 1), &o, &reply, &status);
	cpu = cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	CHECK(rc == -EREMOTEIO && status.code == PHX_DEADLINE_EXCEEDED, "code %u", status.code);
	CHECK(cpu < 15 * MS, "%llu us of CPU time", (unsigned long long)cpu / 1000);
	held_reply(server_take(s, 0));
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// Everything a child may try with what its parent has.
static void child_tries(struct phx_context *context, struct phx_channel *channel,
	struct phx_message *message, struct phx_call *call)
{
	struct phx_queue *queue = phx_queue_default(context);
	struct phx_channel *fresh;
	struct phx_message *m;
	struct phx_status status;
	struct outcome out = {.done = false};
	struct phx_queue *q;

	CHECK(phx_message_new(context, &m) == -EPERM, "message");
	CHECK(phx_call_start(channel, queue, &phoenix_calls_Suite_service,
		      phoenix_calls_Suite_method_Who, message, NULL, on_outcome, &out,
		      NULL) == -EPERM,
		"call");
	memset(&status, 0xff, sizeof(status));
	CHECK(phoenix_calls_Suite_Who(channel, message, NULL, &m, &status) == -EPERM, "call");
	CHECK(status.origin == PHX_ORIGIN_LIBRARY && strstr(status.text, "fork") != NULL,
		"the status gives the reason: \"%s\"", status.text);
	CHECK(phx_poll(queue, 0) == -EPERM, "poll");
	CHECK(phx_wait(queue, S) == -EPERM, "wait");
	CHECK(phx_fd(queue) == -EPERM && phx_fd_arm(queue) == -EPERM, "descriptor");
	CHECK(phx_queue_create(context, NULL, &q) == -EPERM, "queue");
	CHECK(phx_channel_open(context, "local:", NULL, &fresh, &status) == -EPERM, "channel");
	phx_call_cancel(call);
	phx_message_release(message);
	phx_channel_close(channel);
	phx_detach(context);
	CHECK(out.count == 0, "callbacks");
}

// A child can do nothing, and disturbs nothing: the parent's call goes on.
static void fork_is_refused(void)
{
	struct server *s = server_start("fork_is_refused");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "fork_is_refused");
	struct phx_queue *queue = phx_queue_default(context);
	struct phx_message *message = hold_request(context, 2);
	struct phx_call *call;
	struct outcome out;
	int status = 0;
	pid_t pid;

	(void)who(context, channel);
	call = start(channel, queue, phoenix_calls_Suite_method_Hold, hold_request(context, 1),
		NULL, &out);
	server_wait_held(s, 1);
	pid = fork();
	CHECK(pid >= 0, "%s", strerror(errno));
	if (pid == 0) {
		child_tries(context, channel, message, call);
		_exit(0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "the child: %#x", (unsigned)status);
	CHECK(!out.done, "the parent's call ended");
	held_reply(server_take(s, 0));
	await(queue, &out);
	CHECK(out.status.code == PHX_OK, "%s", out.status.text);
	phx_message_release(out.reply);
	phx_message_release(message);
	CHECK(who(context, channel) == 1, "the parent goes on");
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

const struct test_case cases_wait[] = {
	{"event_loop", event_loop},
	{"idle_costs_nothing", idle_costs_nothing},
	{"blocking_call_sleeps", blocking_call_sleeps},
	{"fork_is_refused", fork_is_refused},
	{NULL, NULL},
};
