// SPDX-License-Identifier: BSD-3-Clause
// Blocking calls from several threads, and sleeping: no wake-up may be lost.
#include "tests/unit/lib/app/app_test.h"

#include <poll.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define ROUNDS 10000
#else
#define ROUNDS 100000
#endif
#define THREADS 4

struct caller {
	struct session *s;
	pthread_t thread;
	unsigned id;
	unsigned rounds;
};

static void *caller_main(void *arg)
{
	struct caller *c = arg;

	for (unsigned i = 0; i < c->rounds; i++) {
		uint64_t number = (uint64_t)c->id << 32 | i;
		struct phx_message *reply = NULL;
		struct phx_status status;

		assert_int_equal(
			0, phx_call(c->s->channel, &note_service, 0,
				   note_new(c->s->ctx, number, i % 100), NULL, &reply, &status));
		assert_int_equal(
			number, ((const struct note *)phx_message_root(reply, &note_type))->number);
		phx_message_release(reply);
	}
	return NULL;
}

static void call_blocking_from_four_threads(void **)
{
	struct session s = session_open(NULL);
	struct fake_echo echo = {.dp = s.dp};
	struct caller callers[THREADS];

	fake_echo_start(&echo);
	for (unsigned i = 0; i < THREADS; i++) {
		callers[i] = (struct caller){.s = &s, .id = i, .rounds = ROUNDS / 20};
		assert_int_equal(
			0, pthread_create(&callers[i].thread, NULL, caller_main, &callers[i]));
	}
	for (unsigned i = 0; i < THREADS; i++)
		pthread_join(callers[i].thread, NULL);
	fake_echo_stop(&echo);
	assert_int_equal(THREADS * (ROUNDS / 20), atomic_load(&echo.calls));
	session_close(&s);
}

static void *kill_when_called(void *arg)
{
	struct session *s = arg;

	(void)fake_sub(s->dp, 0, NULL);
	fake_dp_kill(s->dp);
	return NULL;
}

static void call_blocking_ends_when_the_dataplane_dies(void **)
{
	struct session s = session_open(NULL);
	struct phx_message *reply = NULL, *second = note_new(s.ctx, 2, 0);
	struct phx_status status;
	pthread_t thread;

	assert_int_equal(0, pthread_create(&thread, NULL, kill_when_called, &s));
	assert_int_equal(-EREMOTEIO, phx_call(s.channel, &note_service, 0, note_new(s.ctx, 1, 0),
					     NULL, &reply, &status));
	pthread_join(thread, NULL);
	assert_null(reply);
	assert_int_equal(PHX_UNAVAILABLE, status.code);
	assert_int_equal(PHX_REASON_DATAPLANE_GONE, status.reason);
	assert_int_equal(PHX_EXECUTED_MAYBE, status.executed);
	assert_int_equal(
		-ENOTCONN, phx_call(s.channel, &note_service, 0, second, NULL, &reply, &status));
	assert_int_equal(PHX_REASON_DATAPLANE_GONE, status.reason);
	session_close(&s);
}

static void call_blocking_does_not_outlive_its_deadline(void **)
{
	struct session s = session_open(NULL);
	struct phx_call_options options = PHX_CALL_OPTIONS_INIT;
	struct phx_message *reply = NULL;
	struct phx_status status;
	struct phx_sub_entry e;

	options.timeout_ns = 10 * PHX_NS_PER_MS;
	// Nobody plays the worker: a dataplane that is stopped.
	assert_int_equal(-EREMOTEIO, phx_call(s.channel, &note_service, 0, note_new(s.ctx, 1, 0),
					     &options, &reply, &status));
	assert_int_equal(PHX_DEADLINE_EXCEEDED, status.code);
	assert_int_equal(PHX_ORIGIN_LIBRARY, status.origin);
	e = fake_sub(s.dp, 0, NULL);
	fake_reply(s.dp, 0, &e, &(struct note){0}, sizeof(struct note));
	assert_int_equal(1, phx_poll(s.queue, 0)); // the slot is free again, nobody is called
	session_close(&s);
}

static void call_blocking_error_has_status(void **)
{
	struct session s = session_open(NULL);
	struct phx_message *reply = NULL;
	struct phx_status status;

	assert_int_equal(-EINVAL, phx_call(s.channel, &note_service, 7, note_new(s.ctx, 1, 0), NULL,
					  &reply, &status));
	assert_null(reply);
	assert_int_equal(PHX_INVALID_ARGUMENT, status.code);
	assert_int_equal(PHX_ORIGIN_LIBRARY, status.origin);
	assert_int_equal(PHX_REASON_INVALID, status.reason);
	assert_non_null(strstr(status.text, " has no method 7"));
	session_close(&s);
}

