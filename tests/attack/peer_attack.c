// SPDX-License-Identifier: BSD-3-Clause
// A server that lies: the dataplane dials it for an application (played raw) and gets answers that
// are wrong in every way. Calls end once, with their link or alone, and nobody else notices.
#include "tests/attack/raw.h"
#include "tests/attack/wire.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/base/hash.h"
#include "lib/wire/trace.h"
#include "tests/unit/lib/schema/build.h"

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t random_state = 1;
static uint8_t body[PHX_FRAME_BODY_MAX];

static uint64_t random_next(void)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	return phx_mix64(random_state);
}

struct peer {
	int listen_fd;
	char target[64];
	struct wire wire;
	struct raw raw;
	uint64_t channel; // opened by the dataplane
	uint64_t sequence;
	uint32_t cookie;
};

static int accept_one(const struct peer *peer)
{
	struct pollfd p = {.fd = peer->listen_fd, .events = POLLIN};

	assert_int_equal(poll(&p, 1, (int)(BED_DEADLINE_NS / PHX_NS_PER_MS)), 1);
	return accept4(peer->listen_fd, NULL, NULL, SOCK_CLOEXEC);
}

static void listen_somewhere(struct peer *peer)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	socklen_t len = sizeof(address);
	int small = 8192;

	address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	peer->listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	// Little, so that what is not read stands at the sender soon.
	(void)setsockopt(peer->listen_fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	assert_int_equal(bind(peer->listen_fd, (struct sockaddr *)&address, len), 0);
	assert_int_equal(listen(peer->listen_fd, 16), 0);
	assert_int_equal(getsockname(peer->listen_fd, (struct sockaddr *)&address, &len), 0);
	(void)snprintf(
		peer->target, sizeof(peer->target), "tcp://127.0.0.1:%u", ntohs(address.sin_port));
}

// Take a connection and answer its hello. Returns its lane.
static uint8_t greet(struct peer *peer)
{
	const struct phx_frame answer = {.type = PHX_FRAME_HELLO,
		.flags = PHX_FRAME_F_REPLY,
		.payload_len = PHX_WIRE_HELLO_BYTES};
	struct phx_wire_hello hello;
	enum phx_reason reason;
	struct phx_frame f;
	int fd = accept_one(peer);

	assert_true(wire_expect(fd, PHX_FRAME_HELLO, &f, body));
	assert_int_equal(phx_wire_hello_decode(body, &hello, &reason), 0);
	memcpy(hello.uuid, "a lying server..", sizeof(hello.uuid));
	hello.features = 0;
	hello.workers = 1;
	phx_wire_hello_encode(&hello, body);
	assert_int_equal(wire_frame(fd, &answer, body), 0);
	peer->wire.lane[hello.lane] = fd;
	return hello.lane;
}

static struct phx_sub_entry call(const struct raw *raw, uint32_t slot, uint64_t timeout_ns)
{
	return (struct phx_sub_entry){
		.kind = PHX_SUB_CALL,
		.flags = PHX_SUB_WAIT_FOR_READY,
		.call = slot,
		.handle = 100 + slot,
		.timeout_ns = timeout_ns,
		.msg_off = raw->hello.send_heap.offset,
	};
}

static void answer(struct peer *peer, struct phx_frame f, const void *bytes)
{
	f.channel = peer->channel;
	f.epoch = f.epoch == 0 ? 1 : f.epoch;
	assert_int_equal(wire_frame(peer->wire.lane[0], &f, bytes), 0);
}

// A link with one channel whose service is up.
static void open_peer(struct peer *peer)
{
	static const struct phx_attach_queue_sizes sizes = {
		.sub_slots = 256, .ret_slots = 256, .comp_slots = 1024};
	struct phx_frame f;

	memset(peer, 0, sizeof(*peer));
	listen_somewhere(peer);
	raw_open(&peer->raw, &sizes);
	raw_service(&peer->raw, NULL, peer->target);
	assert_int_not_equal(greet(peer), greet(peer));
	assert_true(wire_expect(peer->wire.lane[0], PHX_FRAME_OPEN, &f, body));
	peer->channel = f.channel;
	answer(peer, (struct phx_frame){.type = PHX_FRAME_OPENED, .limit = 100, .arg = 1 << 20},
		NULL);
	for (uint32_t i = 0; i < 2; i++)
		answer(peer,
			(struct phx_frame){.type = PHX_FRAME_SERVICE_UP, .service = i, .arg = i},
			NULL);
}

