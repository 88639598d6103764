// SPDX-License-Identifier: BSD-3-Clause
// Tests of lib/wire/parser: one stream of frames, cut at every place, in place and through sinks.
#include "lib/wire/parser.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/base/hash.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

// Feeds a stream in pieces through a buffer, the way a transport does, and writes down what came.
struct feeder {
	struct phx_parser parser;
	uint8_t buffer[4096];
	size_t have;
	bool use_sink;
	bool cancel; // cancel each sink at once
	uint8_t sink[4096];
	char log[65536];
	size_t log_len;
	int error;
	enum phx_reason reason;
};

static void note(struct feeder *f, const char *what, const uint8_t *body, size_t len)
{
	f->log_len += (size_t)snprintf(f->log + f->log_len, sizeof(f->log) - f->log_len,
		"%s %s %u %08x%s\n", what, phx_frame_type_name(f->parser.frame.type),
		f->parser.frame.cookie, phx_crc32c(0, body, len),
		f->parser.frame.payload_bad ? " bad" : "");
	assert_true(f->log_len < sizeof(f->log));
}

// Returns false when the parser wants more.
static bool feeder_step(struct feeder *f, size_t *used_total)
{
	size_t used;
	int rc = phx_parser_next(
		&f->parser, f->buffer + *used_total, f->have - *used_total, &used, &f->reason);

	if (rc < 0) {
		f->error = rc;
		return false;
	}
	if (rc == PHX_PARSE_FRAME)
		note(f, "got", f->parser.body, phx_frame_body_len(&f->parser.frame));
	if (rc == PHX_PARSE_LANDED)
		note(f, "got", f->sink, f->parser.frame.payload_len);
	*used_total += used;
	assert_true(*used_total <= f->have);
	if (rc == PHX_PARSE_CHUNK && f->use_sink) {
		memset(f->sink, 0, sizeof(f->sink));
		phx_parser_sink(&f->parser, f->sink);
		if (f->cancel)
			phx_parser_sink_cancel(&f->parser);
	}
	return rc != PHX_PARSE_MORE;
}

static void feeder_piece(struct feeder *f, const uint8_t *data, size_t len)
{
	size_t used = 0, n;
	void *direct;

	n = f->have == 0 ? phx_parser_direct(&f->parser, &direct) : 0;
	n = phx_min(n, len);
	if (n != 0) {
		memcpy(direct, data, n);
		phx_parser_direct_done(&f->parser, n);
	}
	assert_true(f->have + len - n <= sizeof(f->buffer));
	memcpy(f->buffer + f->have, data + n, len - n);
	f->have += len - n;
	while (f->error == 0 && feeder_step(f, &used))
		;
	memmove(f->buffer, f->buffer + used, f->have - used);
	f->have -= used;
}

static size_t put_frame(uint8_t *out, struct phx_frame f, bool crc)
{
	uint8_t *body = out + PHX_FRAME_HEADER;
	uint32_t len = phx_frame_body_len(&f);

	for (uint32_t i = 0; i < len; i++)
		body[i] = (uint8_t)(i * 7 + f.cookie);
	if (crc) {
		f.flags |= PHX_FRAME_F_PAYLOAD_CRC;
		f.payload_crc = phx_crc32c(0, body, len);
	}
	phx_frame_encode(&f, out);
	return PHX_FRAME_HEADER + len;
}

// Frames with and without bodies, metadata, text, a chunk, and one unknown to skip.
static size_t put_stream(uint8_t *out)
{
	uint8_t *p = out;

	p += put_frame(p, (struct phx_frame){.type = PHX_FRAME_PING, .cookie = 1}, false);
	p += put_frame(p,
		(struct phx_frame){.type = PHX_FRAME_HEADERS,
			.cookie = 2,
			.meta_len = 9,
			.payload_len = 30,
			.flags = PHX_FRAME_F_MESSAGE},
		true);
	p += put_frame(p,
		(struct phx_frame){.type = PHX_FRAME_MESSAGE, .cookie = 3, .payload_len = 97},
		true);
	p += put_frame(p,
		(struct phx_frame){.type = 200,
			.cookie = 4,
			.payload_len = 11,
			.flags = PHX_FRAME_F_IGNORABLE},
		false);
	p += put_frame(p, (struct phx_frame){.type = 201, .flags = PHX_FRAME_F_IGNORABLE}, false);
	p += put_frame(
		p, (struct phx_frame){.type = PHX_FRAME_STATUS, .cookie = 5, .text_len = 13}, true);
	p += put_frame(p,
		(struct phx_frame){.type = PHX_FRAME_MESSAGE, .cookie = 6, .payload_len = 1},
		false);
	p += put_frame(p, (struct phx_frame){.type = PHX_FRAME_MESSAGE, .cookie = 7}, false);
	return (size_t)(p - out);
}

