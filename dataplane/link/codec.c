// SPDX-License-Identifier: BSD-3-Clause
// The protobuf form of messages, used when a peer's schema differs from ours: decoding for
// incoming.c, encoding for path.c and server_reply.c. Every step does a bounded amount of work; the
// caller runs them as work of the session. State and copies are blocks of the session's account,
// the bytes of an encoded message are charged to it. Worker thread.
#include "dataplane/core/landing.h"
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

// ---- decoding ----

// A large block of the session. A short input stands behind it in the same block.
struct decoding {
	struct phx_proto_decode d;
	uint8_t *copy;	// of the input, when it is not a block of the receive heap
	bool own_block; // copy is a block of its own
	bool started, sized, has_room, refused;
	uint32_t room;	  // the image's block
	uint8_t *landing; // where the input landed, while the image has a landing too
	uint32_t landing_size;
	uint64_t size; // of the image
};
static_assert(sizeof(struct decoding) <= PHX_BLOCK_LARGE, "fits a block");

static int decoding_get(struct incoming *in, struct session *session)
{
	struct phx_block_pool *pool = &session_account(session)->pool;

	if (in->decode != NULL)
		return 0;
	in->decode = pool->get(pool, PHX_BLOCK_LARGE);
	if (in->decode == NULL)
		return -ENOMEM;
	memset((uint8_t *)in->decode + sizeof(in->decode->d), 0,
		sizeof(*in->decode) - sizeof(in->decode->d));
	return 0;
}

static void input_put(struct decoding *s, struct session *session)
{
	struct incoming in = {.landing = s->landing, .landing_size = s->landing_size};

	landing_put(session_account(session), &in);
	s->landing = NULL;
}

void decoding_drop(struct incoming *in, struct session *session)
{
	struct phx_block_pool *pool = &session_account(session)->pool;
	struct decoding *s = in->decode;

	if (s == NULL)
		return;
	if (s->started)
		phx_proto_decode_finish(&s->d);
	if (s->own_block)
		pool->put(pool, s->copy, PHX_BLOCK_LARGE);
	if (s->has_room)
		session_recv_free(session, s->room);
	input_put(s, session);
	pool->put(pool, s, PHX_BLOCK_LARGE);
	in->decode = NULL;
}

int decoding_copy(
	struct incoming *in, struct session *session, const struct iovec *iov, int n, size_t skip)
{
	struct phx_block_pool *pool = &session_account(session)->pool;
	struct iovec payload[CONN_IOV_MAX];
	int count = body_payload(iov, n, skip, payload, CONN_IOV_MAX);
	size_t at = 0;

	if (decoding_get(in, session) != 0)
		return -ENOMEM;
	in->decode->copy = (uint8_t *)(in->decode + 1);
	if (in->total > PHX_BLOCK_LARGE - sizeof(struct decoding)) {
		in->decode->copy = pool->get(pool, PHX_BLOCK_LARGE);
		in->decode->own_block = in->decode->copy != NULL;
		if (in->decode->copy == NULL)
			return -ENOMEM;
	}
	for (int i = 0; i < count && at + payload[i].iov_len <= PHX_BLOCK_LARGE; i++) {
		memcpy(in->decode->copy + at, payload[i].iov_base, payload[i].iov_len);
		at += payload[i].iov_len;
	}
	return at == in->total ? 0 : -EPROTO;
}

int decoding_size(struct incoming *in, struct session *session, const struct phx_schema *schema,
	uint32_t type, uint64_t *out_size)
{
	const struct phx_proto_limits lim = {
		.max_bytes = PHX_LIMIT_MESSAGE_BYTES_MAX,
		.max_elements = PHX_LIMIT_MESSAGE_ELEMENTS_MAX,
	};
	struct phx_work work = codec_work();
	struct decoding *s;
	int rc;

	if (decoding_get(in, session) != 0)
		return -ENOMEM;
	s = in->decode;
	if (s->refused)
		return -ENOMEM;
	if (s->sized)
		return 2;
	if (!s->started) {
		phx_proto_decode_start(&s->d, schema, type,
			s->copy != NULL ? s->copy : incoming_base(in, session), in->total,
			&session_account(session)->pool, &lim);
		s->started = true;
	}
	rc = phx_proto_decode_size(&s->d, &work, &s->size);
	if (rc == 1) {
		s->sized = true;
		*out_size = s->size;
	}
	return rc;
}

