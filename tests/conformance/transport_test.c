// SPDX-License-Identifier: BSD-3-Clause
// What every transport promises (dataplane/transport/transport.h), unchanged over each of them.
// The argument names it: local, local-cross (two workers), tcp, tcp-crc.
#include "tests/conformance/transport_fixture.h"

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
	};

	return transport_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
