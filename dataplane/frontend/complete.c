// SPDX-License-Identifier: BSD-3-Clause
// Completions of client calls and the writing of completion entries, see complete.h.
#include "dataplane/frontend/complete.h"

#include "dataplane/core/probe.h"
#include "dataplane/core/trace.h"
#include "dataplane/core/worker.h"
#include "dataplane/frontend/chained.h"
#include "dataplane/frontend/counted.h"
#include "dataplane/frontend/lent.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/serve.h"
#include "dataplane/frontend/submit.h"

#include <sys/socket.h>

// While something waits for room in the completion ring.
#define ROOM_LOOK_MIN_NS (1 * PHX_NS_PER_MS)
#define ROOM_LOOK_MAX_NS (64 * PHX_NS_PER_MS)

int comp_spare(struct session_queue *q, uint32_t want)
{
	uint32_t reserved = q->call_slots + q->request_slots;
	int room = phx_ring_prod_room(&q->comp, reserved + want);

	if (phx_unlikely(room < 0)) {
		session_fail(q->session, PHX_REASON_RING_INDEX, "completion ring index");
		return -1;
	}
	return room - (int)reserved;
}

unsigned comp_inline_slots(const struct phx_comp_entry *e)
{
	uint32_t size = comp_size(e);

	if (size <= 8)
		return 1;
	if (size > PHX_COMP_INLINE_MAX)
		return 0;
	return 1 + (size - 8 + PHX_SLOT_SIZE - 1) / PHX_SLOT_SIZE;
}

static void bytes_gather(uint8_t *dst, const struct phx_comp_entry *e, const struct comp_bytes *b)
{
	uint32_t left = e->msg_len;
	uint8_t *p = dst;

	for (int i = 0; i < b->iov_count && left != 0; i++) {
		size_t n = phx_min(b->iov[i].iov_len, (size_t)left);

		memcpy(p, b->iov[i].iov_base, n);
		p += n;
		left -= (uint32_t)n;
	}
	while (((uintptr_t)(p - dst) & 7) != 0)
		*p++ = 0;
	if (e->meta_len != 0)
		memcpy(p, b->meta, e->meta_len);
	p += e->meta_len;
	if (e->text_len != 0)
		memcpy(p, b->text, e->text_len);
}

void comp_copy(struct session *session, uint32_t offset, const struct phx_comp_entry *e,
	const struct comp_bytes *bytes)
{
	bytes_gather(session->config.dp_base + offset, e, bytes);
}

void comp_put(struct session_queue *q, struct phx_comp_entry *e, const struct comp_bytes *bytes)
{
	uint8_t flat[4 * PHX_SLOT_SIZE];

	if (bytes == NULL) {
		e->slots = 1;
		memcpy(phx_ring_prod_slot(&q->comp, 0), e, PHX_SLOT_SIZE);
	} else {
		e->slots = (uint8_t)comp_inline_slots(e);
		e->flags |= PHX_COMP_INLINE;
		memcpy(flat, e, offsetof(struct phx_comp_entry, inl));
		// Zero what the bytes may not fill: nothing stale leaves.
		memset(flat + offsetof(struct phx_comp_entry, inl), 0, 8);
		if (e->slots > 1)
			memset(flat + (e->slots - 1) * PHX_SLOT_SIZE, 0, PHX_SLOT_SIZE);
		bytes_gather(flat + offsetof(struct phx_comp_entry, inl), e, bytes);
		for (unsigned i = 0; i < e->slots; i++)
			memcpy(phx_ring_prod_slot(&q->comp, i), flat + i * PHX_SLOT_SIZE,
				PHX_SLOT_SIZE);
	}
	phx_ring_prod_advance(&q->comp, e->slots);
	q->dirty = true;
	worker_source_dirty(&q->session->source);
}