int decoding_room(struct incoming *in, struct session *session, uint32_t offset)
{
	struct decoding *s = in->decode;

	s->room = offset;
	s->has_room = offset != 0;
	s->refused = offset == 0;
	if (offset == 0)
		return -ENOMEM;
	// The input has landed elsewhere too, or stands in its copy.
	s->landing = in->landing;
	s->landing_size = in->landing_size;
	in->landing = NULL;
	if (incoming_judged(in, session) &&
		landing_get(session_account(session), in,
			(uint32_t)phx_align_up(s->size, 8) + in->meta_len) != 0)
		s->refused = true;
	return s->refused ? -ENOMEM : 0;
}

int decoding_fill(struct incoming *in, struct session *session)
{
	struct phx_work work = codec_work();
	struct decoding *s = in->decode;
	uint8_t *image = in->landing != NULL ? in->landing : session_recv_address(session, s->room);
	int rc = phx_proto_decode_fill(&s->d, image, &work);

	if (rc != 1)
		return rc;
	if (in->has_block)
		session_recv_free(session, in->block);
	in->block = s->room;
	in->total = (uint32_t)s->size;
	in->has_block = true;
	s->has_room = false;
	decoding_drop(in, session);
	return 1;
}

// ---- encoding ----

struct encoding {
	struct phx_proto_encode e;
	uint64_t size, at;
	bool sized;
};
static_assert(sizeof(struct encoding) <= PHX_BLOCK_LARGE, "fits a block");

void encoding_drop(struct session *session, struct call_work *work)
{
	struct phx_block_pool *pool = &session_account(session)->pool;

	if (work->encode == NULL)
		return;
	phx_list_del(&work->node);
	phx_proto_encode_finish(&work->encode->e);
	pool->put(pool, work->encode, PHX_BLOCK_LARGE);
	work->encode = NULL;
}

static int encoding_run(struct session *session, struct encoding *s, struct message *message)
{
	struct phx_work work = codec_work();
	size_t n = 0;
	int rc;

	if (!s->sized) {
		rc = phx_proto_encode_size(&s->e, &work, &s->size);
		if (rc != 1)
			return rc;
		s->sized = true;
		if (s->size > PHX_LIMIT_MESSAGE_BYTES_MAX)
			return -E2BIG;
		message->encoded = message_encoded_get(session, (uint32_t)s->size);
		if (message->encoded == NULL)
			return -ENOMEM;
		message->encoded_len = (uint32_t)s->size;
		return 0;
	}
	rc = phx_proto_encode_fill(&s->e, message->encoded + s->at, s->size - s->at, &n, &work);
	s->at += n;
	return rc;
}

int encoding_step(struct session *session, struct call_work *work, const struct phx_schema *schema,
	uint32_t type, struct message *message)
{
	struct phx_block_pool *pool = &session_account(session)->pool;
	struct encoding *s = work->encode;
	int rc;

	if (s == NULL) {
		s = pool->get(pool, PHX_BLOCK_LARGE);
		if (s == NULL)
			return -ENOMEM;
		phx_proto_encode_start(
			&s->e, schema, type, &message->image, session_source(session), pool);
		s->size = s->at = 0;
		s->sized = false;
		work->encode = s;
	}
	rc = encoding_run(session, s, message);
	if (rc == 0)
		return 0;
	encoding_drop(session, work);
	if (rc < 0)
		message_encoded_put(session, message);
	return rc;
}
