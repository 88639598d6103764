// SPDX-License-Identifier: BSD-3-Clause
// Waiting for a connection without blocking.
#include "tests/unit/lib/app/reattach.h"

#define CHANNEL 40 // what the fake dataplane answers to CHANNEL_OPEN

static struct phx_call *connect_start(struct session *s, struct outcome *o)
{
	struct phx_call *call = NULL;

	assert_int_equal(0, phx_channel_connect_start(s->channel, s->queue, outcome_fn, o, &call));
	assert_non_null(call);
	return call;
}

static struct phx_sub_entry take_connect(struct session *s)
{
	struct phx_sub_entry e = fake_sub(s->dp, 0, NULL);

	assert_int_equal(PHX_SUB_CONNECT, e.kind);
	assert_int_equal(1, e.slots);
	assert_int_equal(0, e.flags);
	return e;
}

static void end(struct session *s, const struct phx_sub_entry *e, uint8_t code, const char *text)
{
	struct phx_comp_entry c = {.kind = PHX_COMP_CALL,
		.call = e->call,
		.handle = e->handle,
		.code = code,
		.text_len = (uint16_t)strlen(text)};

	fake_comp(s->dp, 0, c, text[0] != '\0' ? text : NULL, c.text_len);
}

static void connect_ends_with_ok_and_no_reply(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {.calls = 0};
	struct phx_sub_entry e;

	(void)connect_start(&s, &o);
	e = take_connect(&s);
	assert_int_equal(CHANNEL, e.channel);
	assert_int_equal(10 * PHX_NS_PER_S, e.timeout_ns); // the default
	assert_int_equal(0, phx_poll(s.queue, 0));
	end(&s, &e, PHX_OK, "");
	outcome_wait(&s, &o);
	assert_int_equal(PHX_OK, o.status.code);
	assert_false(o.has_reply);
	session_close(&s);
}

static void connect_ends_at_the_timeout_of_the_channel(void **)
{
	struct phx_channel_options options = PHX_CHANNEL_OPTIONS_INIT;
	struct session s = session_open(NULL);
	struct outcome o = {.calls = 0};
	struct phx_sub_entry e;

	options.timeout_ns = 12345;
	assert_int_equal(0, phx_channel_open(s.ctx, "tcp://h:1", &options, &s.channel, NULL));
	(void)connect_start(&s, &o);
	e = take_connect(&s);
	assert_int_equal(12345, e.timeout_ns);
	end(&s, &e, PHX_DEADLINE_EXCEEDED, "no connection: h:1: refused");
	outcome_wait(&s, &o);
	assert_int_equal(PHX_DEADLINE_EXCEEDED, o.status.code);
	assert_string_equal("no connection: h:1: refused", o.status.text);
	session_close(&s);
}

static void connect_is_cancelled_like_a_call(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {.calls = 0};
	struct phx_call *call = connect_start(&s, &o);
	struct phx_sub_entry e = take_connect(&s);
	struct phx_ret_entry ret;

	phx_call_cancel(call);
	ret = fake_ret(s.dp, 0);
	assert_int_equal(PHX_RET_CANCEL, ret.kind);
	assert_int_equal(e.call, ret.call);
	assert_int_equal(e.handle, ret.handle[0]);
	end(&s, &e, PHX_CANCELLED, "");
	outcome_wait(&s, &o);
	assert_int_equal(PHX_CANCELLED, o.status.code);
	session_close(&s);
}

static void hundred_connects_do_not_hold_up_a_call(void **)
{
	struct session s = session_open(NULL);
	struct outcome o[100], called = {.calls = 0};
	struct phx_sub_entry e[100];

	memset(o, 0, sizeof(o));
	for (unsigned i = 0; i < 100; i++) {
		(void)connect_start(&s, &o[i]);
		e[i] = take_connect(&s);
	}
	(void)note_call(&s, 7, &called);
	{
		uint8_t inl[256];
		struct phx_sub_entry c = fake_sub(s.dp, 0, inl);

		assert_int_equal(PHX_SUB_CALL, c.kind);
		fake_reply(s.dp, 0, &c, inl, c.msg_len);
	}
	outcome_wait(&s, &called);
	assert_int_equal(7, called.number);
	for (unsigned i = 0; i < 100; i++)
		end(&s, &e[i], PHX_DEADLINE_EXCEEDED, "");
	for (unsigned i = 0; i < 100; i++) {
		outcome_wait(&s, &o[i]);
		assert_int_equal(PHX_DEADLINE_EXCEEDED, o[i].status.code);
	}
	session_close(&s);
}

static void connect_ends_with_its_session(void **)
{
	struct session s = session_open(NULL);
	struct outcome o = {.calls = 0};

	(void)connect_start(&s, &o);
	fake_dp_kill(s.dp);
	run_until_called(&s, &o);
	assert_int_equal(PHX_UNAVAILABLE, o.status.code);
	assert_int_equal(PHX_REASON_DATAPLANE_GONE, o.status.reason);
	assert_int_equal(
		-ENOTCONN, phx_channel_connect_start(s.channel, s.queue, outcome_fn, &o, NULL));
	session_close(&s);
}

static void connect_goes_to_the_next_dataplane(void **)
{
	struct session s = session_open_again(NULL);
	struct outcome o = {.calls = 0};
	struct fake_dp *old = dataplane_dies(&s);
	struct phx_sub_entry e;

	fake_dp_start(s.dp);
	wait_away(&s);
	wait_back(&s);
	(void)connect_start(&s, &o);
	e = take_connect(&s);
	assert_int_equal(CHANNEL + SECOND_BASE, e.channel);
	end(&s, &e, PHX_OK, "");
	outcome_wait(&s, &o);
	assert_int_equal(PHX_OK, o.status.code);
	session_close(&s);
	fake_dp_destroy(old);
}

static void connect_needs_a_dataplane_that_knows_it(void **)
{
	struct fake_dp *dp = fake_dp_create();
	struct session s;

	dp->features = 0;
	s = session_open(dp);
	assert_int_equal(
		-ENOTSUP, phx_channel_connect_start(s.channel, s.queue, outcome_fn, NULL, NULL));
	assert_true(fake_sub_none(s.dp, 0));
	session_close(&s);
}

static void connect_without_room_is_eagain(void **)
{
	struct fake_dp *dp = fake_dp_create();
	struct outcome o = {.calls = 0};
	struct session s;
	int rc = 0;

	dp->sub_slots = 64;
	s = session_open(dp);
	for (unsigned i = 0; i < 64; i++)
		(void)connect_start(&s, &o);
	rc = phx_channel_connect_start(s.channel, s.queue, outcome_fn, &o, NULL);
	assert_int_equal(-EAGAIN, rc);
	assert_int_equal(-EINVAL, phx_channel_connect_start(NULL, s.queue, outcome_fn, &o, NULL));
	assert_int_equal(-EINVAL, phx_channel_connect_start(s.channel, NULL, outcome_fn, &o, NULL));
	assert_int_equal(-EINVAL, phx_channel_connect_start(s.channel, s.queue, NULL, &o, NULL));
	session_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(connect_ends_with_ok_and_no_reply),
		cmocka_unit_test(connect_ends_at_the_timeout_of_the_channel),
		cmocka_unit_test(connect_is_cancelled_like_a_call),
		cmocka_unit_test(hundred_connects_do_not_hold_up_a_call),
		cmocka_unit_test(connect_ends_with_its_session),
		cmocka_unit_test(connect_goes_to_the_next_dataplane),
		cmocka_unit_test(connect_needs_a_dataplane_that_knows_it),
		cmocka_unit_test(connect_without_room_is_eagain),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