// What becomes free when a call ends: its slot, deadline, snapshot. rx_bytes: of the reply.
static void call_finish(struct call *call, const struct call_status *status, uint64_t rx_bytes)
{
	struct session *session = call->queue->session;

	if (call->deadline_ns != UINT64_MAX)
		timer_stop(&session->worker->timers, &call->timer);
	if (phx_unlikely(call->policy.entered != 0))
		chained_call_end(call, status);
	call->state = CALL_FREE;
	call->queue->inflight--;
	stat_sub(&session->stats.inflight, 1);
	stat_add(&session->stats.completions, 1);
	if (phx_unlikely(status->code != PHX_OK)) {
		stat_add(&session->stats.errors, 1);
		counted_error(call, status);
	}
	counted_call_end(call, status->code, rx_bytes);
	if (phx_unlikely(call->work.pack != NULL)) // it was being filled or settled
		pack_drop(session, &call->work);
	message_release(session, &call->message);
	if (phx_unlikely(call->held_reply != NULL))
		chained_reply_drop(call);
	if (phx_unlikely(session->closing))
		session_check_quiet(session);
}

static void entry_fill(
	struct phx_comp_entry *e, const struct call *call, const struct call_status *status)
{
	memset(e, 0, sizeof(*e));
	e->kind = PHX_COMP_CALL;
	e->call = call->slot;
	e->handle = call->tag;
	e->remaining_ns = PHX_TIMEOUT_NONE;
	e->text_len = phx_min(status->text_len, (uint16_t)PHX_LIMIT_STATUS_TEXT_BYTES);
	e->code = status->code;
	e->origin = status->origin;
	e->executed = status->executed;
	e->reason = status->reason;
}

static void reply_lost(struct phx_comp_entry *e)
{
	e->flags = 0;
	e->msg_len = 0;
	e->meta_len = 0;
	e->text_len = 0;
	e->code = PHX_RESOURCE_EXHAUSTED;
	e->origin = PHX_ORIGIN_LOCAL_DATAPLANE;
	e->executed = PHX_EXECUTED_YES;
	e->reason = PHX_REASON_RECV_QUOTA;
}

static void call_put(
	struct call *call, const struct call_status *status, const struct reply_view *reply)
{
	struct session_queue *q = call->queue;
	struct session *session = q->session;
	struct comp_bytes bytes = {.text = status->text};
	struct phx_comp_entry e;
	unsigned slots;
	uint32_t offset;

	entry_fill(&e, call, status);
	if (reply != NULL) {
		bytes.iov = reply->iov;
		bytes.iov_count = reply->iov_count;
		bytes.meta = reply->meta;
		e.msg_len = reply->msg_len;
		e.meta_len = reply->meta_len;
		if (reply->has_message)
			e.flags |= PHX_COMP_HAS_MESSAGE;
	}
	slots = comp_inline_slots(&e);
	call_finish(call, status, (uint64_t)e.msg_len + e.meta_len);
	if (phx_unlikely(session->failed || session->closing))
		return;
	if (phx_likely(slots != 0 && (slots == 1 || comp_spare(q, slots - 1) >= (int)slots - 1))) {
		comp_put(q, &e, &bytes);
		return;
	}
	if (recv_alloc(session, comp_size(&e), true, &offset) != 0) {
		reply_park(q, &e, &bytes);
		return;
	}
	if (lent_add(session, q, offset, &e.lent) != 0) {
		recv_free(session, offset);
		reply_park(q, &e, &bytes);
		return;
	}
	e.msg_off = offset;
	comp_copy(session, offset, &e, &bytes);
	comp_put(q, &e, NULL);
}

// The last stage of a call that is sampled or traced.
static PHX_COLD void call_stamped(
	struct session *session, uint64_t sample, uint64_t token, unsigned code)
{
	if (sample != 0)
		stats_sample_end(session->worker->calls, sample, code);
	if (token != 0)
		trace_call_end(session->worker, token, code);
}

// The completion also releases the message to the application, so it must wait until the last byte
// is out of use. Nothing ends the call meanwhile: it has ended.
static PHX_COLD void zombie_start(struct call *call)
{
	call->zombie = true;
	if (call->deadline_ns != UINT64_MAX)
		timer_stop(&call->session->worker->timers, &call->timer);
}

void call_complete(
	struct call *call, const struct call_status *status, const struct reply_view *reply)
{
	struct session *session = call->session;
	uint64_t sample = call->sample, token = call->trace;

