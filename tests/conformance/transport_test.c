// SPDX-License-Identifier: BSD-3-Clause
// What every transport promises (dataplane/transport/transport.h), unchanged over each of them.
// The argument names it: local, local-cross (two workers), tcp, tcp-crc.
#include "tests/conformance/bed.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static enum bed_kind kind;
static bool payload_crc;
static struct bed *bed;
static uint8_t body[PHX_FRAME_BODY_MAX];
static uint32_t done_count;

static int setup(void **state)
{
	(void)state;
	bed = bed_create(kind, payload_crc);
	done_count = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		assert_int_equal(bed->end[i].nested, 0);
	bed_destroy(bed);
	return 0;
}

static void count_done(struct conn_done *done)
{
	(void)done;
	done_count++;
}

// Send one frame, waiting for room as a link layer would; returns what send() said at last.
static int send_body(struct end *from, struct phx_frame frame, int pieces, struct conn_done *done)
{
	struct iovec iov[CONN_IOV_MAX];
	uint32_t len = phx_frame_body_len(&frame), at = 0, writable;
	int rc;

	for (int i = 0; i < pieces; i++) {
		uint32_t n = i == pieces - 1 ? len - at : len / (uint32_t)pieces;

		iov[i] = (struct iovec){body + at, n};
		at += n;
	}
	bed_fill(body, frame.cookie, len);
	for (;;) {
		writable = from->writable;
		rc = end_send(from, &frame, iov, pieces, done);
		if (rc != -EAGAIN)
			return rc;
		bed_until(bed, from->writable != writable);
	}
}

static void expect_all_arrived(struct end *to, uint64_t count)
{
	bed_until(bed, to->frames + to->landed >= count);
	bed_settle(bed);
	assert_int_equal(to->frames + to->landed, count);
	assert_int_equal(to->mistakes, 0);
	assert_int_equal(to->bad, 0);
	assert_int_equal(to->closed, 0);
}

static void ops_every_entry_is_present(void **state)
{
	const struct transport_ops *ops = bed->end[0].conn->ops;

	(void)state;
	assert_non_null(ops->name);
	assert_non_null(ops->send);
	assert_non_null(ops->sink_cancel);
	assert_non_null(ops->close);
	assert_non_null(ops->start);
	assert_true((ops->caps & TRANSPORT_CAP_SINK) != 0);
	assert_non_null(bed->end[0].conn->source.ops->kind);
}

static void send_every_header_field_arrives(void **state)
{
	struct phx_frame f = {.type = PHX_FRAME_STATUS,
		.code = PHX_ABORTED,
		.origin = PHX_ORIGIN_POLICY,
		.executed = PHX_EXECUTED_MAYBE,
		.flags = PHX_FRAME_F_REPLY,
		.reason = PHX_REASON_DENIED,
		.epoch = 5,
		.service = 6,
		.method = 7,
		.number = 8,
		.cookie = 0,
		.channel = 10,
		.sequence = 11,
		.arg = 12,
		.limit = 13,
		.meta_len = 20,
		.text_len = 30,
		.payload_len = 40};
	struct phx_frame got;

	(void)state;
	assert_int_equal(send_body(&bed->end[0], f, 3, NULL), 0);
	expect_all_arrived(&bed->end[1], 1);
	got = bed->end[1].last;
	assert_int_equal(got.type, f.type);
	assert_int_equal(got.code, f.code);
	assert_int_equal(got.origin, f.origin);
	assert_int_equal(got.executed, f.executed);
	assert_int_equal(got.flags & ~PHX_FRAME_F_PAYLOAD_CRC, f.flags);
	assert_int_equal(got.reason, f.reason);
	assert_int_equal(got.epoch, f.epoch);
	assert_int_equal(got.service, f.service);
	assert_int_equal(got.method, f.method);
	assert_int_equal(got.number, f.number);
	assert_int_equal(got.channel, f.channel);
	assert_int_equal(got.sequence, f.sequence);
	assert_int_equal(got.arg, f.arg);
	assert_int_equal(got.limit, f.limit);
	assert_int_equal(got.meta_len, f.meta_len);
	assert_int_equal(got.text_len, f.text_len);
	assert_int_equal(got.payload_len, f.payload_len);
}

static void send_every_size_arrives(void **state)
{
	static const uint32_t sizes[] = {0, 1, 7, 8, 63, 64, 700, 900, 1023, 1024, 1025, 4095, 4096,
		4097, 8191, 8192, 8193, 16384, 65535, PHX_LIMIT_CHUNK_BYTES};
	uint32_t cookie = 0;

	(void)state;
	for (int direction = 0; direction < 2; direction++, cookie = 0) {
		struct end *from = &bed->end[direction];

		for (size_t i = 0; i < PHX_ARRAY_LEN(sizes); i++)
			for (int type = PHX_FRAME_HEADERS; type <= PHX_FRAME_MESSAGE; type++)
				assert_int_equal(send_body(from,
							 (struct phx_frame){.type = (uint8_t)type,
								 .payload_len = sizes[i],
								 .cookie = cookie++},
							 sizes[i] != 0, NULL),
					0);
		expect_all_arrived(from->peer, cookie);
	}
}

