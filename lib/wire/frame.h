// SPDX-License-Identifier: BSD-3-Clause
// Frames between dataplanes, wire version 1: a fixed 80-byte header with its own CRC, then
// metadata, then payload. The decoded form is what the link layer and all transports
// (also `local`, which never encodes it) hand to each other.
//
// Whoever decodes trusts nothing: phx_frame_decode() checks magic, version, type, lengths, reserved
// bits and the header CRC; the receiver of a frame checks state (channel, sequence, credit).
#pragma once

#include "lib/base/limits.h"
#include "lib/base/status.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PHX_WIRE_MAGIC	 UINT32_C(0x57584850) // "PHXW"
#define PHX_WIRE_MIN	 1
#define PHX_WIRE_MAX	 1
#define PHX_FRAME_HEADER 80

enum phx_frame_type {
	PHX_FRAME_HELLO = 1,
	PHX_FRAME_OPEN,	     // client: channel id, epoch; payload: group name
	PHX_FRAME_OPENED,    // credit limits, accepted sequence
	PHX_FRAME_REFUSED,   // OPEN or ANNOUNCE refused: code, reason, text
	PHX_FRAME_SUBSCRIBE, // service = subscriber's binding id; payload: group NUL name NUL, then
			     // 8 bytes for each of the client's methods
	PHX_FRAME_SERVICE_UP,	// service = binding id, arg = service id; payload: one hash or
				// nothing
	PHX_FRAME_SERVICE_DOWN, // service = binding id, code: NOT_FOUND unknown, UNAVAILABLE down,
				// FAILED_PRECONDITION several groups, ABORTED at another worker
	PHX_FRAME_SCHEMA_GET,	// service = service id, arg = position in the table
	PHX_FRAME_SCHEMA,	// service = binding id, arg = position, limit = bytes of the table
				// (0 = there is none); payload: the part
	PHX_FRAME_HEADERS,	// a request begins (may carry MESSAGE and HALF_CLOSE)
	PHX_FRAME_MESSAGE,	// a message or a chunk of one
	PHX_FRAME_HALF_CLOSE,	// reserved for streams; a flag of HEADERS until then
	PHX_FRAME_STATUS,	// a call ends (may carry the reply MESSAGE)
	PHX_FRAME_CANCEL,
	PHX_FRAME_CREDIT,   // absolute limits, carries ACCEPTED
	PHX_FRAME_ACCEPTED, // understood as CREDIT, not sent
	PHX_FRAME_ANNOUNCE, // reserved for streams; a flag of HEADERS and STATUS until then
	PHX_FRAME_GRANT,    // an announced message has its room
	PHX_FRAME_PING,	    // flag REPLY answers
	PHX_FRAME_GOAWAY,
	PHX_FRAME_TRACE, // times of a traced call at the server, just before its STATUS: trace.h
	PHX_FRAME_TYPE_COUNT
};

enum {
	PHX_FRAME_F_MESSAGE = 1 << 0,	 // payload is (part of) a message
	PHX_FRAME_F_MORE = 1 << 1,	 // more chunks of this message follow
	PHX_FRAME_F_HALF_CLOSE = 1 << 2, // no more messages from this side
	PHX_FRAME_F_PROTOBUF = 1 << 3,	 // payload is protobuf, else a canonical image
	PHX_FRAME_F_REPLY = 1 << 4,	 // server to client direction (and PING answer)
	PHX_FRAME_F_PAYLOAD_CRC = 1 << 5,
	PHX_FRAME_F_ANNOUNCED = 1 << 6, // HEADERS, STATUS: the message comes after GRANT
	PHX_FRAME_F_IGNORABLE = 1 << 7, // an unknown type with this bit is skipped
	PHX_FRAME_F_TRACE = 1 << 8,	// HEADERS: times are wanted, see PHX_WIRE_FEATURE_TRACE
	PHX_FRAME_F_KNOWN = 0x1ff,
};

