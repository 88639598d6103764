// SPDX-License-Identifier: BSD-3-Clause
// The server end: requests into local sessions, in one frame or announced. Everything a peer sends
// is checked before use. Worker thread, hot.
#include "dataplane/link/server.h"

#include "dataplane/core/probe.h"
#include "dataplane/core/trace.h"
#include "lib/schema/metadata.h"

static void rcall_enter(
	struct rchannel *rc, struct rcall *r, const struct phx_frame *f, uint64_t now_ns)
{
	r->rchannel = rc;
	r->sequence = f->sequence;
	r->cookie = f->cookie;
	r->bytes = f->payload_len;
	if (f->arg != UINT64_MAX && f->arg < UINT64_MAX - now_ns)
		r->deadline_ns = now_ns + f->arg;
	rc->calls++;
	phx_list_add_tail(&rc->calls_bucket[f->sequence % RCHANNEL_BUCKETS], &r->bucket);
}

// Answer a request that did not reach a session.
static void headers_refuse(struct rchannel *rc, const struct phx_frame *f, enum phx_code code,
	enum phx_reason reason, const char *text)
{
	rc->calls++;
	server_refuse(rc->link, f, f->sequence, code, reason, text);
	rchannel_credit(rc, f->payload_len);
}

static PHX_COLD void bad_text(struct rcall *r, int rc)
{
	unsigned long long most = session_recv_most(r->session, false);
	uint32_t total = r->in.work != NULL ? r->in.total : 0;

	if (rc == -E2BIG && total > most)
		rcall_text(r, "a request of %u bytes is more than the server takes (%llu)", total,
			most);
	else if (rc == -E2BIG)
		rcall_text(r, "the request is over a limit of the server (%llu bytes)", most);
	else if (rc == -ENOMEM)
		rcall_text(r, "no room for a request of %u bytes came in time", total);
	else if (rc == -EILSEQ)
		rcall_text(r, "a string is not UTF-8");
	else if (rc == -EBADMSG)
		rcall_text(r, "the request was damaged on its way");
	else
		rcall_text(r, "the request does not fit its schema");
}

static PHX_COLD void rcall_bad(struct rcall *r, int rc)
{
	r->status = (struct call_status){
		.code = rc == -E2BIG || rc == -ENOMEM ? PHX_RESOURCE_EXHAUSTED
			: rc == -EPROTO		      ? PHX_INVALID_ARGUMENT
						      : PHX_DATA_LOSS,
		.origin = PHX_ORIGIN_REMOTE_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.reason = rc == -EILSEQ	   ? PHX_REASON_UTF8
			  : rc == -EBADMSG ? PHX_REASON_PAYLOAD_CRC
			  : rc == -E2BIG   ? PHX_REASON_TOO_LARGE
			  : rc == -ENOMEM  ? PHX_REASON_RECV_QUOTA
					   : PHX_REASON_SCHEMA,
	};
	bad_text(r, rc);
	r->state = RCALL_REPLYING;
	rcall_send(r);
}

// Leaves gathered in place are checked where they were copied to: the receive heap, or private
// memory when that has no room.
static void request_gathered(struct rcall *r, const struct iovec *iov, int n, uint32_t len,
	const void *meta, uint16_t meta_len)
{
	struct session *session = r->session; // the call may be gone afterwards
	struct iovec flat = {NULL, len};
	uint32_t at = 0;
	int rc;

	if (meta_len == 0 && !session_judges(r->session, POINT_REQUEST_IN) &&
		rcall_take_image(r, iov, n, len) == 0) {
		rc = body_validate(
			r->schema, r->input, session_recv_address(r->session, r->block), len);
		if (rc == 1)
			rcall_deliver(r, NULL, 0, len, NULL, 0);
		else
			rcall_bad(r, rc);
		return;
	}
	flat.iov_base = body_scratch(r->session, len);
	if (flat.iov_base == NULL) {
		rcall_bad(r, -ENOMEM);
		return;
	}
	for (int i = 0; i < n; i++) {
		memcpy((char *)flat.iov_base + at, iov[i].iov_base, iov[i].iov_len);
		at += (uint32_t)iov[i].iov_len;
	}
	rc = body_validate(r->schema, r->input, flat.iov_base, len);
	if (rc == 1)
		rcall_deliver(r, &flat, 1, len, meta, meta_len);
	else
		rcall_bad(r, rc);
	body_scratch_put(session, flat.iov_base);
}