static void send_longest_frame_arrives(void **state)
{
	struct phx_frame f = {.type = PHX_FRAME_STATUS,
		.meta_len = PHX_LIMIT_METADATA_BYTES,
		.text_len = PHX_LIMIT_STATUS_TEXT_BYTES,
		.payload_len = PHX_LIMIT_CHUNK_BYTES};

	(void)state;
	for (f.cookie = 0; f.cookie < 20; f.cookie++)
		assert_int_equal(send_body(&bed->end[0], f, 3, NULL), 0);
	expect_all_arrived(&bed->end[1], 20);
}

static void send_every_gather_length_arrives(void **state)
{
	struct conn_done done[2 * CONN_IOV_MAX];
	uint32_t cookie = 0, lent = 0;

	(void)state;
	for (int pieces = 1; pieces <= CONN_IOV_MAX; pieces++) {
		for (int big = 0; big < 2; big++) {
			struct phx_frame f = {.type = PHX_FRAME_MESSAGE,
				.cookie = cookie,
				.payload_len = big ? 60001 : 501};
			int rc;

			done[cookie].fn = count_done;
			rc = send_body(&bed->end[0], f, pieces, &done[cookie]);
			assert_true(rc == 0 || rc == 1);
			lent += rc == 1;
			// `body` is read in place until then.
			bed_until(bed, done_count == lent);
			cookie++;
		}
	}
	expect_all_arrived(&bed->end[1], cookie);
	assert_int_equal(done_count, lent);
}

static void send_many_frames_keep_their_order(void **state)
{
	struct end *from = &bed->end[0];
	uint32_t refused = 0;

	(void)state;
	bed_fill(body, 0, 64);
	for (uint32_t cookie = 0; cookie < 100000;) {
		struct phx_frame f = {
			.type = PHX_FRAME_HEADERS, .cookie = cookie, .payload_len = cookie % 65};
		struct iovec iov = {body, f.payload_len};
		int rc;

		bed_fill(body, cookie, f.payload_len);
		rc = end_send(from, &f, &iov, f.payload_len != 0, NULL);
		assert_true(rc == 0 || rc == -EAGAIN);
		if (rc == 0) {
			cookie++;
			continue;
		}
		refused++;
		bed_until(bed, from->writable >= refused);
	}
	expect_all_arrived(from->peer, 100000);
	assert_int_equal(from->writable, refused);
}

// Nobody looks after the receiver: the sender is told to stop, and once when it may go on.
static void send_without_reader_is_refused_until_writable(void **state)
{
	struct end *from = &bed->end[0];
	struct phx_frame f = {.type = PHX_FRAME_MESSAGE, .payload_len = 16384};
	struct iovec iov = {body, 16384};
	int rc = 0;

	(void)state;
	while (rc == 0) {
		bed_fill(body, f.cookie, 16384);
		rc = end_send(from, &f, &iov, 1, NULL);
		assert_true(rc == 0 || rc == -EAGAIN);
		f.cookie += rc == 0;
		(void)bed_round(from->worker);
		if (kind == BED_LOCAL && f.cookie == 1000) { // delivered at once, never refused
			assert_int_equal(rc, 0);
			assert_int_equal(from->peer->frames, 1000);
			return;
		}
		assert_true(f.cookie < 100000);
	}
	assert_int_equal(end_send(from, &f, &iov, 1, NULL), -EAGAIN);
	assert_int_equal(from->writable, 0);
	bed_until(bed, from->writable != 0);
	expect_all_arrived(from->peer, f.cookie);
	assert_int_equal(from->writable, 1);
	assert_int_equal(send_body(from, f, 1, NULL), 0);
	expect_all_arrived(from->peer, f.cookie + 1);
}

static void send_in_place_is_done_once(void **state)
{
	static uint8_t memory[32][PHX_LIMIT_CHUNK_BYTES];
	struct conn_done done[32];
	struct end *from = &bed->end[0];
	uint32_t lent = 0;

	(void)state;
	for (uint32_t i = 0; i < 32; i++) {
		struct phx_frame f = {.type = PHX_FRAME_MESSAGE,
			.cookie = i,
			.payload_len = PHX_LIMIT_CHUNK_BYTES};
		struct iovec iov = {memory[i], PHX_LIMIT_CHUNK_BYTES};
		int rc;

		bed_fill(memory[i], i, PHX_LIMIT_CHUNK_BYTES);
		done[i].fn = count_done;
		while ((rc = end_send(from, &f, &iov, 1, &done[i])) == -EAGAIN)
			bed_rounds(bed, bed_deadline(), "room");
		assert_true(rc == 0 || rc == 1);
		lent += rc == 1;
	}
	expect_all_arrived(from->peer, 32);
	assert_int_equal(done_count, lent);
}

