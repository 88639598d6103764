// SPDX-License-Identifier: BSD-3-Clause
// What a peer and a transport may do at the worst moment: a connection that dies while credit
// comes, answers that overtake what is still being read in place. On the rig, whose client gets a
// link over a connection that the test plays.
#include "tests/conformance/rig.h"

#include "dataplane/transport/transport.h"
#include "lib/base/bits.h"
#include "lib/schema/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define KIB	  1024u
#define SENT_MAX  64
#define SENDS_MAX 10000 // more without an event: it spins

struct wire {
	struct conn conn; // both lanes
	struct phx_frame sent[SENT_MAX];
	struct conn_done *dones[SENT_MAX];
	uint32_t sent_count, done_count, send_calls;
	int says; // what send() says, when it can: 0, 1 or a negative errno value
	bool closed;
};

static struct wire *wire;
static uint64_t channel; // of the client's path over the wire
static uint32_t epoch;

// ---- the transport ----

static int wire_send(struct conn *conn, const struct phx_frame *f, const struct iovec *iov, int n,
	struct conn_done *done)
{
	struct wire *w = phx_container_of(conn, struct wire, conn);

	(void)iov;
	(void)n;
	if (w->send_calls++ > SENDS_MAX)
		fail_msg("it sends for ever");
	if (w->says < 0)
		return w->says;
	assert_true(w->sent_count < SENT_MAX);
	w->sent[w->sent_count++] = *f;
	if (w->says == 0 || done == NULL || f->payload_len < 8 * KIB)
		return 0;
	for (uint32_t i = 0; i < w->done_count; i++)
		assert_ptr_not_equal(w->dones[i], done); // it is in use
	w->dones[w->done_count++] = done;
	return 1;
}

static void wire_sink_cancel(struct conn *conn)
{
	(void)conn;
}

static void wire_done(struct wire *w)
{
	uint32_t n = w->done_count;

	w->done_count = 0;
	for (uint32_t i = 0; i < n; i++)
		w->dones[i]->fn(w->dones[i]);
}

static void wire_close(struct conn *conn)
{
	struct wire *w = phx_container_of(conn, struct wire, conn);

	wire_done(w);
	w->closed = true;
}

static int wire_start(struct conn *conn, struct worker *worker)
{
	conn->worker = worker;
	return 0;
}

static const struct transport_ops wire_ops = {
	.name = "wire",
	.caps = TRANSPORT_CAP_IN_PLACE | TRANSPORT_CAP_SINK,
	.send = wire_send,
	.sink_cancel = wire_sink_cancel,
	.close = wire_close,
	.start = wire_start,
};

// ---- the peer ----

static void feed(struct phx_frame f, const void *body)
{
	struct iovec iov = {(void *)(uintptr_t)body, phx_frame_body_len(&f)};
	enum phx_reason reason = PHX_REASON_NONE;

	f.channel = channel;
	f.epoch = epoch;
	wire->send_calls = 0;
	assert_int_equal(wire->conn.up->frame(&wire->conn, &f, &iov, iov.iov_len != 0, &reason), 0);
}

static const struct phx_frame *last_sent(unsigned type)
{
	for (uint32_t i = wire->sent_count; i-- > 0;) {
		if (wire->sent[i].type == type)
			return &wire->sent[i];
	}
	fail_msg("no %s was sent", phx_frame_type_name(type));
	return NULL;
}

static void feed_credit(uint64_t accepted)
{
	feed((struct phx_frame){.type = PHX_FRAME_CREDIT,
		     .sequence = accepted,
		     .limit = 100,
		     .arg = UINT64_C(1) << 40},
		NULL);
}

static void feed_service_up(struct rig *rig)
{
	struct phx_hash128 hash = phx_schema_service_hash(rig->client.session->schemas[0], 0);
	uint8_t bytes[16];

	phx_le64_store(bytes, hash.lo);
	phx_le64_store(bytes + 8, hash.hi);
	feed((struct phx_frame){.type = PHX_FRAME_SERVICE_UP, .payload_len = 16}, bytes);
}

// t.Rep {text = "reply"}
#define REPLY_LEN 24
static const uint8_t *reply_image(void)
{
	static uint8_t image[REPLY_LEN];

	phx_le32_store(image, 16);
	phx_le32_store(image + 4, 5);
	memcpy(image + 16, "reply", 5);
	return image;
}

static struct phx_frame status_of(const struct phx_frame *headers)
{
	return (struct phx_frame){
		.type = PHX_FRAME_STATUS,
		.flags = PHX_FRAME_F_REPLY,
		.cookie = headers->cookie,
		.sequence = headers->sequence,
		.executed = PHX_EXECUTED_YES,
	};
}

