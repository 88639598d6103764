// SPDX-License-Identifier: BSD-3-Clause
// The client end: replies, in one frame or announced. Everything a peer sends is checked before
// use. Worker thread, hot.
#include "dataplane/link/client.h"

#include "dataplane/core/probe.h"
#include "dataplane/core/trace.h"
#include "lib/schema/metadata.h"

#include <stdio.h>

static PHX_COLD void client_bad_content(struct call *call, int rc)
{
	const char *text = rc == -EILSEQ    ? "a string of the reply is not UTF-8"
			   : rc == -EBADMSG ? "the reply was damaged on its way"
			   : rc == -E2BIG   ? "the reply is over a limit of this application"
			   : rc == -ENOMEM  ? "no room for the reply"
					    : "the reply does not fit its schema";
	const struct call_status st = {
		.code = rc == -E2BIG || rc == -ENOMEM ? PHX_RESOURCE_EXHAUSTED : PHX_DATA_LOSS,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_YES,
		.reason = rc == -EILSEQ	   ? PHX_REASON_UTF8
			  : rc == -EBADMSG ? PHX_REASON_PAYLOAD_CRC
			  : rc == -E2BIG   ? PHX_REASON_TOO_LARGE
			  : rc == -ENOMEM  ? PHX_REASON_NO_MEMORY
					   : PHX_REASON_SCHEMA,
		.text = text,
		.text_len = (uint16_t)strlen(text),
	};

	call_complete(call, &st, NULL);
}

// The request has done its part: what it holds beside its snapshot makes room for the reply.
static void request_done(struct call *call)
{
	if (phx_unlikely(call->message.encoded != NULL) && call->out.in_place == 0)
		message_encoded_put(call->session, &call->message);
}

// ---- STATUS ----

static void status_fill(
	const struct phx_frame *f, const struct iovec *iov, int n, struct call_status *st)
{
	*st = (struct call_status){
		.code = f->code < PHX_CODE_COUNT ? f->code : PHX_INTERNAL,
		.origin = f->origin < PHX_ORIGIN_COUNT ? f->origin : PHX_ORIGIN_TRANSPORT,
		.executed = f->executed <= PHX_EXECUTED_YES ? f->executed : PHX_EXECUTED_MAYBE,
		.reason = f->reason < PHX_REASON_COUNT ? (uint8_t)f->reason
						       : (uint8_t)PHX_REASON_INTERNAL,
	};
	if (f->text_len != 0) {
		st->text = body_part(iov, n, f->meta_len, f->text_len);
		st->text_len = st->text != NULL ? f->text_len : 0;
	}
}

// One step of checking or decoding a reply that is all here. The call is no longer SENT then:
// nothing can end it twice.
static int reply_check_step(struct call_work *work)
{
	struct call *call = phx_container_of(work, struct call, work);
	int rc = incoming_step(&call->in, call->session, call->schema, call->output);

	if (rc == 0)
		return 0;
	if (rc == 1) {
		call_reply_block(call);
	} else if (rc != -EINPROGRESS) {
		incoming_drop(&call->in, call->session);
		client_bad_content(call, rc);
	}
	return 1;
}

static void reply_protobuf(struct call *call, const struct phx_frame *f, const struct iovec *iov,
	int n, const struct call_status *st)
{
	int rc;

	request_done(call);
	rc = incoming_protobuf(
		&call->in, call->session, f, iov, n, &call->work, true, call->deadline_ns);

	call->reply_status = *st;
	call->reply_status.text_len = 0; // an OK status has none
	call->work.step = reply_check_step;
	if (rc != 0) {
		incoming_drop(&call->in, call->session);
		client_bad_content(call, rc);
	} else if (reply_check_step(&call->work) == 0) {
		session_work_add(call->session, &call->work);
	}
}

