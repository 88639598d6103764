// SPDX-License-Identifier: BSD-3-Clause
// The protobuf form of messages, used when a peer's schema hash differs from ours. Not the fast
// path; runs to its end in steps of the codec's work units. Worker thread.
#include "dataplane/link/link.h"

#include "lib/schema/proto.h"

#include <stdlib.h>

static struct phx_work codec_work(void)
{
	return (struct phx_work){
		.bytes = PHX_LIMIT_WORK_BYTES,
		.elements = PHX_LIMIT_WORK_ELEMENTS,
	};
}

static int encode_all(struct phx_proto_encode *e, uint8_t **out, uint32_t *out_len)
{
	struct phx_work work = codec_work();
	uint64_t size = 0, at = 0;
	int rc;

	while ((rc = phx_proto_encode_size(e, &work, &size)) == 0)
		work = codec_work();
	if (rc < 0)
		return rc;
	if (size > PHX_LIMIT_MESSAGE_BYTES_MAX)
		return -E2BIG;
	*out = malloc(size == 0 ? 1 : size);
	if (*out == NULL)
		return -ENOMEM;
	do {
		size_t n = 0;

		work = codec_work();
		rc = phx_proto_encode_fill(e, *out + at, size - at, &n, &work);
		at += n;
	} while (rc == 0);
	if (rc < 0) {
		free(*out);
		*out = NULL;
		return rc;
	}
	*out_len = (uint32_t)size;
	return 0;
}

int message_encode(const struct phx_schema *schema, uint32_t type, struct session *session,
	struct message *message)
{
	struct phx_block_pool *pool = &session_account(session)->pool;
	struct phx_proto_encode *e = malloc(sizeof(*e));
	int rc;

	if (message->encoded != NULL) {
		free(e);
		return 0;
	}
	if (e == NULL)
		return -ENOMEM;
	phx_proto_encode_start(e, schema, type, &message->image, session_source(session), pool);
	rc = encode_all(e, &message->encoded, &message->encoded_len);
	phx_proto_encode_finish(e);
	free(e);
	return rc;
}

static int decode_all(struct phx_proto_decode *d, uint8_t **out, uint32_t *out_len)
{
	struct phx_work work = codec_work();
	uint64_t size = 0;
	int rc;

	while ((rc = phx_proto_decode_size(d, &work, &size)) == 0)
		work = codec_work();
	if (rc < 0)
		return rc;
	*out = aligned_alloc(8, phx_align_up(size == 0 ? 8 : size, 8));
	if (*out == NULL)
		return -ENOMEM;
	do {
		work = codec_work();
		rc = phx_proto_decode_fill(d, *out, &work);
	} while (rc == 0);
	if (rc < 0) {
		free(*out);
		*out = NULL;
		return rc;
	}
	*out_len = (uint32_t)size;
	return 0;
}

int message_decode(const struct phx_schema *schema, uint32_t type, struct session *session,
	const void *in, uint32_t in_len, uint8_t **out_image, uint32_t *out_len)
{
	const struct phx_proto_limits lim = {
		.max_bytes = PHX_LIMIT_MESSAGE_BYTES_MAX,
		.max_elements = PHX_LIMIT_MESSAGE_ELEMENTS_MAX,
	};
	struct phx_block_pool *pool = &session_account(session)->pool;
	struct phx_proto_decode *d = malloc(sizeof(*d));
	int rc;

	if (d == NULL)
		return -ENOMEM;
	phx_proto_decode_start(d, schema, type, in, in_len, pool, &lim);
	rc = decode_all(d, out_image, out_len);
	phx_proto_decode_finish(d);
	free(d);
	return rc;
}
