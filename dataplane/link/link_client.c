// SPDX-License-Identifier: BSD-3-Clause
// The client end: frames that come back on a link (credit, services, replies), and what happens to
// sent calls when a link is lost. Everything a peer sends is checked before use. Worker thread,
// hot.
#include "dataplane/link/link.h"

#include "lib/base/hash.h"
#include "lib/schema/metadata.h"

#include <stdlib.h>

static struct path *path_find(struct link *link, uint64_t id)
{
	struct phx_list *head = &link->path_bucket[phx_mix64(id) % LINK_BUCKETS], *n;

	phx_list_for_each (n, head) {
		struct path *p = phx_list_entry(n, struct path, bucket);

		if (p->id == id)
			return p;
	}
	return NULL;
}

// The sent call that a reply frame belongs to, or NULL (it ended meanwhile: dropped, counted).
static struct call *call_find(struct link *link, const struct phx_frame *f)
{
	struct path *path = path_find(link, f->channel);
	struct call *call;

	if (path == NULL || f->epoch != path->epoch || f->cookie >= path->sent_size)
		goto drop;
	call = path->sent[f->cookie];
	if (call == NULL || call->sequence != f->sequence)
		goto drop;
	return call;
drop:
	conn_count(&link->dropped_frames, 1);
	return NULL;
}

static void call_take_back(struct call *call)
{
	struct path *path = call->path;

	outgoing_stop(&call->out);
	call_unsent(path, call);
}

static void bad_content(struct call *call, int rc)
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
		bad_content(call, -EPROTO);
		return;
	}
	rc = message_decode(call->schema, call->output, call->session,
		n == 1 ? iov[0].iov_base : NULL, f->payload_len, &buf, &len);
	if (rc < 0) {
		bad_content(call, rc);
		return;
	}
	image = (struct iovec){buf, len};
	view->iov = &image;
	view->iov_count = 1;
	view->msg_len = len;
	call_complete(call, st, view);
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
		call_complete(call, st, view);
	else
		bad_content(call, rc);
	free(flat);
}

static void reply_small(struct link *link, struct call *call, const struct phx_frame *f,
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
			bad_content(call, -EPROTO);
			return;
		}
	}
	view.has_message = (f->flags & PHX_FRAME_F_MESSAGE) != 0;
	if (!view.has_message || st.code != PHX_OK) {
		view.has_message = false;
		view.msg_len = 0;
		if (st.code == PHX_OK)
			bad_content(call, -EPROTO); // OK without a message
		else
			call_complete(call, &st, &view);
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
		bad_content(call, rc);
	else
		call_complete(call, &st, &view);
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

	if (offset == 0) {
		reply_refused(call, reason);
		return;
	}
	call->in.block = offset;
	call->in.has_block = true;
	grant_send(call);
}

static void reply_announced(
	struct call *call, const struct phx_frame *f, const struct iovec *iov, int n)
{
	struct incoming *in = &call->in;
	uint32_t offset = 0;
	int rc;

	(void)iov;
	(void)n;
	if (in->active || f->limit == 0) {
		bad_content(call, -EPROTO);
		return;
	}
	memset(in, 0, sizeof(*in));
	in->active = true;
	in->total = f->limit;
	in->encoded = (f->flags & PHX_FRAME_F_PROTOBUF) != 0;
	status_fill(f, NULL, 0, &call->reply_status);
	call->in_meta_len = 0;
	in->waiter.fn = reply_room;
	rc = session_recv_reserve(
		call->session, &in->waiter, in->total, true, call->deadline_ns, &offset);
	if (rc == 1)
		reply_room(&in->waiter, offset, PHX_REASON_NONE);
	else if (rc < 0)
		reply_refused(call, rc == -E2BIG ? PHX_REASON_TOO_LARGE : PHX_REASON_RECV_QUOTA);
}