// ---- whole requests ----

static void request_complete(struct rcall *r)
{
	r->block = r->in.block;
	r->has_block = true;
	r->in.has_block = false;
	rcall_deliver(r, NULL, 0, r->in.total, NULL, r->in.meta_len);
}

// One step of checking or decoding a request that is all here.
static int request_check_step(struct call_work *work)
{
	struct rcall *r = phx_container_of(work, struct rcall, work);
	int rc = incoming_step(&r->in, r->session, r->schema, r->input);

	if (rc == 0)
		return 0;
	if (rc == 1)
		request_complete(r);
	else if (rc != -EINPROGRESS)
		rcall_bad(r, rc);
	return 1;
}

static void request_protobuf(
	struct rcall *r, const struct phx_frame *f, const struct iovec *iov, int n)
{
	int rc = incoming_protobuf(&r->in, r->session, f, iov, n, &r->work, false, r->deadline_ns);

	r->work.step = request_check_step;
	if (rc != 0)
		rcall_bad(r, rc);
	else if (request_check_step(&r->work) == 0)
		session_work_add(r->session, &r->work);
}

static void request_small(struct link *link, struct rcall *r, const struct phx_frame *f,
	const struct iovec *iov, int n)
{
	struct iovec payload[CONN_IOV_MAX];
	const void *meta = NULL;
	int count, rc;

	if (phx_unlikely(f->flags & PHX_FRAME_F_PROTOBUF)) {
		request_protobuf(r, f, iov, n);
		return;
	}
	if (phx_unlikely(f->meta_len != 0)) {
		meta = body_part(iov, n, 0, f->meta_len);
		if (meta == NULL || phx_metadata_check(meta, f->meta_len) != 0) {
			rcall_bad(r, -EPROTO);
			return;
		}
	}
	count = body_payload(iov, n, (size_t)f->meta_len + f->text_len, payload, CONN_IOV_MAX);
	if (phx_unlikely(count != 1)) { // only `local` hands over more than one part
		request_gathered(r, payload, count, f->payload_len, meta, f->meta_len);
		return;
	}
	// In one part from our own pack: checked when it was copied.
	rc = link->local ? 1
			 : body_validate(r->schema, r->input, payload[0].iov_base, f->payload_len);
	if (phx_unlikely(rc != 1))
		rcall_bad(r, rc);
	else
		rcall_deliver(r, payload, 1, f->payload_len, meta, f->meta_len);
}

// ---- announced requests ----

static void request_grant(struct rcall *r)
{
	const struct phx_frame f = {
		.type = PHX_FRAME_GRANT,
		.flags = PHX_FRAME_F_REPLY,
		.epoch = r->rchannel->epoch,
		.cookie = r->cookie,
		.channel = r->rchannel->id,
		.sequence = r->sequence,
	};

	incoming_granted(&r->in, r->session);
	link_send(r->rchannel->link, &f, NULL, 0);
}

static void request_room(struct recv_waiter *waiter, uint32_t offset, enum phx_reason reason)
{
	struct rcall *r = phx_container_of(waiter, struct rcall, in.waiter);
	int rc = offset == 0 ? -ENOMEM : incoming_room(&r->in, r->session, offset);

	(void)reason;
	// The link is lost and its requests end one by one: the room of one comes to the next.
	if (r->rchannel == NULL || r->rchannel->link == NULL)
		return;
	if (rc != 0)
		rcall_bad(r, -ENOMEM);
	else
		request_grant(r);
}

static void request_announced(
	struct rcall *r, const struct phx_frame *f, const struct iovec *iov, int n)
{
	int rc = incoming_announce(
		&r->in, r->session, f, iov, n, &r->work, false, r->deadline_ns, request_room);

	if (rc == 1)
		request_grant(r);
	else if (rc < 0)
		rcall_bad(r, rc);
}

// ---- HEADERS ----

