// SPDX-License-Identifier: BSD-3-Clause
// When a traced call passed the stages of the server's dataplane: payload of PHX_FRAME_TRACE, 40
// bytes, five times of 8 bytes, little-endian, in nanoseconds since HEADERS were received there. No
// clock crosses the wire, only these durations.
//
// The client asks with PHX_FRAME_F_TRACE in HEADERS, where both hellos have
// PHX_WIRE_FEATURE_TRACE; the server may leave the answer out.
#pragma once

#include <stdint.h>

enum phx_trace_at {
	PHX_TRACE_COMPLETE,  // the request is all here and checked
	PHX_TRACE_DELIVERED, // it is in the application's ring
	PHX_TRACE_REPLIED,   // the reply was taken from its ring
	PHX_TRACE_CHAINED,   // packed, passed by the policies
	PHX_TRACE_SENT,	     // handed to the link
	PHX_TRACE_COUNT
};

#define PHX_WIRE_TRACE_BYTES (8 * PHX_TRACE_COUNT)
// No call takes longer: what is beyond it is nonsense.
#define PHX_WIRE_TRACE_NS_MAX (UINT64_C(86400) * 1000000000)

// times_ns do not fall. Any thread.
void phx_wire_trace_encode(
	const uint64_t times_ns[PHX_TRACE_COUNT], uint8_t out[PHX_WIRE_TRACE_BYTES]);

// Decode and check `len` bytes of private memory. 0, or -EPROTO: another length, a time that falls
// or is beyond PHX_WIRE_TRACE_NS_MAX; out is untouched then. Any thread.
int phx_wire_trace_decode(const void *in, uint32_t len, uint64_t out_times_ns[PHX_TRACE_COUNT]);
