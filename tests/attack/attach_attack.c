// SPDX-License-Identifier: BSD-3-Clause
// app.sock against a running dataplane: descriptors, hellos, packets of any shape, connections
// without end: reliability.md group F and T-12.
#include "tests/attack/raw.h"

#include "lib/base/compiler.h"
#include "lib/base/hash.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

static uint64_t random_state = 1;

static uint64_t random_next(void)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	return phx_mix64(random_state);
}

static void fill_header(void *packet, uint16_t type, size_t size)
{
	const struct phx_attach_header h = {type, 0, (uint32_t)size, 7};

	memcpy(packet, &h, sizeof(h));
}

// F-01, F-03: descriptors with any message, as many as the kernel lets pass.
static void descriptors_disconnect_and_are_closed(void **state)
{
	static const unsigned counts[] = {1, 2, 16, 253};
	int fds[253];

	(void)state;
	for (size_t i = 0; i < 253; i++)
		fds[i] = STDERR_FILENO;
	for (size_t i = 0; i < PHX_ARRAY_LEN(counts); i++) {
		struct phx_attach_hello_req req;
		struct phx_attach_header h = {PHX_ATTACH_GOODBYE, 0, sizeof(h), 5};
		struct raw raw;

		raw_connect(&raw);
		raw_hello_fill(&req);
		fill_header(&req, PHX_ATTACH_HELLO, sizeof(req));
		assert_int_equal(raw_send(&raw, &req, sizeof(req), fds, counts[i]), 0);
		raw_expect(&raw, PHX_REASON_FD_UNEXPECTED);
		raw_close(&raw);
		raw_open(&raw, NULL);
		assert_int_equal(raw_send(&raw, &h, sizeof(h), fds, counts[i]), 0);
		raw_expect(&raw, PHX_REASON_FD_UNEXPECTED);
		raw_close(&raw);
	}
}

// F-02: descriptors that would do something if anybody touched them.
static void descriptors_of_every_kind_disconnect(void **state)
{
	(void)state;
	for (int kind = 0; kind < 5; kind++) {
		struct phx_attach_header h = {PHX_ATTACH_GOODBYE, 0, sizeof(h), 5};
		int pair[2] = {-1, -1}, fd = -1;
		struct raw raw;

		raw_open(&raw, NULL);
		switch (kind) {
		case 0:
			fd = dup(raw.client.fd); // itself
			break;
		case 1:
			fd = epoll_create1(EPOLL_CLOEXEC);
			break;
		case 2:
			fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
			break;
		case 3:
			assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
			fd = dup(pair[1]);
			break;
		default:
			fd = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
			break;
		}
		assert_true(fd >= 0);
		assert_int_equal(raw_send(&raw, &h, sizeof(h), &fd, 1), 0);
		(void)close(fd);
		raw_expect(&raw, PHX_REASON_FD_UNEXPECTED);
		for (int i = 0; i < 2; i++)
			if (pair[i] >= 0)
				(void)close(pair[i]);
		raw_close(&raw);
	}
}

// Headers that no library writes.
static void header_impossible_disconnects(void **state)
{
	static const struct {
		struct phx_attach_header h;
		size_t size; // sent
		enum phx_reason reason;
	} rows[] = {
		{{PHX_ATTACH_GOODBYE, 0, 16, 0}, 16, PHX_REASON_HELLO_STATE}, // id of events
		{{PHX_ATTACH_GOODBYE, 1, 16, 1}, 16, PHX_REASON_HELLO_STATE}, // flags
		{{PHX_ATTACH_GOODBYE, 0, 17, 1}, 16, PHX_REASON_HELLO_STATE}, // size
		{{PHX_ATTACH_GOODBYE, 0, 0, 1}, 16, PHX_REASON_HELLO_STATE},
		{{PHX_ATTACH_GOODBYE, 0, 24, 1}, 24, PHX_REASON_HELLO_STATE}, // too long
		{{PHX_ATTACH_GOODBYE, 0, 8, 1}, 8, PHX_REASON_HELLO_STATE},   // half a header
		{{0, 0, 16, 1}, 16, PHX_REASON_DESC_KIND},
		{{13, 0, 16, 1}, 16, PHX_REASON_DESC_KIND},
		{{PHX_ATTACH_REPLY, 0, 16, 1}, 16, PHX_REASON_DESC_KIND},
		{{UINT16_MAX, 0, 16, 1}, 16, PHX_REASON_DESC_KIND},
		{{PHX_ATTACH_HELLO, 0, 16, 1}, 16, PHX_REASON_HELLO_STATE}, // too short
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		uint8_t packet[64] = {0};
		struct raw raw;

		raw_connect(&raw);
		memcpy(packet, &rows[i].h, sizeof(rows[i].h));
		assert_int_equal(raw_send(&raw, packet, rows[i].size, NULL, 0), 0);
		raw_expect(&raw, rows[i].reason);
		raw_close(&raw);
	}
}