// The service again, now with its hash: calls go out as images.
static void announce_hash(struct peer *peer)
{
	struct phx_schema *schema = t_all_schema();
	struct phx_hash128 hash = phx_schema_service_hash(schema, 0);
	uint8_t bytes[16];

	phx_le64_store(bytes, hash.lo);
	phx_le64_store(bytes + 8, hash.hi);
	answer(peer, (struct phx_frame){.type = PHX_FRAME_SERVICE_UP, .payload_len = 16}, bytes);
	phx_schema_free(schema);
}

static void start_call(struct peer *peer, uint32_t slot, uint64_t timeout_ns)
{
	struct phx_frame f;

	raw_sub(&peer->raw, call(&peer->raw, slot, timeout_ns), 0);
	assert_true(wire_expect(peer->wire.lane[0], PHX_FRAME_HEADERS, &f, body));
	peer->sequence = f.sequence;
	peer->cookie = f.cookie;
}

static struct phx_frame status(const struct peer *peer, enum phx_code code)
{
	return (struct phx_frame){
		.type = PHX_FRAME_STATUS,
		.flags = PHX_FRAME_F_REPLY,
		.code = (uint8_t)code,
		.sequence = peer->sequence,
		.cookie = peer->cookie,
	};
}

static void close_peer(struct peer *peer)
{
	raw_close(&peer->raw);
	wire_close(&peer->wire);
	(void)close(peer->listen_fd);
}

// ---- the hello ----

static void server_that_answers_rubbish_is_left(void **state)
{
	static const char *const words[] = {
		"", "HTTP/1.1 400 Bad Request\r\n\r\n", "PHXW", "\0\0\0\0"};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(words); i++) {
		struct peer peer;
		int fd;

		memset(&peer, 0, sizeof(peer));
		listen_somewhere(&peer);
		raw_open(&peer.raw, NULL);
		raw_service(&peer.raw, NULL, peer.target);
		fd = accept_one(&peer);
		if (i == 3)
			memset(body, 0xff, 1000);
		(void)wire_send(fd, i == 3 ? (const char *)body : words[i],
			i == 3 ? 1000 : strlen(words[i]), 0);
		(void)shutdown(fd, SHUT_WR);
		wire_expect_closed(fd);
		(void)close(fd);
		raw_close(&peer.raw);
		(void)close(peer.listen_fd);
	}
}

// ---- answers ----

// W-13 to W-15: answers to nothing, to another, twice.
static void answers_to_nothing_are_dropped(void **state)
{
	struct phx_comp_entry c;
	struct peer peer;
	struct phx_frame f;

	(void)state;
	open_peer(&peer);
	for (int i = 0; i < 200; i++) {
		peer.sequence = random_next() % 4;
		peer.cookie = (uint32_t)random_next();
		f = status(&peer, (enum phx_code)(random_next() % 17));
		f.epoch = (uint32_t)(random_next() % 3);
		answer(&peer, f, NULL);
	}
	start_call(&peer, 3, PHX_TIMEOUT_NONE);
	answer(&peer, status(&peer, PHX_ABORTED), NULL);
	answer(&peer, status(&peer, PHX_ABORTED), NULL);
	answer(&peer, status(&peer, PHX_NOT_FOUND), NULL);
	c = raw_comp(&peer.raw);
	assert_int_equal(c.handle, 103);
	assert_int_equal(c.code, PHX_ABORTED);
	start_call(&peer, 4, PHX_TIMEOUT_NONE);
	answer(&peer, status(&peer, PHX_CANCELLED), NULL);
	c = raw_comp(&peer.raw);
	assert_int_equal(c.handle, 104);
	assert_false(raw_comp_now(&peer.raw, &c));
	close_peer(&peer);
}

