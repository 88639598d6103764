// SPDX-License-Identifier: BSD-3-Clause
// The first frame of every lane: both dataplanes say who they are, which versions they speak
// and which workers the link joins. Payload of PHX_FRAME_HELLO, 192 bytes, little-endian:
//
//	 0  4  magic "PHXL"		40  1  lane
//	 4  2  lowest version		41  1  lanes of the link
//	 6  2  highest version		42  2  worker of the sender
//	 8  8  features			44  2  worker wished for (answer: the one that serves)
//	16 16  instance UUID		46  2  workers of the sender
//	32  8  link token		48 16  reserved, 0
//	64 64  name of the host, NUL-terminated
//	128 64 reserved for authentication and TLS, 0
//
// The dialer sends it first. The answer (flag REPLY) carries the version and features chosen, or is
// a REFUSED frame with code, reason and text, after which the connection is closed.
#pragma once

#include "lib/base/status.h"

#include <stdint.h>

#define PHX_WIRE_HELLO_BYTES 192
#define PHX_WIRE_HELLO_NAME  64

enum {
	// Payloads carry a checksum; on when either side wants it.
	PHX_WIRE_FEATURE_CRC = 1 << 0,
	// The flag PHX_FRAME_F_TRACE and PHX_FRAME_TRACE; on when both sides know them.
	PHX_WIRE_FEATURE_TRACE = 1 << 1,
	PHX_WIRE_FEATURES_KNOWN = PHX_WIRE_FEATURE_CRC | PHX_WIRE_FEATURE_TRACE,
};

struct phx_wire_hello {
	uint16_t min; // versions; in an answer min == max == the version chosen
	uint16_t max;
	uint64_t features; // unknown bits are dropped by the decoder
	uint8_t uuid[16];  // instance of the sender
	uint64_t token;	   // random, chosen by the dialer: joins the lanes of one link
	uint8_t lane;
	uint8_t lanes;
	uint16_t worker;  // of the sender
	uint16_t wish;	  // worker of the receiver; taken modulo its number of workers
	uint16_t workers; // of the sender, 1 or more
	char name[PHX_WIRE_HELLO_NAME];
};

// Any thread. name is cut to what fits.
void phx_wire_hello_encode(const struct phx_wire_hello *hello, uint8_t out[PHX_WIRE_HELLO_BYTES]);

// Decode and check PHX_WIRE_HELLO_BYTES of private memory. The name keeps printable ASCII only.
// 0, or -EPROTO with *out_reason W_MAGIC, W_VERSION (no version in common) or W_STATE (a lane or
// a count that cannot be). Reserved bytes are ignored: they are for later versions. Any thread.
int phx_wire_hello_decode(const uint8_t in[PHX_WIRE_HELLO_BYTES], struct phx_wire_hello *out_hello,
	enum phx_reason *out_reason);

// The versions that a hello names, whatever else is wrong with it: for messages to people. Any
// thread.
void phx_wire_hello_versions(
	const uint8_t in[PHX_WIRE_HELLO_BYTES], unsigned *out_min, unsigned *out_max);
