// SPDX-License-Identifier: BSD-3-Clause
// Messages on their way in that one step cannot take: announced ones, whose chunks land in a block
// of the receive heap in order, and all in protobuf. The whole is checked, or decoded into a block
// of its own, step by step as work of the session, before anybody sees it. Both ends use this.
// Worker thread.
#include "dataplane/core/landing.h"
#include "dataplane/core/worker.h"
#include "dataplane/link/link.h"

#include "lib/schema/metadata.h"
#include "lib/schema/validate.h"

#include <stdlib.h>

static struct incoming *waiter_incoming(struct recv_waiter *waiter)
{
	return phx_container_of(waiter, struct incoming, waiter);
}

// Keep the metadata of the frame until its place behind the message is there.
static int meta_keep(struct incoming *in, const struct phx_frame *f, const struct iovec *iov, int n)
{
	const void *meta;

	if (phx_likely(f->meta_len == 0))
		return 0;
	meta = body_part(iov, n, 0, f->meta_len);
	if (meta == NULL || phx_metadata_check(meta, f->meta_len) != 0)
		return -EPROTO;
	in->meta = malloc(f->meta_len);
	if (in->meta == NULL)
		return -ENOMEM;
	memcpy(in->meta, meta, f->meta_len);
	in->meta_len = f->meta_len;
	return 0;
}

static int incoming_init(struct incoming *in, const struct phx_frame *f, const struct iovec *iov,
	int n, struct call_work *work, bool is_reply, uint64_t deadline_ns)
{
	memset(in, 0, sizeof(*in));
	timer_init(&in->waiter.timer);
	phx_list_init(&in->waiter.node);
	in->waiter.is_reply = is_reply;
	in->work = work;
	in->deadline_ns = deadline_ns;
	in->encoded = (f->flags & PHX_FRAME_F_PROTOBUF) != 0;
	return meta_keep(in, f, iov, n);
}

// Room for an image of `size` bytes and its metadata.
static int room_reserve(struct incoming *in, struct session *session, uint64_t size,
	uint32_t *out_offset,
	void (*fn)(struct recv_waiter *, uint32_t offset, enum phx_reason reason))
{
	uint64_t room = phx_align_up(size, 8) + in->meta_len;

	in->waiter.fn = fn;
	if (size > session_recv_most(session, in->waiter.is_reply) || room > UINT32_MAX)
		return -E2BIG;
	return session_recv_reserve(session, &in->waiter, (uint32_t)room, in->waiter.is_reply,
		in->deadline_ns, out_offset);
}

int incoming_announce(struct incoming *in, struct session *session, const struct phx_frame *f,
	const struct iovec *iov, int n, struct call_work *work, bool is_reply, uint64_t deadline_ns,
	void (*room)(struct recv_waiter *waiter, uint32_t offset, enum phx_reason reason))
{
	uint32_t offset;
	int rc = incoming_init(in, f, iov, n, work, is_reply, deadline_ns);

	if (rc != 0)
		return rc;
	if (f->limit == 0)
		return -EPROTO;
	in->active = true;
	in->total = f->limit;
	rc = room_reserve(in, session, in->total, &offset, room);
	if (rc == 1 && incoming_room(in, session, offset) != 0)
		rc = -ENOMEM;
	return rc;
}

// ---- grants ----

static void grant_check(struct worker *worker, struct timer *timer)
{
	struct incoming *in = phx_container_of(timer, struct incoming, waiter.timer);

	if (in->received != in->received_seen) {
		in->received_seen = in->received;
		timer_start(&worker->timers, timer, worker->now_ns + LINK_GRANT_NS, grant_check);
		return;
	}
	in->waiter.fn(&in->waiter, 0, PHX_REASON_RECV_QUOTA);
}

void incoming_granted(struct incoming *in, struct session *session)
{
	struct worker *worker = session_worker(session);

	timer_start(
		&worker->timers, &in->waiter.timer, worker->now_ns + LINK_GRANT_NS, grant_check);
}

void *incoming_sink(
	struct incoming *in, struct link *link, struct session *session, const struct phx_frame *f)
{
	if (!in->active || !in->has_block || in->sink != NULL || f->arg != in->received ||
		in->received > in->total || f->payload_len > in->total - in->received)
		return NULL;
	in->sink = link;
	return incoming_base(in, session) + in->received;
}

int incoming_room(struct incoming *in, struct session *session, uint32_t block)
{
	uint32_t size = (uint32_t)phx_align_up(in->total, 8) + in->meta_len;

	in->block = block;
	in->has_block = true;
	return incoming_judged(in, session) ? landing_get(session_account(session), in, size) : 0;
}

