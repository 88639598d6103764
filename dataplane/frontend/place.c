// SPDX-License-Identifier: BSD-3-Clause
// See place.h. Works with recv.c (room), chained_in.c (verdicts) and lib/schema/image.h (the copy).
#include "dataplane/frontend/place.h"

#include "dataplane/core/landing.h"
#include "dataplane/frontend/lent.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/serve.h"

static const struct call_status no_room = {
	.code = PHX_RESOURCE_EXHAUSTED,
	.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
	.executed = PHX_EXECUTED_NO,
	.reason = PHX_REASON_RECV_QUOTA,
};

// One step; 1 = done. An image in private memory has no holes, so nothing can be wrong with it.
static int copy_step(struct call_work *work)
{
	struct phx_work budget = {
		.bytes = PHX_LIMIT_WORK_BYTES, .elements = PHX_LIMIT_WORK_ELEMENTS};

	return phx_image_copy_run(&work->copy, &budget) != 0;
}

// ---- requests ----

static int request_step(struct call_work *work)
{
	struct rcall *r = phx_container_of(work, struct rcall, work);
	struct session *session = r->session;
	uint64_t len = r->message.image.total_len;

	if (copy_step(work) == 0)
		return 0;
	if (r->message.meta_len != 0)
		memcpy(session_recv_address(session, r->block) + phx_align_up(len, 8),
			r->message.extra, r->message.meta_len);
	r->msg_len = (uint32_t)len;
	message_release(session, &r->message);
	landing_put(&session->account, &r->in);
	serve_ready(r);
	return 1;
}

static void request_copy(struct rcall *r)
{
	phx_image_copy_start(
		&r->work.copy, &r->message.image, NULL, session_recv_address(r->session, r->block));
	r->work.step = request_step;
	session_work_add(r->session, &r->work);
}

static void request_room(struct recv_waiter *waiter, uint32_t offset, enum phx_reason reason)
{
	struct rcall *r = phx_container_of(waiter, struct rcall, in.waiter);

	(void)reason;
	if (offset == 0) {
		serve_refuse(r, &no_room);
		return;
	}
	r->block = offset;
	r->has_block = true;
	request_copy(r);
}

void place_request(struct rcall *r)
{
	uint64_t need = phx_align_up(r->message.image.total_len, 8) + r->message.meta_len;
	uint32_t offset = 0;
	int rc;

	if (r->has_block && need <= phx_heap_size(r->session->recv, r->block)) {
		request_copy(r);
		return;
	}
	if (r->has_block) // a policy has made it larger
		recv_free(r->session, r->block);
	r->has_block = false;
	r->in.waiter.fn = request_room;
	rc = need > UINT32_MAX ? -E2BIG
			       : session_recv_reserve(r->session, &r->in.waiter, (uint32_t)need,
					 false, r->deadline_ns, &offset);
	if (rc == 1)
		request_room(&r->in.waiter, offset, PHX_REASON_NONE);
	else if (rc < 0)
		serve_refuse(r, &no_room);
}

// ---- replies ----

static int reply_step(struct call_work *work)
{
	struct call *call = phx_container_of(work, struct call, work);
	const struct message *message = call->work.placed;
	struct session *session = call->session;

	if (copy_step(work) == 0)
		return 0;
	call->in.meta_len = message->meta_len;
	if (message->meta_len != 0)
		memcpy(session_recv_address(session, call->in.block) +
				phx_align_up(call->in.total, 8),
			message->extra, message->meta_len);
	landing_put(&session->account, &call->in);
	call_complete_block(call);
	return 1;
}

static void reply_copy(struct call *call)
{
	call->work.copy.dst = session_recv_address(call->session, call->in.block);
	call->work.step = reply_step;
	session_work_add(call->session, &call->work);
}

void place_drop(struct call *call)
{
	session_recv_cancel(&call->in.waiter);
	if (call->in.has_block)
		recv_free(call->session, call->in.block);
	call->in.has_block = false;
	landing_put(&call->session->account, &call->in);
}

static void reply_room(struct recv_waiter *waiter, uint32_t offset, enum phx_reason reason)
{
	struct call *call = phx_container_of(waiter, struct call, in.waiter);
	struct call_status st = no_room;

	(void)reason;
	if (offset == 0) {
		st.executed = PHX_EXECUTED_YES;
		place_drop(call);
		call_complete(call, &st, NULL);
		return;
	}
	call->in.block = offset;
	call->in.has_block = true;
	reply_copy(call);
}

void place_reply(struct call *call, const struct message *message)
{
	uint32_t offset = 0, len = (uint32_t)message->image.total_len;
	uint32_t need = (uint32_t)phx_align_up(len, 8) + message->meta_len;
	int rc;

	// dst comes with the room
	phx_image_copy_start(&call->work.copy, &message->image, NULL, NULL);
	call->work.placed = message;
	call->in.total = len;
	if (call->in.has_block && need <= phx_heap_size(call->session->recv, call->in.block)) {
		reply_copy(call);
		return;
	}
	if (call->in.has_block)
		recv_free(call->session, call->in.block);
	call->in.has_block = false;
	call->in.waiter.fn = reply_room;
	rc = session_recv_reserve(
		call->session, &call->in.waiter, need, true, call->deadline_ns, &offset);
	if (rc == 1)
		reply_room(&call->in.waiter, offset, PHX_REASON_NONE);
	else if (rc < 0)
		reply_room(&call->in.waiter, 0, PHX_REASON_RECV_QUOTA);
}
