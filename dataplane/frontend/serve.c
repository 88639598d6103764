// SPDX-License-Identifier: BSD-3-Clause
// Server calls: table, delivery with room rules, replies, cancellation. See serve.h, core/call.h.
#include "dataplane/frontend/serve.h"

#include "dataplane/core/landing.h"
#include "dataplane/core/probe.h"
#include "dataplane/core/trace.h"
#include "dataplane/core/worker.h"
#include "dataplane/frontend/chained.h"
#include "dataplane/frontend/complete.h"
#include "dataplane/frontend/counted.h"
#include "dataplane/frontend/lent.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/submit.h"

#include <stdlib.h>

#define RCALL_NONE  UINT32_MAX
#define RCALLS_STEP 64u

static int rcalls_room(struct session *session)
{
	uint32_t room = session->rcall_room == 0 ? RCALLS_STEP : session->rcall_room * 2;
	struct rcall **t;
	uint64_t *h;

	if (room > PHX_LIMIT_INFLIGHT_MAX)
		return -ENOSPC;
	t = realloc(session->rcalls, room * sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	session->rcalls = t;
	h = realloc(session->rcall_history, room * sizeof(*h));
	if (h == NULL)
		return -ENOMEM;
	session->rcall_history = h;
	session->rcall_room = room;
	return 0;
}

// The tables double; what stands in them is made a little at a time, so that no request waits while
// thousands are made.
static int rcalls_grow(struct session *session)
{
	int rc = session->rcall_size == session->rcall_room ? rcalls_room(session) : 0;
	uint32_t end;

	if (rc != 0)
		return rc;
	end = phx_min(session->rcall_size + RCALLS_STEP, session->rcall_room);
	for (uint32_t i = session->rcall_size; i < end; i++) {
		struct rcall *r = calloc(1, sizeof(*r));

		if (r == NULL)
			break;
		r->session = session;
		r->index = i;
		r->generation = 1;
		timer_init(&r->timer);
		phx_list_init(&r->node);
		phx_list_init(&r->bucket);
		phx_list_init(&r->work.node);
		r->service = session->rcall_free; // free list link
		session->rcall_free = i;
		session->rcalls[i] = r;
		session->rcall_history[i] = 0;
		session->rcall_size = i + 1;
	}
	return session->rcall_free == RCALL_NONE ? -ENOMEM : 0;
}

struct rcall *rcall_create(struct session *session, uint32_t service, uint16_t method)
{
	const struct phx_method *m;
	struct registration *reg;
	struct rcall *r;

	if (session->failed || session->closing)
		return NULL;
	reg = registration_at(session, service);
	if (reg == NULL || reg->handle != service) // it is another's by now
		return NULL;
	if (session->rcall_free == RCALL_NONE && rcalls_grow(session) != 0)
		return NULL;
	r = session->rcalls[session->rcall_free];
	session->rcall_free = r->service;
	session->rcall_count++;
	m = phx_schema_method(reg->schema, reg->service, method);
	r->queue = reg->queue;
	r->service = service;
	r->method = method;
	r->schema = reg->schema;
	r->input = m->input;
	r->output = m->output;
	r->state = RCALL_RECEIVING;
	r->delivered = false;
	r->has_block = false;
	r->deadline_ns = UINT64_MAX;
	r->start_ns = session->worker->now_ns;
	memset(&r->in, 0, sizeof(r->in));
	r->bytes = 0;
	r->meta_len = 0;
	r->msg_len = 0;
	r->trace = 0;
	chain_call_start(&r->policy);
	r->reply_inline = false;
	memset(&r->out, 0, sizeof(r->out));
	phx_list_init(&r->out.node);
	memset(&r->message, 0, sizeof(r->message));
	stat_add(&session->stats.serving, 1);
	counted_request_start(r, &reg->series[method],
		phx_schema_service_name(reg->schema, reg->service), m->name);
	return r;
}

static void rcall_free(struct rcall *r, bool by_cancel)
{
	struct session *session = r->session;

	timer_stop(&session->worker->timers, &r->timer);
	phx_list_del(&r->node);
	if (r->work.pack != NULL)
		pack_drop(session, &r->work);
	encoding_drop(session, &r->work);
	phx_list_del(&r->work.node);
	message_release(session, &r->message);
	session_recv_cancel(&r->in.waiter);
	landing_put(&session->account, &r->in);
	if (r->has_block)
		recv_free(session, r->block);
	r->has_block = false;
	session->rcall_history[r->index] =
		session->rcall_history[r->index] << 1 | (by_cancel ? 1 : 0);
	r->state = RCALL_FREE;
	r->generation++;
	if (r->generation == 0)
		r->generation = 1;
	r->service = session->rcall_free;
	session->rcall_free = r->index;
	session->rcall_count--;
	stat_sub(&session->stats.serving, 1);
	if (phx_unlikely(session->closing))
		session_check_quiet(session);
}

static uint64_t rcall_handle(const struct rcall *r)
{
	return (uint64_t)r->generation << 32 | r->index;
}

// ---- requests ----

static void request_entry(const struct rcall *r, struct phx_comp_entry *e)
{
	uint64_t now = r->session->worker->now_ns;

	memset(e, 0, sizeof(*e));
	e->kind = PHX_COMP_REQUEST;
	e->flags = PHX_COMP_HAS_MESSAGE;
	e->call = r->service;
	e->handle = rcall_handle(r);
	e->remaining_ns = PHX_TIMEOUT_NONE;
	if (r->deadline_ns != UINT64_MAX)
		e->remaining_ns = r->deadline_ns > now ? r->deadline_ns - now : 0;
	e->msg_len = r->msg_len;
	e->meta_len = r->meta_len;
	e->method = r->method;
}

// Two slots per request (the request, its release), plus inline slots from the spare ones.
static bool request_put(struct rcall *r, const struct comp_bytes *bytes)
{
	struct session_queue *q = r->queue;
	struct session *session = r->session;
	struct phx_comp_entry e;
	unsigned slots;
	uint32_t offset;
	int spare;

	spare = comp_spare(q, 2 + PHX_LIMIT_INLINE_SLOTS);
	if (spare < 2 || q->request_slots + 2 > q->comp_slots - q->call_slots ||
		q->lent + q->inflight >= q->ret_slots)
		return false;
	request_entry(r, &e);
	slots = r->has_block ? 0 : comp_inline_slots(&e);
	if (slots != 0 && (int)slots + 1 <= spare) {
		comp_put(q, &e, bytes);
	} else {
		if (r->has_block) {
			offset = r->block;
		} else {
			if (recv_alloc(session, comp_size(&e), false, &offset) != 0)
				return false;
			comp_copy(session, offset, &e, bytes);
		}
		if (lent_add(session, q, offset, &e.lent) != 0) {
			if (!r->has_block)
				recv_free(session, offset);
			return false;
		}
		r->has_block = false; // the application's until it returns it
		e.msg_off = offset;
		comp_put(q, &e, NULL);
	}
	q->request_slots++;
	r->state = RCALL_DELIVERED;
	r->delivered = true;
	stat_add(&session->stats.requests, 1);
	counted_stage(session, r->sample, STATS_DELIVERED);
	PROBE1(request_delivered, r);
	trace_serve_at(session->worker, r->trace, PHX_TRACE_DELIVERED);
	return true;
}

bool serve_deliver(struct rcall *r)
{
	const struct iovec iov = {r->message.image.block0, r->msg_len};
	const struct comp_bytes bytes = {
		.iov = &iov,
		.iov_count = 1,
		.meta = r->message.extra,
	};

	if (!request_put(r, &bytes))
		return false;
	message_release(r->session, &r->message);
	return true;
}

void serve_waiting(struct session_queue *q)
{
	struct phx_list *n;

	while ((n = phx_list_first(&q->waiting)) != NULL) {
		struct rcall *r = phx_list_entry(n, struct rcall, node);

		phx_list_del(n);
		if (!serve_deliver(r)) {
			phx_list_add_head(&q->waiting, n);
			return;
		}
	}
}

static const struct call_status no_room = {
	.code = PHX_RESOURCE_EXHAUSTED,
	.origin = PHX_ORIGIN_REMOTE_DATAPLANE,
	.executed = PHX_EXECUTED_NO,
	.reason = PHX_REASON_RECV_QUOTA,
};

void serve_set_status(struct rcall *r, const struct call_status *status)
{
	struct memory_account *account = &r->session->account;
	uint8_t *text = NULL;

	message_release(r->session, &r->message);
	if (status->text_len != 0 && status->text_len <= PHX_BLOCK_SMALL)
		text = account->pool.get(&account->pool, PHX_BLOCK_SMALL);
	r->status = *status;
	r->status.text = NULL;
	r->status.text_len = 0;
	if (text == NULL)
		return; // it does without
	memcpy(text, status->text, status->text_len);
	r->message.extra = text;
	r->message.extra_size = PHX_BLOCK_SMALL;
	r->message.text_len = status->text_len;
	r->status.text = (const char *)text;
	r->status.text_len = status->text_len;
}

void serve_refuse(struct rcall *r, const struct call_status *status)
{
	serve_set_status(r, status);
	r->state = RCALL_REPLYING;
	rcall_send(r);
}

int rcall_take_image(struct rcall *r, const struct iovec *iov, int iov_count, uint32_t msg_len)
{
	const struct phx_comp_entry e = {.msg_len = msg_len};
	const struct comp_bytes bytes = {.iov = iov, .iov_count = iov_count};
	int rc = recv_alloc(r->session, msg_len, false, &r->block);

	if (rc != 0)
		return rc;
	comp_copy(r->session, r->block, &e, &bytes);
	r->has_block = true;
	return 0;
}

void serve_ready(struct rcall *r)
{
	struct session_queue *q = r->queue;

	if (phx_list_empty(&q->waiting) && serve_deliver(r))
		return;
	r->state = RCALL_WAITING;
	stat_add(&r->session->stats.room_waits, 1);
	phx_list_add_tail(&q->waiting, &r->node);
	session_room_wait(q);
}

void serve_private(struct rcall *r)
{
	if (r->has_block) // what lies there is not what goes on
		recv_free(r->session, r->block);
	r->has_block = false;
	landing_put(&r->session->account, &r->in);
	r->msg_len = (uint32_t)r->message.image.total_len;
	serve_ready(r);
}

// The chain over a request where it is. False: taken over.
static PHX_NOINLINE bool request_judge(struct rcall *r, const struct chain *chain,
	const struct iovec *iov, int iov_count, const void *meta)
{
	const uint8_t *base = iov_count != 0 ? iov[0].iov_base : NULL;

	assert(iov_count <= 1);
	if (r->has_block)
		base = session_recv_address(r->session, r->block);
	if (r->in.landing != NULL)
		base = r->in.landing;
	if (r->has_block || r->in.landing != NULL)
		meta = base + phx_align_up(r->msg_len, 8);
	return chained_request_in(r, chain, base, r->msg_len, meta);
}

static void rcall_deadline(struct worker *worker, struct timer *timer)
{
	struct rcall *r = phx_container_of(timer, struct rcall, timer);

	(void)worker;
	rcall_cancel(r, PHX_REASON_DEADLINE);
}

void rcall_deliver(struct rcall *r, const struct iovec *iov, int iov_count, uint32_t msg_len,
	const void *meta, uint16_t meta_len)
{
	struct session *session = r->session;
	const struct chain *chain = session_chain(session);
	const struct comp_bytes bytes = {
		.iov = iov,
		.iov_count = iov_count,
		.meta = meta,
	};

	r->msg_len = msg_len;
	r->meta_len = meta_len;
	PROBE1(request_complete, r);
	trace_serve_at(session->worker, r->trace, PHX_TRACE_COMPLETE);
	if (r->deadline_ns != UINT64_MAX)
		timer_start(&session->worker->timers, &r->timer, r->deadline_ns, rcall_deadline);
	if (phx_unlikely(chain_runs(chain, POINT_REQUEST_IN) || r->in.landing != NULL) &&
		!request_judge(r, chain, iov, iov_count, meta))
		return;
	if (phx_likely(!r->has_block && phx_list_empty(&r->queue->waiting)) &&
		request_put(r, &bytes))
		return;
	if (!r->has_block &&
		message_store(session, &r->message, iov, iov_count, msg_len, meta, meta_len) != 0) {
		serve_refuse(r, &no_room);
		return;
	}
	serve_ready(r);
}

// ---- replies ----

// A reply to a call that has ended: dropped when it ended by cancel (the application could not
// know), a lie otherwise.
static void reply_stale(struct session *session, uint32_t index, uint32_t generation)
{
	uint32_t ago = session->rcalls[index]->generation - generation;

	if (ago >= 1 && ago <= 64 && (session->rcall_history[index] >> (ago - 1) & 1) == 0) {
		session_fail(session, PHX_REASON_STALE_HANDLE, "second reply to a call");
		return;
	}
	if (ago == 0 || ago > UINT32_MAX / 2) {
		session_fail(session, PHX_REASON_STALE_HANDLE, "reply to no call");
		return;
	}
	stat_add(&session->stats.dropped_replies, 1);
}

void serve_reply(struct session_queue *q, const struct phx_sub_entry *e, const void *inl)
{
	struct session *session = q->session;
	uint32_t index = (uint32_t)e->handle;
	uint32_t generation = (uint32_t)(e->handle >> 32);
	bool no_message = (e->flags & PHX_SUB_NO_MESSAGE) != 0;
	struct rcall *r;

	if (index >= session->rcall_size) {
		session_fail(session, PHX_REASON_STALE_HANDLE, "reply to no call");
		return;
	}
	r = session->rcalls[index];
	if (r->generation != generation || r->state == RCALL_FREE) {
		reply_stale(session, index, generation);
		return;
	}
	if (r->state != RCALL_DELIVERED) {
		session_fail(session, PHX_REASON_STALE_HANDLE, "second reply to a call");
		return;
	}
	if (e->channel >= PHX_CODE_COUNT || no_message != (e->channel != PHX_OK)) {
		session_fail(session, PHX_REASON_DESC_KIND, "reply status and message disagree");
		return;
	}
	stat_add(&session->stats.replies, 1);
	counted_stage(session, r->sample, STATS_REPLIED);
	PROBE1(request_replied, r);
	trace_serve_at(session->worker, r->trace, PHX_TRACE_REPLIED);
	r->state = RCALL_REPLYING;
	r->reply_inline = no_message ? e->meta_len == 0 && e->text_len == 0
				     : (e->flags & PHX_SUB_INLINE) != 0;
	r->status = (struct call_status){
		.code = (uint8_t)e->channel,
		.origin = PHX_ORIGIN_APP,
		.executed = PHX_EXECUTED_YES,
		.reason = PHX_REASON_NONE,
	};
	if ((e->flags & PHX_SUB_INLINE) != 0)
		memcpy(r->inl, inl, e->msg_len);
	pack_reply(r, e, r->inl);
}

void serve_packed(struct rcall *r)
{
	if (r->message.text_len != 0) {
		r->status.text = (const char *)r->message.extra + r->message.meta_len;
		r->status.text_len = r->message.text_len;
	}
	chained_reply_out(r);
}

static void end_notice(struct rcall *r, enum phx_comp_kind kind)
{
	struct session_queue *q = r->queue;
	struct phx_comp_entry e = {
		.kind = (uint8_t)kind,
		.handle = rcall_handle(r),
		.remaining_ns = PHX_TIMEOUT_NONE,
	};

	q->request_slots--;
	if (!r->session->failed && !r->session->closing)
		comp_put(q, &e, NULL);
}

void rcall_released(struct rcall *r)
{
	struct session_queue *q = r->queue;

	if (r->delivered && r->reply_inline)
		q->request_slots--; // copied at submission, no notice
	else if (r->delivered)
		end_notice(r, PHX_COMP_RELEASED);
	chained_rcall_end(r, &r->status);
	counted_request_end(r, r->status.code);
	rcall_free(r, false);
	session_room(q);
}

void rcall_cancel(struct rcall *r, enum phx_reason reason)
{
	const struct call_status st = {
		.code = reason == PHX_REASON_DEADLINE ? PHX_DEADLINE_EXCEEDED : PHX_CANCELLED,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_MAYBE,
		.reason = (uint8_t)reason,
	};

	if (r->state == RCALL_REPLYING)
		return; // the reply is on its way; the link layer drops it if nobody wants it
	rcall_forget(r);
	chained_rcall_end(r, &st);
	counted_request_end(r, st.code);
	if (r->state == RCALL_DELIVERED) {
		end_notice(r, PHX_COMP_CANCELLED);
		rcall_free(r, true);
		session_room(r->queue);
		return;
	}
	rcall_free(r, true);
}