bool incoming_judged(const struct incoming *in, const struct session *session)
{
	return session_judges(session, in->waiter.is_reply ? POINT_REPLY_IN : POINT_REQUEST_IN);
}

uint8_t *incoming_base(const struct incoming *in, struct session *session)
{
	return in->landing != NULL ? in->landing : session_recv_address(session, in->block);
}

bool incoming_landed(struct incoming *in, struct session *session, const struct phx_frame *f)
{
	in->sink = NULL;
	in->received += f->payload_len;
	if (in->received != in->total)
		return false;
	in->active = false;
	timer_stop(&session_worker(session)->timers, &in->waiter.timer);
	return true;
}

static void sink_drop(struct incoming *in)
{
	struct conn *bulk = in->sink != NULL ? in->sink->lane[PHX_LANE_BULK] : NULL;

	if (bulk != NULL)
		bulk->ops->sink_cancel(bulk);
	in->sink = NULL;
}

void incoming_drop(struct incoming *in, struct session *session)
{
	struct phx_block_pool *pool = &session_account(session)->pool;

	session_recv_cancel(&in->waiter);
	sink_drop(in);
	landing_put(session_account(session), in);
	if (in->has_block)
		session_recv_free(session, in->block);
	in->has_block = false;
	if (in->work == NULL)
		return; // that was left of what was judged
	timer_stop(&session_worker(session)->timers, &in->waiter.timer);
	if (in->validate != NULL)
		pool->put(pool, in->validate, PHX_BLOCK_LARGE);
	in->validate = NULL;
	decoding_drop(in, session);
	in->active = false;
	free(in->meta);
	in->meta = NULL;
	in->meta_len = 0;
	in->work = NULL;
}

// ---- checking ----

static int image_check(struct incoming *in, struct session *session,
	const struct phx_schema *schema, uint32_t type)
{
	const struct phx_validate_limits lim = {.max_elements = PHX_LIMIT_MESSAGE_ELEMENTS_MAX};
	struct phx_block_pool *pool = &session_account(session)->pool;
	struct phx_work work = {.bytes = PHX_LIMIT_WORK_BYTES, .elements = PHX_LIMIT_WORK_ELEMENTS};
	int rc;

	static_assert(sizeof(struct phx_validate) <= PHX_BLOCK_LARGE, "fits a block");
	if (in->validate == NULL) {
		in->validate = pool->get(pool, PHX_BLOCK_LARGE);
		if (in->validate == NULL)
			return -ENOMEM;
		phx_validate_start(
			in->validate, schema, type, incoming_base(in, session), in->total, &lim);
	}
	rc = phx_validate_run(in->validate, &work);
	if (rc == 0)
		return 0;
	pool->put(pool, in->validate, PHX_BLOCK_LARGE);
	in->validate = NULL;
	return rc;
}

// The image of a decoded message has its block now, or never gets one.
static void decoded_room(struct recv_waiter *waiter, uint32_t offset, enum phx_reason reason)
{
	struct incoming *in = waiter_incoming(waiter);

	(void)reason;
	(void)decoding_room(in, waiter->session, offset); // the next step says what went wrong
	session_work_add(waiter->session, in->work);
}

static int image_decode(struct incoming *in, struct session *session,
	const struct phx_schema *schema, uint32_t type)
{
	uint64_t size = 0;
	uint32_t offset;
	int rc = decoding_size(in, session, schema, type, &size);

	if (rc == 1) { // known just now
		rc = room_reserve(in, session, size, &offset, decoded_room);
		if (rc == 0)
			return -EINPROGRESS;
		if (rc < 0)
			return rc;
		return decoding_room(in, session, offset);
	}
	return rc == 2 ? decoding_fill(in, session) : rc;
}

int incoming_step(struct incoming *in, struct session *session, const struct phx_schema *schema,
	uint32_t type)
{
	int rc = in->encoded ? image_decode(in, session, schema, type)
			     : image_check(in, session, schema, type);

	if (rc != 1)
		return rc;
	if (in->meta_len != 0)
		memcpy(incoming_base(in, session) + phx_align_up(in->total, 8), in->meta,
			in->meta_len);
	free(in->meta);
	in->meta = NULL;
	return 1;
}

int incoming_protobuf(struct incoming *in, struct session *session, const struct phx_frame *f,
	const struct iovec *iov, int n, struct call_work *work, bool is_reply, uint64_t deadline_ns)
{
	int rc = incoming_init(in, f, iov, n, work, is_reply, deadline_ns);

	if (rc != 0)
		return rc;
	in->total = f->payload_len;
	return decoding_copy(in, session, iov, n, (size_t)f->meta_len + f->text_len);
}
