// SPDX-License-Identifier: BSD-3-Clause
// What a peer and a transport may do at the worst moment: a connection that dies while credit
// comes, answers that overtake what is still being read in place. On the rig, over a wire.
#include "tests/conformance/wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KIB 1024u

static int setup(void **state)
{
	*state = rig_create();
	wire_connect(*state);
	return 0;
}

static int setup_hold(void **state)
{
	*state = rig_create();
	rig_attach(*state, "client-hold", "probe", "reply_hold=reply hold_ns=1000000");
	wire_connect(*state);
	return 0;
}

// A call whose body is read in place by the wire.
static uint32_t submit_in_place(struct rig *rig, uint32_t body)
{
	struct rig_call call = {.name = "one", .body = body};
	uint32_t slot;

	wire->says = 1;
	slot = rig_submit(rig, &call);
	rig_settle(rig);
	return slot;
}

static void assert_replied(struct rig *rig, uint32_t slot)
{
	const struct rig_done *d = rig_done(rig, slot);

	rig_settle(rig);
	assert_int_equal(d->completions, 1);
	assert_string_equal(phx_code_name(d->code), "OK");
	assert_string_equal(d->reply, "reply");
}

static void assert_not_done(struct rig *rig, uint32_t slot)
{
	rig_settle(rig);
	assert_int_equal(rig_done(rig, slot)->completions, 0);
}

// ---- a connection that dies ----

static void credit_over_a_dying_connection_sends_nothing(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "one", .inlined = true, .wait = true};
	uint32_t slot;

	wire->says = -EPIPE; // and closed() will tell
	slot = rig_submit(rig, &call);
	(void)rig_round(rig);
	wire_feed_credit(0);
	assert_not_done(rig, slot);
	wire->conn.up->closed(&wire->conn, PHX_REASON_W_RESET, -ECONNRESET);
	rig_connect(rig);
	rig_settle(rig);
	assert_int_equal(rig_done(rig, slot)->completions, 1);
	assert_int_equal(rig_done(rig, slot)->code, PHX_OK);
}

// ---- replies that overtake what is read in place ----

static void reply_waits_until_the_request_is_out_of_use(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_in_place(rig, 32 * KIB);

	assert_int_equal(wire->done_count, 1);
	wire_feed_reply(wire_last_sent(PHX_FRAME_HEADERS));
	assert_not_done(rig, slot);
	wire_done();
	assert_replied(rig, slot);
}

static void status_waits_with_its_text(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_in_place(rig, 32 * KIB);
	struct phx_frame f = wire_status_of(wire_last_sent(PHX_FRAME_HEADERS));

	f.code = PHX_ABORTED;
	f.text_len = 3;
	wire_feed(f, "why");
	assert_not_done(rig, slot);
	wire_done();
	rig_settle(rig);
	assert_int_equal(rig_done(rig, slot)->completions, 1);
	assert_int_equal(rig_done(rig, slot)->code, PHX_ABORTED);
	assert_string_equal(rig_done(rig, slot)->text, "why");
}

static void protobuf_reply_waits(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_in_place(rig, 32 * KIB);
	struct phx_frame f = wire_status_of(wire_last_sent(PHX_FRAME_HEADERS));

	f.flags |= PHX_FRAME_F_MESSAGE | PHX_FRAME_F_PROTOBUF;
	f.payload_len = 7;
	wire_feed(f, "\x0a\x05reply");
	assert_not_done(rig, slot);
	wire_done();
	assert_replied(rig, slot);
}

static void feed_announced_reply(const struct phx_frame *headers)
{
	struct phx_frame f = wire_status_of(headers), chunk = f;
	enum phx_reason reason = PHX_REASON_NONE;
	void *memory;

	f.flags |= PHX_FRAME_F_ANNOUNCED;
	f.limit = WIRE_REPLY_LEN;
	wire_feed(f, NULL);
	chunk.type = PHX_FRAME_MESSAGE;
	chunk.flags |= PHX_FRAME_F_MESSAGE;
	chunk.channel = wire->channel;
	chunk.epoch = wire->epoch;
	chunk.payload_len = WIRE_REPLY_LEN;
	memory = wire->conn.up->sink(&wire->conn, &chunk);
	assert_non_null(memory);
	memcpy(memory, wire_reply_image(), WIRE_REPLY_LEN);
	assert_int_equal(wire->conn.up->landed(&wire->conn, &chunk, &reason), 0);
}

static uint32_t submit_granted(struct rig *rig, uint32_t body)
{
	uint32_t slot = submit_in_place(rig, body);
	const struct phx_frame *headers = wire_last_sent(PHX_FRAME_HEADERS);

	wire_feed((struct phx_frame){.type = PHX_FRAME_GRANT,
			  .cookie = headers->cookie,
			  .sequence = headers->sequence},
		NULL);
	rig_settle(rig);
	assert_true(wire->done_count > 1);
	return slot;
}

// A peer that does not read its bulk lane, and answers.
static void announced_reply_waits_for_the_chunks_of_its_request(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_granted(rig, 512 * KIB);

	feed_announced_reply(wire_last_sent(PHX_FRAME_HEADERS));
	assert_not_done(rig, slot);
	wire_done();
	assert_replied(rig, slot);
}

