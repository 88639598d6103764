// SPDX-License-Identifier: BSD-3-Clause
// Messages that applications receive: requests of servers, replies of clients. They are judged in
// the dataplane's memory. See chained.h.
#include "dataplane/frontend/chained.h"

#include "dataplane/frontend/complete.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/serve.h"
#include "dataplane/frontend/settle.h"

static const struct call_status no_room = {
	.code = PHX_RESOURCE_EXHAUSTED,
	.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
	.executed = PHX_EXECUTED_NO,
	.reason = PHX_REASON_NO_MEMORY,
};

// What was received, as a message that owns nothing yet.
static void view_fill(
	struct message *view, const void *base, uint32_t len, const void *meta, uint16_t meta_len)
{
	memset(view, 0, sizeof(*view));
	if (len != 0)
		phx_image_borrow(
			&view->image, (void *)(uintptr_t)base, len); // owned before a write
	view->extra = (uint8_t *)(uintptr_t)meta;
	view->meta_len = meta_len;
}

// Give back what a rewrite has made, and only that.
static void view_drop(struct session *session, struct message *view)
{
	if (!view->image.borrowed)
		phx_image_release(&view->image, &session->account.pool);
}

// Move the view into a message that owns everything. -ENOMEM: the view has been dropped.
static int view_keep(struct session *session, struct message *view, struct message *out)
{
	struct message meta;
	int rc = view->image.borrowed ? phx_image_own(&view->image, &session->account.pool) : 0;

	if (rc == 0)
		rc = message_store(session, &meta, NULL, 0, 0, view->extra, view->meta_len);
	if (rc != 0) {
		view_drop(session, view);
		return rc;
	}
	*out = meta;
	out->image = view->image;
	out->rewritten = view->rewritten;
	return 0;
}

// ---- requests ----

static int request_settle_step(struct call_work *work);

// The request lies in rcall->message.
static void request_go(struct rcall *r, int settled)
{
	if (settled < 0) {
		serve_refuse(r, &no_room);
	} else if (settled == 0) {
		r->work.step = request_settle_step;
		session_work_add(r->session, &r->work);
	} else {
		serve_private(r);
	}
}

static int request_settle_step(struct call_work *work)
{
	struct rcall *r = phx_container_of(work, struct rcall, work);
	int rc = settle_step(r->session, work, &r->message, r->schema);

	if (rc == 0)
		return 0;
	request_go(r, rc);
	return 1;
}

static void request_resume(void *owner, const struct chain_item *item)
{
	struct rcall *r = owner;

	if (item->verdict == CHAIN_DENY)
		serve_refuse(r, &item->status);
	else if (r->message.rewritten)
		request_go(r, settle_start(r->session, &r->work, &r->message, r->schema, r->input));
	else
		serve_private(r);
}

static PHX_COLD void request_hold(struct rcall *r, struct message *view)
{
	struct worker *worker = r->session->worker;

	if (view_keep(r->session, view, &r->message) != 0) {
		chain_unhold(worker, &r->policy);
		serve_refuse(r, &no_room);
		return;
	}
	chain_hold_moved(&r->policy, &r->message);
}

static PHX_COLD void request_rewritten(struct rcall *r, struct message *view)
{
	if (view_keep(r->session, view, &r->message) != 0)
		serve_refuse(r, &no_room);
	else
		request_go(r, settle_start(r->session, &r->work, &r->message, r->schema, r->input));
}

bool chained_request_in(struct rcall *r, const struct chain *chain, const void *base, uint32_t len,
	const void *meta)
{
	struct chain_item item;
	struct message view;

	view_fill(&view, base, len, meta, r->meta_len);
	chained_rcall_item(r, r->input, request_resume, &item);
	item.message = &view;
	r->state = RCALL_WAITING;
	chain_run(r->session->worker, chain, POINT_REQUEST_IN, &item, 1);
	switch (item.verdict) {
	case CHAIN_PASS:
		if (phx_likely(!view.rewritten))
			return true;
		request_rewritten(r, &view);
		break;
	case CHAIN_DENY:
		view_drop(r->session, &view);
		serve_refuse(r, &item.status);
		break;
	case CHAIN_HOLD:
		request_hold(r, &view);
		break;
	}
	return false;
}

// ---- replies ----

// A reply that is held or being settled: private memory of the call's session.
struct held_reply {
	struct call_status status;
	struct message message;
	bool has_message;
	char text[PHX_BLOCK_SMALL - sizeof(struct call_status) - sizeof(struct message) - 8];
};
static_assert(sizeof(struct held_reply) <= PHX_BLOCK_SMALL, "a small block");

