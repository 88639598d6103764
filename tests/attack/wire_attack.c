// SPDX-License-Identifier: BSD-3-Clause
// A peer that lies, over TCP: reliability.md group W. What is wrong before or in the framing ends
// that connection, what is wrong in a call ends that call, and nobody else notices.
#include "tests/attack/wire.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/base/hash.h"

#include <errno.h>
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

// ---- on a link ----

// Frames that end the link.
static void frame_against_the_rules_ends_the_link(void **state)
{
	const struct {
		struct phx_frame f;
		const char *reason;
	} rows[] = {
		{{.type = PHX_FRAME_HELLO, .channel = 99, .epoch = 1}, "W_STATE"},
		{{.type = PHX_FRAME_OPEN, .channel = 1}, "W_STATE"},		  // epoch 0
		{{.type = PHX_FRAME_OPEN, .channel = 99, .epoch = 1}, "W_STATE"}, // twice
		{{.type = PHX_FRAME_SUBSCRIBE, .channel = 99, .epoch = 1}, "W_LENGTH"},
		{{.type = PHX_FRAME_SUBSCRIBE, .channel = 99, .epoch = 1, .payload_len = 4},
			"W_LENGTH"},
		{{.type = PHX_FRAME_HEADERS, .channel = 99, .epoch = 1, .sequence = 0}, "W_CALLID"},
		{{.type = PHX_FRAME_HEADERS, .channel = 99, .epoch = 1, .sequence = 2}, "W_CALLID"},
		{{.type = PHX_FRAME_HEADERS, .channel = 99, .epoch = 1, .sequence = UINT64_MAX},
			"W_CALLID"},
		{{.type = PHX_FRAME_HEADERS,
			 .channel = 99,
			 .epoch = 1,
			 .sequence = 1,
			 .service = 500,
			 .flags = PHX_FRAME_F_MESSAGE | PHX_FRAME_F_HALF_CLOSE},
			"W_STATE"},
		// Times are asked for, and its hello has not said that it may ask.
		{{.type = PHX_FRAME_HEADERS,
			 .channel = 99,
			 .epoch = 1,
			 .sequence = 1,
			 .flags = PHX_FRAME_F_MESSAGE | PHX_FRAME_F_HALF_CLOSE | PHX_FRAME_F_TRACE},
			"W_STATE"},
		{{.type = PHX_FRAME_TRACE, .channel = 99, .epoch = 1}, "W_STATE"},
		{{.type = PHX_FRAME_SERVICE_UP, .channel = 99, .epoch = 1}, "W_STATE"},
		{{.type = PHX_FRAME_OPENED, .channel = 99, .epoch = 1}, "W_STATE"},
		{{.type = PHX_FRAME_CREDIT, .channel = 99, .epoch = 1}, "W_STATE"},
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		struct wire wire;

		wire_open(&wire);
		wire_channel(&wire, 99);
		memset(body, 'x', 64);
		assert_int_equal(wire_frame(wire.lane[0], &rows[i].f, body), 0);
		wire_expect_closed(wire.lane[0]);
		wire_expect_closed(wire.lane[1]);
		wire_close(&wire);
		wire_expect_logged(rows[i].reason);
	}
}