static void feed_reply(const struct phx_frame *headers)
{
	struct phx_frame f = status_of(headers);

	f.flags |= PHX_FRAME_F_MESSAGE;
	f.payload_len = REPLY_LEN;
	feed(f, reply_image());
}

// The client's link goes over the wire from now on.
static void wire_connect(struct rig *rig)
{
	struct link_config config = {.id = 9, .client = true, .peer_name = "wire"};
	const struct phx_frame *open;

	rig_lose_link(rig);
	wire = calloc(1, sizeof(*wire));
	wire->conn.ops = &wire_ops;
	config.lane[0] = config.lane[1] = &wire->conn;
	assert_int_equal(link_open(rig->worker, &config, &rig->links[0]), 0);
	open = last_sent(PHX_FRAME_OPEN);
	channel = open->channel;
	epoch = open->epoch;
	feed((struct phx_frame){.type = PHX_FRAME_OPENED, .limit = 100, .arg = UINT64_C(1) << 40},
		NULL);
	feed_service_up(rig);
}

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

static int teardown(void **state)
{
	int rc;

	wire_done(wire);
	rc = rig_teardown(state);
	assert_true(wire->closed);
	free(wire);
	return rc;
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
	feed_credit(0);
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
	feed_reply(last_sent(PHX_FRAME_HEADERS));
	assert_not_done(rig, slot);
	wire_done(wire);
	assert_replied(rig, slot);
}

static void status_waits_with_its_text(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_in_place(rig, 32 * KIB);
	struct phx_frame f = status_of(last_sent(PHX_FRAME_HEADERS));

	f.code = PHX_ABORTED;
	f.text_len = 3;
	feed(f, "why");
	assert_not_done(rig, slot);
	wire_done(wire);
	rig_settle(rig);
	assert_int_equal(rig_done(rig, slot)->completions, 1);
	assert_int_equal(rig_done(rig, slot)->code, PHX_ABORTED);
	assert_string_equal(rig_done(rig, slot)->text, "why");
}

static void protobuf_reply_waits(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_in_place(rig, 32 * KIB);
	struct phx_frame f = status_of(last_sent(PHX_FRAME_HEADERS));

	f.flags |= PHX_FRAME_F_MESSAGE | PHX_FRAME_F_PROTOBUF;
	f.payload_len = 7;
	feed(f, "\x0a\x05reply");
	assert_not_done(rig, slot);
	wire_done(wire);
	assert_replied(rig, slot);
}

static void feed_announced_reply(const struct phx_frame *headers)
{
	struct phx_frame f = status_of(headers), chunk = f;
	enum phx_reason reason = PHX_REASON_NONE;
	void *memory;

	f.flags |= PHX_FRAME_F_ANNOUNCED;
	f.limit = REPLY_LEN;
	feed(f, NULL);
	chunk.type = PHX_FRAME_MESSAGE;
	chunk.flags |= PHX_FRAME_F_MESSAGE;
	chunk.channel = channel;
	chunk.epoch = epoch;
	chunk.payload_len = REPLY_LEN;
	memory = wire->conn.up->sink(&wire->conn, &chunk);
	assert_non_null(memory);
	memcpy(memory, reply_image(), REPLY_LEN);
	assert_int_equal(wire->conn.up->landed(&wire->conn, &chunk, &reason), 0);
}

