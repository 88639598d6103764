// SPDX-License-Identifier: BSD-3-Clause
// Submission entries: copy out of the ring once, check the private copy, use only that.
// A burst is parsed, admitted and packed, then chained, then sent. Hot.
#include "dataplane/frontend/submit.h"

#include "dataplane/core/chain.h"
#include "dataplane/core/probe.h"
#include "dataplane/core/trace.h"
#include "dataplane/core/worker.h"
#include "dataplane/frontend/chained.h"
#include "dataplane/frontend/complete.h"
#include "dataplane/frontend/counted.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/serve.h"

#include "lib/base/clock.h"

#include <stdio.h>

// A private copy of one entry with its inline bytes, which run from e.inl on.
union submit_entry {
	struct phx_sub_entry e;
	uint64_t words[PHX_LIMIT_INLINE_SLOTS * PHX_SLOT_SIZE / 8];
};
#define SUBMIT_INLINE_WORD (offsetof(struct phx_sub_entry, inl) / 8)

// Calls and replies of one burst that are packed and wait for their chain.
struct submit_batch {
	struct call *calls[PHX_LIMIT_BURST];
	struct path *paths[PHX_LIMIT_BURST];
	unsigned call_count;
};

// Copy the next entry; its slot count, 0 when the producer published a part of one, which an honest
// library never does.
static unsigned entry_load(struct session_queue *q, unsigned avail, union submit_entry *out)
{
	unsigned slots;

	phx_shm_copy_slot(&out->e, phx_ring_cons_slot(&q->sub, 0));
	slots = out->e.slots;
	if (slots == 0 || slots > PHX_LIMIT_INLINE_SLOTS || slots > avail) {
		session_fail(q->session, PHX_REASON_DESC_COUNT, "entry with a bad slot count");
		return 0;
	}
	for (unsigned i = 1; i < slots; i++)
		phx_shm_copy_slot(
			&out->words[i * PHX_SLOT_SIZE / 8], phx_ring_cons_slot(&q->sub, i));
	phx_ring_cons_advance(&q->sub, slots);
	return slots;
}

static bool entry_check(struct session_queue *q, const struct phx_sub_entry *e, uint16_t known)
{
	if (e->flags & ~known) {
		session_fail(q->session, PHX_REASON_DESC_FLAGS, "unknown submission flags");
		return false;
	}
	if ((e->flags & PHX_SUB_INLINE) != 0 &&
		(e->msg_len == 0 || (e->msg_len & 7) != 0 ||
			e->msg_len > sizeof(e->inl) + (e->slots - 1u) * PHX_SLOT_SIZE)) {
		session_fail(q->session, PHX_REASON_DESC_RANGE, "inline message length");
		return false;
	}
	if (e->meta_len > PHX_LIMIT_METADATA_BYTES || e->text_len > PHX_LIMIT_STATUS_TEXT_BYTES) {
		session_fail(q->session, PHX_REASON_DESC_RANGE, "metadata or text length");
		return false;
	}
	return true;
}

static void call_deadline(struct worker *worker, struct timer *timer)
{
	struct call *call = phx_container_of(timer, struct call, timer);
	char text[256] = "no reply in time";
	struct call_status st = {
		.code = PHX_DEADLINE_EXCEEDED,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = call->held_reply != NULL   ? PHX_EXECUTED_YES
			    : call->state == CALL_SENT ? PHX_EXECUTED_MAYBE
						       : PHX_EXECUTED_NO,
		.reason = PHX_REASON_DEADLINE,
		.text = text,
	};

	(void)worker;
	if (call->held_reply != NULL)
		(void)snprintf(text, sizeof(text), "the reply is held by a policy");
	else if (call->state == CALL_QUEUED)
		channel_waits_for(call, text, sizeof(text));
	st.text_len = (uint16_t)strlen(text);
	call_abort(call, &st);
}

void submit_deadline(struct call *call)
{
	if (call->deadline_ns != UINT64_MAX)
		timer_start(&call->session->worker->timers, &call->timer, call->deadline_ns,
			call_deadline);
}

static void call_fill(
	struct session_queue *q, struct call *call, const union submit_entry *s, uint32_t position)
{
	const struct phx_sub_entry *e = &s->e;
	uint64_t now = q->session->worker->now_ns;