// W-11, W-13, W-15: frames for nothing are dropped.
static void frame_for_nothing_is_dropped(void **state)
{
	const struct phx_frame rows[] = {
		{.type = PHX_FRAME_STATUS, .flags = PHX_FRAME_F_REPLY, .channel = 5, .sequence = 9},
		{.type = PHX_FRAME_CANCEL, .channel = 99, .epoch = 1, .sequence = 1000},
		{.type = PHX_FRAME_CANCEL, .channel = 77, .epoch = 1, .sequence = 1},
		{.type = PHX_FRAME_GRANT, .channel = 99, .epoch = 1, .sequence = 1000},
		{.type = PHX_FRAME_HEADERS, .channel = 98, .epoch = 1, .sequence = 1}, // no channel
		{.type = PHX_FRAME_HEADERS, .channel = 99, .epoch = 7, .sequence = 1}, // epoch
		{.type = PHX_FRAME_MESSAGE, .channel = 99, .epoch = 1, .sequence = 1},
		{.type = PHX_FRAME_PING, .flags = PHX_FRAME_F_REPLY, .arg = 12345},
		{.type = 200, .flags = PHX_FRAME_F_IGNORABLE},
	};
	struct phx_frame f;
	struct wire wire;

	(void)state;
	wire_open(&wire);
	wire_channel(&wire, 99);
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		assert_int_equal(wire_frame(wire.lane[0], &rows[i], NULL), 0);
		f = (struct phx_frame){.type = PHX_FRAME_PING, .arg = i};
		assert_int_equal(wire_frame(wire.lane[0], &f, NULL), 0);
		assert_true(wire_expect(wire.lane[0], PHX_FRAME_PING, &f, body));
	}
	wire_close(&wire);
}

static struct phx_frame headers(uint64_t sequence, uint32_t len)
{
	return (struct phx_frame){
		.type = PHX_FRAME_HEADERS,
		.flags = PHX_FRAME_F_MESSAGE | PHX_FRAME_F_HALF_CLOSE,
		.channel = 99,
		.epoch = 1,
		.sequence = sequence,
		.arg = UINT64_MAX,
		.cookie = (uint32_t)sequence,
		.payload_len = len,
	};
}

// D-05, D-11, W-06 over the wire: content that is wrong ends its call, with the link alive.
static void content_of_anything_ends_that_call_only(void **state)
{
	unsigned ok = 0, refused = 0, rounds = bed_rounds(2000);
	struct wire wire;

	(void)state;
	wire_open(&wire);
	wire_channel(&wire, 99);
	for (uint64_t i = 1; i <= rounds; i++) {
		struct phx_frame f = headers(i, (uint32_t)(random_next() % 80));
		uint64_t *words = (uint64_t *)(void *)body;

		for (int w = 0; w < 16; w++)
			words[w] = random_next() % 2 ? random_next() % 64 : random_next();
		if (i % 2)
			f.flags |= PHX_FRAME_F_PROTOBUF;
		if (i % 8 == 1) { // field 1, a string
			body[0] = 0x0a;
			body[1] = 5;
			f.payload_len = 7;
			memcpy(body + 2, i % 16 == 1 ? "hello" : "\xff\xfe\xfd\x80\x80", 5);
		}
		if (i % 7 == 0) {
			f.flags |= PHX_FRAME_F_PAYLOAD_CRC;
			f.payload_crc = (uint32_t)random_next();
		}
		if (i % 11 == 0) {
			f.meta_len = (uint16_t)(random_next() % 40);
			f.flags &= (uint16_t)~PHX_FRAME_F_PAYLOAD_CRC;
		}
		if (i % 13 == 0)
			f.method = (uint16_t)random_next();
		assert_int_equal(wire_frame(wire.lane[0], &f, body), 0);
		assert_true(wire_expect(wire.lane[0], PHX_FRAME_STATUS, &f, body));
		assert_int_equal(f.sequence, i);
		ok += f.code == PHX_OK;
		refused += f.code != PHX_OK;
	}
	assert_true(ok > rounds / 40 && refused > rounds / 4);
	wire_close(&wire);
}

// W-16: a call again.
static void call_sent_twice_ends_the_link(void **state)
{
	struct phx_frame f = headers(1, 2);
	struct wire wire;

	(void)state;
	wire_open(&wire);
	wire_channel(&wire, 99);
	f.flags |= PHX_FRAME_F_PROTOBUF;
	memcpy(body, "\x0a\x00", 2);
	assert_int_equal(wire_frame(wire.lane[0], &f, body), 0);
	assert_int_equal(wire_frame(wire.lane[0], &f, body), 0);
	wire_expect_closed(wire.lane[0]);
	wire_expect_logged("W_CALLID");
	wire_close(&wire);
}

