// SPDX-License-Identifier: BSD-3-Clause
// Fuzzes lib/wire/parser: the input is a stream and the first bytes say how it is cut, whether
// chunks go to a sink and which are cancelled. Half of the runs repair header CRCs, so that what
// is behind the CRC is reached.
#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/base/hash.h"
#include "lib/wire/parser.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct run {
	struct phx_parser parser;
	uint8_t *buffer;
	size_t have, max;
	uint32_t random;
	uint8_t sink[PHX_LIMIT_CHUNK_BYTES];
	unsigned sum;
};

static void touch(struct run *r, const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++)
		r->sum += p[i];
}

static uint32_t next_random(struct run *r)
{
	r->random = r->random * 1664525 + 1013904223;
	return r->random >> 8;
}

static bool step(struct run *r, size_t *at)
{
	enum phx_reason reason = PHX_REASON_NONE;
	size_t used;
	int rc = phx_parser_next(&r->parser, r->buffer + *at, r->have - *at, &used, &reason);

	if (rc < 0) {
		if (reason < PHX_REASON_W_MAGIC || reason > PHX_REASON_W_RESET)
			abort();
		r->max = 0;
		return false;
	}
	if (used > r->have - *at)
		abort();
	if (rc == PHX_PARSE_FRAME) {
		if (phx_frame_body_len(&r->parser.frame) > PHX_FRAME_BODY_MAX)
			abort();
		touch(r, r->parser.body, phx_frame_body_len(&r->parser.frame));
	}
	if (rc == PHX_PARSE_LANDED)
		touch(r, r->sink, r->parser.frame.payload_len);
	if (rc == PHX_PARSE_CHUNK && next_random(r) % 2) {
		phx_parser_sink(&r->parser, r->sink);
		if (next_random(r) % 8 == 0)
			phx_parser_sink_cancel(&r->parser);
	}
	*at += used;
	return rc != PHX_PARSE_MORE;
}

static void repair(uint8_t *p, size_t size)
{
	for (size_t at = 0; at + PHX_FRAME_HEADER <= size;) {
		uint64_t len;

		phx_le32_store(p + at, PHX_WIRE_MAGIC);
		p[at + 4] = PHX_WIRE_MAX;
		phx_le32_store(p + at + 76, phx_crc32c(0, p + at, 76));
		len = (uint64_t)PHX_FRAME_HEADER + phx_le32_load(p + at + 8) +
		      phx_le16_load(p + at + 12) + phx_le16_load(p + at + 14);
		if (len > size - at)
			return;
		at += len;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct run *r;
	uint8_t *stream;

	if (size < 5 || size > (1 << 18))
		return 0;
	r = calloc(1, sizeof(*r));
	stream = malloc(size);
	r->max = PHX_FRAME_HEADER + PHX_FRAME_BODY_MAX;
	r->buffer = malloc(r->max);
	memcpy(&r->random, data, 4);
	phx_parser_init(&r->parser, (data[4] & 1) != 0);
	memcpy(stream, data + 5, size - 5);
	if (data[4] & 2)
		repair(stream, size - 5);
	for (size_t off = 0; off < size - 5 && r->max != 0;) {
		size_t n = phx_min((size_t)1 + next_random(r) % (data[4] & 4 ? 3 : 300),
			       size - 5 - off),
		       at = 0;
		void *direct;

		if (r->have == 0 && phx_parser_direct(&r->parser, &direct) != 0) {
			n = phx_min(n, phx_parser_direct(&r->parser, &direct));
			memcpy(direct, stream + off, n);
			phx_parser_direct_done(&r->parser, n);
		} else {
			n = phx_min(n, r->max - r->have);
			memcpy(r->buffer + r->have, stream + off, n);
			r->have += n;
		}
		if (n == 0)
			abort(); // a frame that does not fit: the parser should have refused it
		off += n;
		while (step(r, &at))
			;
		memmove(r->buffer, r->buffer + at, r->have - at);
		r->have -= at;
	}
	free(stream);
	free(r->buffer);
	free(r);
	return 0;
}