static void held_free(struct session *session, struct held_reply *h)
{
	message_release(session, &h->message);
	session->account.pool.put(&session->account.pool, h, PHX_BLOCK_SMALL);
}

void chained_reply_drop(struct call *call)
{
	struct held_reply *h = call->held_reply;

	call->held_reply = NULL;
	held_free(call->session, h);
}

static void reply_deny(struct call *call, const struct call_status *status)
{
	struct call_status st = *status;

	st.executed = PHX_EXECUTED_YES;
	call_complete(call, &st, NULL);
}

// 0: call->held_reply has it. -ENOMEM: the view has been dropped.
static int reply_keep(
	struct call *call, struct message *view, const struct call_status *status, bool has_message)
{
	struct phx_block_pool *pool = &call->session->account.pool;
	struct held_reply *h = pool->get(pool, PHX_BLOCK_SMALL);

	if (h == NULL) {
		view_drop(call->session, view);
		return -ENOMEM;
	}
	if (view_keep(call->session, view, &h->message) != 0) {
		pool->put(pool, h, PHX_BLOCK_SMALL);
		return -ENOMEM;
	}
	h->status = *status;
	h->has_message = has_message;
	h->status.text = h->text;
	h->status.text_len = phx_min(status->text_len, (uint16_t)sizeof(h->text));
	if (h->status.text_len != 0)
		memcpy(h->text, status->text, h->status.text_len);
	call->held_reply = h;
	return 0;
}

// The kept reply goes to the application.
static void reply_go(struct call *call)
{
	struct held_reply *h = call->held_reply;
	struct session *session = call->session;
	struct iovec iov[PHX_LIMIT_GATHER_MAX];
	struct reply_view view = {
		.iov = iov,
		.msg_len = (uint32_t)h->message.image.total_len,
		.has_message = h->has_message,
		.meta = h->message.extra,
		.meta_len = h->message.meta_len,
	};
	uint64_t covered;

	view.iov_count = phx_image_iov(
		&h->message.image, NULL, 0, view.msg_len, iov, (int)PHX_ARRAY_LEN(iov), &covered);
	if (phx_unlikely(covered != view.msg_len)) {
		reply_deny(call, &no_room); // larger than any frame: see chained_reply_block()
		return;
	}
	call->held_reply = NULL; // read by the completion, so it goes after it
	call_complete(call, &h->status, &view);
	held_free(session, h);
}

static int reply_settle_step(struct call_work *work)
{
	struct call *call = phx_container_of(work, struct call, work);
	int rc = settle_step(call->session, work, &call->held_reply->message, call->schema);

	if (rc == 0)
		return 0;
	call->state = CALL_QUEUED;
	if (rc < 0)
		reply_deny(call, &no_room);
	else
		reply_go(call);
	return 1;
}

static void reply_passed(struct call *call)
{
	struct message *message = &call->held_reply->message;
	int rc = 1;

	if (message->rewritten)
		rc = settle_start(call->session, &call->work, message, call->schema, call->output);
	if (rc < 0) {
		reply_deny(call, &no_room);
	} else if (rc > 0) {
		reply_go(call);
	} else {
		call->work.step = reply_settle_step;
		session_work_add(call->session, &call->work);
	}
}

static void reply_in_resume(void *owner, const struct chain_item *item)
{
	struct call *call = owner;

	if (item->verdict == CHAIN_DENY)
		reply_deny(call, &item->status);
	else
		reply_passed(call);
}

bool chained_reply_in(struct call *call, const struct chain *chain,
	const struct call_status *status, const struct reply_view *reply)
{
	struct worker *worker = call->session->worker;
	struct message view;
	struct chain_item item = {
		.session = call->session,
		.message = &view,
		.schema = call->schema,
		.type = call->output,
		.service = call->service_name,
		.method = call->method_name,
		.policy = &call->policy,
		.deadline_ns = call->deadline_ns,
		.resume = reply_in_resume,
		.owner = call,
	};

	assert(reply->iov_count <= 1);
	view_fill(&view, reply->iov_count != 0 ? reply->iov[0].iov_base : NULL, reply->msg_len,
		reply->meta, reply->meta_len);
	chain_run(worker, chain, POINT_REPLY_IN, &item, 1);
	if (phx_likely(item.verdict == CHAIN_PASS && !view.rewritten))
		return true;
	if (item.verdict == CHAIN_DENY) {
		view_drop(call->session, &view);
		reply_deny(call, &item.status);
	} else if (reply_keep(call, &view, status, reply->has_message) != 0) {
		chain_unhold(worker, &call->policy);
		reply_deny(call, &no_room);
	} else if (item.verdict == CHAIN_HOLD) {
		chain_hold_moved(&call->policy, &call->held_reply->message);
	} else {
		reply_passed(call);
	}
	return false;
}