int server_headers(struct link *link, struct rchannel *rc, const struct phx_frame *f,
	const struct iovec *iov, int n, enum phx_reason *reason)
{
	struct worker *worker = link->worker;
	const struct service_instance *in;
	struct subscription *s;
	struct rcall *r;
	int method;

	// Sequences come in order on the small lane; anything else is a replay or a lie.
	if (phx_unlikely(f->sequence != rc->accepted + 1)) {
		*reason = PHX_REASON_W_CALLID;
		return -EPROTO;
	}
	// Bytes may run over a little: calls that were admitted together count when they are sent.
	if (phx_unlikely(f->sequence > rc->limit_told ||
			 rc->bytes > rc->bytes_told + LINK_WINDOW_BYTES / 2)) {
		*reason = PHX_REASON_W_CREDIT;
		return -EPROTO;
	}
	// Never sent to us unless our hello has said that we know it.
	if (phx_unlikely((f->flags & PHX_FRAME_F_TRACE) != 0 && !link->trace)) {
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
	rc->bytes += f->payload_len;
	rc->accepted = f->sequence;
	conn_count(&link->calls_in, 1);
	if (phx_unlikely((f->flags & PHX_FRAME_F_HALF_CLOSE) == 0 ||
			 (f->flags & (PHX_FRAME_F_MESSAGE | PHX_FRAME_F_ANNOUNCED)) == 0)) {
		headers_refuse(rc, f, PHX_UNIMPLEMENTED, PHX_REASON_UNIMPLEMENTED,
			"streams are not carried yet");
		return 0;
	}
	if (phx_unlikely(f->service >= rc->subscription_count)) {
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
	s = rc->subscriptions[f->service];
	in = subscription_pick(s, worker, f);
	if (phx_unlikely(in == NULL)) {
		headers_refuse(rc, f, PHX_UNAVAILABLE, PHX_REASON_SERVICE_DOWN,
			"the last instance has just gone");
		rchannel_tell(rc, f->service); // the client's dataplane tries again by this
		return 0;
	}
	method = subscription_method(s, in, f->method);
	if (phx_unlikely(method < 0)) {
		headers_refuse(rc, f, PHX_UNIMPLEMENTED, PHX_REASON_UNIMPLEMENTED,
			"the server's schema has no such method");
		return 0;
	}
	r = rcall_create(in->session, in->handle, (uint16_t)method);
	if (phx_unlikely(r == NULL)) {
		headers_refuse(rc, f, PHX_RESOURCE_EXHAUSTED, PHX_REASON_NO_CREDIT,
			"the server has too many calls in hand");
		return 0;
	}
	r->peer_image = (f->flags & PHX_FRAME_F_PROTOBUF) == 0;
	rcall_enter(rc, r, f, worker->now_ns);
	PROBE2(request_received, r, f->sequence);
	if (phx_unlikely((f->flags & PHX_FRAME_F_TRACE) != 0))
		r->trace = trace_serve_start(worker);
	if (phx_unlikely(f->payload_bad))
		rcall_bad(r, -EBADMSG);
	else if (phx_likely((f->flags & PHX_FRAME_F_MESSAGE) != 0))
		request_small(link, r, f, iov, n);
	else
		request_announced(r, f, iov, n);
	return 0;
}

// ---- chunks of announced requests ----

static struct rcall *frame_rcall(struct link *link, const struct phx_frame *f)
{
	struct rchannel *rc = rchannel_find(link, f->channel);

	if (rc == NULL || f->epoch != rc->epoch)
		return NULL;
	return rcall_find(rc, f->sequence);
}

void *server_sink(struct link *link, const struct phx_frame *f)
{
	struct rcall *r = frame_rcall(link, f);

	return r != NULL ? incoming_sink(&r->in, link, r->session, f) : NULL;
}

int server_landed(struct link *link, const struct phx_frame *f, enum phx_reason *reason)
{
	struct rcall *r = frame_rcall(link, f);

	(void)reason;
	if (r == NULL || !r->in.active)
		return 0;
	if (f->payload_bad) {
		r->in.sink = NULL; // has landed
		rcall_bad(r, -EBADMSG);
	} else if (incoming_landed(&r->in, r->session, f)) {
		r->work.step = request_check_step;
		session_work_add(r->session, &r->work);
	}
	return 0;
}