	if (phx_unlikely(call->out.in_place != 0)) {
		call_zombie(call, status, reply);
		return;
	}
	counted_stage(session, sample, STATS_REPLY);
	call_put(call, status, reply);
	PROBE2(call_delivered, call, status->code);
	if (phx_unlikely((sample | token) != 0))
		call_stamped(session, sample, token, status->code);
}

void call_reply(struct call *call, const struct call_status *status, const struct reply_view *reply)
{
	const struct chain *chain = session_chain(call->session);

	if (phx_unlikely(chain_runs(chain, POINT_REPLY_IN)) &&
		!chained_reply_in(call, chain, status, reply))
		return;
	call_complete(call, status, reply);
}

void call_reply_block(struct call *call)
{
	const struct chain *chain = session_chain(call->session);

	if (phx_unlikely(chain_runs(chain, POINT_REPLY_IN) || call->in.landing != NULL))
		chained_reply_block(call, chain);
	else
		call_complete_block(call);
}

int call_take_image(struct call *call, const struct reply_view *reply)
{
	const struct phx_comp_entry e = {.msg_len = reply->msg_len, .meta_len = reply->meta_len};
	const struct comp_bytes bytes = {
		.iov = reply->iov, .iov_count = reply->iov_count, .meta = reply->meta};
	uint32_t block;
	int rc = recv_alloc(call->session, comp_size(&e), true, &block);

	if (rc != 0)
		return rc;
	memset(&call->in, 0, sizeof(call->in));
	call->in.block = block;
	call->in.has_block = true;
	call->in.total = reply->msg_len;
	call->in.meta_len = reply->meta_len;
	comp_copy(call->session, block, &e, &bytes);
	return 0;
}

static void block_put(struct call *call)
{
	struct session_queue *q = call->queue;
	struct session *session = q->session;
	struct call_status status = call->reply_status;
	struct phx_comp_entry e;

	status.text_len = 0;
	entry_fill(&e, call, &status);
	e.flags = PHX_COMP_HAS_MESSAGE;
	e.msg_off = call->in.block;
	e.msg_len = call->in.total;
	e.meta_len = call->in.meta_len;
	call->in.has_block = false;
	call->in.work = NULL; // nothing is left of it
	call_finish(call, &status, (uint64_t)e.msg_len + e.meta_len);
	if (session->failed || session->closing) {
		recv_free(session, e.msg_off);
		return;
	}
	if (lent_add(session, q, e.msg_off, &e.lent) != 0) {
		recv_free(session, e.msg_off);
		reply_lost(&e);
	}
	comp_put(q, &e, NULL);
}

void call_complete_block(struct call *call)
{
	struct session *session = call->session;
	uint64_t sample = call->sample, token = call->trace;
	unsigned code = call->reply_status.code;

	if (phx_unlikely(call->out.in_place != 0)) {
		zombie_start(call); // the reply stays in its block
		return;
	}
	counted_stage(session, sample, STATS_REPLY);
	block_put(call);
	PROBE2(call_delivered, call, code);
	if (phx_unlikely((sample | token) != 0))
		call_stamped(session, sample, token, code);
}

// ---- a call that ends while a transport still reads its message ----

void call_zombie(
	struct call *call, const struct call_status *status, const struct reply_view *reply)
{
	assert(!call->in.has_block);
	zombie_start(call);
	call->reply_status = *status;
	call->reply_status.text = NULL;
	call->reply_status.text_len = 0;
	if (call->held_reply != NULL) // of a policy, and its call was given up
		chained_reply_drop(call);
	if (reply == NULL || chained_reply_store(call, status, reply) == 0 || !reply->has_message)
		return;
	call->reply_status = (struct call_status){
		.code = PHX_RESOURCE_EXHAUSTED,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_YES,
		.reason = PHX_REASON_NO_MEMORY,
	};
}

void call_unpinned(struct call *call)
{
	struct call_status status = call->reply_status;

	if (!call->zombie)
		return;
	call->zombie = false;
	if (call->in.has_block)
		call_complete_block(call);
	else if (call->held_reply != NULL)
		chained_reply_go(call);
	else
		call_complete(call, &status, NULL);
}