// W-10, W-12, D-11: replies with anything in them.
static void replies_of_anything_end_their_call_once(void **state)
{
	struct peer peer;

	(void)state;
	open_peer(&peer);
	for (unsigned i = 0; i < bed_rounds(600); i++) {
		struct phx_comp_entry c;
		struct phx_frame f;

		start_call(&peer, i % 32, PHX_TIMEOUT_NONE);
		if (i % 50 == 49) // its credit, as an honest server says it
			answer(&peer,
				(struct phx_frame){.type = PHX_FRAME_CREDIT,
					.sequence = peer.sequence,
					.limit = 100,
					.arg = UINT64_C(1) << 40},
				NULL);
		f = status(
			&peer, random_next() % 4 ? PHX_OK : (enum phx_code)(random_next() % 200));
		f.origin = (uint8_t)random_next();
		f.executed = (uint8_t)random_next();
		f.reason = (uint16_t)random_next();
		for (int w = 0; w < 256; w++)
			body[w] = (uint8_t)(random_next() % 3 ? random_next() % 3 : random_next());
		f.flags |= random_next() % 4 ? PHX_FRAME_F_MESSAGE : 0;
		f.flags |= random_next() % 2 ? PHX_FRAME_F_PROTOBUF : 0;
		f.payload_len = (uint32_t)(random_next() % 40);
		f.meta_len = random_next() % 4 ? 0 : (uint16_t)(random_next() % 40);
		f.text_len = random_next() % 4 ? 0 : (uint16_t)(random_next() % 40);
		answer(&peer, f, body);
		c = raw_comp(&peer.raw);
		assert_int_equal(c.kind, PHX_COMP_CALL);
		assert_int_equal(c.handle, 100 + i % 32);
		assert_true(c.code < PHX_CODE_COUNT && c.reason < PHX_REASON_COUNT);
		if (c.lent != 0)
			raw_ret(&peer.raw,
				(struct phx_ret_entry){
					.kind = PHX_RET_RETURN, .count = 1, .handle = {c.lent}});
	}
	close_peer(&peer);
}

// W-09, W-17: announcements of anything, and chunks for them.
static void announcements_of_anything_end_their_call(void **state)
{
	static const uint32_t sizes[] = {0, 1, 65536, 200000, 1 << 20, 1 << 30, UINT32_MAX};
	struct peer peer;

	(void)state;
	open_peer(&peer);
	for (unsigned i = 0; i < 70; i++) {
		struct phx_frame f;
		struct phx_comp_entry c;

		start_call(&peer, i % 32, 50 * PHX_NS_PER_MS);
		f = status(&peer, PHX_OK);
		f.flags |= PHX_FRAME_F_ANNOUNCED | (i % 2 ? PHX_FRAME_F_PROTOBUF : 0);
		f.limit = sizes[i % PHX_ARRAY_LEN(sizes)];
		answer(&peer, f, NULL);
		answer(&peer, f, NULL); // twice
		for (int k = 0; k < 4; k++) {
			f = (struct phx_frame){.type = PHX_FRAME_MESSAGE,
				.flags = PHX_FRAME_F_MESSAGE | PHX_FRAME_F_REPLY,
				.epoch = 1,
				.channel = peer.channel,
				.sequence = peer.sequence,
				.cookie = peer.cookie,
				.number = 1,
				.arg = random_next() % 3 ? random_next() % 200000 : random_next(),
				.payload_len = (uint32_t)(1 + random_next() % 65000)};
			assert_int_equal(wire_frame(peer.wire.lane[1], &f, body), 0);
		}
		c = raw_comp(&peer.raw);
		assert_int_equal(c.kind, PHX_COMP_CALL);
		assert_int_not_equal(c.code, PHX_OK);
	}
	close_peer(&peer);
}

// A server that says a call came too late while it has not read the call: the transport still reads
// the message in place, and the call must not be sent again.
static void answers_before_the_call_was_written_end_it(void **state)
{
	enum { BYTES = 60000 };

	(void)state;
	// As many as the socket of the dataplane takes, and a few more.
	for (unsigned calls = 60; calls <= 80; calls++) {
		struct phx_comp_entry c;
		struct peer peer;
		uint64_t until;

		open_peer(&peer);
		answer(&peer,
			(struct phx_frame){
				.type = PHX_FRAME_CREDIT, .limit = 1000, .arg = UINT64_C(1) << 40},
			NULL);
		announce_hash(&peer);
		start_call(&peer, 0, PHX_NS_PER_S); // it has taken all that
		raw_message(&peer.raw, BYTES);
		for (uint32_t i = 1; i < calls; i++)
			raw_sub(&peer.raw, call(&peer.raw, i, 300 * PHX_NS_PER_MS), 0);
		raw_taken(&peer.raw);
		for (uint32_t i = calls - 2; i < calls; i++) { // these stand in the queue
			struct phx_frame f = status(&peer, PHX_UNAVAILABLE);

			f.sequence = i + 1;
			f.cookie = i;
			f.executed = PHX_EXECUTED_NO;
			f.reason = PHX_REASON_SERVICE_DOWN;
			f.origin = PHX_ORIGIN_REMOTE_DATAPLANE;
			answer(&peer, f, NULL);
		}
		announce_hash(&peer);
		// Each of them ends once, when its time is up or with the link.
		until = phx_clock_ns() + 100 * PHX_NS_PER_MS;
		while (phx_clock_ns() < until)
			bed_pause();
		wire_close(&peer.wire);
		for (uint32_t i = 0; i < calls; i++) {
			c = raw_comp(&peer.raw);
			assert_int_equal(c.kind, PHX_COMP_CALL);
			assert_int_not_equal(c.code, PHX_OK);
		}
		assert_false(raw_comp_now(&peer.raw, &c));
		raw_close(&peer.raw);
		(void)close(peer.listen_fd);
	}
}

