// SPDX-License-Identifier: BSD-3-Clause
// The dataplane is replaced: what ends, what waits, what goes on, what stays readable.
#include "tests/unit/lib/app/reattach.h"

#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static void restart_goes_on_with_the_same_handles(void **)
{
	struct session s = session_open_again(NULL);
	struct outcome taken = {0}, unseen = {0}, next = {0};
	struct phx_sub_entry e;
	struct fake_dp *old;
	struct phx_queue *second;

	assert_int_equal(0, phx_queue_create(s.ctx, NULL, &second));
	(void)note_call(&s, 1, &taken);
	(void)fake_sub(s.dp, 0, NULL);
	(void)note_call(&s, 2, &unseen);
	old = dataplane_dies(&s);
	run_until_called(&s, &unseen);
	assert_int_equal(PHX_UNAVAILABLE, taken.status.code);
	assert_int_equal(PHX_REASON_DATAPLANE_GONE, taken.status.reason);
	assert_int_equal(PHX_EXECUTED_MAYBE, taken.status.executed);
	assert_int_equal(PHX_UNAVAILABLE, unseen.status.code);
	assert_int_equal(PHX_EXECUTED_NO, unseen.status.executed);
	assert_int_equal(0, phx_poll(s.queue, 0));
	assert_int_equal(0, phx_wait(s.queue, 1000000));

	fake_dp_start(s.dp);
	wait_back(&s);
	assert_int_equal(1, atomic_load(&s.dp->hellos));
	assert_int_equal(2, atomic_load(&s.dp->queue_count));
	assert_int_equal(1, atomic_load(&s.dp->opens));
	assert_int_equal(1, atomic_load(&s.dp->binds));
	assert_int_equal(1, atomic_load(&s.dp->schemas));
	assert_string_equal("local:", s.dp->target);
	(void)note_call(&s, 3, &next);
	e = fake_sub(s.dp, 0, NULL);
	assert_int_equal(40 + SECOND_BASE, e.channel);
	assert_int_equal(3 + SECOND_BASE, e.binding);
	fake_reply(s.dp, 0, &e, &(struct note){.number = 4}, sizeof(struct note));
	run_until_called(&s, &next);
	assert_int_equal(4, next.number);
	fake_dp_destroy(old);
	session_close(&s);
}

static void call_without_dataplane_fails_fast(void **)
{
	struct session s = session_open_again(NULL);
	struct fake_dp *old = dataplane_dies(&s);
	struct outcome o = {0};
	struct phx_message *m, *reply = NULL;
	struct phx_status status;
	struct phx_channel *ch;

	wait_away(&s);
	m = note_new(s.ctx, 1, 0);
	assert_int_equal(-ENOTCONN, phx_call_start(s.channel, s.queue, &note_service, 0, m, NULL,
					    outcome_fn, &o, NULL));
	phx_message_release(m);
	assert_int_equal(-ENOTCONN, phx_call(s.channel, &note_service, 0, note_new(s.ctx, 1, 0),
					    NULL, &reply, &status));
	assert_int_equal(PHX_UNAVAILABLE, status.code);
	assert_int_equal(PHX_REASON_DATAPLANE_GONE, status.reason);
	assert_int_equal(PHX_EXECUTED_NO, status.executed);
	assert_int_equal(-ENOTCONN, phx_channel_open(s.ctx, "local:", NULL, &ch, NULL));
	assert_int_equal(0, o.calls);
	fake_dp_destroy(old);
	session_close(&s);
}

static const struct phx_call_options *waiting(uint64_t timeout_ns)
{
	static struct phx_call_options options;

	options = (struct phx_call_options)PHX_CALL_OPTIONS_INIT;
	options.wait_for_ready = true;
	options.timeout_ns = timeout_ns;
	return &options;
}