static uint32_t submit_granted(struct rig *rig, uint32_t body)
{
	uint32_t slot = submit_in_place(rig, body);
	const struct phx_frame *headers = last_sent(PHX_FRAME_HEADERS);

	feed((struct phx_frame){.type = PHX_FRAME_GRANT,
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

	feed_announced_reply(last_sent(PHX_FRAME_HEADERS));
	assert_not_done(rig, slot);
	wire_done(wire);
	assert_replied(rig, slot);
}

static void reply_held_by_a_policy_waits_after_that(void **state)
{
	struct rig *rig = *state;
	uint32_t slots[2];

	slots[0] = submit_in_place(rig, 32 * KIB);
	feed_reply(last_sent(PHX_FRAME_HEADERS));
	slots[1] = submit_granted(rig, 512 * KIB);
	feed_announced_reply(last_sent(PHX_FRAME_HEADERS));
	rig_pass(rig, 5000000);
	assert_not_done(rig, slots[0]);
	wire_done(wire);
	assert_replied(rig, slots[0]);
	assert_replied(rig, slots[1]);
}

static void cancel_behind_the_reply_changes_nothing(void **state)
{
	struct rig *rig = *state;
	uint32_t slots[2];

	slots[0] = submit_in_place(rig, 32 * KIB);
	feed_reply(last_sent(PHX_FRAME_HEADERS));
	slots[1] = submit_granted(rig, 512 * KIB);
	feed_announced_reply(last_sent(PHX_FRAME_HEADERS));
	rig_settle(rig);
	rig_cancel(rig, slots[0]);
	rig_cancel(rig, slots[1]);
	rig_settle(rig);
	wire_done(wire);
	assert_replied(rig, slots[0]);
	assert_replied(rig, slots[1]);
}

// Whatever it waits in is given back: rig_destroy() looks.
static void application_gone_while_replies_wait_leaves_nothing(void **state)
{
	struct rig *rig = *state;

	(void)submit_in_place(rig, 32 * KIB);
	feed_reply(last_sent(PHX_FRAME_HEADERS));
	(void)submit_granted(rig, 512 * KIB);
	feed_announced_reply(last_sent(PHX_FRAME_HEADERS));
	rig_settle(rig);
	rig_close(&rig->client);
	assert_false(session_is_quiet(rig->client.session));
	wire_done(wire);
	assert_true(session_is_quiet(rig->client.session));
}

static void link_lost_while_replies_wait_loses_none(void **state)
{
	struct rig *rig = *state;
	uint32_t slots[2];

	slots[0] = submit_in_place(rig, 32 * KIB);
	feed_reply(last_sent(PHX_FRAME_HEADERS));
	slots[1] = submit_granted(rig, 512 * KIB);
	feed_announced_reply(last_sent(PHX_FRAME_HEADERS));
	rig_settle(rig);
	wire->conn.up->closed(&wire->conn, PHX_REASON_W_RESET, -ECONNRESET);
	assert_replied(rig, slots[0]);
	assert_replied(rig, slots[1]);
}

// The peer says that the service has just gone, and that it is there again: another attempt of the
// call, but not while the first is being read.
static void feed_too_late(struct rig *rig)
{
	struct phx_frame f = status_of(last_sent(PHX_FRAME_HEADERS));

	f.code = PHX_UNAVAILABLE;
	f.executed = PHX_EXECUTED_NO;
	f.reason = PHX_REASON_SERVICE_DOWN;
	f.origin = PHX_ORIGIN_REMOTE_DATAPLANE;
	feed(f, NULL);
	feed_service_up(rig);
	rig_settle(rig);
}

static void another_attempt_waits_until_the_request_is_out_of_use(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_in_place(rig, 32 * KIB);
	uint64_t sequence = last_sent(PHX_FRAME_HEADERS)->sequence;

	feed_too_late(rig);
	assert_int_equal(last_sent(PHX_FRAME_HEADERS)->sequence, sequence);
	wire_done(wire);
	rig_settle(rig);
	assert_int_equal(last_sent(PHX_FRAME_HEADERS)->sequence, sequence + 1);
	feed_reply(last_sent(PHX_FRAME_HEADERS));
	assert_not_done(rig, slot);
	wire_done(wire);
	assert_replied(rig, slot);
}

static void cancel_before_another_attempt_ends_the_call(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_in_place(rig, 32 * KIB);
	uint64_t sequence = last_sent(PHX_FRAME_HEADERS)->sequence;

	feed_too_late(rig);
	rig_cancel(rig, slot);
	assert_not_done(rig, slot);
	wire_done(wire);
	rig_settle(rig);
	assert_int_equal(rig_done(rig, slot)->completions, 1);
	assert_int_equal(rig_done(rig, slot)->code, PHX_CANCELLED);
	assert_int_equal(last_sent(PHX_FRAME_HEADERS)->sequence, sequence);
}

static void channel_closed_before_another_attempt_ends_the_call(void **state)
{
	struct rig *rig = *state;
	uint32_t slot = submit_in_place(rig, 32 * KIB);

	feed_too_late(rig);
	assert_int_equal(session_channel_close(rig->client.session, 0), 0);
	assert_not_done(rig, slot);
	wire_done(wire);
	rig_settle(rig);
	assert_int_equal(rig_done(rig, slot)->completions, 1);
	assert_int_equal(rig_done(rig, slot)->code, PHX_CANCELLED);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(credit_over_a_dying_connection_sends_nothing),
		T(reply_waits_until_the_request_is_out_of_use),
		T(status_waits_with_its_text),
		T(protobuf_reply_waits),
		T(announced_reply_waits_for_the_chunks_of_its_request),
		cmocka_unit_test_setup_teardown(
			reply_held_by_a_policy_waits_after_that, setup_hold, teardown),
		T(cancel_behind_the_reply_changes_nothing),
		T(application_gone_while_replies_wait_leaves_nothing),
		T(link_lost_while_replies_wait_loses_none),
		T(another_attempt_waits_until_the_request_is_out_of_use),
		T(cancel_before_another_attempt_ends_the_call),
		T(channel_closed_before_another_attempt_ends_the_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