// W-17: limits that fall, states that cannot be.
static void frame_against_the_rules_ends_the_link(void **state)
{
	static const struct phx_frame rows[] = {
		{.type = PHX_FRAME_CREDIT, .limit = 1, .arg = 1},			// falls
		{.type = PHX_FRAME_CREDIT, .sequence = 50, .limit = 1, .arg = 1 << 20}, // ahead
		{.type = PHX_FRAME_CREDIT, .limit = 100, .arg = 0},
		{.type = PHX_FRAME_OPENED, .limit = 100, .arg = 1 << 20}, // twice
		{.type = PHX_FRAME_HELLO},
		{.type = PHX_FRAME_OPEN},
		{.type = PHX_FRAME_HEADERS},
		{.type = PHX_FRAME_SUBSCRIBE},
		{.type = PHX_FRAME_GOAWAY},
		// Times of another length, or from one that has not said that it knows them.
		{.type = PHX_FRAME_TRACE, .flags = PHX_FRAME_F_REPLY, .sequence = 1},
		{.type = PHX_FRAME_TRACE,
			.flags = PHX_FRAME_F_REPLY,
			.sequence = 1,
			.payload_len = PHX_WIRE_TRACE_BYTES},
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		struct phx_comp_entry c;
		struct peer peer;

		open_peer(&peer);
		start_call(&peer, 1, PHX_NS_PER_S);
		answer(&peer, rows[i], body);
		wire_expect_closed(peer.wire.lane[0]);
		c = raw_comp(&peer.raw);
		assert_int_equal(c.kind, PHX_COMP_CALL);
		assert_int_equal(c.code, PHX_UNAVAILABLE);
		close_peer(&peer);
	}
}

static void random_frames_leave_the_dataplane_alone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < bed_rounds(60); i++) {
		struct peer peer;
		int rc = 0;

		open_peer(&peer);
		start_call(&peer, 1, PHX_NS_PER_S);
		for (int k = 0; k < 60 && rc == 0; k++) {
			struct phx_frame f = {
				.type = (uint8_t)(1 + random_next() % PHX_FRAME_TYPE_COUNT),
				.code = (uint8_t)(random_next() % 20),
				.flags = (uint16_t)(random_next() & PHX_FRAME_F_KNOWN &
						    ~PHX_FRAME_F_PAYLOAD_CRC),
				.epoch = (uint32_t)(random_next() % 3),
				.service = (uint32_t)(random_next() % 3),
				.cookie = (uint32_t)(random_next() % 3),
				.channel = random_next() % 8 ? peer.channel : random_next() % 3,
				.sequence = random_next() % 4,
				.arg = random_next() % 2 ? random_next() % 1000 : random_next(),
				.limit = (uint32_t)(random_next() % 2 ? random_next() % 200000
								      : random_next()),
				.payload_len = (uint32_t)(random_next() % 100),
			};

			rc = wire_frame(peer.wire.lane[random_next() % 8 == 0], &f, body);
		}
		close_peer(&peer);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(server_that_answers_rubbish_is_left),
		BED_TEST(answers_to_nothing_are_dropped),
		BED_TEST(replies_of_anything_end_their_call_once),
		BED_TEST(announcements_of_anything_end_their_call),
		BED_TEST(answers_before_the_call_was_written_end_it),
		BED_TEST(frame_against_the_rules_ends_the_link),
		BED_TEST(random_frames_leave_the_dataplane_alone),
	};

	return bed_main_with(
		argc, argv, "peer", tests, PHX_ARRAY_LEN(tests), wire_setup, wire_teardown);
}