static void call_without_request_has_status(void **)
{
	struct session s = session_open(NULL);
	struct phx_message *reply = NULL;
	struct phx_status status;

	assert_int_equal(
		-EINVAL, phx_call(s.channel, &note_service, 0, NULL, NULL, &reply, &status));
	assert_int_equal(PHX_INVALID_ARGUMENT, status.code);
	assert_non_null(strstr(status.text, "the request is empty"));
	assert_int_equal(-EINVAL, phx_call(NULL, &note_service, 0, NULL, NULL, &reply, &status));
	assert_int_equal(PHX_INVALID_ARGUMENT, status.code);
	session_close(&s);
}

static void call_of_a_refused_service_has_status(void **)
{
	struct session s = session_open(NULL);
	struct phx_message *reply = NULL;
	struct phx_status status;

	atomic_store(&s.dp->refuse_bind, true);
	assert_int_equal(-EINVAL, phx_call(s.channel, &note_service, 0, note_new(s.ctx, 1, 0), NULL,
					  &reply, &status));
	assert_int_equal(PHX_INVALID_ARGUMENT, status.code);
	assert_int_equal(PHX_ORIGIN_LOCAL_DATAPLANE, status.origin);
	assert_int_equal(PHX_REASON_SCHEMA, status.reason);
	assert_string_equal("not in the schema", status.text);
	session_close(&s);
}

static void setup_error_has_status(void **)
{
	struct session s = session_open(NULL);
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct phx_channel *channel = NULL;
	struct phx_context *ctx = NULL;
	struct phx_status status;

	memset(&status, 0x55, sizeof(status)); // nobody has to clear it
	assert_int_equal(-EINVAL, phx_channel_open(s.ctx, NULL, NULL, &channel, &status));
	assert_int_equal(PHX_INVALID_ARGUMENT, status.code);
	memset(&status, 0x55, sizeof(status));
	assert_int_equal(-EINVAL, phx_server_add(NULL, NULL, &note_service, NULL, NULL, &status));
	assert_int_equal(PHX_INVALID_ARGUMENT, status.code);
	memset(&status, 0x55, sizeof(status));
	options.size = 1;
	assert_int_equal(-EINVAL, phx_attach(&options, &ctx, &status));
	assert_int_equal(PHX_INVALID_ARGUMENT, status.code);
	memset(&status, 0x55, sizeof(status));
	assert_int_equal(0, phx_channel_open(s.ctx, "local:", NULL, &channel, &status));
	assert_int_equal(PHX_OK, status.code);
	assert_string_equal("", status.text);
	session_close(&s);
}

// One call at a time with random pauses at the other end: each round may end in spinning,
// yielding or sleeping, on both sides.
static void wait_sleeping_loses_no_bell(void **)
{
	struct session s = session_open(NULL);
	struct fake_echo echo = {.dp = s.dp, .jitter = 6000};
	unsigned slow = 0;

	fake_echo_start(&echo);
	for (unsigned i = 0; i < ROUNDS; i++) {
		struct outcome o = {0};

		(void)note_call(&s, i, &o);
		while (o.calls == 0) {
			assert_true(phx_wait(s.queue, FAKE_PATIENCE_NS) == 1);
			(void)phx_poll(s.queue, 0);
		}
		// A lost bell costs a slice of 100 ms. What the other end took is not counted.
		slow += phx_clock_ns() > atomic_load(&echo.replied_ns) + 95 * PHX_NS_PER_MS;
		assert_int_equal(i, o.number);
	}
	fake_echo_stop(&echo);
	assert_true(slow <= 3); // a busy machine may stop us that long
	session_close(&s);
}

// The same through the descriptor, where a lost bell would wait for ever.
static void fd_sleeping_loses_no_bell(void **)
{
	struct session s = session_open(NULL);
	struct fake_echo echo = {.dp = s.dp, .jitter = 2000};
	struct pollfd p = {.events = POLLIN};

	p.fd = phx_fd(s.queue);
	assert_true(p.fd >= 0);
	fake_echo_start(&echo);
	for (unsigned i = 0; i < ROUNDS / 4; i++) {
		struct outcome o = {0};

		(void)note_call(&s, i, &o);
		while (o.calls == 0) {
			int rc = phx_fd_arm(s.queue);

			assert_true(rc >= 0);
			if (rc == 0)
				assert_int_equal(1, poll(&p, 1, 20000));
			(void)phx_poll(s.queue, 0);
		}
	}
	fake_echo_stop(&echo);
	session_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(call_blocking_from_four_threads),
		cmocka_unit_test(call_blocking_ends_when_the_dataplane_dies),
		cmocka_unit_test(call_blocking_does_not_outlive_its_deadline),
		cmocka_unit_test(call_blocking_error_has_status),
		cmocka_unit_test(call_without_request_has_status),
		cmocka_unit_test(call_of_a_refused_service_has_status),
		cmocka_unit_test(setup_error_has_status),
		cmocka_unit_test(wait_sleeping_loses_no_bell),
		cmocka_unit_test(fd_sleeping_loses_no_bell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