// On a private copy: a policy judges it first, or the heap has no room now.
static void reply_copied(struct call *call, const struct call_status *st, struct reply_view *view)
{
	struct session *session = call->session;
	uint8_t *flat = body_scratch(session, view->msg_len);
	struct iovec iov = {flat, view->msg_len};
	uint32_t at = 0;
	int rc = -ENOMEM;

	for (int i = 0; flat != NULL && i < view->iov_count; i++) {
		memcpy(flat + at, view->iov[i].iov_base, view->iov[i].iov_len);
		at += (uint32_t)view->iov[i].iov_len;
	}
	if (flat != NULL)
		rc = body_validate(call->schema, call->output, flat, view->msg_len);
	view->iov = &iov;
	view->iov_count = 1;
	if (rc == 1)
		call_reply(call, st, view);
	else
		client_bad_content(call, rc);
	body_scratch_put(session, flat);
}

// Leaves gathered in place are checked where they were copied to.
static void reply_gathered(struct call *call, const struct call_status *st, struct reply_view *view)
{
	int rc;

	if (session_judges(call->session, POINT_REPLY_IN) || call_take_image(call, view) != 0) {
		reply_copied(call, st, view);
		return;
	}
	rc = body_validate(
		call->schema, call->output, incoming_base(&call->in, call->session), view->msg_len);
	if (rc != 1) {
		incoming_drop(&call->in, call->session);
		client_bad_content(call, rc);
		return;
	}
	call->reply_status = *st;
	call->reply_status.text_len = 0; // an OK status has none
	call_reply_block(call);
}

void client_reply(struct link *link, struct call *call, const struct phx_frame *f,
	const struct iovec *iov, int n)
{
	struct iovec payload[CONN_IOV_MAX];
	struct reply_view view = {.meta_len = f->meta_len, .msg_len = f->payload_len};
	struct call_status st;
	int rc;

	status_fill(f, iov, n, &st);
	if (f->meta_len != 0) {
		view.meta = body_part(iov, n, 0, f->meta_len);
		if (view.meta == NULL || phx_metadata_check(view.meta, f->meta_len) != 0) {
			client_bad_content(call, -EPROTO);
			return;
		}
	}
	view.has_message = (f->flags & PHX_FRAME_F_MESSAGE) != 0;
	if (!view.has_message || st.code != PHX_OK) {
		view.has_message = false;
		view.msg_len = 0;
		if (st.code == PHX_OK)
			client_bad_content(call, -EPROTO); // OK without a message
		else
			call_reply(call, &st, &view);
		return;
	}
	view.iov = payload;
	view.iov_count =
		body_payload(iov, n, (size_t)f->meta_len + f->text_len, payload, CONN_IOV_MAX);
	if (phx_unlikely(f->flags & PHX_FRAME_F_PROTOBUF)) {
		reply_protobuf(call, f, iov, n, &st);
		return;
	}
	if (phx_unlikely(view.iov_count != 1)) { // only `local` hands over more than one part
		reply_gathered(call, &st, &view);
		return;
	}
	// In one part from our own pack: checked when it was copied.
	rc = link->local ? 1
			 : body_validate(
				   call->schema, call->output, payload[0].iov_base, f->payload_len);
	if (phx_unlikely(rc != 1))
		client_bad_content(call, rc);
	else
		call_reply(call, &st, &view);
}

// ---- announced replies ----

static void grant_send(struct call *call)
{
	const struct path *path = call->path;
	const struct phx_frame f = {
		.type = PHX_FRAME_GRANT,
		.epoch = path->epoch,
		.cookie = call->cookie,
		.channel = path->id,
		.sequence = call->sequence,
	};

	incoming_granted(&call->in, call->session);
	if (path->link != NULL) // else it is lost, and the call will end with it
		link_send(path->link, &f, NULL, 0);
}

static PHX_COLD void reply_refused(struct call *call, enum phx_reason reason)
{
	struct call_status st = {
		.code = PHX_RESOURCE_EXHAUSTED,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_YES,
		.reason = (uint8_t)reason,
	};
	unsigned long long most = session_recv_most(call->session, true);
	uint32_t total = call->in.total;
	char text[160];

	(void)snprintf(text, sizeof(text),
		reason == PHX_REASON_TOO_LARGE
			? "a reply of %u bytes is more than this application takes (%llu)"
			: "no room for a reply of %u bytes came in time (receive quota %llu)",
		total, most);
	st.text = text;
	st.text_len = (uint16_t)strlen(text);
	channel_forget(call); // also tells the server that nobody will take the message
	call_complete(call, &st, NULL);
}