static void reply_block_protobuf(struct call *call)
{
	struct reply_view view = {.has_message = true};
	const struct call_status st = call->reply_status;
	struct iovec image;
	uint8_t *buf;
	uint32_t len;
	int rc = message_decode(call->schema, call->output, call->session,
		session_recv_address(call->session, call->in.block), call->in.total, &buf, &len);

	incoming_drop(&call->in, call->session);
	if (rc < 0) {
		bad_content(call, rc);
		return;
	}
	image = (struct iovec){buf, len};
	view.iov = &image;
	view.iov_count = 1;
	view.msg_len = len;
	call_complete(call, &st, &view);
	free(buf);
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
		bad_content(call, rc);
		return 1;
	}
	call_complete_block(call);
	return 1;
}

static void reply_landed(struct call *call)
{
	call->in.active = false;
	call_take_back(call);
	if (call->in.encoded) {
		reply_block_protobuf(call);
	} else {
		call->work.step = reply_check_step;
		session_work_add(call->session, &call->work);
	}
}

void *client_sink(struct link *link, const struct phx_frame *f)
{
	struct call *call = call_find(link, f);

	return call != NULL ? incoming_sink(&call->in, link, call->session, f) : NULL;
}

int client_landed(struct link *link, const struct phx_frame *f, enum phx_reason *reason)
{
	struct call *call = call_find(link, f);

	(void)reason;
	if (call == NULL || !call->in.active)
		return 0;
	if (f->payload_bad) {
		incoming_drop(&call->in, call->session);
		call_take_back(call);
		bad_content(call, -EBADMSG);
	} else if (incoming_landed(&call->in, f)) {
		reply_landed(call);
	}
	return 0;
}

static void on_status(struct link *link, const struct phx_frame *f, const struct iovec *iov, int n)
{
	struct call *call = call_find(link, f);

	if (call == NULL || call->zombie)
		return;
	if (phx_unlikely(f->flags & PHX_FRAME_F_ANNOUNCED)) {
		reply_announced(call, f, iov, n);
		return;
	}
	incoming_drop(&call->in, call->session);
	call_take_back(call);
	if (phx_unlikely(f->payload_bad))
		bad_content(call, -EBADMSG);
	else
		reply_small(link, call, f, iov, n);
}

// ---- credit, services ----

static int on_credit(struct path *path, const struct phx_frame *f, enum phx_reason *reason)
{
	uint64_t limit = f->sequence + f->limit;

	// Limits are absolute and never fall; nothing may be accepted that was not sent.
	if (f->sequence > path->sequence || limit < path->limit || f->arg < path->bytes_limit) {
		*reason = PHX_REASON_W_CREDIT;
		return -EPROTO;
	}
	path->limit = limit;
	path->bytes_limit = f->arg;
	channel_kick(path->channel);
	return 0;
}

// What was accepted before the loss is known: decide about every call of the old link.
static void path_resolve(struct path *path, uint64_t accepted, bool known)
{
	timer_stop(&path->channel->worker->timers, &path->resolve);
	path->resolving = false;
	for (uint32_t i = 0; i < path->sent_size && path->sent_count != 0; i++) {
		struct call *call = path->sent[i];
		struct call_status st = {
			.code = PHX_UNAVAILABLE,
			.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
			.executed = PHX_EXECUTED_MAYBE,
			.reason = PHX_REASON_LINK_LOST,
		};

		if (call == NULL)
			continue;
		incoming_drop(&call->in, call->session);
		call_take_back(call);
		if (known && call->sequence > accepted) {
			if (call->wait_for_ready && !call->zombie) {
				struct path *again = channel_admit(call);

				if (again != NULL)
					path_send(again, call);
				continue;
			}
			st.executed = PHX_EXECUTED_NO;
		}
		if (!call->zombie)
			call_complete(call, &st, NULL);
	}
}

static void resolve_timeout(struct worker *worker, struct timer *timer)
{
	struct path *path = phx_container_of(timer, struct path, resolve);

	(void)worker;
	path_resolve(path, 0, false);
}

