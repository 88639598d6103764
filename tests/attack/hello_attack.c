// SPDX-License-Identifier: BSD-3-Clause
// Strangers at the door: what comes before the hello, and hellos with a fault (reliability.md group
// W). The connection ends, and nobody else notices. Works with wire.h; links are wire_attack.c.
#include "tests/attack/wire.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/base/hash.h"

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

// ---- before the hello ----

// W-01
static void strangers_are_shown_the_door(void **state)
{
	static const char *const words[] = {"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"\xff\xff\xff\xff\xff\xff\xff\xff", "PHXV", "    "};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(words); i++) {
		int fd = wire_connect();

		assert_int_equal(wire_send(fd, words[i], strlen(words[i]), 0), 0);
		wire_expect_closed(fd);
		(void)close(fd);
		wire_expect_logged("W_MAGIC");
	}
}

static void rubbish_without_end_is_not_read(void **state)
{
	int fd = wire_connect();
	uint64_t bytes[512];

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(bytes); i++)
		bytes[i] = random_next();
	for (int i = 0; i < 10000; i++)
		if (wire_send(fd, bytes, sizeof(bytes), 0) != 0)
			break;
	wire_expect_closed(fd);
	(void)close(fd);
}

// W-02 to W-05: a hello with one thing wrong.
static void hello_with_a_fault_is_refused(void **state)
{
	static const struct {
		unsigned at, size;
		uint64_t value;
		bool repair; // the CRC of the header
		const char *reason;
	} rows[] = {
		{4, 1, 0, true, "W_VERSION"}, {4, 1, 2, true, "W_VERSION"},
		{4, 1, 255, true, "W_VERSION"}, {5, 1, 0, true, "W_STATE"},
		{5, 1, PHX_FRAME_OPEN, true, "W_STATE"}, {5, 1, 200, true, "W_STATE"},
		{8, 4, PHX_LIMIT_CHUNK_BYTES + 1, true, "W_LENGTH"},
		{8, 4, UINT32_MAX, true, "W_LENGTH"}, {8, 4, 0, true, "W_STATE"},
		{12, 2, PHX_LIMIT_METADATA_BYTES + 1, true, "W_LENGTH"},
		{14, 2, PHX_LIMIT_STATUS_TEXT_BYTES + 1, true, "W_LENGTH"},
		{19, 1, 1, true, "W_LENGTH"}, // reserved
		{34, 2, 1, true, "W_LENGTH"}, {72, 4, 1, true, "W_LENGTH"},
		{40, 8, 7, false, "W_CRC"}, {80, 4, 0, false, "W_MAGIC"}, // of the hello
		{84, 2, 9, false, "W_VERSION"},
		{80 + 40, 1, 7, false, "W_STATE"}, // a lane that is none
		{80 + 41, 1, 0, false, "W_STATE"}, {80 + 46, 2, 0, false, "W_STATE"}, // no workers
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		uint8_t bytes[PHX_FRAME_HEADER + PHX_WIRE_HELLO_BYTES];
		size_t len = wire_hello(bytes, 1000 + i, 0);
		int fd = wire_connect();

		for (unsigned k = 0; k < rows[i].size; k++)
			bytes[rows[i].at + k] = (uint8_t)(rows[i].value >> 8 * k);
		if (rows[i].repair)
			phx_le32_store(bytes + 76, phx_crc32c(0, bytes, 76));
		assert_int_equal(wire_send(fd, bytes, len, 0), 0);
		wire_expect_closed(fd);
		(void)close(fd);
		wire_expect_logged(rows[i].reason);
	}
}