static void hello_of_no_version_is_refused(void **state)
{
	static const struct {
		uint32_t magic;
		uint16_t min, max;
	} rows[] = {
		{0, PHX_ATTACH_MIN, PHX_ATTACH_MAX},
		{PHX_ATTACH_MAGIC, PHX_ATTACH_MAX + 1, UINT16_MAX},
		{PHX_ATTACH_MAGIC, 0, 0},
		{PHX_ATTACH_MAGIC, UINT16_MAX, 0},
		{PHX_ATTACH_MAGIC, 2, 1},
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		struct phx_attach_hello_req req;
		enum phx_reason reason;
		struct raw raw;

		raw_connect(&raw);
		raw_hello_fill(&req);
		req.hello.magic = rows[i].magic;
		req.hello.min = rows[i].min;
		req.hello.max = rows[i].max;
		reason = raw_hello(&raw, &req, NULL);
		assert_string_equal(phx_reason_name(reason), "HELLO_VERSION");
		raw_close(&raw);
	}
}

// Names and quotas at their ends: never a string without end, never more than the limits.
static void hello_with_extreme_values_is_served(void **state)
{
	struct phx_attach_hello_req req;
	struct phx_attach_answer answer;
	struct raw raw;

	(void)state;
	for (int i = 0; i < 3; i++) {
		raw_connect(&raw);
		raw_hello_fill(&req);
		memset(req.name, 0x1b, sizeof(req.name)); // escape sequences, no NUL
		memset(req.library, 0xff, sizeof(req.library));
		req.send_quota = i == 0 ? UINT64_MAX : 1;
		req.recv_quota = i == 1 ? UINT64_MAX : 1;
		req.hello.features = UINT64_MAX;
		assert_int_equal(raw_hello(&raw, &req, &answer), PHX_REASON_NONE);
		phx_attach_answer_fini(&answer);
		raw_close(&raw);
	}
}

// F-11: a hello that stops after each of its steps.
static void hello_interrupted_anywhere_leaves_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < bed_rounds(100); i++) {
		struct phx_attach_hello_req req;
		struct phx_attach_mapped mapped[4] = {{.object = 0, .index = 0},
			{.object = 1, .index = 0}, {.object = 0, .index = 1},
			{.object = 1, .index = 1}};
		unsigned steps = i % 7;
		struct raw raw;

		raw_connect(&raw);
		raw_hello_fill(&req);
		fill_header(&req, PHX_ATTACH_HELLO, sizeof(req));
		// Without reading a single answer.
		if (steps > 0)
			assert_int_equal(raw_send(&raw, &req, sizeof(req), NULL, 0), 0);
		for (unsigned k = 0; k + 1 < steps && k < 4; k++) {
			fill_header(&mapped[k], PHX_ATTACH_MAPPED, sizeof(mapped[k]));
			assert_int_equal(raw_send(&raw, &mapped[k], sizeof(mapped[k]), NULL, 0), 0);
		}
		raw_close(&raw);
	}
}

static void silence_ends_after_five_seconds(void **state)
{
	uint64_t begin = phx_clock_ns();
	struct phx_attach_hello_req req;
	struct raw silent, half;

	(void)state;
	raw_connect(&silent);
	raw_connect(&half); // says hello, then never maps
	raw_hello_fill(&req);
	fill_header(&req, PHX_ATTACH_HELLO, sizeof(req));
	assert_int_equal(raw_send(&half, &req, sizeof(req), NULL, 0), 0);
	raw_expect(&silent, PHX_REASON_HELLO_TIMEOUT);
	raw_expect(&half, PHX_REASON_HELLO_TIMEOUT);
	assert_true(phx_clock_ns() - begin >= PHX_ATTACH_HELLO_NS - 100 * PHX_NS_PER_MS);
	raw_close(&silent);
	raw_close(&half);
}

// W-23, J-13 of this socket: connections that say nothing make room for those that do.
static void flood_of_silent_connections_keeps_the_door_open(void **state)
{
	static struct raw silent[400];
	struct raw raw;

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(silent); i++)
		raw_connect(&silent[i]);
	raw_open(&raw, NULL);
	raw_sub(&raw, (struct phx_sub_entry){.kind = PHX_SUB_CALL, .channel = 9}, 0);
	assert_int_equal(raw_comp(&raw).kind, PHX_COMP_CALL);
	raw_close(&raw);
	for (size_t i = 0; i < PHX_ARRAY_LEN(silent); i++)
		raw_close(&silent[i]);
}

