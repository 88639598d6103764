// SPDX-License-Identifier: BSD-3-Clause
// The client end: frames that come back on a link (credit, services), and what happens to sent
// calls when a link is lost. Everything a peer sends is checked before use. Worker thread, hot.
// Replies are client_reply.c.
#include "dataplane/link/client.h"
#include "dataplane/link/schema_fetch.h"

#include "dataplane/core/probe.h"
#include "dataplane/core/trace.h"
#include "lib/base/hash.h"

#include <stdlib.h>

#define GROUPS_BYTES 512u

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
struct call *client_call(struct link *link, const struct phx_frame *f)
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

void client_take_back(struct call *call)
{
	struct path *path = call->path;

	outgoing_stop(&call->out);
	call_unsent(path, call);
}

static void again_unpinned(struct outgoing *out)
{
	struct call *call = phx_container_of(out, struct call, out);

	if (call->zombie) // given up meanwhile
		call_unpinned(call);
	else
		client_again(call);
}

// The notice of a transport is one for each call, and policies may change the snapshot of one that
// is sent again: not while the first attempt is being read.
void client_again(struct call *call)
{
	struct path *path;

	if (phx_unlikely(call->out.in_place != 0)) {
		call->out.unpinned = again_unpinned;
		return;
	}
	path = channel_admit(call);
	if (path != NULL)
		path_send(path, call);
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
		client_take_back(call);
		if (known && call->sequence > accepted) {
			if (call->wait_for_ready && !call->zombie) {
				client_again(call);
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

// Zeroes when it has none.
static struct phx_hash128 hash_announced(const struct iovec *iov, int n, const struct phx_frame *f)
{
	const uint8_t *p = f->payload_len >= 16 ? body_part(iov, n, 0, f->payload_len) : NULL;

	if (p == NULL)
		return (struct phx_hash128){0, 0};
	return (struct phx_hash128){.lo = phx_le64_load(p), .hi = phx_le64_load(p + 8)};
}

// The peer's list of groups, for the text of a status: printable characters only.
static void groups_keep(
	struct channel_binding *b, const struct phx_frame *f, const struct iovec *iov, int n)
{
	const char *p = body_part(iov, n, 0, f->payload_len);
	uint32_t len = phx_min(f->payload_len, GROUPS_BYTES);

	free(b->groups);
	b->groups = p != NULL ? strndup(p, len) : NULL;
	for (char *c = b->groups; c != NULL && *c != '\0'; c++) {
		if (*c < ' ' || *c > '~')
			*c = '?';
	}
}

static void on_service(struct path *path, const struct phx_frame *f, const struct iovec *iov, int n)
{
	struct channel_binding *own;
	struct path_binding *b;

	if (f->service >= path->channel->binding_count)
		return;
	own = &path->channel->bindings[f->service];
	b = &path->bindings[f->service];
	if (f->type == PHX_FRAME_SERVICE_UP) {
		b->state = SERVICE_UP;
		own->known = true;
		b->service = (uint32_t)f->arg;
		b->hash = hash_announced(iov, n, f);
		b->image = b->hash.lo == own->hash.lo && b->hash.hi == own->hash.hi;
		schema_fetch_announced(own->fetch, path);
		channel_kick(path->channel);
		return;
	}
	b->state = f->code == PHX_UNAVAILABLE		? SERVICE_DOWN
		   : f->code == PHX_FAILED_PRECONDITION ? SERVICE_AMBIGUOUS
		   : f->code == PHX_ABORTED		? SERVICE_ELSEWHERE
							: SERVICE_UNKNOWN;
	b->since_ns = path->channel->worker->now_ns;
	if (b->state == SERVICE_AMBIGUOUS)
		groups_keep(&path->channel->bindings[f->service], f, iov, n);
	channel_reconsider(path->channel);
}

static void on_refused(struct link *link, struct path *path, const struct phx_frame *f,
	const struct iovec *iov, int n)
{
	struct call *call;

	if (f->sequence == 0) { // the channel itself
		path->state = PATH_REFUSED;
		path->refused_code = f->code != PHX_OK ? f->code : PHX_UNAVAILABLE;
		path->refused_reason = (uint8_t)f->reason;
		channel_reconsider(path->channel);
		return;
	}
	call = client_call(link, f);
	if (call == NULL || call->zombie)
		return;
	PROBE2(call_received, call, f->sequence);
	trace_at(link->worker, call->trace, TRACE_RECEIVED);
	client_take_back(call);
	client_reply(link, call, f, iov, n);
}

int client_frame(struct link *link, const struct phx_frame *f, const struct iovec *iov, int n,
	enum phx_reason *reason)
{
	struct path *path;
	struct call *call;

	if (phx_likely(f->type == PHX_FRAME_STATUS)) {
		client_status(link, f, iov, n);
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
	case PHX_FRAME_TRACE:
		return client_trace(link, f, iov, n, reason);
	case PHX_FRAME_SCHEMA:
		if (f->service < path->channel->binding_count)
			schema_fetch_part(
				path->channel->bindings[f->service].fetch, path, f, iov, n);
		return 0;
	case PHX_FRAME_REFUSED:
		on_refused(link, path, f, iov, n);
		return 0;
	case PHX_FRAME_GRANT:
		call = client_call(link, f);
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
		for (uint32_t i = 0; i < path->channel->binding_count; i++) {
			path->bindings[i].state = SERVICE_ASKED;
			schema_fetch_lost(path->channel->bindings[i].fetch, path);
		}
		path->resolving = path->sent_count != 0;
		if (path->resolving)
			timer_start(&path->channel->worker->timers, &path->resolve,
				path->channel->worker->now_ns + LINK_RESOLVE_NS, resolve_timeout);
		channel_reconsider(path->channel);
	}
}