// Both sides' versions are told.
static void hello_of_another_version_says_which(void **state)
{
	uint8_t bytes[PHX_FRAME_HEADER + PHX_WIRE_HELLO_BYTES];
	size_t len = wire_hello(bytes, 1, 0);
	int fd = wire_connect();
	struct phx_frame f;

	(void)state;
	phx_le16_store(bytes + PHX_FRAME_HEADER + 4, 7);
	phx_le16_store(bytes + PHX_FRAME_HEADER + 6, 9);
	assert_int_equal(wire_send(fd, bytes, len, 0), 0);
	assert_true(wire_expect(fd, PHX_FRAME_REFUSED, &f, body));
	assert_int_equal(f.reason, PHX_REASON_W_VERSION);
	body[f.meta_len + f.text_len] = '\0';
	assert_non_null(strstr(
		(const char *)body + f.meta_len, "this side speaks 1 to 1, the other 7 to 9"));
	(void)close(fd);
	wire_expect_logged("W_VERSION");
}

// W-05: each bit of the header flipped.
static void hello_with_any_bit_flipped_makes_no_link(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit<PHX_FRAME_HEADER * 8; bit += bed_rounds(10)> 5 ? 1 : 7) {
		uint8_t bytes[PHX_FRAME_HEADER + PHX_WIRE_HELLO_BYTES];
		size_t len = wire_hello(bytes, 2000 + bit, 0);
		int fd = wire_connect();

		bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
		(void)wire_send(fd, bytes, len, 0);
		wire_expect_closed(fd);
		(void)close(fd);
	}
}

// W-07: every beginning of a hello.
static void hello_cut_off_anywhere_leaves_nothing(void **state)
{
	uint8_t bytes[PHX_FRAME_HEADER + PHX_WIRE_HELLO_BYTES];
	size_t len = wire_hello(bytes, 3000, 0);

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		int fd = wire_connect();

		assert_int_equal(wire_send(fd, bytes, cut, 0), 0);
		(void)close(fd);
	}
}

// W-08
static void hello_byte_by_byte_is_understood(void **state)
{
	struct wire wire = {.token = 4000};
	struct phx_frame f;

	(void)state;
	for (uint8_t lane = 0; lane < PHX_LANE_COUNT; lane++) {
		uint8_t bytes[PHX_FRAME_HEADER + PHX_WIRE_HELLO_BYTES];
		size_t len = wire_hello(bytes, wire.token, lane);

		wire.lane[lane] = wire_connect();
		assert_int_equal(wire_send(wire.lane[lane], bytes, len, 1), 0);
		assert_true(wire_expect(wire.lane[lane], PHX_FRAME_HELLO, &f, body));
	}
	f = (struct phx_frame){.type = PHX_FRAME_PING, .arg = 77};
	assert_int_equal(wire_frame(wire.lane[0], &f, NULL), 0);
	assert_true(wire_expect(wire.lane[0], PHX_FRAME_PING, &f, body));
	assert_int_equal(f.arg, 77);
	wire_close(&wire);
}

// W-23: connections that never say hello, and halves of links.
static void half_links_keep_the_door_open(void **state)
{
	static int silent[300], halves[60];
	struct wire wire;

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(silent); i++)
		silent[i] = wire_connect();
	for (size_t i = 0; i < PHX_ARRAY_LEN(halves); i++) {
		uint8_t bytes[PHX_FRAME_HEADER + PHX_WIRE_HELLO_BYTES];

		halves[i] = wire_connect();
		(void)wire_send(halves[i], bytes, wire_hello(bytes, 5000 + i, 1), 0);
	}
	wire_open(&wire);
	wire_close(&wire);
	for (size_t i = 0; i < PHX_ARRAY_LEN(silent); i++)
		(void)close(silent[i]);
	for (size_t i = 0; i < PHX_ARRAY_LEN(halves); i++)
		(void)close(halves[i]);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(strangers_are_shown_the_door),
		BED_TEST(rubbish_without_end_is_not_read),
		BED_TEST(hello_with_a_fault_is_refused),
		BED_TEST(hello_of_another_version_says_which),
		BED_TEST(hello_with_any_bit_flipped_makes_no_link),
		BED_TEST(hello_cut_off_anywhere_leaves_nothing),
		BED_TEST(hello_byte_by_byte_is_understood),
		BED_TEST(half_links_keep_the_door_open),
	};

	return bed_main_with(
		argc, argv, "hello", tests, PHX_ARRAY_LEN(tests), wire_setup, wire_teardown);
}
