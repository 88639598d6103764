// SPDX-License-Identifier: BSD-3-Clause
// What only TCP can do wrong: a peer that is a plain socket and says what it likes, in pieces,
// with damage, or not to the end.
#include "lib/base/bits.h"
#include "lib/base/clock.h"
#include "lib/base/hash.h"
#include "tests/conformance/bed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct bed *bed;
static struct end *end;
static int peer;
static uint32_t done_count;

static int setup_with(bool payload_crc)
{
	bed = bed_create_raw(payload_crc, &peer);
	end = &bed->end[0];
	done_count = 0;
	return 0;
}

static int setup(void **state)
{
	(void)state;
	return setup_with(false);
}

static int setup_crc(void **state)
{
	(void)state;
	return setup_with(true);
}

static int teardown(void **state)
{
	(void)state;
	if (peer >= 0)
		close(peer);
	bed_destroy(bed);
	return 0;
}

static void count_done(struct conn_done *done)
{
	(void)done;
	done_count++;
}

static size_t put_frame(uint8_t *out, struct phx_frame f, bool crc)
{
	uint32_t len = phx_frame_body_len(&f);

	bed_fill(out + PHX_FRAME_HEADER, f.cookie, len);
	if (crc) {
		f.flags |= PHX_FRAME_F_PAYLOAD_CRC;
		f.payload_crc = phx_crc32c(0, out + PHX_FRAME_HEADER, len);
	}
	phx_frame_encode(&f, out);
	return PHX_FRAME_HEADER + len;
}

static void peer_send(const void *data, size_t len)
{
	assert_int_equal(send(peer, data, len, MSG_NOSIGNAL), len);
}

static void peer_close(void)
{
	close(peer);
	peer = -1;
}

static void expect_closed(enum phx_reason reason)
{
	bed_until(bed, end->closed != 0);
	bed_settle(bed);
	assert_int_equal(end->closed, 1);
	assert_string_equal(phx_reason_name(end->reason), phx_reason_name(reason));
}

static void single_bytes_give_whole_frames(void **state)
{
	uint8_t stream[1024];
	size_t len = put_frame(stream, (struct phx_frame){.type = PHX_FRAME_PING}, false);

	(void)state;
	end->use_sink = true;
	len += put_frame(stream + len,
		(struct phx_frame){.type = PHX_FRAME_MESSAGE, .cookie = 1, .payload_len = 100},
		false);
	len += put_frame(stream + len,
		(struct phx_frame){.type = PHX_FRAME_STATUS, .cookie = 2, .text_len = 100}, false);
	for (size_t i = 0; i < len; i++) {
		peer_send(stream + i, 1);
		bed_until(bed, end->conn->rx_bytes == i + 1);
	}
	bed_until(bed, end->next == 3);
	assert_int_equal(end->mistakes, 0);
	assert_int_equal(end->landed, 1);
	assert_int_equal(end->closed, 0);
}

static void every_prefix_then_end_delivers_nothing(void **state)
{
	uint8_t stream[256];
	size_t len = put_frame(
		stream, (struct phx_frame){.type = PHX_FRAME_MESSAGE, .payload_len = 20}, false);

	(void)state;
	for (size_t cut = 0; cut < len; cut++) {
		end->use_sink = cut % 2 != 0;
		peer_send(stream, cut);
		peer_close();
		expect_closed(PHX_REASON_W_RESET);
		assert_int_equal(end->frames + end->landed, 0);
		bed_destroy(bed);
		(void)setup(NULL);
	}
}

static void reset_mid_frame_is_told(void **state)
{
	struct linger hard = {.l_onoff = 1};
	uint8_t stream[256];
	size_t len = put_frame(
		stream, (struct phx_frame){.type = PHX_FRAME_MESSAGE, .payload_len = 20}, false);

	(void)state;
	peer_send(stream, len - 1);
	bed_until(bed, end->conn->rx_bytes == len - 1);
	assert_int_equal(setsockopt(peer, SOL_SOCKET, SO_LINGER, &hard, sizeof(hard)), 0);
	peer_close();
	expect_closed(PHX_REASON_W_RESET);
	assert_int_equal(end->error, -ECONNRESET);
	assert_int_equal(end->frames, 0);
}