static void waiting_call_goes_to_the_next_dataplane(void **)
{
	struct session s = session_open_again(NULL);
	struct fake_dp *old = dataplane_dies(&s);
	struct phx_call_options options = *waiting(FAKE_PATIENCE_NS);
	struct outcome o = {0};
	struct phx_sub_entry e;
	uint8_t inl[256];

	wait_away(&s);
	assert_int_equal(0, phx_metadata_create((struct phx_metadata **)&options.metadata));
	assert_int_equal(0, phx_metadata_append((struct phx_metadata *)(uintptr_t)options.metadata,
				    "key", "value", 5));
	assert_int_equal(0, phx_call_start(s.channel, s.queue, &note_service, 1,
				    note_new(s.ctx, 77, 100), &options, outcome_fn, &o, NULL));
	phx_metadata_destroy((struct phx_metadata *)(uintptr_t)options.metadata);
	assert_int_equal(0, phx_poll(s.queue, 0));
	assert_int_equal(0, o.calls);
	fake_dp_start(s.dp);
	wait_back(&s);
	fake_until(!fake_sub_none(s.dp, 0) || phx_poll(s.queue, 0) < -1000);
	e = fake_sub(s.dp, 0, inl);
	assert_int_equal(40 + SECOND_BASE, e.channel);
	assert_int_equal(1, e.method);
	assert_true((e.flags & PHX_SUB_WAIT_FOR_READY) != 0);
	assert_true(e.timeout_ns < FAKE_PATIENCE_NS);
	assert_int_equal(77, ((const struct note *)(const void *)inl)->number);
	assert_true(e.meta_len != 0);
	assert_non_null(fake_at(s.dp, 0, e.meta_off, e.meta_len));
	fake_reply(s.dp, 0, &e, &(struct note){.number = 78}, sizeof(struct note));
	run_until_called(&s, &o);
	assert_int_equal(78, o.number);
	fake_dp_destroy(old);
	session_close(&s);
}

static void waiting_call_ends_by_deadline_and_cancel(void **)
{
	struct session s = session_open_again(NULL);
	struct fake_dp *old = dataplane_dies(&s);
	struct outcome late = {0}, cancelled = {0}, closed = {0};
	struct phx_channel *other = s.channel;
	struct phx_message *reply = NULL;
	struct phx_status status;
	struct phx_call *call;
	uint64_t start = phx_clock_ns();

	wait_away(&s);
	assert_int_equal(0, phx_call_start(other, s.queue, &note_service, 0, note_new(s.ctx, 1, 0),
				    waiting(30 * PHX_NS_PER_MS), outcome_fn, &late, NULL));
	assert_int_equal(0, phx_call_start(other, s.queue, &note_service, 0, note_new(s.ctx, 2, 0),
				    waiting(0), outcome_fn, &cancelled, &call));
	assert_int_equal(0, phx_call_start(other, s.queue, &note_service, 0, note_new(s.ctx, 3, 0),
				    waiting(0), outcome_fn, &closed, NULL));
	phx_call_cancel(call);
	run_until_called(&s, &cancelled);
	assert_int_equal(PHX_CANCELLED, cancelled.status.code);
	run_until_called(&s, &late);
	assert_true(phx_clock_ns() - start >= 30 * PHX_NS_PER_MS);
	assert_int_equal(PHX_DEADLINE_EXCEEDED, late.status.code);
	assert_int_equal(PHX_EXECUTED_NO, late.status.executed);
	assert_int_equal(-EREMOTEIO, phx_call(other, &note_service, 0, note_new(s.ctx, 4, 0),
					     waiting(20 * PHX_NS_PER_MS), &reply, &status));
	assert_int_equal(PHX_DEADLINE_EXCEEDED, status.code);
	phx_channel_close(other);
	run_until_called(&s, &closed);
	assert_int_equal(PHX_CANCELLED, closed.status.code);
	fake_dp_destroy(old);
	session_close(&s);
}