static void reply_room(struct recv_waiter *waiter, uint32_t offset, enum phx_reason reason)
{
	struct call *call = phx_container_of(waiter, struct call, in.waiter);

	if (offset == 0)
		reply_refused(call, reason);
	else if (incoming_room(&call->in, call->session, offset) != 0)
		reply_refused(call, PHX_REASON_NO_MEMORY);
	else
		grant_send(call);
}

static void reply_announced(
	struct call *call, const struct phx_frame *f, const struct iovec *iov, int n)
{
	int rc;

	if (call->in.active)
		return; // announced twice: the first one counts
	rc = incoming_announce(&call->in, call->session, f, iov, n, &call->work, true,
		call->deadline_ns, reply_room);
	status_fill(f, NULL, 0, &call->reply_status);
	if (rc == 1) {
		grant_send(call);
	} else if (rc == -EPROTO) {
		channel_forget(call);
		client_bad_content(call, rc);
	} else if (rc < 0) {
		reply_refused(call, rc == -E2BIG ? PHX_REASON_TOO_LARGE : PHX_REASON_RECV_QUOTA);
	}
}

static void reply_landed(struct call *call)
{
	PROBE2(call_received, call, call->sequence);
	trace_at(call->path->channel->worker, call->trace, TRACE_RECEIVED);
	client_take_back(call);
	request_done(call);
	call->work.step = reply_check_step;
	session_work_add(call->session, &call->work);
}

void *client_sink(struct link *link, const struct phx_frame *f)
{
	struct call *call = client_call(link, f);

	return call != NULL ? incoming_sink(&call->in, link, call->session, f) : NULL;
}

int client_landed(struct link *link, const struct phx_frame *f, enum phx_reason *reason)
{
	struct call *call = client_call(link, f);

	(void)reason;
	if (call == NULL || !call->in.active)
		return 0;
	if (f->payload_bad) {
		call->in.sink = NULL; // has landed
		incoming_drop(&call->in, call->session);
		client_take_back(call);
		client_bad_content(call, -EBADMSG);
	} else if (incoming_landed(&call->in, call->session, f)) {
		reply_landed(call);
	}
	return 0;
}

// ---- dispatch ----

// The service left the worker while the request was on its way.
static bool is_too_late(const struct phx_frame *f)
{
	return f->code == PHX_UNAVAILABLE && f->executed == PHX_EXECUTED_NO &&
	       f->reason == PHX_REASON_SERVICE_DOWN && f->origin == PHX_ORIGIN_REMOTE_DATAPLANE &&
	       !f->payload_bad;
}

// Another attempt of the same call with the same snapshot (design.md 12.13): it waits for what the
// peer says next about the service.
static void try_again(struct call *call)
{
	struct path_binding *b = &call->path->bindings[call->binding];

	if (b->state == SERVICE_UP)
		b->state = SERVICE_ASKED;
	client_take_back(call);
	client_again(call);
}

void client_status(struct link *link, const struct phx_frame *f, const struct iovec *iov, int n)
{
	struct call *call = client_call(link, f);

	if (call == NULL || call->zombie)
		return;
	if (phx_unlikely(f->flags & PHX_FRAME_F_ANNOUNCED)) {
		reply_announced(call, f, iov, n);
		return;
	}
	incoming_drop(&call->in, call->session);
	if (phx_unlikely(is_too_late(f))) {
		try_again(call);
		return;
	}
	PROBE2(call_received, call, f->sequence);
	trace_at(link->worker, call->trace, TRACE_RECEIVED);
	client_take_back(call);
	if (phx_unlikely(f->payload_bad))
		client_bad_content(call, -EBADMSG);
	else
		client_reply(link, call, f, iov, n);
}