static struct feeder *feeder_new(bool use_sink)
{
	struct feeder *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	phx_parser_init(&f->parser, true);
	f->use_sink = use_sink;
	return f;
}

static void expect_same_log(const struct feeder *f, const char *expected, size_t cut)
{
	if (f->error != 0 || strcmp(f->log, expected) != 0 || f->have != 0 ||
		!phx_parser_is_idle(&f->parser))
		fail_msg("cut at %zu: error %d, log:\n%s", cut, f->error, f->log);
}

static void parser_next_any_two_cuts_give_same_frames(void **state)
{
	uint8_t stream[2048];
	size_t len = put_stream(stream);
	struct feeder *whole = feeder_new(false);

	(void)state;
	feeder_piece(whole, stream, len);
	assert_int_equal(whole->error, 0);
	assert_non_null(strstr(whole->log, "got STATUS 5"));
	assert_null(strstr(whole->log, "bad"));
	assert_null(strstr(whole->log, "?"));
	for (int sink = 0; sink < 2; sink++) {
		for (size_t cut = 0; cut <= len; cut++) {
			struct feeder *f = feeder_new(sink != 0);

			feeder_piece(f, stream, cut);
			feeder_piece(f, stream + cut, (len - cut) / 2);
			feeder_piece(
				f, stream + cut + (len - cut) / 2, len - cut - (len - cut) / 2);
			expect_same_log(f, whole->log, cut);
			free(f);
		}
	}
	free(whole);
}

static void parser_next_single_bytes_give_same_frames(void **state)
{
	uint8_t stream[2048];
	size_t len = put_stream(stream);
	struct feeder *whole = feeder_new(false);

	(void)state;
	feeder_piece(whole, stream, len);
	for (int sink = 0; sink < 2; sink++) {
		struct feeder *f = feeder_new(sink != 0);

		for (size_t i = 0; i < len; i++)
			feeder_piece(f, stream + i, 1);
		expect_same_log(f, whole->log, 1);
		free(f);
	}
	free(whole);
}

static void parser_next_every_prefix_is_not_idle_and_delivers_only_whole_frames(void **state)
{
	uint8_t stream[512];
	size_t len = put_frame(stream,
		(struct phx_frame){.type = PHX_FRAME_HEADERS, .cookie = 2, .payload_len = 64},
		true);

	(void)state;
	for (size_t cut = 1; cut < len; cut++) {
		struct feeder *f = feeder_new(false);

		feeder_piece(f, stream, cut);
		assert_int_equal(f->error, 0);
		assert_int_equal(f->log_len, 0);
		assert_false(phx_parser_is_idle(&f->parser) && f->have == 0);
		free(f);
	}
}

static void parser_next_bit_flips_never_deliver_wrong_content(void **state)
{
	uint8_t stream[512];
	size_t len = put_frame(stream,
		(struct phx_frame){.type = PHX_FRAME_MESSAGE, .cookie = 9, .payload_len = 64},
		true);

	(void)state;
	for (int sink = 0; sink < 2; sink++) {
		for (size_t bit = 0; bit < len * 8; bit++) {
			struct feeder *f = feeder_new(sink != 0);

			stream[bit / 8] ^= (uint8_t)(1 << bit % 8);
			feeder_piece(f, stream, len);
			stream[bit / 8] ^= (uint8_t)(1 << bit % 8);
			if (bit < 8 * PHX_FRAME_HEADER)
				assert_true(f->error == -EPROTO && f->log_len == 0);
			else
				assert_true(f->error == 0 && strstr(f->log, " bad\n") != NULL);
			free(f);
		}
	}
}

static void parser_next_wrong_payload_crc_unchecked_is_delivered(void **state)
{
	uint8_t stream[512];
	size_t len = put_frame(stream,
		(struct phx_frame){.type = PHX_FRAME_MESSAGE, .cookie = 9, .payload_len = 64},
		true);
	struct feeder *f = feeder_new(false);

	(void)state;
	phx_parser_init(&f->parser, false);
	stream[len - 1] ^= 1;
	feeder_piece(f, stream, len);
	assert_int_equal(f->error, 0);
	assert_non_null(strstr(f->log, "got MESSAGE 9"));
	assert_null(strstr(f->log, "bad"));
	free(f);
}