enum { PHX_LANE_SMALL = 0, PHX_LANE_BULK = 1, PHX_LANE_COUNT = 2 };

// Decoded header. Fields that a type does not use are 0.
struct phx_frame {
	uint8_t type;	  // enum phx_frame_type
	uint8_t code;	  // enum phx_code (STATUS, REFUSED, SERVICE_DOWN)
	uint8_t origin;	  // enum phx_origin
	uint8_t executed; // enum phx_executed
	uint16_t flags;
	uint16_t reason;   // enum phx_reason
	uint32_t epoch;	   // of the channel, raised by each reconnect
	uint32_t service;  // HEADERS, SCHEMA_GET: service id; SUBSCRIBE, SERVICE_*, SCHEMA: binding
	uint16_t method;   // HEADERS
	uint16_t number;   // MESSAGE: message number in its direction; counts on HALF_CLOSE, STATUS
	uint32_t cookie;   // HEADERS: client's call reference, echoed in every REPLY frame
	uint64_t channel;  // random 64-bit id; 0 = the link itself
	uint64_t sequence; // of the call; CREDIT, OPENED, ACCEPTED: accepted up to here
	uint64_t arg;	   // HEADERS: remaining ns; CREDIT, OPENED: byte
			   // limit; chunk: position in the message; SERVICE_UP: service id
	uint32_t limit;	   // CREDIT, OPENED: how far sequences may run beyond `sequence`
	uint16_t meta_len; // metadata block in front of the payload (text on STATUS: text_len)
	uint16_t text_len; // STATUS, REFUSED: text behind the metadata
	uint32_t payload_len; // message, chunk or type-specific bytes behind metadata and text
	uint32_t payload_crc; // CRC-32C of metadata, text and payload when F_PAYLOAD_CRC
	bool payload_bad;     // received only, never on the wire: payload_crc did not match. The
			  // content is not to be used; that call ends with DATA_LOSS (PAYLOAD_CRC)
			  // and the link stays
};

// Bytes behind the header. At most PHX_FRAME_BODY_MAX after decoding.
#define PHX_FRAME_BODY_MAX                                                                         \
	(PHX_LIMIT_METADATA_BYTES + PHX_LIMIT_STATUS_TEXT_BYTES + PHX_LIMIT_CHUNK_BYTES)
static inline uint32_t phx_frame_body_len(const struct phx_frame *frame)
{
	return (uint32_t)frame->meta_len + frame->text_len + frame->payload_len;
}

// Is this a plain chunk of a message, whose payload may land in memory of the receiver's choice
// (and not metadata, text, or a type of its own)?
static inline bool phx_frame_is_chunk(const struct phx_frame *frame)
{
	return frame->type == PHX_FRAME_MESSAGE && frame->payload_len != 0 &&
	       frame->meta_len == 0 && frame->text_len == 0;
}

// Encode into PHX_FRAME_HEADER bytes, CRC included. Fields beyond their limits are the caller's
// error (asserted). Any thread.
void phx_frame_encode(const struct phx_frame *frame, uint8_t out[PHX_FRAME_HEADER]);

// Decode and check PHX_FRAME_HEADER bytes of private memory. Any thread. 0, or -EPROTO with
// *out_reason one of PHX_REASON_W_MAGIC, W_VERSION, W_CRC, W_LENGTH (a length above its limit, or a
// reserved bit), W_STATE (unknown type that is not ignorable; an ignorable one is returned as it
// is). An unknown code becomes PHX_INTERNAL, an unknown reason INTERNAL, an unknown origin that of
// the remote dataplane, an unknown `executed` MAYBE: what a newer peer says is never out of range.
int phx_frame_decode(const uint8_t in[PHX_FRAME_HEADER], struct phx_frame *out_frame,
	enum phx_reason *out_reason);

// Version byte of a header, whatever else is wrong with it: for messages to people.
unsigned phx_frame_version(const uint8_t in[PHX_FRAME_HEADER]);

// Name of a type, for people. "?" when unknown.
const char *phx_frame_type_name(unsigned type);