// ---- replies that wait for heap room: private copies, first in first out ----

struct parked_reply {
	struct phx_list node;
	struct phx_comp_entry e;
	struct message message;
};
static_assert(sizeof(struct parked_reply) <= PHX_BLOCK_SMALL, "parked reply");

void reply_park(struct session_queue *q, struct phx_comp_entry *e, const struct comp_bytes *bytes)
{
	struct session *session = q->session;
	struct phx_block_pool *pool = &session->account.pool;
	struct parked_reply *p;

	p = e->msg_len <= PHX_BLOCK_LARGE ? pool->get(pool, PHX_BLOCK_SMALL) : NULL;
	if (p == NULL || message_store(session, &p->message, bytes->iov, bytes->iov_count,
				 e->msg_len, bytes->meta, e->meta_len) != 0) {
		if (p != NULL)
			pool->put(pool, p, PHX_BLOCK_SMALL);
		reply_lost(e);
		comp_put(q, e, NULL);
		return;
	}
	e->text_len = 0; // a status text is not worth the wait
	p->e = *e;
	q->inflight++; // keeps the slot reserved
	phx_list_add_tail(&q->parked, &p->node);
	session_room_wait(q);
}

void reply_unpark(struct session_queue *q)
{
	struct session *session = q->session;
	struct phx_list *n;

	while ((n = phx_list_first(&q->parked)) != NULL) {
		struct parked_reply *p = phx_list_entry(n, struct parked_reply, node);
		struct iovec iov = {p->message.image.block0, p->e.msg_len};
		const struct comp_bytes bytes = {
			.iov = &iov,
			.iov_count = 1,
			.meta = p->message.extra,
		};
		uint32_t offset;

		if (recv_alloc(session, comp_size(&p->e), true, &offset) != 0)
			return;
		if (lent_add(session, q, offset, &p->e.lent) != 0) {
			recv_free(session, offset);
			return;
		}
		phx_list_del(n);
		q->inflight--;
		p->e.msg_off = offset;
		comp_copy(session, offset, &p->e, &bytes);
		comp_put(q, &p->e, NULL);
		message_release(session, &p->message);
		session->account.pool.put(&session->account.pool, p, PHX_BLOCK_SMALL);
	}
}

void reply_drop_parked(struct session_queue *q)
{
	struct session *session = q->session;
	struct phx_list *n;

	while ((n = phx_list_pop(&q->parked)) != NULL) {
		struct parked_reply *p = phx_list_entry(n, struct parked_reply, node);

		q->inflight--;
		message_release(session, &p->message);
		session->account.pool.put(&session->account.pool, p, PHX_BLOCK_SMALL);
	}
}

void session_room(struct session_queue *q)
{
	if (phx_likely(phx_list_empty(&q->parked) && phx_list_empty(&q->waiting)))
		return;
	// To one that is gone nothing is delivered: what waits was never executed.
	if (q->session->failed || q->session->closing)
		return;
	reply_unpark(q);
	serve_waiting(q);
}

// Reading completions makes room too, and nothing tells us of it.
static void room_look(struct worker *worker, struct timer *timer)
{
	struct session_queue *q = phx_container_of(timer, struct session_queue, room);

	(void)worker;
	session_room(q);
	if (phx_list_empty(&q->waiting) && phx_list_empty(&q->parked))
		return;
	q->room_ns = phx_min(2 * q->room_ns, ROOM_LOOK_MAX_NS);
	timer_start(&q->session->worker->timers, &q->room, q->session->worker->now_ns + q->room_ns,
		room_look);
}

void session_room_wait(struct session_queue *q)
{
	if (timer_is_running(&q->room))
		return;
	q->room_ns = ROOM_LOOK_MIN_NS;
	timer_start(&q->session->worker->timers, &q->room, q->session->worker->now_ns + q->room_ns,
		room_look);
}

void session_notify(struct session_queue *q)
{
	const uint8_t one = 1;

	// A full socket means that bytes wait there already.
	(void)send(q->notify_fd, &one, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}