static int on_opened(struct path *path, const struct phx_frame *f, enum phx_reason *reason)
{
	if (path->state != PATH_OPENING || f->sequence > path->sequence) {
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
	if (path->resolving)
		path_resolve(path, f->sequence, f->code == PHX_OK);
	path->state = PATH_OPEN;
	path->sequence = f->sequence;
	path->limit = f->sequence + f->limit;
	path->bytes_sent = 0;
	path->bytes_limit = f->arg;
	channel_kick(path->channel);
	return 0;
}

static bool hash_listed(
	const struct iovec *iov, int n, const struct phx_frame *f, const struct phx_hash128 *want)
{
	const uint8_t *p = body_part(iov, n, 0, f->payload_len);

	for (uint32_t at = 0; p != NULL && at + 16 <= f->payload_len; at += 16) {
		if (phx_le64_load(p + at) == want->lo && phx_le64_load(p + at + 8) == want->hi)
			return true;
	}
	return false;
}

static void on_service(struct path *path, const struct phx_frame *f, const struct iovec *iov, int n)
{
	struct path_binding *b;

	if (f->service >= path->channel->binding_count)
		return;
	b = &path->bindings[f->service];
	if (f->type == PHX_FRAME_SERVICE_UP) {
		b->state = SERVICE_UP;
		b->service = (uint32_t)f->arg;
		b->image = hash_listed(iov, n, f, &path->channel->bindings[f->service].hash);
		channel_kick(path->channel);
		return;
	}
	b->state = f->code == PHX_UNAVAILABLE		? SERVICE_DOWN
		   : f->code == PHX_FAILED_PRECONDITION ? SERVICE_AMBIGUOUS
							: SERVICE_UNKNOWN;
	channel_reconsider(path->channel);
}

static void on_refused(struct link *link, struct path *path, const struct phx_frame *f)
{
	struct call *call;

	if (f->sequence == 0) { // the channel itself
		path->state = PATH_REFUSED;
		channel_reconsider(path->channel);
		return;
	}
	call = call_find(link, f);
	if (call == NULL || call->zombie)
		return;
	call_take_back(call);
	reply_small(link, call, f, NULL, 0);
}

int client_frame(struct link *link, const struct phx_frame *f, const struct iovec *iov, int n,
	enum phx_reason *reason)
{
	struct path *path;
	struct call *call;

	if (phx_likely(f->type == PHX_FRAME_STATUS)) {
		on_status(link, f, iov, n);
		return 0;
	}
	path = path_find(link, f->channel);
	if (path == NULL || f->epoch != path->epoch) {
		conn_count(&link->dropped_frames, 1);
		return 0;
	}
	switch (f->type) {
	case PHX_FRAME_OPENED:
		return on_opened(path, f, reason);
	case PHX_FRAME_CREDIT:
	case PHX_FRAME_ACCEPTED:
		return on_credit(path, f, reason);
	case PHX_FRAME_SERVICE_UP:
	case PHX_FRAME_SERVICE_DOWN:
		on_service(path, f, iov, n);
		return 0;
	case PHX_FRAME_REFUSED:
		on_refused(link, path, f);
		return 0;
	case PHX_FRAME_GRANT:
		call = call_find(link, f);
		if (call != NULL && !call->out.started && call->out.total > LINK_SINGLE_BYTES) {
			call->out.started = true;
			outgoing_start(link, &call->out);
		}
		return 0;
	case PHX_FRAME_MESSAGE: // a chunk that nobody waits for any more
		conn_count(&link->dropped_frames, 1);
		return 0;
	default:
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
}

// ---- loss ----

void client_lost(struct link *link, enum phx_reason reason)
{
	struct phx_list *n;

	(void)reason;
	while ((n = phx_list_pop(&link->paths)) != NULL) {
		struct path *path = phx_list_entry(n, struct path, link_node);

		phx_list_del(&path->bucket);
		path->link = NULL;
		path->state = PATH_LOST;
		for (uint32_t i = 0; i < path->sent_size; i++) {
			if (path->sent[i] != NULL) {
				outgoing_stop(&path->sent[i]->out);
				path->sent[i]->in.sink = NULL;
			}
		}
		for (uint32_t i = 0; i < path->channel->binding_count; i++)
			path->bindings[i].state = SERVICE_ASKED;
		path->resolving = path->sent_count != 0;
		if (path->resolving)
			timer_start(&path->channel->worker->timers, &path->resolve,
				path->channel->worker->now_ns + LINK_RESOLVE_NS, resolve_timeout);
		channel_reconsider(path->channel);
	}
}