// W-17: more calls than credit; the answers are never read.
static void calls_beyond_credit_end_the_link(void **state)
{
	struct wire wire;
	int rc = 0;

	(void)state;
	wire_open(&wire);
	wire_channel(&wire, 99);
	for (uint64_t i = 1; rc == 0 && i < 200000; i++) {
		struct phx_frame f = headers(i, 0);

		f.flags = PHX_FRAME_F_ANNOUNCED | PHX_FRAME_F_HALF_CLOSE | PHX_FRAME_F_PROTOBUF;
		f.limit = 100000; // granted, and then nothing comes
		rc = wire_frame(wire.lane[0], &f, NULL);
	}
	wire_expect_closed(wire.lane[0]);
	wire_expect_logged("W_CREDIT");
	wire_close(&wire);
}

// W-09: chunks that are too many, too far, too late, for nothing.
static void chunks_of_anything_end_that_call_only(void **state)
{
	struct phx_frame f;
	struct wire wire;

	(void)state;
	wire_open(&wire);
	wire_channel(&wire, 99);
	for (uint64_t i = 1; i <= bed_rounds(50); i++) {
		f = headers(i, 0);
		f.flags = PHX_FRAME_F_ANNOUNCED | PHX_FRAME_F_HALF_CLOSE | PHX_FRAME_F_PROTOBUF;
		f.limit = 100000;
		assert_int_equal(wire_frame(wire.lane[0], &f, NULL), 0);
		assert_true(wire_expect(wire.lane[0], PHX_FRAME_GRANT, &f, body));
		for (int k = 0; k < 4; k++) {
			f = (struct phx_frame){.type = PHX_FRAME_MESSAGE,
				.flags = PHX_FRAME_F_MESSAGE | PHX_FRAME_F_PROTOBUF,
				.epoch = 1,
				.channel = 99,
				.sequence = i,
				.cookie = (uint32_t)i,
				.number = 1,
				.arg = random_next() % 3 == 0 ? random_next()
							      : random_next() % 120000,
				.payload_len = (uint32_t)(1 + random_next() % 60000)};
			assert_int_equal(wire_frame(wire.lane[1], &f, body), 0);
		}
		f = (struct phx_frame){
			.type = PHX_FRAME_CANCEL, .epoch = 1, .channel = 99, .sequence = i};
		assert_int_equal(wire_frame(wire.lane[0], &f, NULL), 0);
	}
	f = (struct phx_frame){.type = PHX_FRAME_PING, .arg = 5};
	assert_int_equal(wire_frame(wire.lane[0], &f, NULL), 0);
	assert_true(wire_expect(wire.lane[0], PHX_FRAME_PING, &f, body));
	wire_close(&wire);
}

static void ping(const struct wire *wire, unsigned lane)
{
	struct phx_frame f = {.type = PHX_FRAME_PING, .arg = 5};

	assert_int_equal(wire_frame(wire->lane[lane], &f, NULL), 0);
	assert_true(wire_expect(wire->lane[0], PHX_FRAME_PING, &f, body));
}

