// SPDX-License-Identifier: BSD-3-Clause
// The client end: replies, in one frame or announced. Everything a peer sends is checked before
// use. Worker thread, hot.
#include "dataplane/link/client.h"

#include "lib/schema/metadata.h"

#include <stdlib.h>

static void client_bad_content(struct call *call, int rc)
{
	const struct call_status st = {
		.code = rc == -E2BIG || rc == -ENOMEM ? PHX_RESOURCE_EXHAUSTED : PHX_DATA_LOSS,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_YES,
		.reason = rc == -EILSEQ	   ? PHX_REASON_UTF8
			  : rc == -EBADMSG ? PHX_REASON_PAYLOAD_CRC
			  : rc == -E2BIG   ? PHX_REASON_TOO_LARGE
			  : rc == -ENOMEM  ? PHX_REASON_NO_MEMORY
					   : PHX_REASON_SCHEMA,
	};

	call_complete(call, &st, NULL);
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

static void reply_protobuf(struct call *call, const struct phx_frame *f, const struct iovec *iov,
	int n, const struct call_status *st, struct reply_view *view)
{
	struct iovec image;
	uint8_t *buf;
	uint32_t len;
	int rc;

	if (n > 1 || (n == 1 && iov[0].iov_len < f->payload_len)) {
		client_bad_content(call, -EPROTO);
		return;
	}
	rc = message_decode(call->schema, call->output, call->session,
		n == 1 ? iov[0].iov_base : NULL, f->payload_len, &buf, &len);
	if (rc < 0) {
		client_bad_content(call, rc);
		return;
	}
	image = (struct iovec){buf, len};
	view->iov = &image;
	view->iov_count = 1;
	view->msg_len = len;
	call_reply(call, st, view);
	free(buf);
}

// Leaves gathered in place are checked on a private copy.
static void reply_gathered(struct call *call, const struct call_status *st, struct reply_view *view)
{
	uint8_t *flat = aligned_alloc(8, phx_align_up(view->msg_len + 8, 8));
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
	free(flat);
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
		reply_protobuf(call, f, payload, view.iov_count, &st, &view);
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

	link_send(path->link, &f, NULL, 0);
}

static void reply_refused(struct call *call, enum phx_reason reason)
{
	const struct call_status st = {
		.code = PHX_RESOURCE_EXHAUSTED,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_YES,
		.reason = (uint8_t)reason,
	};

	channel_forget(call); // also tells the server that nobody will take the message
	call_complete(call, &st, NULL);
}

static void reply_room(struct recv_waiter *waiter, uint32_t offset, enum phx_reason reason)
{
	struct call *call = phx_container_of(waiter, struct call, in.waiter);

	if (offset == 0)
		reply_refused(call, reason);
	else if (incoming_room(&call->in, call->session, offset,
			 (uint32_t)phx_align_up(call->in.total, 8) + call->in.meta_len,
			 POINT_REPLY_IN) != 0)
		reply_refused(call, PHX_REASON_NO_MEMORY);
	else
		grant_send(call);
}

// 0, -EPROTO, -ENOMEM.
static int reply_meta_keep(
	struct incoming *in, const struct phx_frame *f, const struct iovec *iov, int n)
{
	const void *meta = body_part(iov, n, 0, f->meta_len);

	if (f->meta_len == 0)
		return 0;
	if (meta == NULL || phx_metadata_check(meta, f->meta_len) != 0)
		return -EPROTO;
	in->meta = malloc(f->meta_len);
	if (in->meta == NULL)
		return -ENOMEM;
	memcpy(in->meta, meta, f->meta_len);
	in->meta_len = f->meta_len;
	return 0;
}

static void reply_announced(
	struct call *call, const struct phx_frame *f, const struct iovec *iov, int n)
{
	struct incoming *in = &call->in;
	uint32_t offset = 0;
	int rc = -EPROTO;

	if (!in->active && f->limit != 0) {
		memset(in, 0, sizeof(*in));
		rc = reply_meta_keep(in, f, iov, n);
	}
	if (rc != 0) {
		channel_forget(call); // nobody will take the message
		client_bad_content(call, rc);
		return;
	}
	in->active = true;
	in->total = f->limit;
	in->encoded = (f->flags & PHX_FRAME_F_PROTOBUF) != 0;
	status_fill(f, NULL, 0, &call->reply_status);
	call->in_meta_len = 0;
	in->waiter.fn = reply_room;
	rc = session_recv_reserve(call->session, &in->waiter,
		(uint32_t)phx_align_up(in->total, 8) + in->meta_len, true, call->deadline_ns,
		&offset);
	if (rc == 1)
		reply_room(&in->waiter, offset, PHX_REASON_NONE);
	else if (rc < 0)
		reply_refused(call, rc == -E2BIG ? PHX_REASON_TOO_LARGE : PHX_REASON_RECV_QUOTA);
}

static void reply_block_protobuf(struct call *call)
{
	uint8_t *meta = call->in.meta;
	struct reply_view view = {.has_message = true, .meta = meta, .meta_len = call->in.meta_len};
	const struct call_status st = call->reply_status;
	struct iovec image;
	uint8_t *buf;
	uint32_t len;
	int rc = message_decode(call->schema, call->output, call->session,
		incoming_base(&call->in, call->session), call->in.total, &buf, &len);

	call->in.meta = NULL; // read by the completion
	incoming_drop(&call->in, call->session);
	if (rc < 0) {
		client_bad_content(call, rc);
		free(meta);
		return;
	}
	image = (struct iovec){buf, len};
	view.iov = &image;
	view.iov_count = 1;
	view.msg_len = len;
	call_reply(call, &st, &view);
	free(buf);
	free(meta);
}

// Behind the message, where the application looks for it.
static void reply_meta_put(struct call *call)
{
	struct incoming *in = &call->in;
	uint8_t *base = incoming_base(in, call->session);

	if (in->meta == NULL)
		return;
	memcpy(base + phx_align_up(in->total, 8), in->meta, in->meta_len);
	call->in_meta_len = in->meta_len;
	free(in->meta);
	in->meta = NULL;
}

// One step of checking a landed reply. The call is no longer SENT then: nothing can end it twice.
static int reply_check_step(struct call_work *work)
{
	struct call *call = phx_container_of(work, struct call, work);
	int rc = incoming_check(&call->in, call->session, call->schema, call->output);

	if (rc == 0)
		return 0;
	if (rc != 1) {
		incoming_drop(&call->in, call->session);
		client_bad_content(call, rc);
		return 1;
	}
	reply_meta_put(call);
	call_reply_block(call);
	return 1;
}

static void reply_landed(struct call *call)
{
	call->in.active = false;
	client_take_back(call);
	if (call->in.encoded) {
		reply_block_protobuf(call);
	} else {
		call->work.step = reply_check_step;
		session_work_add(call->session, &call->work);
	}
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
		incoming_drop(&call->in, call->session);
		client_take_back(call);
		client_bad_content(call, -EBADMSG);
	} else if (incoming_landed(&call->in, f)) {
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
	struct path *again;

	if (b->state == SERVICE_UP)
		b->state = SERVICE_ASKED;
	client_take_back(call);
	again = channel_admit(call);
	if (again != NULL)
		path_send(again, call);
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
	client_take_back(call);
	if (phx_unlikely(f->payload_bad))
		client_bad_content(call, -EBADMSG);
	else
		client_reply(link, call, f, iov, n);
}
