// SPDX-License-Identifier: BSD-3-Clause
// The header of a frame as bytes. All integers little-endian; version 1:
//
//	 0  4  magic "PHXW"		36  4  cookie
//	 4  1  version			40  8  channel
//	 5  1  type			48  8  sequence
//	 6  2  flags			56  8  arg
//	 8  4  payload length		64  4  limit
//	12  2  metadata length		68  4  payload CRC-32C
//	14  2  text length		72  4  reserved, 0
//	16  1  code			76  4  CRC-32C of bytes 0 to 75
//	17  1  origin
//	18  1  executed
//	19  1  reserved, 0
//	20  2  reason
//	22  2  number
//	24  4  epoch
//	28  4  service
//	32  2  method
//	34  2  reserved, 0
//
// Magic and version keep their place in every version, so that a refusal can name both.
#include "lib/wire/frame.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/base/hash.h"

#include <errno.h>

enum {
	AT_MAGIC = 0,
	AT_VERSION = 4,
	AT_TYPE = 5,
	AT_FLAGS = 6,
	AT_PAYLOAD_LEN = 8,
	AT_META_LEN = 12,
	AT_TEXT_LEN = 14,
	AT_CODE = 16,
	AT_ORIGIN = 17,
	AT_EXECUTED = 18,
	AT_RESERVED8 = 19,
	AT_REASON = 20,
	AT_NUMBER = 22,
	AT_EPOCH = 24,
	AT_SERVICE = 28,
	AT_METHOD = 32,
	AT_RESERVED16 = 34,
	AT_COOKIE = 36,
	AT_CHANNEL = 40,
	AT_SEQUENCE = 48,
	AT_ARG = 56,
	AT_LIMIT = 64,
	AT_PAYLOAD_CRC = 68,
	AT_RESERVED32 = 72,
	AT_CRC = 76,
};
static_assert(AT_CRC + 4 == PHX_FRAME_HEADER, "the header CRC is its last word");

void phx_frame_encode(const struct phx_frame *frame, uint8_t out[PHX_FRAME_HEADER])
{
	assert(frame->payload_len <= PHX_LIMIT_CHUNK_BYTES);
	assert(frame->meta_len <= PHX_LIMIT_METADATA_BYTES);
	assert(frame->text_len <= PHX_LIMIT_STATUS_TEXT_BYTES);
	assert((frame->flags & ~PHX_FRAME_F_KNOWN) == 0);

	phx_le32_store(out + AT_MAGIC, PHX_WIRE_MAGIC);
	out[AT_VERSION] = PHX_WIRE_MAX;
	out[AT_TYPE] = frame->type;
	phx_le16_store(out + AT_FLAGS, frame->flags);
	phx_le32_store(out + AT_PAYLOAD_LEN, frame->payload_len);
	phx_le16_store(out + AT_META_LEN, frame->meta_len);
	phx_le16_store(out + AT_TEXT_LEN, frame->text_len);
	out[AT_CODE] = frame->code;
	out[AT_ORIGIN] = frame->origin;
	out[AT_EXECUTED] = frame->executed;
	out[AT_RESERVED8] = 0;
	phx_le16_store(out + AT_REASON, frame->reason);
	phx_le16_store(out + AT_NUMBER, frame->number);
	phx_le32_store(out + AT_EPOCH, frame->epoch);
	phx_le32_store(out + AT_SERVICE, frame->service);
	phx_le16_store(out + AT_METHOD, frame->method);
	phx_le16_store(out + AT_RESERVED16, 0);
	phx_le32_store(out + AT_COOKIE, frame->cookie);
	phx_le64_store(out + AT_CHANNEL, frame->channel);
	phx_le64_store(out + AT_SEQUENCE, frame->sequence);
	phx_le64_store(out + AT_ARG, frame->arg);
	phx_le32_store(out + AT_LIMIT, frame->limit);
	phx_le32_store(out + AT_PAYLOAD_CRC, frame->payload_crc);
	phx_le32_store(out + AT_RESERVED32, 0);
	phx_le32_store(out + AT_CRC, phx_crc32c(0, out, AT_CRC));
}