static void what_the_application_holds_stays_readable(void **)
{
	struct session s = session_open_again(NULL);
	struct note note = {.number = 55};
	struct outcome o = {.keep = true}, next = {0};
	struct phx_message *begun = note_new(s.ctx, 66, 0);
	struct phx_sub_entry e;
	struct fake_dp *old;
	uint8_t inl[256];

	(void)note_call(&s, 1, &o);
	e = fake_sub(s.dp, 0, NULL);
	fake_comp(s.dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_CALL,
			.flags = PHX_COMP_HAS_MESSAGE,
			.call = e.call,
			.handle = e.handle,
			.lent = 1,
			.msg_off = fake_recv_put(s.dp, &note, sizeof(note)),
			.msg_len = sizeof(note)},
		NULL, 0);
	run_until_called(&s, &o);
	old = dataplane_dies(&s);
	fake_dp_start(s.dp);
	fake_until(atomic_load(&s.dp->binds) != 0 || phx_wait(s.queue, 1000000) < -1000);
	wait_back(&s);
	assert_int_equal(55, ((const struct note *)phx_message_root(o.reply, &note_type))->number);
	// A message that was begun before goes with a call of the new session.
	assert_int_equal(0, phx_call_start(s.channel, s.queue, &note_service, 0, begun, NULL,
				    outcome_fn, &next, NULL));
	e = fake_sub(s.dp, 0, inl);
	assert_int_equal(66, ((const struct note *)(const void *)inl)->number);
	phx_message_release(o.reply);
	(void)phx_poll(s.queue, 0);
	assert_true(fake_ret_none(s.dp, 0)); // that block is none of the new dataplane's
	fake_reply(s.dp, 0, &e, &note, sizeof(note));
	run_until_called(&s, &next);
	fake_dp_destroy(old);
	session_close(&s);
}

// ---- servers ----

struct served {
	struct phx_request *requests[8];
	unsigned count;
};

static void keep_fn(void *arg, struct phx_request *request)
{
	struct served *served = arg;

	served->requests[served->count++] = request;
}

static const phx_handler_fn handlers[] = {keep_fn, NULL};

static void deliver(struct fake_dp *dp, uint64_t handle, uint64_t number, bool lent)
{
	struct note note = {.number = number};

	fake_comp(dp, 0,
		(struct phx_comp_entry){.kind = PHX_COMP_REQUEST,
			.flags = PHX_COMP_HAS_MESSAGE,
			.call = 70 + dp->handle_base,
			.handle = handle,
			.remaining_ns = PHX_TIMEOUT_NONE,
			.lent = lent ? 1 : 0,
			.msg_off = lent ? fake_recv_put(dp, &note, sizeof(note)) : 0,
			.msg_len = sizeof(note)},
		lent ? NULL : &note, lent ? 0 : sizeof(note));
}

static void server_registers_again_and_serves(void **)
{
	struct session s = session_open_again(NULL);
	struct served served = {.count = 0};
	struct phx_server *server;
	struct phx_sub_entry e;
	struct fake_dp *old;

	assert_int_equal(0, phx_server_create(s.ctx, NULL, &server));
	assert_int_equal(0, phx_server_add(server, "blue", &note_service, handlers, &served, NULL));
	deliver(s.dp, 9, 1, true);
	fake_until(served.count == 1 || phx_poll(s.queue, 0) < -1000);
	old = dataplane_dies(&s);
	atomic_store(&s.dp->refuse_register, true); // its rules come a little later
	fake_dp_start(s.dp);
	fake_until(atomic_load(&s.dp->registers) >= 2 || phx_wait(s.queue, 1000000) < -1000);
	atomic_store(&s.dp->refuse_register, false);
	fake_until(atomic_load(&s.dp->registers) >= 3 || phx_wait(s.queue, 1000000) < -1000);
	wait_back(&s);
	assert_string_equal("blue", s.dp->group);
	deliver(s.dp, 9, 2, false); // the number of another request of another session
	fake_until(served.count == 2 || phx_poll(s.queue, 0) < -1000);
	// The old one has nobody to go to, and is readable until its reply.
	assert_true(phx_request_is_cancelled(served.requests[0]));
	assert_false(phx_request_is_cancelled(served.requests[1]));
	assert_int_equal(1, ((const struct note *)phx_message_root(
				     phx_request_message(served.requests[0]), &note_type))
				    ->number);
	assert_int_equal(-ENOTCONN, phx_reply(served.requests[0], note_new(s.ctx, 3, 0), NULL));
	assert_int_equal(0, phx_reply(served.requests[1], note_new(s.ctx, 4, 0), NULL));
	e = fake_sub(s.dp, 0, NULL);
	assert_int_equal(PHX_SUB_REPLY, e.kind);
	assert_int_equal(9, e.handle);
	fake_dp_destroy(old);
	session_close(&s);
}

