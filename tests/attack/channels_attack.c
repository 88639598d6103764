// SPDX-License-Identifier: BSD-3-Clause
// A peer with channels without end: what they make the dataplane keep, and how long it looks for
// them.
#include "tests/attack/wire.h"

#include "lib/base/compiler.h"

#include <poll.h>
#include <string.h>

static uint8_t body[PHX_FRAME_BODY_MAX];

// A peer's channels and subscriptions cost memory: there is an end to both.
static void channels_and_subscriptions_have_an_end(void **state)
{
	uint64_t before = bed_resident();
	struct wire wire;
	int rc = 0;

	(void)state;
	for (int round = 0; round < 3; round++) {
		bool refused = false;

		wire_open(&wire);
		for (uint64_t i = 1; rc == 0 && i <= 8000; i++) {
			struct phx_frame f = {.type = PHX_FRAME_OPEN, .epoch = 1, .channel = i};
			struct pollfd p = {.fd = wire.lane[0], .events = POLLIN};

			rc = wire_frame(wire.lane[0], &f, NULL);
			f = (struct phx_frame){.type = PHX_FRAME_SUBSCRIBE,
				.epoch = 1,
				.channel = i,
				.payload_len = 4 + 8 * 1000};
			memset(body, 0, f.payload_len);
			memcpy(body, "g\0n", 4);
			rc |= wire_frame(wire.lane[0], &f, body);
			while (poll(&p, 1, 0) > 0 && wire_read(wire.lane[0], &f, body) == 1)
				refused |= f.type == PHX_FRAME_REFUSED;
		}
		assert_int_equal(rc, 0); // the link carries others too
		assert_true(refused);
		wire_close(&wire);
	}
	if (bed_rounds(10) == 10)
		assert_true(bed_resident() < before + (UINT64_C(256) << 20));
}

// The histories of lost channels are looked through for each channel that opens.
static void lost_channels_cost_the_next_ones_little(void **state)
{
	enum { LOST = 8192 };
	uint64_t took[2], begin;
	struct wire wire;
	struct phx_frame f;

	(void)state;
	for (int round = 0; round < 2; round++) {
		wire_open(&wire);
		begin = phx_clock_ns();
		for (uint64_t i = 1; i <= LOST; i++) {
			struct pollfd p = {.fd = wire.lane[0], .events = POLLIN};

			f = (struct phx_frame){.type = PHX_FRAME_OPEN,
				.epoch = 1,
				.channel = i + 100000 * (uint64_t)round};
			assert_int_equal(wire_frame(wire.lane[0], &f, NULL), 0);
			while (poll(&p, 1, 0) > 0 && wire_read(wire.lane[0], &f, body) == 1)
				;
		}
		f = (struct phx_frame){.type = PHX_FRAME_PING, .arg = 77};
		assert_int_equal(wire_frame(wire.lane[0], &f, NULL), 0);
		do
			assert_true(wire_expect(wire.lane[0], PHX_FRAME_PING, &f, body));
		while (f.arg != 77);
		took[round] = phx_clock_ns() - begin;
		wire_close(&wire);
	}
	if (took[1] > 4 * took[0] + 100 * PHX_NS_PER_MS) // seven times as long in one list
		fail_msg("%llu us, then %llu us", (unsigned long long)took[0] / 1000,
			(unsigned long long)took[1] / 1000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(channels_and_subscriptions_have_an_end),
		BED_TEST(lost_channels_cost_the_next_ones_little),
	};

	return bed_main_with(
		argc, argv, "channels", tests, PHX_ARRAY_LEN(tests), wire_setup, wire_teardown);
}
