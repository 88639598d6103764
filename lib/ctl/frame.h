// SPDX-License-Identifier: BSD-3-Clause
// Framing of JSON texts on a byte stream: finds the end of one object or array,
// compact or pretty-printed, and counts size, depth and values before any parser
// sees the text (limits.h: JSON_IN_BYTES, JSON_DEPTH, JSON_VALUES). It checks no
// grammar: a frame may still be refused by the parser. Single owner; no allocation.
#pragma once

#include "lib/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Bounds of one frame. Values are counted with keys: each costs memory.
struct phx_ctl_frame_limits {
	size_t bytes;
	uint32_t depth;
	uint32_t values;
};

// What a server accepts and what a client accepts.
#define PHX_CTL_FRAME_REQUEST                                                                      \
	((struct phx_ctl_frame_limits){                                                            \
		PHX_LIMIT_JSON_IN_BYTES, PHX_LIMIT_JSON_DEPTH, PHX_LIMIT_JSON_VALUES})
#define PHX_CTL_FRAME_RESPONSE                                                                     \
	((struct phx_ctl_frame_limits){                                                            \
		PHX_LIMIT_JSON_OUT_BYTES, PHX_LIMIT_JSON_DEPTH, PHX_LIMIT_JSON_OUT_BYTES})

struct phx_ctl_frame {
	struct phx_ctl_frame_limits limits;
	size_t pos;   // bytes of the buffer already looked at
	size_t begin; // first byte of the text, valid when started
	uint32_t depth;
	uint32_t values;
	bool started;
	bool in_string;
	bool in_scalar;
	bool escaped;
};

// Start looking for a text at offset 0 of the caller's buffer.
void phx_ctl_frame_init(struct phx_ctl_frame *f, struct phx_ctl_frame_limits limits);

// Look at buf[0, len), of which the first f->pos bytes are those of the previous
// call. Returns 0 when a text is complete: it is buf[f->begin, f->pos); the caller
// consumes it, moves the rest to offset 0 and calls phx_ctl_frame_init. -EAGAIN:
// more bytes are needed (bytes before the text may be dropped when !f->started, with
// phx_ctl_frame_init after it). -EPROTO: the first byte is neither '{' nor '['.
// -EMSGSIZE: more than limits.bytes. -E2BIG: too deep or too many values. After an
// error the stream has lost its framing and must be closed.
int phx_ctl_frame_scan(struct phx_ctl_frame *f, const char *buf, size_t len);
