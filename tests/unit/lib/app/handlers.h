// SPDX-License-Identifier: BSD-3-Clause
// A server whose handlers run elsewhere, for the tests of that: what they saw, what is delivered to
// it, what it replies.
#pragma once

#include "tests/unit/lib/app/reattach.h"

#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#define SERVICE	  70  // what the fake dataplane answers to REGISTER of service 0
#define BLOCKS	  900 // numbers from here on: the handler waits for `open`
#define TASKS_MAX 64

struct handlers_test {
	struct session s;
	struct phx_server *server;
	struct phx_server_options options;
	pthread_t runner;
	int run_rc;
	_Atomic unsigned count, entered;
	_Atomic uint64_t seen; // bit of each number that a handler had
	_Atomic bool open;
	_Atomic pid_t runner_tid;
	_Atomic unsigned foreign; // handlers off the thread that polls
	char thread_name[16];	  // of the last one
	cpu_set_t cpus;		  // of the last one
	_Atomic int reply_rc;
	// an executor
	struct phx_task tasks[TASKS_MAX];
	_Atomic unsigned task_count;
	unsigned task_room;
};

static inline pid_t tid(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static inline void echo_fn(void *arg, struct phx_request *request)
{
	struct handlers_test *t = arg;
	const struct note *note = phx_message_root(phx_request_message(request), &note_type);
	uint64_t number = note->number;
	struct phx_message *reply = note_new(t->s.ctx, number, 0); // while there is a session

	if (tid() != atomic_load(&t->runner_tid))
		atomic_fetch_add(&t->foreign, 1);
	atomic_fetch_add(&t->entered, 1);
	if (number >= BLOCKS) {
		fake_until(atomic_load(&t->open));
	} else if (number == 1) { // only one at a time in tests that read these
		assert_int_equal(0,
			pthread_getname_np(pthread_self(), t->thread_name, sizeof(t->thread_name)));
		assert_int_equal(0, sched_getaffinity(0, sizeof(t->cpus), &t->cpus));
	}
	atomic_fetch_or(&t->seen, UINT64_C(1) << (number & 63));
	atomic_store(&t->reply_rc, phx_reply(request, reply, NULL));
	atomic_fetch_add(&t->count, 1);
}

static const phx_handler_fn handlers[] = {echo_fn, NULL};

static inline void test_open(struct handlers_test *t, uint32_t kind, uint32_t threads)
{
	struct phx_server_options none = PHX_SERVER_OPTIONS_INIT;

	memset(t, 0, sizeof(*t));
	t->options = none;
	t->options.handlers = kind;
	t->options.threads = threads;
	t->task_room = TASKS_MAX;
}

static inline void test_attach(struct handlers_test *t, bool again)
{
	t->s = again ? session_open_again(NULL) : session_open(NULL);
	assert_int_equal(0, phx_server_create_with(t->s.ctx, NULL, &t->options, &t->server));
	assert_int_equal(0, phx_server_add(t->server, NULL, &note_service, handlers, t, NULL));
}

static inline void *run_main(void *arg)
{
	struct handlers_test *t = arg;

	atomic_store(&t->runner_tid, tid());
	t->run_rc = phx_server_run(t->server);
	return NULL;
}

static inline void run_start(struct handlers_test *t)
{
	assert_int_equal(0, pthread_create(&t->runner, NULL, run_main, t));
}

static inline void run_stop(struct handlers_test *t)
{
	phx_server_stop(t->server);
	assert_int_equal(0, pthread_join(t->runner, NULL));
	assert_int_equal(0, t->run_rc);
}

static inline void deliver_until(
	struct handlers_test *t, uint64_t handle, uint64_t number, uint64_t remaining_ns)
{
	struct note note = {.number = number};

	fake_comp(t->s.dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_REQUEST,
			.flags = PHX_COMP_HAS_MESSAGE,
			.call = SERVICE + t->s.dp->handle_base,
			.handle = handle,
			.remaining_ns = remaining_ns,
			.msg_len = sizeof(note)},
		&note, sizeof(note));
}

static inline void deliver(struct handlers_test *t, uint64_t handle, uint64_t number)
{
	deliver_until(t, handle, number, PHX_TIMEOUT_NONE);
}

static inline void cancel(struct handlers_test *t, uint64_t handle)
{
	fake_comp(t->s.dp, 0, (struct phx_comp_entry){.kind = PHX_COMP_CANCELLED, .handle = handle},
		NULL, 0);
}

// The next reply is that of `handle` and says `code`.
static inline void expect(struct handlers_test *t, uint64_t handle, uint32_t code)
{
	struct phx_sub_entry e = fake_sub(t->s.dp, 0, NULL);

	assert_int_equal(PHX_SUB_REPLY, e.kind);
	assert_int_equal(handle, e.handle);
	assert_int_equal(code, e.channel);
}
