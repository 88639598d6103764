// SPDX-License-Identifier: BSD-3-Clause
// A dataplane that is stopped, or hangs: calls with a deadline end all the same, once, and what the
// dataplane may still read stays until it says so.
#include "tests/unit/lib/app/app_test.h"

#include <poll.h>

#define TIMEOUT_NS (30 * PHX_NS_PER_MS)
#define GRACE_NS   PHX_NS_PER_S

static struct phx_call *start(struct session *s, uint64_t timeout_ns, struct outcome *o)
{
	struct phx_call_options options = PHX_CALL_OPTIONS_INIT;
	struct phx_call *call;

	options.timeout_ns = timeout_ns;
	assert_int_equal(0, phx_call_start(s->channel, s->queue, &note_service, 0,
				    note_new(s->ctx, 1, 5000), &options, outcome_fn, o, &call));
	return call;
}

static void check_given_up(const struct outcome *o, uint64_t start_ns)
{
	assert_int_equal(1, o->calls);
	assert_int_equal(PHX_DEADLINE_EXCEEDED, o->status.code);
	assert_int_equal(PHX_ORIGIN_LIBRARY, o->status.origin);
	assert_int_equal(PHX_EXECUTED_MAYBE, o->status.executed);
	assert_true(phx_clock_ns() - start_ns >= TIMEOUT_NS + GRACE_NS);
}

// Its end comes late, and nobody hears of it any more.
static void wake_up(struct session *s, const struct phx_sub_entry *e, const struct outcome *o)
{
	struct outcome next = {0};
	struct phx_sub_entry other;

	fake_reply(s->dp, 0, e, &(struct note){.number = 2}, sizeof(struct note));
	(void)note_call(s, 3, &next);
	other = fake_sub(s->dp, 0, NULL);
	assert_int_not_equal(e->call, other.call); // its slot was not given to another
	fake_reply(s->dp, 0, &other, &(struct note){.number = 4}, sizeof(struct note));
	outcome_wait(s, &next);
	assert_int_equal(4, next.number);
	assert_int_equal(1, o->calls);
}

static void waiting_ends_the_call_and_cancels_it(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0}, endless = {0};
	uint64_t start_ns = phx_clock_ns();
	struct phx_sub_entry e;
	struct phx_ret_entry cancel;

	(void)start(&s, 0, &endless);
	(void)fake_sub(s.dp, 0, NULL);
	(void)start(&s, TIMEOUT_NS, &o);
	e = fake_sub(s.dp, 0, NULL);
	while (o.calls == 0) { // as an application would
		if (phx_poll(s.queue, 0) == 0)
			assert_int_equal(1, phx_wait(s.queue, FAKE_PATIENCE_NS));
	}
	check_given_up(&o, start_ns);
	cancel = fake_ret(s.dp, 0);
	assert_int_equal(PHX_RET_CANCEL, cancel.kind);
	assert_int_equal(0, endless.calls); // it has no deadline
	wake_up(&s, &e, &o);
	session_close(&s);
}

static void polling_alone_ends_the_call(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0};
	uint64_t start_ns = phx_clock_ns();
	struct phx_sub_entry e;

	(void)start(&s, TIMEOUT_NS, &o);
	e = fake_sub(s.dp, 0, NULL);
	outcome_wait(&s, &o);
	check_given_up(&o, start_ns);
	wake_up(&s, &e, &o);
	session_close(&s);
}

static void descriptor_tells_of_the_call(void **)
{
	struct session s = session_open(NULL);
	struct pollfd p = {.fd = phx_fd(s.queue), .events = POLLIN};
	uint64_t start_ns = phx_clock_ns();
	struct outcome o = {0};
	struct phx_sub_entry e;

	assert_true(p.fd >= 0);
	(void)start(&s, TIMEOUT_NS, &o);
	e = fake_sub(s.dp, 0, NULL);
	while (o.calls == 0) {
		(void)phx_poll(s.queue, 0);
		if (o.calls == 0 && phx_fd_arm(s.queue) == 0)
			assert_int_equal(1, poll(&p, 1, 20000));
	}
	check_given_up(&o, start_ns);
	wake_up(&s, &e, &o);
	while (phx_fd_arm(s.queue) != 0)
		(void)phx_poll(s.queue, 0);
	assert_int_equal(0, poll(&p, 1, 0)); // no calls, nothing to look for
	session_close(&s);
}

// This process was stopped, and not the dataplane: what has come meanwhile counts.
static void completion_that_is_there_wins(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {0};
	struct phx_sub_entry e;

	(void)start(&s, TIMEOUT_NS, &o);
	e = fake_sub(s.dp, 0, NULL);
	assert_int_equal(1, phx_wait(s.queue, FAKE_PATIENCE_NS)); // the call is overdue
	fake_reply(s.dp, 0, &e, &(struct note){.number = 2}, sizeof(struct note));
	outcome_wait(&s, &o);
	assert_int_equal(PHX_OK, o.status.code);
	session_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(waiting_ends_the_call_and_cancels_it),
		cmocka_unit_test(polling_alone_ends_the_call),
		cmocka_unit_test(descriptor_tells_of_the_call),
		cmocka_unit_test(completion_that_is_there_wins),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