static void nonsense_closes_with_its_reason(void **state)
{
	uint8_t bytes[PHX_FRAME_HEADER];
	static const struct {
		unsigned at;
		uint8_t value;
		bool seal;
		enum phx_reason reason;
	} cases[] = {
		{0, 'G', true, PHX_REASON_W_MAGIC},
		{4, PHX_WIRE_MAX + 1, true, PHX_REASON_W_VERSION},
		{40, 1, false, PHX_REASON_W_CRC},
		{10, 2, true, PHX_REASON_W_LENGTH},
		{5, 99, true, PHX_REASON_W_STATE},
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(cases); i++) {
		phx_frame_encode(&(struct phx_frame){.type = PHX_FRAME_PING}, bytes);
		bytes[cases[i].at] = cases[i].value;
		if (cases[i].seal)
			phx_le32_store(bytes + 76, phx_crc32c(0, bytes, 76));
		peer_send(bytes, sizeof(bytes));
		expect_closed(cases[i].reason);
		assert_int_equal(end->frames, 0);
		assert_int_equal(
			end_send(end, &(struct phx_frame){.type = PHX_FRAME_PING}, NULL, 0, NULL),
			-EPIPE);
		close(peer);
		bed_destroy(bed);
		(void)setup(NULL);
	}
}

static void damaged_payload_marks_that_frame_alone(void **state)
{
	uint8_t stream[1024];

	(void)state;
	for (uint32_t cookie = 0; cookie < 9; cookie++) {
		struct phx_frame f = {
			.type = PHX_FRAME_MESSAGE, .cookie = cookie, .payload_len = 300};
		size_t len = put_frame(stream, f, true);

		end->use_sink = cookie >= 5;
		if (cookie % 3 == 1)
			stream[len - 1] ^= 0x10;
		peer_send(stream, len);
		bed_until(bed, end->next == cookie + 1);
		assert_int_equal(end->last.payload_bad, cookie % 3 == 1);
	}
	assert_int_equal(end->bad, 3);
	assert_int_equal(end->conn->crc_errors, 3);
	assert_int_equal(end->mistakes, 0);
	assert_int_equal(end->closed, 0);
}

// An application can change memory that is read in place after it was checksummed.
static void memory_changed_in_place_marks_that_frame_alone(void **state)
{
	static uint8_t memory[32768];
	struct bed *two = bed_create(BED_TCP, true);
	struct conn_done done = {.fn = count_done};
	struct phx_frame f = {.type = PHX_FRAME_MESSAGE, .payload_len = sizeof(memory)};
	struct iovec iov = {memory, sizeof(memory)};

	(void)state;
	bed_fill(memory, 0, sizeof(memory));
	assert_int_equal(end_send(&two->end[0], &f, &iov, 1, &done), 1);
	memory[12345] ^= 1;
	bed_until(two, two->end[1].next == 1 && done_count == 1);
	assert_int_equal(two->end[1].bad, 1);
	f.cookie = 1;
	bed_fill(memory, 1, sizeof(memory));
	assert_int_equal(end_send(&two->end[0], &f, &iov, 1, &done), 1);
	bed_until(two, two->end[1].next == 2);
	assert_int_equal(two->end[1].bad, 1);
	assert_int_equal(two->end[1].mistakes, 0);
	assert_int_equal(two->end[1].closed, 0);
	bed_destroy(two);
}

static void sink_cancel_mid_chunk_leaves_the_memory_alone(void **state)
{
	static uint8_t stream[8192], before[8192];
	size_t len = put_frame(
		stream, (struct phx_frame){.type = PHX_FRAME_MESSAGE, .payload_len = 4000}, false);

	(void)state;
	end->use_sink = true;
	peer_send(stream, 2000);
	bed_until(bed, end->conn->rx_bytes == 2000);
	end->conn->ops->sink_cancel(end->conn);
	memset(end->sink_memory, 0xaa, 4000);
	memset(before, 0xaa, 4000);
	len += put_frame(stream + len, (struct phx_frame){.type = PHX_FRAME_PING}, false);
	peer_send(stream + 2000, len - 2000);
	bed_until(bed, end->frames == 1);
	assert_int_equal(end->landed, 0);
	assert_int_equal(end->last.type, PHX_FRAME_PING);
	assert_memory_equal(end->sink_memory, before, 4000);
}