static void decode_fields(const uint8_t in[PHX_FRAME_HEADER], struct phx_frame *frame)
{
	frame->type = in[AT_TYPE];
	frame->code = in[AT_CODE] < PHX_CODE_COUNT ? in[AT_CODE] : PHX_INTERNAL;
	frame->origin =
		in[AT_ORIGIN] < PHX_ORIGIN_COUNT ? in[AT_ORIGIN] : PHX_ORIGIN_REMOTE_DATAPLANE;
	frame->executed =
		in[AT_EXECUTED] <= PHX_EXECUTED_YES ? in[AT_EXECUTED] : PHX_EXECUTED_MAYBE;
	frame->flags = phx_le16_load(in + AT_FLAGS);
	frame->reason = phx_le16_load(in + AT_REASON);
	if (frame->reason >= PHX_REASON_COUNT)
		frame->reason = PHX_REASON_INTERNAL;
	frame->epoch = phx_le32_load(in + AT_EPOCH);
	frame->service = phx_le32_load(in + AT_SERVICE);
	frame->method = phx_le16_load(in + AT_METHOD);
	frame->number = phx_le16_load(in + AT_NUMBER);
	frame->cookie = phx_le32_load(in + AT_COOKIE);
	frame->channel = phx_le64_load(in + AT_CHANNEL);
	frame->sequence = phx_le64_load(in + AT_SEQUENCE);
	frame->arg = phx_le64_load(in + AT_ARG);
	frame->limit = phx_le32_load(in + AT_LIMIT);
	frame->meta_len = phx_le16_load(in + AT_META_LEN);
	frame->text_len = phx_le16_load(in + AT_TEXT_LEN);
	frame->payload_len = phx_le32_load(in + AT_PAYLOAD_LEN);
	frame->payload_crc = phx_le32_load(in + AT_PAYLOAD_CRC);
	frame->payload_bad = false;
}

static PHX_COLD int refuse(enum phx_reason reason, enum phx_reason *out_reason)
{
	*out_reason = reason;
	return -EPROTO;
}

int phx_frame_decode(const uint8_t in[PHX_FRAME_HEADER], struct phx_frame *out_frame,
	enum phx_reason *out_reason)
{
	struct phx_frame f;

	if (phx_le32_load(in + AT_MAGIC) != PHX_WIRE_MAGIC)
		return refuse(PHX_REASON_W_MAGIC, out_reason);
	if (in[AT_VERSION] < PHX_WIRE_MIN || in[AT_VERSION] > PHX_WIRE_MAX)
		return refuse(PHX_REASON_W_VERSION, out_reason);
	if (phx_le32_load(in + AT_CRC) != phx_crc32c(0, in, AT_CRC))
		return refuse(PHX_REASON_W_CRC, out_reason);
	decode_fields(in, &f);
	if (in[AT_RESERVED8] != 0 || phx_le16_load(in + AT_RESERVED16) != 0 ||
		phx_le32_load(in + AT_RESERVED32) != 0 || (f.flags & ~PHX_FRAME_F_KNOWN) != 0)
		return refuse(PHX_REASON_W_LENGTH, out_reason);
	if (f.payload_len > PHX_LIMIT_CHUNK_BYTES || f.meta_len > PHX_LIMIT_METADATA_BYTES ||
		f.text_len > PHX_LIMIT_STATUS_TEXT_BYTES)
		return refuse(PHX_REASON_W_LENGTH, out_reason);
	if ((f.type < PHX_FRAME_HELLO || f.type >= PHX_FRAME_TYPE_COUNT) &&
		(f.flags & PHX_FRAME_F_IGNORABLE) == 0)
		return refuse(PHX_REASON_W_STATE, out_reason);
	*out_frame = f;
	return 0;
}

unsigned phx_frame_version(const uint8_t in[PHX_FRAME_HEADER])
{
	return in[AT_VERSION];
}

const char *phx_frame_type_name(unsigned type)
{
	static const char *const names[PHX_FRAME_TYPE_COUNT] = {
		[PHX_FRAME_HELLO] = "HELLO",
		[PHX_FRAME_OPEN] = "OPEN",
		[PHX_FRAME_OPENED] = "OPENED",
		[PHX_FRAME_REFUSED] = "REFUSED",
		[PHX_FRAME_SUBSCRIBE] = "SUBSCRIBE",
		[PHX_FRAME_SERVICE_UP] = "SERVICE_UP",
		[PHX_FRAME_SERVICE_DOWN] = "SERVICE_DOWN",
		[PHX_FRAME_SCHEMA_GET] = "SCHEMA_GET",
		[PHX_FRAME_SCHEMA] = "SCHEMA",
		[PHX_FRAME_HEADERS] = "HEADERS",
		[PHX_FRAME_MESSAGE] = "MESSAGE",
		[PHX_FRAME_HALF_CLOSE] = "HALF_CLOSE",
		[PHX_FRAME_STATUS] = "STATUS",
		[PHX_FRAME_CANCEL] = "CANCEL",
		[PHX_FRAME_CREDIT] = "CREDIT",
		[PHX_FRAME_ACCEPTED] = "ACCEPTED",
		[PHX_FRAME_ANNOUNCE] = "ANNOUNCE",
		[PHX_FRAME_GRANT] = "GRANT",
		[PHX_FRAME_PING] = "PING",
		[PHX_FRAME_GOAWAY] = "GOAWAY",
		[PHX_FRAME_TRACE] = "TRACE",
	};

	if (type >= PHX_FRAME_TYPE_COUNT || names[type] == NULL)
		return "?";
	return names[type];
}
