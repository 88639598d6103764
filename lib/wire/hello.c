// SPDX-License-Identifier: BSD-3-Clause
// The hello of a lane as bytes, see hello.h. Works with frame.c, whose frame carries it.
#include "lib/wire/hello.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/wire/frame.h"

#include <errno.h>

#define HELLO_MAGIC UINT32_C(0x4c584850) // "PHXL"

enum {
	AT_MAGIC = 0,
	AT_MIN = 4,
	AT_MAX = 6,
	AT_FEATURES = 8,
	AT_UUID = 16,
	AT_TOKEN = 32,
	AT_LANE = 40,
	AT_LANES = 41,
	AT_WORKER = 42,
	AT_WISH = 44,
	AT_WORKERS = 46,
	AT_NAME = 64,
	AT_AUTH = 128,
};
static_assert(AT_NAME + PHX_WIRE_HELLO_NAME == AT_AUTH, "layout");
static_assert(AT_AUTH + 64 == PHX_WIRE_HELLO_BYTES, "layout");

void phx_wire_hello_encode(const struct phx_wire_hello *h, uint8_t out[PHX_WIRE_HELLO_BYTES])
{
	memset(out, 0, PHX_WIRE_HELLO_BYTES);
	phx_le32_store(out + AT_MAGIC, HELLO_MAGIC);
	phx_le16_store(out + AT_MIN, h->min);
	phx_le16_store(out + AT_MAX, h->max);
	phx_le64_store(out + AT_FEATURES, h->features);
	memcpy(out + AT_UUID, h->uuid, sizeof(h->uuid));
	phx_le64_store(out + AT_TOKEN, h->token);
	out[AT_LANE] = h->lane;
	out[AT_LANES] = h->lanes;
	phx_le16_store(out + AT_WORKER, h->worker);
	phx_le16_store(out + AT_WISH, h->wish);
	phx_le16_store(out + AT_WORKERS, h->workers);
	memcpy(out + AT_NAME, h->name, strnlen(h->name, PHX_WIRE_HELLO_NAME - 1));
}

static void name_decode(const uint8_t *in, char out[PHX_WIRE_HELLO_NAME])
{
	unsigned i;

	for (i = 0; i < PHX_WIRE_HELLO_NAME - 1 && in[i] != 0; i++)
		out[i] = in[i] > 0x20 && in[i] < 0x7f ? (char)in[i] : '?';
	out[i] = '\0';
}

int phx_wire_hello_decode(const uint8_t in[PHX_WIRE_HELLO_BYTES], struct phx_wire_hello *out_hello,
	enum phx_reason *out_reason)
{
	struct phx_wire_hello h = {
		.min = phx_le16_load(in + AT_MIN),
		.max = phx_le16_load(in + AT_MAX),
		.features = phx_le64_load(in + AT_FEATURES) & PHX_WIRE_FEATURES_KNOWN,
		.token = phx_le64_load(in + AT_TOKEN),
		.lane = in[AT_LANE],
		.lanes = in[AT_LANES],
		.worker = phx_le16_load(in + AT_WORKER),
		.wish = phx_le16_load(in + AT_WISH),
		.workers = phx_le16_load(in + AT_WORKERS),
	};

	*out_reason = PHX_REASON_W_MAGIC;
	if (phx_le32_load(in + AT_MAGIC) != HELLO_MAGIC)
		return -EPROTO;
	*out_reason = PHX_REASON_W_VERSION;
	if (h.min > h.max || h.min > PHX_WIRE_MAX || h.max < PHX_WIRE_MIN)
		return -EPROTO;
	*out_reason = PHX_REASON_W_STATE;
	if (h.lanes != PHX_LANE_COUNT || h.lane >= h.lanes || h.workers == 0 ||
		h.workers > PHX_LIMIT_WORKERS_MAX)
		return -EPROTO;
	memcpy(h.uuid, in + AT_UUID, sizeof(h.uuid));
	name_decode(in + AT_NAME, h.name);
	*out_hello = h;
	return 0;
}

void phx_wire_hello_versions(
	const uint8_t in[PHX_WIRE_HELLO_BYTES], unsigned *out_min, unsigned *out_max)
{
	*out_min = phx_le16_load(in + AT_MIN);
	*out_max = phx_le16_load(in + AT_MAX);
}