	call->tag = e->handle;
	call->start_ns = now;
	call->deadline_ns = UINT64_MAX;
	call->position = position;
	call->binding = e->binding;
	call->method = e->method;
	call->wait_for_ready = (e->flags & PHX_SUB_WAIT_FOR_READY) != 0;
	call->connect = e->kind == PHX_SUB_CONNECT;
	call->inline_message = (e->flags & PHX_SUB_INLINE) != 0;
	call->msg_off = e->msg_off;
	call->msg_len = e->msg_len;
	call->meta_off = e->meta_off;
	call->meta_len = e->meta_len;
	call->path = NULL;
	call->series = NULL;
	call->sample = 0;
	call->trace = 0;
	call->packed = false;
	call->state = CALL_QUEUED;
	chain_call_start(&call->policy);
	if (call->inline_message)
		memcpy(call->inl, &s->words[SUBMIT_INLINE_WORD], e->msg_len);
	q->inflight++;
	stat_add(&q->session->stats.calls, 1);
	stat_add(&q->session->stats.inflight, 1);
	// A sum beyond the clock is no deadline, so nothing would stop its timer.
	if (phx_unlikely(e->timeout_ns < UINT64_MAX - now)) {
		call->deadline_ns = now + e->timeout_ns;
		submit_deadline(call);
	}
}

// An honest library has a completion slot for each call, and holds no more blocks than it can
// return; eight times as many may be on their way back.
static bool call_has_room(struct session_queue *q)
{
	uint32_t need = q->inflight + 1 + q->request_slots;
	int room = phx_ring_prod_room(&q->comp, need);

	if (phx_likely(room >= (int)need && q->lent < 8 * q->ret_slots))
		return true;
	if (room < 0)
		session_fail(q->session, PHX_REASON_RING_INDEX, "completion ring index");
	else if (room < (int)need)
		session_fail(
			q->session, PHX_REASON_QUOTA_ABUSE, "more calls than completion slots");
	else
		session_fail(q->session, PHX_REASON_QUOTA_ABUSE, "returns no blocks");
	return false;
}

// Take a CALL or CONNECT entry over into its slot. NULL: refused, the session failed.
static struct call *call_take(
	struct session_queue *q, const union submit_entry *s, uint32_t position, uint16_t flags)
{
	const struct phx_sub_entry *e = &s->e;
	struct session *session = q->session;
	struct call *call;

	if (!entry_check(q, e, flags))
		return NULL;
	if (e->call >= q->call_slots) {
		session_fail(session, PHX_REASON_DESC_RANGE, "call slot out of range");
		return NULL;
	}
	call = &q->calls[e->call];
	if (call->state != CALL_FREE) {
		session_fail(session, PHX_REASON_DESC_KIND, "call slot in use");
		return NULL;
	}
	if (call->zombie) {
		session_fail(session, PHX_REASON_STALE_HANDLE, "call slot not completed");
		return NULL;
	}
	if (!call_has_room(q))
		return NULL;
	call_fill(q, call, s, position);
	call->channel = e->channel < session->channel_size ? session->channels[e->channel] : NULL;
	return call;
}

static void call_refuse(
	struct call *call, enum phx_code code, enum phx_reason reason, const char *text)
{
	const struct call_status st = {
		.code = (uint8_t)code,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.reason = (uint8_t)reason,
		.text = text,
		.text_len = (uint16_t)strlen(text),
	};

	call_complete(call, &st, NULL);
}

static void call_start(struct session_queue *q, const union submit_entry *s, uint32_t position,
	struct submit_batch *batch)
{
	struct call *call = call_take(q, s, position, PHX_SUB_FLAGS_CALL);
	const struct phx_method *method;
	struct stats_series **series;
	struct path *path;

	if (call == NULL)
		return;
	if (phx_unlikely(call->channel == NULL)) {
		call_refuse(call, PHX_INVALID_ARGUMENT, PHX_REASON_INVALID, "no such channel");
		return;
	}
	method = channel_method(call->channel, call->binding, call->method, &call->schema,
		&call->service_name, &series);
	if (phx_unlikely(method == NULL)) {
		call_refuse(call, PHX_UNIMPLEMENTED, PHX_REASON_UNIMPLEMENTED,
			"no such binding or method");
		return;
	}
	call->method_name = method->name;
	counted_call_start(call, series);
	PROBE4(call_taken, call, q->session->config.id, call->service_name, call->method_name);
	if (phx_unlikely(q->session->worker->trace != NULL))
		call->trace = trace_call_start(q->session->worker, q->session->config.id,
			call->service_name, call->method_name, call->start_ns);
	if (phx_unlikely(method->flags & (PHX_METHOD_CLIENT_STREAM | PHX_METHOD_SERVER_STREAM))) {
		call_refuse(call, PHX_UNIMPLEMENTED, PHX_REASON_UNIMPLEMENTED,
			"streaming methods are not carried yet");
		return;
	}
	call->input = method->input;
	call->output = method->output;
	path = channel_admit(call);
	if (path == NULL)
		return;
	if (pack_call(call, path) == 1) {
		batch->calls[batch->call_count] = call;
		batch->paths[batch->call_count++] = path;
	}
}