static void close_gives_back_what_is_in_place(void **state)
{
	static uint8_t memory[PHX_LIMIT_CHUNK_BYTES];
	static struct conn_done done[1000];
	struct end *from = &bed->end[0];
	struct phx_frame f = {.type = PHX_FRAME_MESSAGE, .payload_len = PHX_LIMIT_CHUNK_BYTES};
	struct iovec iov = {memory, PHX_LIMIT_CHUNK_BYTES};
	uint32_t lent = 0;
	int rc = 0;

	(void)state;
	from->peer->next = UINT32_MAX; // content does not matter here
	for (uint32_t i = 0; i < 1000 && rc >= 0; i++) {
		done[i].fn = count_done;
		rc = end_send(from, &f, &iov, 1, &done[i]);
		lent += rc == 1;
		(void)bed_round(from->worker);
	}
	from->conn->ops->close(from->conn);
	from->conn = NULL;
	bed_until(bed, done_count == lent);
	bed_settle(bed);
	assert_int_equal(done_count, lent);
}

static void sink_memory_receives_chunks(void **state)
{
	struct end *from = &bed->end[0], *to = &bed->end[1];
	uint32_t cookie = 0;

	(void)state;
	to->use_sink = true;
	for (uint32_t len = 1; len <= PHX_LIMIT_CHUNK_BYTES; len = len * 3 + 1) {
		struct phx_frame f = {
			.type = PHX_FRAME_MESSAGE, .cookie = cookie++, .payload_len = len};

		assert_int_equal(send_body(from, f, 1, NULL), 0);
		f.type = PHX_FRAME_HEADERS; // not a chunk
		f.cookie = cookie++;
		assert_int_equal(send_body(from, f, 1, NULL), 0);
		f.type = PHX_FRAME_MESSAGE; // neither: metadata in front
		f.meta_len = 8;
		f.cookie = cookie++;
		assert_int_equal(send_body(from, f, 1, NULL), 0);
	}
	expect_all_arrived(to, cookie);
	assert_int_equal(to->landed, cookie / 3);
	assert_int_equal(to->frames, cookie / 3 * 2);
}

static void sink_cancel_without_sink_is_legal(void **state)
{
	struct end *to = &bed->end[1];

	(void)state;
	to->conn->ops->sink_cancel(to->conn);
	assert_int_equal(
		send_body(&bed->end[0],
			(struct phx_frame){.type = PHX_FRAME_MESSAGE, .payload_len = 100}, 1, NULL),
		0);
	expect_all_arrived(to, 1);
}

static void close_is_told_to_the_peer_once(void **state)
{
	struct end *closer = &bed->end[0], *other = &bed->end[1];

	(void)state;
	for (uint32_t i = 0; i < 10; i++)
		assert_int_equal(
			send_body(closer, (struct phx_frame){.type = PHX_FRAME_PING, .cookie = i},
				0, NULL),
			0);
	closer->conn->ops->close(closer->conn);
	closer->conn = NULL;
	bed_until(bed, other->closed != 0);
	bed_settle(bed);
	assert_int_equal(other->frames, 10); // what was sent before the close
	assert_int_equal(other->closed, 1);
	assert_int_equal(other->reason, PHX_REASON_W_RESET);
	assert_int_equal(closer->closed, 0);
	assert_int_equal(
		end_send(other, &(struct phx_frame){.type = PHX_FRAME_PING}, NULL, 0, NULL),
		-EPIPE);
}

static void frame_refused_by_link_closes_with_its_reason(void **state)
{
	struct end *from = &bed->end[0], *to = &bed->end[1];

	(void)state;
	to->fail_frame = -EPROTO;
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(
			send_body(from, (struct phx_frame){.type = PHX_FRAME_PING, .cookie = i}, 0,
				NULL),
			0);
	bed_until(bed, to->closed != 0);
	bed_settle(bed);
	assert_int_equal(to->frames, 1);
	assert_int_equal(to->closed, 1);
	assert_int_equal(to->reason, PHX_REASON_W_CREDIT);
	assert_int_equal(to->error, -EPROTO);
	assert_int_equal(from->closed, 0);
	to->conn->ops->close(to->conn);
	to->conn = NULL;
	bed_until(bed, from->closed != 0);
	assert_int_equal(from->reason, PHX_REASON_W_RESET);
}