static void parser_next_foreign_protocols_end_on_first_bytes(void **state)
{
	static const char *const foreign[] = {"GET / HTTP/1.1\r\n", "\x16\x03\x01\x02\x00\x01",
		"PRI * HTTP/2.0", "P", "PHXX", "SSH-2.0"};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(foreign); i++) {
		struct feeder *f = feeder_new(false);
		size_t len = strlen(foreign[i]);

		if (len == 1) { // could still become a frame
			feeder_piece(f, (const uint8_t *)foreign[i], len);
			assert_int_equal(f->error, 0);
			feeder_piece(f, (const uint8_t *)"OST ", 4);
		} else {
			feeder_piece(f, (const uint8_t *)foreign[i], phx_min(len, (size_t)8));
		}
		assert_int_equal(f->error, -EPROTO);
		assert_int_equal(f->reason, PHX_REASON_W_MAGIC);
		free(f);
	}
}

static void parser_next_too_long_frame_is_refused_at_its_header(void **state)
{
	uint8_t stream[PHX_FRAME_HEADER];
	struct feeder *f = feeder_new(true);

	(void)state;
	phx_frame_encode(&(struct phx_frame){.type = PHX_FRAME_MESSAGE}, stream);
	phx_le32_store(stream + 8, UINT32_MAX);
	phx_le32_store(stream + 76, phx_crc32c(0, stream, 76));
	feeder_piece(f, stream, sizeof(stream));
	assert_int_equal(f->error, -EPROTO);
	assert_int_equal(f->reason, PHX_REASON_W_LENGTH);
	free(f);
}

static void parser_sink_cancel_discards_rest_and_goes_on(void **state)
{
	uint8_t stream[1024];
	size_t len = put_frame(stream,
		(struct phx_frame){.type = PHX_FRAME_MESSAGE, .cookie = 1, .payload_len = 200},
		true);

	(void)state;
	len += put_frame(
		stream + len, (struct phx_frame){.type = PHX_FRAME_PING, .cookie = 2}, false);
	for (size_t cut = 0; cut <= len; cut++) {
		struct feeder *f = feeder_new(true);

		f->cancel = true;
		feeder_piece(f, stream, cut);
		feeder_piece(f, stream + cut, len - cut);
		assert_int_equal(f->error, 0);
		assert_null(strstr(f->log, "MESSAGE"));
		assert_non_null(strstr(f->log, "got PING 2"));
		assert_true(phx_parser_is_idle(&f->parser));
		free(f);
	}
}

static void parser_direct_gives_rest_of_sink_only(void **state)
{
	uint8_t stream[512];
	size_t len = put_frame(stream,
		(struct phx_frame){.type = PHX_FRAME_MESSAGE, .cookie = 1, .payload_len = 100},
		true);
	struct feeder *f = feeder_new(true);
	void *memory;

	(void)state;
	assert_int_equal(phx_parser_direct(&f->parser, &memory), 0);
	feeder_piece(f, stream, PHX_FRAME_HEADER + 40);
	assert_int_equal(phx_parser_direct(&f->parser, &memory), 60);
	assert_ptr_equal(memory, f->sink + 40);
	feeder_piece(f, stream + PHX_FRAME_HEADER + 40, len - PHX_FRAME_HEADER - 40);
	assert_non_null(strstr(f->log, "got MESSAGE 1"));
	assert_null(strstr(f->log, "bad"));
	assert_int_equal(phx_parser_direct(&f->parser, &memory), 0);
	free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(parser_next_any_two_cuts_give_same_frames),
		cmocka_unit_test(parser_next_single_bytes_give_same_frames),
		cmocka_unit_test(
			parser_next_every_prefix_is_not_idle_and_delivers_only_whole_frames),
		cmocka_unit_test(parser_next_bit_flips_never_deliver_wrong_content),
		cmocka_unit_test(parser_next_wrong_payload_crc_unchecked_is_delivered),
		cmocka_unit_test(parser_next_foreign_protocols_end_on_first_bytes),
		cmocka_unit_test(parser_next_too_long_frame_is_refused_at_its_header),
		cmocka_unit_test(parser_sink_cancel_discards_rest_and_goes_on),
		cmocka_unit_test(parser_direct_gives_rest_of_sink_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
