// SPDX-License-Identifier: BSD-3-Clause
// The server end: replies of local sessions on their way to peers, and requests that a peer gives
// up. Worker thread, hot.
#include "dataplane/link/server.h"

#include "dataplane/core/probe.h"
#include "dataplane/core/trace.h"

#include <stdlib.h>

static void rcall_out_unpinned(struct outgoing *out)
{
	struct rcall *r = phx_container_of(out, struct rcall, out);

	if (out->position < out->total)
		return; // chunks are still to come
	rcall_detach(r);
	rcall_released(r);
}

static void status_frame(const struct rcall *r, struct phx_frame *f)
{
	*f = (struct phx_frame){
		.type = PHX_FRAME_STATUS,
		.flags = PHX_FRAME_F_REPLY,
		.code = r->status.code,
		.origin = r->status.origin,
		.executed = r->status.executed,
		.reason = r->status.reason,
		.epoch = r->rchannel->epoch,
		.cookie = r->cookie,
		.channel = r->rchannel->id,
		.sequence = r->sequence,
		.meta_len = r->message.meta_len,
		.text_len = r->status.text_len,
	};
}

static int status_send(struct rcall *r)
{
	struct link *link = r->rchannel->link;
	struct iovec iov[CONN_IOV_MAX];
	struct phx_frame f;
	uint64_t size = r->status.code == PHX_OK ? message_size(&r->message) : 0, covered;
	int n = 0;

	PROBE3(request_sent, r, r->sequence, r->status.code);
	if (phx_unlikely(r->trace != 0))
		server_trace_send(r);
	status_frame(r, &f);
	if (f.meta_len != 0)
		iov[n++] = (struct iovec){r->message.extra, f.meta_len};
	if (f.text_len != 0)
		iov[n++] = (struct iovec){(void *)(uintptr_t)r->status.text, f.text_len};
	if (r->status.code == PHX_OK)
		f.flags |= PHX_FRAME_F_MESSAGE;
	if (r->message.encoded != NULL)
		f.flags |= PHX_FRAME_F_PROTOBUF;
	r->out.unpinned = rcall_out_unpinned;
	r->out.message = &r->message;
	r->out.session = r->session;
	r->out.position = 0;
	r->out.total = size;
	r->out.channel = f.channel;
	r->out.sequence = f.sequence;
	r->out.epoch = f.epoch;
	r->out.cookie = f.cookie;
	r->out.is_reply = true;
	r->out.started = false;
	r->out.encoded = r->message.encoded != NULL;
	if (phx_unlikely(size > LINK_SINGLE_BYTES)) {
		f.flags = (f.flags & ~PHX_FRAME_F_MESSAGE) | PHX_FRAME_F_ANNOUNCED;
		f.limit = (uint32_t)size;
		link_send(link, &f, iov, n);
		return 1;
	}
	f.payload_len = (uint32_t)size;
	n += message_iov(&r->message, session_source(r->session), 0, size, iov + n,
		CONN_IOV_MAX - n, &covered);
	r->out.position = size;
	return outgoing_send_whole(link, &f, iov, n, &r->out);
}

// What was received of the request is not needed any more.
static PHX_NOINLINE void receive_end(struct rcall *r)
{
	phx_list_del(&r->work.node);
	incoming_drop(&r->in, r->session);
}

static PHX_COLD void encode_failed(struct rcall *r, int rc)
{
	bool size = rc == -E2BIG, memory = rc == -ENOMEM;

	rcall_message_drop(r);
	r->status = (struct call_status){
		.code = size || memory ? PHX_RESOURCE_EXHAUSTED : PHX_INTERNAL,
		.origin = PHX_ORIGIN_REMOTE_DATAPLANE,
		.executed = PHX_EXECUTED_YES,
		.reason = size	   ? PHX_REASON_TOO_LARGE
			  : memory ? PHX_REASON_NO_MEMORY
				   : PHX_REASON_INVALID,
	};
	rcall_text(r, "the server's reply cannot be encoded in protobuf (%s)",
		size	 ? "too large"
		: memory ? "no memory"
			 : "it changed");
}

static int reply_encode_step(struct call_work *work)
{
	struct rcall *r = phx_container_of(work, struct rcall, work);
	int rc = encoding_step(r->session, work, r->schema, r->output, &r->message);

	if (rc == 0)
		return 0;
	if (rc < 0)
		encode_failed(r, rc);
	rcall_send(r);
	return 1;
}

// False: the reply is being encoded, rcall_send() follows.
static PHX_NOINLINE bool reply_encoded(struct rcall *r)
{
	int rc;

	if (r->message.encoded != NULL)
		return true;
	rc = encoding_step(r->session, &r->work, r->schema, r->output, &r->message);
	if (rc < 0)
		encode_failed(r, rc);
	if (rc != 0)
		return true;
	r->work.step = reply_encode_step;
	session_work_add(r->session, &r->work);
	return false;
}

void rcall_send(struct rcall *r)
{
	struct rchannel *rc = r->rchannel;
	int status;

	PROBE1(request_chained, r);
	trace_serve_at(session_worker(r->session), r->trace, PHX_TRACE_CHAINED);
	if (phx_unlikely(r->in.work != NULL))
		receive_end(r);
	if (rc == NULL || rc->link == NULL || rc->link->down) {
		rcall_detach(r);
		rcall_released(r);
		return;
	}
	if (phx_unlikely(!r->peer_image) && r->status.code == PHX_OK && !reply_encoded(r))
		return;
	if (phx_unlikely(!phx_list_empty(&rc->link->replies))) {
		phx_list_add_tail(&rc->link->replies, &r->node);
		return;
	}
	status = status_send(r);
	if (phx_likely(status >= 0))
		return;
	if (status == -EAGAIN) {
		rc->link->small_blocked = true;
		phx_list_add_tail(&rc->link->replies, &r->node);
		return;
	}
	rcall_detach(r);
	rcall_released(r);
}

void server_writable(struct link *link)
{
	struct phx_list *n;

	while ((n = phx_list_first(&link->replies)) != NULL) {
		struct rcall *r = phx_list_entry(n, struct rcall, node);
		int status;

		phx_list_del(n);
		status = r->rchannel != NULL ? status_send(r) : -EPIPE;
		if (status == -EAGAIN) {
			link->small_blocked = true;
			phx_list_add_head(&link->replies, n);
			return;
		}
		if (status < 0) {
			rcall_detach(r);
			rcall_released(r);
		}
	}
}

void rcall_forget(struct rcall *r)
{
	receive_end(r);
	rcall_detach(r);
}

// ---- given up ----

// A reply on its way that nobody will take: stop it. One that a transport still reads ends later.
static void reply_abandon(struct rcall *r)
{
	if (rcall_unhold(r)) { // it has not left
		rcall_detach(r);
		rcall_released(r);
		return;
	}
	if (r->out.total <= LINK_SINGLE_BYTES)
		return; // in one frame: it has left, or ends with its link
	outgoing_stop(&r->out);
	r->out.position = r->out.total;
	if (r->out.in_place != 0)
		return;
	rcall_detach(r);
	rcall_released(r);
}

void request_end(struct rcall *r, enum phx_reason reason)
{
	if (r->state == RCALL_REPLYING)
		reply_abandon(r);
	else
		rcall_cancel(r, reason);
}