static void landed_refused_by_link_closes_with_its_reason(void **state)
{
	struct end *to = &bed->end[1];

	(void)state;
	to->fail_frame = -EPROTO;
	to->use_sink = true;
	assert_int_equal(send_body(&bed->end[0],
				 (struct phx_frame){.type = PHX_FRAME_MESSAGE, .payload_len = 5000},
				 1, NULL),
		0);
	bed_until(bed, to->closed != 0);
	assert_int_equal(to->landed, 1);
	assert_int_equal(to->reason, PHX_REASON_W_CREDIT);
}

static void close_inside_frame_is_legal(void **state)
{
	struct end *from = &bed->end[0], *to = &bed->end[1];

	(void)state;
	to->close_on_frame = true;
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(
			send_body(from, (struct phx_frame){.type = PHX_FRAME_PING, .cookie = i}, 0,
				NULL),
			0);
	bed_until(bed, from->closed != 0);
	bed_settle(bed);
	assert_int_equal(to->frames, 1);
	assert_int_equal(to->closed, 0);
	assert_int_equal(from->closed, 1);
}

// The reply must not arrive while its receiver is inside send(): `nested` stays 0.
static void send_inside_frame_is_delivered_outside_send(void **state)
{
	struct end *from = &bed->end[0];

	(void)state;
	bed->end[1].echo = true;
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(
			send_body(from, (struct phx_frame){.type = PHX_FRAME_PING, .cookie = i}, 0,
				NULL),
			0);
	bed_until(bed, from->frames >= 100);
	assert_int_equal(from->frames, 100);
	assert_int_equal(from->mistakes, 0);
	assert_int_equal(bed->end[1].mistakes, 0);
	assert_int_equal(from->nested, 0);
}

static void counters_agree_at_both_ends(void **state)
{
	struct conn *a = bed->end[0].conn, *b = bed->end[1].conn;

	(void)state;
	for (uint32_t i = 0; i < 300; i++)
		assert_int_equal(
			send_body(&bed->end[0],
				(struct phx_frame){
					.type = PHX_FRAME_HEADERS, .cookie = i, .payload_len = i},
				i != 0, NULL),
			0);
	expect_all_arrived(&bed->end[1], 300);
	assert_int_equal(a->tx_frames, 300);
	assert_int_equal(b->rx_frames, 300);
	assert_int_equal(a->tx_bytes, 300 * PHX_FRAME_HEADER + 299 * 300 / 2);
	assert_int_equal(b->rx_bytes, a->tx_bytes);
	assert_int_equal(b->crc_errors, 0);
	assert_int_equal(a->rx_frames, 0);
	if (kind == BED_TCP)
		assert_true(a->tx_calls > 0 && a->tx_calls < 30); // gathered, not one by one
}

static void close_without_start_frees(void **state)
{
	struct conn *conns[2];

	(void)state;
	bed_connect(kind, payload_crc, conns);
	conns[0]->ops->close(conns[0]);
	conns[1]->ops->close(conns[1]);
}

#define with_bed(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		with_bed(ops_every_entry_is_present),
		with_bed(send_every_header_field_arrives),
		with_bed(send_every_size_arrives),
		with_bed(send_longest_frame_arrives),
		with_bed(send_every_gather_length_arrives),
		with_bed(send_many_frames_keep_their_order),
		with_bed(send_without_reader_is_refused_until_writable),
		with_bed(send_in_place_is_done_once),
		with_bed(close_gives_back_what_is_in_place),
		with_bed(sink_memory_receives_chunks),
		with_bed(sink_cancel_without_sink_is_legal),
		with_bed(close_is_told_to_the_peer_once),
		with_bed(frame_refused_by_link_closes_with_its_reason),
		with_bed(landed_refused_by_link_closes_with_its_reason),
		with_bed(close_inside_frame_is_legal),
		with_bed(send_inside_frame_is_delivered_outside_send),
		with_bed(counters_agree_at_both_ends),
		with_bed(close_without_start_frees),
	};
	const char *name = argc > 1 ? argv[1] : "";

	if (strcmp(name, "local") == 0) {
		kind = BED_LOCAL;
	} else if (strcmp(name, "local-cross") == 0) {
		kind = BED_LOCAL_CROSS;
	} else if (strncmp(name, "tcp", 3) == 0) {
		kind = BED_TCP;
		payload_crc = strcmp(name, "tcp-crc") == 0;
	} else {
		fprintf(stderr, "usage: transport_test local|local-cross|tcp|tcp-crc\n");
		return 2;
	}
	return cmocka_run_group_tests_name(name, tests, NULL, NULL);
}