static PHX_COLD void connect_start(
	struct session_queue *q, const union submit_entry *s, uint32_t position)
{
	struct call *call = call_take(q, s, position, 0);

	if (call == NULL)
		return;
	if (call->channel == NULL)
		call_refuse(call, PHX_INVALID_ARGUMENT, PHX_REASON_INVALID, "no such channel");
	else
		channel_connect(call);
}

// The chain, then the link, for all calls of a burst that are packed.
static void batch_send(struct session *session, struct submit_batch *batch)
{
	unsigned n = batch->call_count;

	if (n == 0)
		return;
	chained_calls(session, batch->calls, batch->paths, n);
	batch->call_count = 0;
}

static unsigned submit_some(struct session_queue *q, unsigned max, bool *out_more)
{
	struct submit_batch batch = {.call_count = 0};
	unsigned done = 0;
	int avail = phx_ring_cons_avail(&q->sub);

	*out_more = false;
	if (avail <= 0) {
		if (phx_unlikely(avail < 0))
			session_fail(q->session, PHX_REASON_RING_INDEX, "submission ring index");
		return 0;
	}
	while (avail > 0 && done < max && !q->session->failed) {
		uint32_t position = q->sub.next;
		union submit_entry s;
		unsigned slots = entry_load(q, (unsigned)avail, &s);

		if (slots == 0)
			break;
		avail -= (int)slots;
		done++;
		if (phx_likely(s.e.kind == PHX_SUB_CALL))
			call_start(q, &s, position, &batch);
		else if (s.e.kind == PHX_SUB_REPLY && entry_check(q, &s.e, PHX_SUB_FLAGS_REPLY))
			serve_reply(q, &s.e, &s.words[SUBMIT_INLINE_WORD]);
		else if (s.e.kind == PHX_SUB_CONNECT)
			connect_start(q, &s, position);
		else if (s.e.kind != PHX_SUB_REPLY)
			session_fail(q->session, PHX_REASON_DESC_KIND, "unknown submission kind");
	}
	batch_send(q->session, &batch);
	phx_ring_cons_publish(&q->sub);
	*out_more = avail > 0;
	return done;
}

unsigned submit_poll(struct session_queue *q)
{
	bool more;

	return submit_some(q, PHX_LIMIT_BURST, &more);
}

bool submit_drain_to(struct session_queue *q, uint32_t position)
{
	bool more = true;

	// Position and index are hostile, and the ring may be filled as fast as it is drained.
	while (more && !q->session->failed && (int32_t)(q->sub.next - position) <= 0) {
		unsigned n;

		if (q->drain_left == 0)
			return false;
		n = submit_some(q, phx_min(q->drain_left, (uint32_t)PHX_LIMIT_BURST), &more);
		if (n == 0)
			break;
		q->drain_left -= n;
	}
	return true;
}

void submit_drain(struct session *session)
{
	for (uint32_t i = 0; i < session->queue_count; i++) {
		struct session_queue *q = session->queues[i];
		uint32_t left = q->sub_slots;
		bool more = !session->closing;

		while (more && left != 0 && !session->failed)
			left -= submit_some(q, phx_min(left, (uint32_t)PHX_LIMIT_BURST), &more);
	}
}

void submit_cancel(struct call *call, uint64_t tag)
{
	const struct call_status st = {
		.code = PHX_CANCELLED,
		.origin = PHX_ORIGIN_APP,
		.executed = call->state == CALL_SENT ? PHX_EXECUTED_MAYBE : PHX_EXECUTED_NO,
		.reason = PHX_REASON_CANCELLED,
	};

	if (call->state == CALL_FREE || call->zombie || call->tag != tag)
		return; // it ended meanwhile
	call_abort(call, &st);
}

unsigned submit_work(struct session *session)
{
	struct phx_list *n = phx_list_pop(&session->work);
	struct call_work *work;

	if (n == NULL)
		return 0;
	// One step of one message per poll: deficit round robin with a quantum of one step,
	// since every step costs about the same (PHX_LIMIT_WORK_BYTES).
	work = phx_list_entry(n, struct call_work, node);
	if (work->step(work) == 0)
		phx_list_add_tail(&session->work, &work->node);
	return 1;
}

void call_admitted(struct call *call, struct path *path)
{
	if (pack_call(call, path) == 1)
		chained_calls(call->queue->session, &call, &path, 1);
}

void call_abort(struct call *call, const struct call_status *status)
{
	if (call->state == CALL_PACK)
		pack_abort(call);
	chain_unhold(call->session->worker, &call->policy);
	channel_forget(call);
	call_complete(call, status, NULL);
}