static void end_of_stream_mid_sink_is_told(void **state)
{
	static uint8_t stream[8192];

	(void)state;
	end->use_sink = true;
	put_frame(
		stream, (struct phx_frame){.type = PHX_FRAME_MESSAGE, .payload_len = 4000}, false);
	peer_send(stream, 2000);
	peer_close();
	expect_closed(PHX_REASON_W_RESET);
	assert_int_equal(end->landed, 0);
}

// The peer reads nothing: what does not fit the socket stays in place until it does.
static void done_waits_for_the_socket(void **state)
{
	static uint8_t memory[PHX_LIMIT_CHUNK_BYTES], read_back[1 << 16];
	static struct conn_done done[4096];
	struct phx_frame f = {.type = PHX_FRAME_MESSAGE, .payload_len = sizeof(memory)};
	struct iovec iov = {memory, sizeof(memory)};
	uint64_t total, got = 0;
	uint32_t sent = 0;
	int rc;

	(void)state;
	for (;;) {
		done[sent].fn = count_done;
		rc = end_send(end, &f, &iov, 1, &done[sent]);
		if (rc == -EAGAIN)
			break;
		assert_int_equal(rc, 1);
		assert_true(++sent < PHX_ARRAY_LEN(done));
		bed_settle(bed);
	}
	assert_true(done_count < sent);
	total = (uint64_t)sent * (sizeof(memory) + PHX_FRAME_HEADER);
	while (got < total) {
		ssize_t n = recv(peer, read_back, sizeof(read_back), MSG_DONTWAIT);

		if (n > 0)
			got += (uint64_t)n;
		bed_rounds(bed, bed_deadline(), "bytes");
	}
	bed_settle(bed);
	assert_int_equal(done_count, sent);
	assert_int_equal(end->writable, 1);
}

static uint64_t frames_at_done;

static void note_done(struct conn_done *done)
{
	count_done(done);
	frames_at_done = end->frames;
}

// What was written amid a round is out of use before an answer to it is told of.
static void done_comes_before_the_answer(void **state)
{
	static uint8_t memory[32768], answer[PHX_FRAME_HEADER];
	struct phx_frame f = {.type = PHX_FRAME_HEADERS, .payload_len = sizeof(memory)};
	struct iovec iov = {memory, sizeof(memory)};
	struct conn_done done = {.fn = note_done};
	uint64_t deadline = bed_deadline();

	(void)state;
	end->conn->flush_frames = 1;
	assert_int_equal(end_send(end, &f, &iov, 1, &done), 1);
	assert_int_equal(done_count, 0); // never from inside send()
	(void)put_frame(answer, (struct phx_frame){.type = PHX_FRAME_STATUS}, false);
	peer_send(answer, sizeof(answer));
	while (end->frames == 0 && phx_clock_ns() < deadline) // no flush between
		(void)end->conn->source.ops->poll(&end->conn->source, end->conn->worker);
	assert_int_equal(end->frames, 1);
	assert_int_equal(done_count, 1);
	assert_int_equal(frames_at_done, 0);
}

#define with(setup_fn, f) cmocka_unit_test_setup_teardown(f, setup_fn, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with(setup, single_bytes_give_whole_frames),
		with(setup, every_prefix_then_end_delivers_nothing),
		with(setup, reset_mid_frame_is_told),
		with(setup, nonsense_closes_with_its_reason),
		with(setup_crc, damaged_payload_marks_that_frame_alone),
		with(setup, memory_changed_in_place_marks_that_frame_alone),
		with(setup, sink_cancel_mid_chunk_leaves_the_memory_alone),
		with(setup, end_of_stream_mid_sink_is_told),
		with(setup, done_waits_for_the_socket),
		with(setup, done_comes_before_the_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
