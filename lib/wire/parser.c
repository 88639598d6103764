// SPDX-License-Identifier: BSD-3-Clause
// The stream parser: header, then either the whole body in place or a chunk into its sink.
#include "lib/wire/parser.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/base/hash.h"

#include <errno.h>
#include <string.h>

enum {
	STATE_HEADER, // a header is next
	STATE_BODY,   // frame decoded; its header and body are still at the front of the data
	STATE_SINK,   // header used up; sink_left bytes go to sink
	STATE_DROP,   // the header is dropped, then as STATE_SINK
};

void phx_parser_init(struct phx_parser *parser, bool check_crc)
{
	*parser = (struct phx_parser){.check_crc = check_crc, .state = STATE_HEADER};
}

// Tells nonsense from the first bytes on: an HTTP client would never send a whole header.
static bool magic_prefix_ok(const uint8_t *data, size_t len)
{
	uint8_t magic[4];

	phx_le32_store(magic, PHX_WIRE_MAGIC);
	return memcmp(data, magic, phx_min(len, sizeof(magic))) == 0;
}

static int parse_header(
	struct phx_parser *p, const uint8_t *data, size_t len, enum phx_reason *out_reason)
{
	int rc;

	if (phx_unlikely(len < PHX_FRAME_HEADER)) {
		if (magic_prefix_ok(data, len))
			return PHX_PARSE_MORE;
		*out_reason = PHX_REASON_W_MAGIC;
		return -EPROTO;
	}
	rc = phx_frame_decode(data, &p->frame, out_reason);
	if (phx_unlikely(rc != 0))
		return rc;
	if (phx_unlikely(
		    p->frame.type < PHX_FRAME_HELLO || p->frame.type >= PHX_FRAME_TYPE_COUNT)) {
		p->state = STATE_DROP;
		p->sink = NULL;
		p->sink_left = phx_frame_body_len(&p->frame);
		return PHX_PARSE_MORE;
	}
	p->state = STATE_BODY;
	return phx_frame_is_chunk(&p->frame) ? PHX_PARSE_CHUNK : PHX_PARSE_MORE;
}

static bool crc_wanted(const struct phx_parser *p)
{
	return p->check_crc && (p->frame.flags & PHX_FRAME_F_PAYLOAD_CRC) != 0;
}

static int parse_body(struct phx_parser *p, const uint8_t *data, size_t len, size_t *used)
{
	uint32_t body_len = phx_frame_body_len(&p->frame);

	if (len < (size_t)PHX_FRAME_HEADER + body_len)
		return PHX_PARSE_MORE;
	p->body = data + PHX_FRAME_HEADER;
	if (crc_wanted(p))
		p->frame.payload_bad = phx_crc32c(0, p->body, body_len) != p->frame.payload_crc;
	*used += PHX_FRAME_HEADER + body_len;
	p->state = STATE_HEADER;
	return PHX_PARSE_FRAME;
}

static int sink_end(struct phx_parser *p)
{
	bool discarded = p->sink == NULL;

	p->state = STATE_HEADER;
	p->sink = NULL;
	if (discarded)
		return PHX_PARSE_MORE;
	if (crc_wanted(p))
		p->frame.payload_bad = p->sink_crc != p->frame.payload_crc;
	return PHX_PARSE_LANDED;
}

static int parse_sink(struct phx_parser *p, const uint8_t *data, size_t len, size_t *used)
{
	uint32_t n = (uint32_t)phx_min(len, (size_t)p->sink_left);

	if (p->sink != NULL && n != 0) {
		memcpy(p->sink, data, n);
		phx_parser_direct_done(p, n);
	} else {
		p->sink_left -= n;
	}
	*used += n;
	return p->sink_left == 0 ? sink_end(p) : PHX_PARSE_MORE;
}

// One step from the present state. MORE with a change of state or bytes used means: again.
static int parse_step(struct phx_parser *p, const uint8_t *data, size_t len, size_t *used,
	enum phx_reason *out_reason)
{
	switch (p->state) {
	case STATE_HEADER:
		return parse_header(p, data, len, out_reason);
	case STATE_BODY:
		return parse_body(p, data, len, used);
	case STATE_SINK:
		return parse_sink(p, data, len, used);
	case STATE_DROP:
		p->state = STATE_SINK;
		*used += PHX_FRAME_HEADER;
		return PHX_PARSE_MORE;
	}
	return PHX_PARSE_MORE;
}

int phx_parser_next(struct phx_parser *parser, const uint8_t *data, size_t len, size_t *out_used,
	enum phx_reason *out_reason)
{
	size_t used = 0;
	int rc;

	for (;;) {
		uint8_t state = parser->state;
		size_t before = used;

		rc = parse_step(parser, data + used, len - used, &used, out_reason);
		if (rc != PHX_PARSE_MORE || (parser->state == state && used == before))
			break;
	}
	*out_used = used;
	return rc;
}

void phx_parser_sink(struct phx_parser *parser, void *memory)
{
	assert(parser->state == STATE_BODY);
	parser->state = STATE_DROP;
	parser->sink = memory;
	parser->sink_left = parser->frame.payload_len;
	parser->sink_crc = 0;
}

void phx_parser_sink_cancel(struct phx_parser *parser)
{
	parser->sink = NULL;
}

size_t phx_parser_direct(const struct phx_parser *parser, void **out_memory)
{
	if (parser->state != STATE_SINK || parser->sink == NULL)
		return 0;
	*out_memory = parser->sink;
	return parser->sink_left;
}

void phx_parser_direct_done(struct phx_parser *parser, size_t len)
{
	assert(len <= parser->sink_left);
	if (crc_wanted(parser))
		parser->sink_crc = phx_crc32c(parser->sink_crc, parser->sink, len);
	parser->sink += len;
	parser->sink_left -= (uint32_t)len;
}

bool phx_parser_is_idle(const struct phx_parser *parser)
{
	return parser->state == STATE_HEADER;
}
