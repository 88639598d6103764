// SPDX-License-Identifier: BSD-3-Clause
// Times of a traced call as bytes, see trace.h. Works with frame.c, whose frame carries them.
#include "lib/wire/trace.h"

#include "lib/base/bits.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

void phx_wire_trace_encode(
	const uint64_t times_ns[PHX_TRACE_COUNT], uint8_t out[PHX_WIRE_TRACE_BYTES])
{
	for (unsigned i = 0; i < PHX_TRACE_COUNT; i++)
		phx_le64_store(out + (size_t)8 * i, times_ns[i]);
}

int phx_wire_trace_decode(const void *in, uint32_t len, uint64_t out_times_ns[PHX_TRACE_COUNT])
{
	uint64_t times[PHX_TRACE_COUNT], before = 0;

	if (len != PHX_WIRE_TRACE_BYTES)
		return -EPROTO;
	for (unsigned i = 0; i < PHX_TRACE_COUNT; i++) {
		times[i] = phx_le64_load((const uint8_t *)in + (size_t)8 * i);
		if (times[i] < before || times[i] > PHX_WIRE_TRACE_NS_MAX)
			return -EPROTO;
		before = times[i];
	}
	memcpy(out_times_ns, times, sizeof(times));
	return 0;
}