// W-09: the same chunk on both lanes at once, so that more seems to have come than was announced;
// then what lies behind the end.
static void chunks_on_both_lanes_are_taken_from_one(void **state)
{
	struct phx_frame f = headers(1, 0);
	uint8_t header[PHX_FRAME_HEADER];
	struct wire wire;

	(void)state;
	wire_open(&wire);
	wire_channel(&wire, 99);
	f.flags = PHX_FRAME_F_ANNOUNCED | PHX_FRAME_F_HALF_CLOSE | PHX_FRAME_F_PROTOBUF;
	f.limit = 100000;
	assert_int_equal(wire_frame(wire.lane[0], &f, NULL), 0);
	assert_true(wire_expect(wire.lane[0], PHX_FRAME_GRANT, &f, body));
	memset(body, 'x', PHX_LIMIT_CHUNK_BYTES);
	memcpy(body, "\x0a\x9c\x8d\x06", 4); // field 1: 99,996 bytes
	f = (struct phx_frame){.type = PHX_FRAME_MESSAGE,
		.flags = PHX_FRAME_F_MESSAGE | PHX_FRAME_F_PROTOBUF,
		.epoch = 1,
		.channel = 99,
		.sequence = 1,
		.cookie = 1,
		.number = 1,
		.payload_len = PHX_LIMIT_CHUNK_BYTES};
	phx_frame_encode(&f, header);
	assert_int_equal(wire_send(wire.lane[0], header, sizeof(header), 0), 0);
	assert_int_equal(wire_send(wire.lane[0], body, 1, 0), 0);
	assert_int_equal(wire_frame(wire.lane[1], &f, body), 0);
	ping(&wire, 1);
	assert_int_equal(wire_send(wire.lane[0], body, PHX_LIMIT_CHUNK_BYTES - 1, 0), 0);
	memset(body, 'x', PHX_LIMIT_CHUNK_BYTES);
	for (unsigned i = 2; i < 6; i++) {
		f.arg = (uint64_t)i * PHX_LIMIT_CHUNK_BYTES;
		assert_int_equal(wire_frame(wire.lane[1], &f, body), 0);
	}
	ping(&wire, 0);
	memset(body, 'x', PHX_LIMIT_CHUNK_BYTES);
	f.arg = PHX_LIMIT_CHUNK_BYTES;
	f.payload_len = 100000 - PHX_LIMIT_CHUNK_BYTES;
	assert_int_equal(wire_frame(wire.lane[1], &f, body), 0);
	assert_true(wire_expect(wire.lane[0], PHX_FRAME_STATUS, &f, body));
	assert_int_equal(f.code, PHX_OK);
	wire_close(&wire);
}

// W-21: a peer that reads, and answers nothing.
static void silence_on_a_link_ends_it(void **state)
{
	struct wire wire;

	(void)state;
	wire_open(&wire);
	wire_channel(&wire, 99);
	wire_expect_closed(wire.lane[0]);
	wire_expect_logged("W_IDLE");
	wire_close(&wire);
}

// Anything after the hello, with correct checksums.
static void random_frames_leave_the_dataplane_alone(void **state)
{
	(void)state;
	for (unsigned i = 0; i < bed_rounds(100); i++) {
		struct wire wire;
		int rc = 0;

		wire_open(&wire);
		if (i % 2)
			wire_channel(&wire, 99);
		for (int k = 0; k < 100 && rc == 0; k++) {
			struct phx_frame f = {
				.type = (uint8_t)(random_next() % (PHX_FRAME_TYPE_COUNT + 1)),
				.code = (uint8_t)(random_next() % 20),
				.flags = (uint16_t)(random_next() & PHX_FRAME_F_KNOWN &
						    ~PHX_FRAME_F_PAYLOAD_CRC),
				.epoch = (uint32_t)(random_next() % 3),
				.service = (uint32_t)(random_next() % 3),
				.method = (uint16_t)(random_next() % 3),
				.cookie = (uint32_t)random_next() % 4,
				.channel = random_next() % 4 ? 99 : random_next() % 3,
				.sequence = random_next() % 8 ? (uint64_t)k : random_next(),
				.arg = random_next() % 2 ? random_next() % 1000 : random_next(),
				.limit = (uint32_t)(random_next() % 2 ? random_next() % 200000
								      : random_next()),
				.payload_len = (uint32_t)(random_next() % 100),
			};

			rc = wire_frame(wire.lane[random_next() % 8 == 0], &f, body);
		}
		wire_close(&wire);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(frame_against_the_rules_ends_the_link),
		BED_TEST(frame_for_nothing_is_dropped),
		BED_TEST(content_of_anything_ends_that_call_only),
		BED_TEST(call_sent_twice_ends_the_link),
		BED_TEST(calls_beyond_credit_end_the_link),
		BED_TEST(chunks_of_anything_end_that_call_only),
		BED_TEST(chunks_on_both_lanes_are_taken_from_one),
		BED_TEST(silence_on_a_link_ends_it),
		BED_TEST(random_frames_leave_the_dataplane_alone),
	};

	return bed_main_with(
		argc, argv, "wire", tests, PHX_ARRAY_LEN(tests), wire_setup, wire_teardown);
}
