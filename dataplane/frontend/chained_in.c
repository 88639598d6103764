// SPDX-License-Identifier: BSD-3-Clause
// Messages that applications receive: requests of servers, replies of clients. They are judged in
// the dataplane's memory. See chained.h.
#include "dataplane/frontend/chained.h"

#include "dataplane/frontend/complete.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/place.h"
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

// Move the view into a message that owns everything, except bytes that stay where they are anyway
// (stable). -ENOMEM: the view has been dropped.
static int view_keep(
	struct session *session, struct message *view, bool stable, struct message *out)
{
	struct message meta;
	int rc = 0;

	if (view->image.borrowed && !stable)
		rc = phx_image_own(&view->image, &session->account.pool);
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

static bool is_large(const struct message *message)
{
	return message->image.total_len > PHX_BLOCK_LARGE || message->image.block_count > 1;
}

// Does it lie in a block of its own, or a landing, until it is delivered?
static bool request_is_stable(const struct rcall *r)
{
	return r->has_block || r->in.landing != NULL;
}

// The request lies in rcall->message.
static void request_go(struct rcall *r, int settled)
{
	if (settled < 0) {
		serve_refuse(r, &no_room);
	} else if (settled == 0) {
		r->work.step = request_settle_step;
		session_work_add(r->session, &r->work);
	} else if (is_large(&r->message) || r->message.image.borrowed) {
		place_request(r);
	} else {
		serve_private(r);
	}
}

static int request_settle_step(struct call_work *work)
{
	struct rcall *r = phx_container_of(work, struct rcall, work);
	int rc = settle_step(r->session, work, &r->message, r->schema);

	if (rc != 0)
		request_go(r, rc);
	return rc != 0;
}

static void request_resume(void *owner, const struct chain_item *item)
{
	struct rcall *r = owner;

	if (item->verdict == CHAIN_DENY)
		serve_refuse(r, &item->status);
	else if (r->message.rewritten)
		request_go(r, settle_start(r->session, &r->work, &r->message, r->schema, r->input));
	else if (r->has_block && r->in.landing == NULL) { // it has been in its block all along
		message_release(r->session, &r->message);
		serve_ready(r);
	} else {
		request_go(r, 1);
	}
}

static PHX_COLD void request_hold(struct rcall *r, struct message *view)
{
	struct worker *worker = r->session->worker;

	if (view_keep(r->session, view, request_is_stable(r), &r->message) != 0) {
		chain_unhold(worker, &r->policy);
		serve_refuse(r, &no_room);
		return;
	}
	chain_hold_moved(&r->policy, &r->message);
}

static PHX_COLD void request_kept(struct rcall *r, struct message *view)
{
	if (view_keep(r->session, view, request_is_stable(r), &r->message) != 0)
		serve_refuse(r, &no_room);
	else if (!r->message.rewritten) // judged in its landing
		request_go(r, 1);
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
	item.verdict = CHAIN_PASS;
	if (phx_likely(chain != NULL)) // else it was detached while the message landed
		chain_run(r->session->worker, chain, POINT_REQUEST_IN, &item, 1);
	switch (item.verdict) {
	case CHAIN_PASS:
		if (phx_likely(!view.rewritten && r->in.landing == NULL))
			return true;
		request_kept(r, &view);
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

	place_drop(call);
	st.executed = PHX_EXECUTED_YES;
	call_complete(call, &st, NULL);
}

static void held_set(
	struct call *call, struct held_reply *h, const struct call_status *status, bool has_message)
{
	h->status = *status;
	h->has_message = has_message;
	h->status.text = h->text;
	h->status.text_len = phx_min(status->text_len, (uint16_t)sizeof(h->text));
	if (h->status.text_len != 0)
		memcpy(h->text, status->text, h->status.text_len);
	call->held_reply = h;
}

// 0: call->held_reply has it. -ENOMEM: the view has been dropped.
static int reply_keep(
	struct call *call, struct message *view, const struct call_status *status, bool has_message)
{
	struct phx_block_pool *pool = &call->session->account.pool;
	struct held_reply *h = pool->get(pool, PHX_BLOCK_SMALL);
	bool stable = call->in.has_block;

	if (h == NULL) {
		view_drop(call->session, view);
		return -ENOMEM;
	}
	if (view_keep(call->session, view, stable, &h->message) != 0) {
		pool->put(pool, h, PHX_BLOCK_SMALL);
		return -ENOMEM;
	}
	held_set(call, h, status, has_message);
	return 0;
}

int chained_reply_store(
	struct call *call, const struct call_status *status, const struct reply_view *reply)
{
	struct phx_block_pool *pool = &call->session->account.pool;
	struct held_reply *h = pool->get(pool, PHX_BLOCK_SMALL);

	if (h == NULL)
		return -ENOMEM;
	if (message_store(call->session, &h->message, reply->iov, reply->iov_count, reply->msg_len,
		    reply->meta, reply->meta_len) != 0) {
		pool->put(pool, h, PHX_BLOCK_SMALL);
		return -ENOMEM;
	}
	held_set(call, h, status, reply->has_message);
	return 0;
}

// The kept reply goes to the application.
void chained_reply_go(struct call *call)
{
	struct held_reply *h = call->held_reply;
	struct session *session = call->session;
	struct iovec iov;
	struct reply_view view = {
		.iov = &iov,
		.iov_count = h->has_message,
		.msg_len = (uint32_t)h->message.image.total_len,
		.has_message = h->has_message,
		.meta = h->message.extra,
		.meta_len = h->message.meta_len,
	};

	if (call->in.has_block && call->in.landing == NULL && h->message.image.borrowed) {
		call_complete_block(call); // it has been in its block all along
		return;
	}
	if (call->in.has_block || is_large(&h->message)) {
		call->reply_status = h->status;
		place_reply(call, &h->message);
		return;
	}
	iov = (struct iovec){h->message.image.block0, view.msg_len};
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
		chained_reply_go(call);
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
		chained_reply_go(call);
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

// What is not simply passed on. The view has been judged.
static PHX_COLD void reply_verdict(struct call *call, struct chain_item *item,
	const struct call_status *status, bool has_message)
{
	struct message *view = item->message;

	if (item->verdict == CHAIN_DENY) {
		view_drop(call->session, view);
		reply_deny(call, &item->status);
	} else if (reply_keep(call, view, status, has_message) != 0) {
		chain_unhold(call->session->worker, &call->policy);
		reply_deny(call, &no_room);
	} else if (item->verdict == CHAIN_HOLD) {
		chain_hold_moved(&call->policy, &call->held_reply->message);
	} else {
		reply_passed(call);
	}
}

static void reply_run(
	struct call *call, const struct chain *chain, struct message *view, struct chain_item *item)
{
	*item = (struct chain_item){
		.session = call->session,
		.message = view,
		.schema = call->schema,
		.type = call->output,
		.trust = channel_trust(call->channel, call->binding),
		.service = call->service_name,
		.method = call->method_name,
		.policy = &call->policy,
		.deadline_ns = call->deadline_ns,
		.resume = reply_in_resume,
		.owner = call,
	};
	chain_run(call->session->worker, chain, POINT_REPLY_IN, item, 1);
}

void chained_reply_block(struct call *call, const struct chain *chain)
{
	const uint8_t *base = call->in.landing;
	struct chain_item item = {.verdict = CHAIN_PASS};
	struct message view;

	if (base == NULL)
		base = session_recv_address(call->session, call->in.block);
	view_fill(&view, base, call->in.total, base + phx_align_up(call->in.total, 8),
		call->in.meta_len);
	item.message = &view;
	if (chain_runs(chain, POINT_REPLY_IN))
		reply_run(call, chain, &view, &item);
	if (item.verdict == CHAIN_PASS && !view.rewritten && call->in.landing == NULL)
		call_complete_block(call);
	else
		reply_verdict(call, &item, &call->reply_status, true);
}

bool chained_reply_in(struct call *call, const struct chain *chain,
	const struct call_status *status, const struct reply_view *reply)
{
	struct chain_item item;
	struct message view;

	assert(reply->iov_count <= 1);
	view_fill(&view, reply->iov_count != 0 ? reply->iov[0].iov_base : NULL, reply->msg_len,
		reply->meta, reply->meta_len);
	reply_run(call, chain, &view, &item);
	if (phx_likely(item.verdict == CHAIN_PASS && !view.rewritten))
		return true;
	reply_verdict(call, &item, status, reply->has_message);
	return false;
}