static void descriptor_stays_and_tells_of_the_new_session(void **)
{
	struct session s = session_open_again(NULL);
	struct pollfd p = {.fd = phx_fd(s.queue), .events = POLLIN};
	struct outcome o = {0}, late = {0};
	struct fake_dp *old;
	struct phx_sub_entry e;

	assert_true(p.fd >= 0);
	assert_int_equal(0, phx_fd_arm(s.queue));
	old = dataplane_dies(&s);
	assert_int_equal(1, poll(&p, 1, 20000)); // the end
	while (phx_poll(s.queue, 0) != 0 || phx_fd_arm(s.queue) != 0)
		;
	assert_int_equal(
		0, phx_call_start(s.channel, s.queue, &note_service, 0, note_new(s.ctx, 1, 0),
			   waiting(20 * PHX_NS_PER_MS), outcome_fn, &late, NULL));
	assert_int_equal(0, phx_call_start(s.channel, s.queue, &note_service, 0,
				    note_new(s.ctx, 2, 0), waiting(0), outcome_fn, &o, NULL));
	while (late.calls == 0) { // its deadline
		(void)phx_poll(s.queue, 0);
		if (late.calls == 0 && phx_fd_arm(s.queue) == 0)
			assert_int_equal(1, poll(&p, 1, 20000));
	}
	fake_dp_start(s.dp);
	for (;;) { // the session
		(void)phx_poll(s.queue, 0);
		if (!phx_context_ended(s.ctx, NULL) && !fake_sub_none(s.dp, 0))
			break;
		if (phx_fd_arm(s.queue) == 0)
			assert_int_equal(1, poll(&p, 1, 20000));
	}
	assert_int_equal(p.fd, phx_fd(s.queue));
	e = fake_sub(s.dp, 0, NULL);
	while (phx_fd_arm(s.queue) != 0)
		(void)phx_poll(s.queue, 0);
	fake_reply(s.dp, 0, &e, &(struct note){.number = 3}, sizeof(struct note));
	assert_int_equal(1, poll(&p, 1, 20000));
	run_until_called(&s, &o);
	assert_int_equal(3, o.number);
	fake_dp_destroy(old);
	session_close(&s);
}

static void detached_for_good_stays_detached(void **)
{
	struct session s = session_open_again(NULL);
	struct outcome o = {0};

	(void)note_call(&s, 1, &o);
	fake_dp_detach(s.dp, PHX_REASON_ADMIN, "operator says so");
	fake_until(
		o.calls != 0 || phx_wait(s.queue, 1000000) < -1000 || phx_poll(s.queue, 0) < -1000);
	assert_int_equal(PHX_REASON_ADMIN, o.status.reason);
	assert_int_equal(-ENOTCONN, phx_poll(s.queue, 0));
	assert_int_equal(1, atomic_load(&s.dp->hellos));
	session_close(&s);
}

static void detach_while_away_returns(void **)
{
	struct session s = session_open_again(NULL);
	struct fake_dp *old = dataplane_dies(&s);
	struct outcome o = {0};

	wait_away(&s);
	assert_int_equal(0, phx_call_start(s.channel, s.queue, &note_service, 0,
				    note_new(s.ctx, 1, 0), waiting(0), outcome_fn, &o, NULL));
	session_close(&s);
	assert_int_equal(0, o.calls); // callbacks do not run any more
	fake_dp_destroy(old);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(restart_goes_on_with_the_same_handles),
		cmocka_unit_test(call_without_dataplane_fails_fast),
		cmocka_unit_test(waiting_call_goes_to_the_next_dataplane),
		cmocka_unit_test(waiting_call_ends_by_deadline_and_cancel),
		cmocka_unit_test(what_the_application_holds_stays_readable),
		cmocka_unit_test(server_registers_again_and_serves),
		cmocka_unit_test(descriptor_stays_and_tells_of_the_new_session),
		cmocka_unit_test(detached_for_good_stays_detached),
		cmocka_unit_test(detach_while_away_returns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
