// SPDX-License-Identifier: BSD-3-Clause
// How connections end, where chunks land, and what may happen inside a callback: the same for every
// transport.
#include "tests/conformance/transport_fixture.h"

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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
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

	return transport_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
