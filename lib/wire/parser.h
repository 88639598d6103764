// SPDX-License-Identifier: BSD-3-Clause
// A stream of bytes in, frames out: what `tcp` reads, and what tests and the fuzzer feed without a
// socket. Works in place over the caller's receive buffer and keeps no bytes of its own; of a chunk
// whose payload is wanted elsewhere (a sink) it copies what has come and tells where the rest may
// be read to directly. Everything that the peer says is checked here or in phx_frame_decode().
// Single owner.
#pragma once

#include "lib/wire/frame.h"

#include <stddef.h>

enum phx_parse {
	PHX_PARSE_MORE,	  // nothing more without more bytes
	PHX_PARSE_CHUNK,  // a chunk begins: phx_parser_sink() may be called now, then go on
	PHX_PARSE_FRAME,  // a whole frame; its body is at `body`, in the caller's buffer
	PHX_PARSE_LANDED, // the payload of the chunk is complete in its sink
};

struct phx_parser {
	struct phx_frame frame; // the frame in progress, or the one just told of
	const uint8_t *body;	// FRAME: metadata, text and payload, phx_frame_body_len() bytes
	uint8_t *sink;		// where the rest of the chunk goes; NULL = discarded
	uint32_t sink_left;	// bytes of the chunk that have not come yet
	uint32_t sink_crc;	// of the bytes that have come
	uint8_t state;		// private
	bool check_crc;		// [const] payload CRCs are looked at
};

// check_crc: compare payload CRCs of frames that carry one (frame.payload_bad tells).
void phx_parser_init(struct phx_parser *parser, bool check_crc);

// Go on over data[0..len), the bytes received and not used yet. Returns an enum phx_parse, or
// -EPROTO with *out_reason (then the stream is lost and the parser must not be used again).
// *out_used = bytes at the front that are done with; after FRAME the caller looks at the body, in
// those bytes, first. Unknown frames that may be ignored are skipped here.
//
// The buffer must have room for one whole frame: PHX_FRAME_HEADER + PHX_FRAME_BODY_MAX.
int phx_parser_next(struct phx_parser *parser, const uint8_t *data, size_t len, size_t *out_used,
	enum phx_reason *out_reason);

// After CHUNK: put the payload, frame.payload_len bytes, to `memory`, which stays valid until
// LANDED or phx_parser_sink_cancel(). Without this call the chunk is told of as a FRAME.
void phx_parser_sink(struct phx_parser *parser, void *memory);

// Forget the memory of the sink: the rest of its chunk is discarded, no LANDED follows. Legal when
// there is none.
void phx_parser_sink_cancel(struct phx_parser *parser);

// Memory that bytes of the stream may be read into directly, past the buffer, which must be used
// up first; 0 bytes when there is none. Then tell how many came.
size_t phx_parser_direct(const struct phx_parser *parser, void **out_memory);
void phx_parser_direct_done(struct phx_parser *parser, size_t len);

// Is the stream between two frames? What an orderly end requires, with no bytes left over.
bool phx_parser_is_idle(const struct phx_parser *parser);
