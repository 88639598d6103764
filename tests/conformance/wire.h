// SPDX-License-Identifier: BSD-3-Clause
// A connection that the test plays, with the peer behind it, for the client of a rig: what send()
// says, when a gather list is out of use, and which frames come. There is one at a time.
#pragma once

#include "dataplane/transport/transport.h"
#include "tests/conformance/rig.h"

#define WIRE_SENT_MAX  64
#define WIRE_IN_PLACE  8192u // smaller payloads are copied
#define WIRE_REPLY_LEN 24

struct wire {
	struct conn conn; // both lanes
	struct phx_frame sent[WIRE_SENT_MAX];
	struct conn_done *dones[WIRE_SENT_MAX];
	uint32_t sent_count, done_count, send_calls;
	int says; // what send() says, when it can: 0, 1 or a negative errno value
	bool closed;
	uint64_t channel; // of the client's path over it
	uint32_t epoch;
};

extern struct wire *wire;

// The link of the rig's client is lost, and goes over a wire from now on; t.Svc is up.
void wire_connect(struct rig *rig);
// Of a test with one: rig_teardown(), and the wire has been closed by then.
int wire_teardown(void **state);
// All gather lists are out of use.
void wire_done(void);
// The last frame of that type that was sent; fails when there is none.
const struct phx_frame *wire_last_sent(unsigned type);

// A frame of the client's channel comes.
void wire_feed(struct phx_frame f, const void *body);
void wire_feed_credit(uint64_t accepted);
void wire_feed_service_up(struct rig *rig);
// The start of an answer to HEADERS, and a whole one: t.Rep {text = "reply"}.
struct phx_frame wire_status_of(const struct phx_frame *headers);
const uint8_t *wire_reply_image(void);
void wire_feed_reply(const struct phx_frame *headers);
