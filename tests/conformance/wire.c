// SPDX-License-Identifier: BSD-3-Clause
// See wire.h.
#include "tests/conformance/wire.h"

#include "lib/base/bits.h"
#include "lib/schema/schema.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SENDS_MAX 10000 // more without an event: it spins

struct wire *wire;

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
	assert_true(w->sent_count < WIRE_SENT_MAX);
	w->sent[w->sent_count++] = *f;
	if (w->says == 0 || done == NULL || f->payload_len < WIRE_IN_PLACE)
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

static void done_run(struct wire *w)
{
	uint32_t n = w->done_count;

	w->done_count = 0;
	for (uint32_t i = 0; i < n; i++)
		w->dones[i]->fn(w->dones[i]);
}

static void wire_close(struct conn *conn)
{
	struct wire *w = phx_container_of(conn, struct wire, conn);

	done_run(w);
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

void wire_feed(struct phx_frame f, const void *body)
{
	struct iovec iov = {(void *)(uintptr_t)body, phx_frame_body_len(&f)};
	enum phx_reason reason = PHX_REASON_NONE;

	f.channel = wire->channel;
	f.epoch = wire->epoch;
	wire->send_calls = 0;
	assert_int_equal(wire->conn.up->frame(&wire->conn, &f, &iov, iov.iov_len != 0, &reason), 0);
}

const struct phx_frame *wire_last_sent(unsigned type)
{
	for (uint32_t i = wire->sent_count; i-- > 0;) {
		if (wire->sent[i].type == type)
			return &wire->sent[i];
	}
	fail_msg("no %s was sent", phx_frame_type_name(type));
	return NULL;
}

void wire_feed_credit(uint64_t accepted)
{
	wire_feed((struct phx_frame){.type = PHX_FRAME_CREDIT,
			  .sequence = accepted,
			  .limit = 100,
			  .arg = UINT64_C(1) << 40},
		NULL);
}

void wire_feed_service_up(struct rig *rig)
{
	struct phx_hash128 hash = phx_schema_service_hash(rig->client.session->schemas[0], 0);
	uint8_t bytes[16];

	phx_le64_store(bytes, hash.lo);
	phx_le64_store(bytes + 8, hash.hi);
	wire_feed((struct phx_frame){.type = PHX_FRAME_SERVICE_UP, .payload_len = 16}, bytes);
}

const uint8_t *wire_reply_image(void)
{
	static uint8_t image[WIRE_REPLY_LEN];

	phx_le32_store(image, 16);
	phx_le32_store(image + 4, 5);
	memcpy(image + 16, "reply", 5);
	return image;
}

struct phx_frame wire_status_of(const struct phx_frame *headers)
{
	return (struct phx_frame){
		.type = PHX_FRAME_STATUS,
		.flags = PHX_FRAME_F_REPLY,
		.cookie = headers->cookie,
		.sequence = headers->sequence,
		.executed = PHX_EXECUTED_YES,
	};
}

void wire_feed_reply(const struct phx_frame *headers)
{
	struct phx_frame f = wire_status_of(headers);

	f.flags |= PHX_FRAME_F_MESSAGE;
	f.payload_len = WIRE_REPLY_LEN;
	wire_feed(f, wire_reply_image());
}

void wire_connect(struct rig *rig)
{
	struct link_config config = {.id = 9, .client = true, .peer_name = "wire"};
	const struct phx_frame *open;

	rig_lose_link(rig);
	wire = calloc(1, sizeof(*wire));
	wire->conn.ops = &wire_ops;
	config.lane[0] = config.lane[1] = &wire->conn;
	assert_int_equal(link_open(rig->worker, &config, &rig->links[0]), 0);
	open = wire_last_sent(PHX_FRAME_OPEN);
	wire->channel = open->channel;
	wire->epoch = open->epoch;
	wire_feed(
		(struct phx_frame){
			.type = PHX_FRAME_OPENED, .limit = 100, .arg = UINT64_C(1) << 40},
		NULL);
	wire_feed_service_up(rig);
}

void wire_done(void)
{
	done_run(wire);
}

int wire_teardown(void **state)
{
	int rc;

	wire_done();
	rc = rig_teardown(state);
	assert_true(wire->closed);
	free(wire);
	return rc;
}