static void reply_held_by_a_policy_waits_after_that(void **state)
{
	struct rig *rig = *state;
	uint32_t slots[2];

	slots[0] = submit_in_place(rig, 32 * KIB);
	wire_feed_reply(wire_last_sent(PHX_FRAME_HEADERS));
	slots[1] = submit_granted(rig, 512 * KIB);
	feed_announced_reply(wire_last_sent(PHX_FRAME_HEADERS));
	rig_pass(rig, 5000000);
	assert_not_done(rig, slots[0]);
	wire_done();
	assert_replied(rig, slots[0]);
	assert_replied(rig, slots[1]);
}

static void cancel_behind_the_reply_changes_nothing(void **state)
{
	struct rig *rig = *state;
	uint32_t slots[2];

	slots[0] = submit_in_place(rig, 32 * KIB);
	wire_feed_reply(wire_last_sent(PHX_FRAME_HEADERS));
	slots[1] = submit_granted(rig, 512 * KIB);
	feed_announced_reply(wire_last_sent(PHX_FRAME_HEADERS));
	rig_settle(rig);
	rig_cancel(rig, slots[0]);
	rig_cancel(rig, slots[1]);
	rig_settle(rig);
	wire_done();
	assert_replied(rig, slots[0]);
	assert_replied(rig, slots[1]);
}

// Whatever it waits in is given back: rig_destroy() looks.
static void application_gone_while_replies_wait_leaves_nothing(void **state)
{
	struct rig *rig = *state;

	(void)submit_in_place(rig, 32 * KIB);
	wire_feed_reply(wire_last_sent(PHX_FRAME_HEADERS));
	(void)submit_granted(rig, 512 * KIB);
	feed_announced_reply(wire_last_sent(PHX_FRAME_HEADERS));
	rig_settle(rig);
	rig_close(&rig->client);
	assert_false(session_is_quiet(rig->client.session));
	wire_done();
	assert_true(session_is_quiet(rig->client.session));
}

static void link_lost_while_replies_wait_loses_none(void **state)
{
	struct rig *rig = *state;
	uint32_t slots[2];

	slots[0] = submit_in_place(rig, 32 * KIB);
	wire_feed_reply(wire_last_sent(PHX_FRAME_HEADERS));
	slots[1] = submit_granted(rig, 512 * KIB);
	feed_announced_reply(wire_last_sent(PHX_FRAME_HEADERS));
	rig_settle(rig);
	wire->conn.up->closed(&wire->conn, PHX_REASON_W_RESET, -ECONNRESET);
	assert_replied(rig, slots[0]);
	assert_replied(rig, slots[1]);
}

// The peer says that the service has just gone, and that it is there again: another attempt of the
// call, but not while the first is being read.
static void feed_too_late(struct rig *rig)
{
	struct phx_frame f = wire_status_of(wire_last_sent(PHX_FRAME_HEADERS));

	f.code = PHX_UNAVAILABLE;
	f.executed = PHX_EXECUTED_NO;
	f.reason = PHX_REASON_SERVICE_DOWN;
	f.origin = PHX_ORIGIN_REMOTE_DATAPLANE;
	wire_feed(f, NULL);
	wire_feed_service_up(rig);
	rig_settle(rig);
}

static void another_attempt_waits_until_the_request_is_out_of_use(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_in_place(rig, 32 * KIB);
	uint64_t sequence = wire_last_sent(PHX_FRAME_HEADERS)->sequence;

	feed_too_late(rig);
	assert_int_equal(wire_last_sent(PHX_FRAME_HEADERS)->sequence, sequence);
	wire_done();
	rig_settle(rig);
	assert_int_equal(wire_last_sent(PHX_FRAME_HEADERS)->sequence, sequence + 1);
	wire_feed_reply(wire_last_sent(PHX_FRAME_HEADERS));
	assert_not_done(rig, slot);
	wire_done();
	assert_replied(rig, slot);
}

static void cancel_before_another_attempt_ends_the_call(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_in_place(rig, 32 * KIB);
	uint64_t sequence = wire_last_sent(PHX_FRAME_HEADERS)->sequence;

	feed_too_late(rig);
	rig_cancel(rig, slot);
	assert_not_done(rig, slot);
	wire_done();
	rig_settle(rig);
	assert_int_equal(rig_done(rig, slot)->completions, 1);
	assert_int_equal(rig_done(rig, slot)->code, PHX_CANCELLED);
	assert_int_equal(wire_last_sent(PHX_FRAME_HEADERS)->sequence, sequence);
}

static void channel_closed_before_another_attempt_ends_the_call(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_in_place(rig, 32 * KIB);

	feed_too_late(rig);
	assert_int_equal(session_channel_close(rig->client.session, 0), 0);
	assert_not_done(rig, slot);
	wire_done();
	rig_settle(rig);
	assert_int_equal(rig_done(rig, slot)->completions, 1);
	assert_int_equal(rig_done(rig, slot)->code, PHX_CANCELLED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, wire_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(credit_over_a_dying_connection_sends_nothing),
		T(reply_waits_until_the_request_is_out_of_use),
		T(status_waits_with_its_text),
		T(protobuf_reply_waits),
		T(announced_reply_waits_for_the_chunks_of_its_request),
		cmocka_unit_test_setup_teardown(
			reply_held_by_a_policy_waits_after_that, setup_hold, wire_teardown),
		T(cancel_behind_the_reply_changes_nothing),
		T(application_gone_while_replies_wait_leaves_nothing),
		T(link_lost_while_replies_wait_loses_none),
		T(another_attempt_waits_until_the_request_is_out_of_use),
		T(cancel_before_another_attempt_ends_the_call),
		T(channel_closed_before_another_attempt_ends_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