// F-04: the dataplane has no descriptor left for those who knock.
static void door_without_descriptors_does_not_spin(void **state)
{
	static struct raw silent[40];
	struct rlimit before, few = {.rlim_cur = bed.quiet.fds + 12, .rlim_max = 0};
	struct raw raw;

	(void)state;
	assert_int_equal(prlimit(bed.dataplane, RLIMIT_NOFILE, NULL, &before), 0);
	few.rlim_max = before.rlim_max;
	assert_int_equal(prlimit(bed.dataplane, RLIMIT_NOFILE, &few, NULL), 0);
	for (size_t i = 0; i < PHX_ARRAY_LEN(silent); i++)
		raw_connect(&silent[i]);
	// The last one gets its answer: an end, since there was no descriptor for it.
	(void)raw_expect_any(&silent[PHX_ARRAY_LEN(silent) - 1]);
	assert_int_equal(prlimit(bed.dataplane, RLIMIT_NOFILE, &before, NULL), 0);
	for (size_t i = 0; i < PHX_ARRAY_LEN(silent); i++)
		raw_close(&silent[i]);
	raw_open(&raw, NULL);
	raw_close(&raw);
}

static void connections_that_come_and_go_leave_nothing(void **state)
{
	(void)state;
	for (unsigned i = 0; i < bed_rounds(2000); i++) {
		struct raw raw;

		raw_connect(&raw);
		raw_close(&raw);
	}
}

// F-10: an application that asks and never reads.
static void answers_never_read_disconnect(void **state)
{
	struct raw raw;

	(void)state;
	raw_open(&raw, NULL);
	for (unsigned i = 0; i < 100000; i++) {
		struct phx_attach_heap_grow grow = {.size = 4096};
		int rc;

		fill_header(&grow, PHX_ATTACH_HEAP_GROW, sizeof(grow));
		rc = raw_send(&raw, &grow, sizeof(grow), NULL, 0);
		if (rc == -EPIPE || rc == -ECONNRESET)
			break;
		if (rc == -EAGAIN)
			bed_pause();
	}
	(void)raw_expect_any(&raw); // the event found no room either
	raw_close(&raw);
}

// Requests in any order with any contents: each is answered or ends the session.
static void random_packets_are_answered_or_disconnect(void **state)
{
	(void)state;
	for (unsigned i = 0; i < bed_rounds(300); i++) {
		struct raw raw;

		if (i % 3 == 0)
			raw_connect(&raw);
		else
			raw_open(&raw, NULL);
		for (unsigned k = 0; k < 20 && !raw_over(&raw); k++) {
			uint64_t packet[64];
			size_t size = 16 + random_next() % 200;
			uint16_t type = (uint16_t)(random_next() % 14);

			for (size_t w = 0; w < PHX_ARRAY_LEN(packet); w++)
				packet[w] = random_next() % 3 ? random_next() % 4 : random_next();
			if (random_next() % 4) // the size that the type has
				size = type == PHX_ATTACH_HEAP_GROW || type == PHX_ATTACH_MAPPED ||
						       type == PHX_ATTACH_QUEUE_FD ||
						       type == PHX_ATTACH_CHANNEL_CLOSE ||
						       type == PHX_ATTACH_UNREGISTER
					       ? 24
					       : 32;
			fill_header(packet, type, size);
			(void)raw_send(&raw, packet, size, NULL, 0);
		}
		raw_close(&raw);
	}
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(descriptors_disconnect_and_are_closed),
		BED_TEST(descriptors_of_every_kind_disconnect),
		BED_TEST(header_impossible_disconnects),
		BED_TEST(hello_of_no_version_is_refused),
		BED_TEST(hello_with_extreme_values_is_served),
		BED_TEST(hello_interrupted_anywhere_leaves_nothing),
		BED_TEST(silence_ends_after_five_seconds),
		BED_TEST(flood_of_silent_connections_keeps_the_door_open),
		BED_TEST(door_without_descriptors_does_not_spin),
		BED_TEST(connections_that_come_and_go_leave_nothing),
		BED_TEST(answers_never_read_disconnect),
		BED_TEST(random_packets_are_answered_or_disconnect),
	};

	return bed_main(argc, argv, "attach", tests, PHX_ARRAY_LEN(tests));
}
