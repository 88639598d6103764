// SPDX-License-Identifier: BSD-3-Clause
// The client end: a channel on one link. Sending of admitted calls (hot), opening and subscribing.
// See link.h; frames that come back are link_client.c.
#include "dataplane/link/cluster.h"
#include "dataplane/link/link.h"

#include "dataplane/core/probe.h"
#include "dataplane/core/trace.h"

#include "lib/base/hash.h"
#include "lib/base/log.h"

#include <stdlib.h>

#define COOKIE_NONE UINT32_MAX
#define SENT_FIRST  8u // most channels have few calls in flight

// ---- sending ----

static int sent_grow(struct path *path)
{
	uint32_t size = path->sent_size == 0 ? SENT_FIRST : path->sent_size * 2;
	struct call **t = realloc(path->sent, size * sizeof(struct call *));
	uint32_t *f;

	if (t == NULL)
		return -ENOMEM;
	path->sent = t;
	f = realloc(path->sent_next, size * sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	path->sent_next = f;
	for (uint32_t i = path->sent_size; i < size; i++) {
		t[i] = NULL;
		f[i] = i + 1 < size ? i + 1 : COOKIE_NONE;
	}
	path->sent_free = path->sent_size;
	path->sent_size = size;
	return 0;
}

static void call_out_unpinned(struct outgoing *out)
{
	call_unpinned(phx_container_of(out, struct call, out));
}

static void path_failed(struct path *path, struct call *call, enum phx_reason reason)
{
	const struct call_status st = {
		.code = reason == PHX_REASON_NO_MEMORY ? PHX_RESOURCE_EXHAUSTED : PHX_UNAVAILABLE,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.reason = (uint8_t)reason,
	};

	(void)path;
	call_complete(call, &st, NULL);
}

// Its time is up and the timer has not come to it yet: not sent.
static void path_expired(struct call *call)
{
	const struct call_status st = {
		.code = PHX_DEADLINE_EXCEEDED,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.reason = PHX_REASON_DEADLINE,
	};

	call_complete(call, &st, NULL);
}

static void headers_fill(const struct path *path, const struct call *call, struct phx_frame *f)
{
	uint64_t now = path->channel->worker->now_ns;

	*f = (struct phx_frame){
		.type = PHX_FRAME_HEADERS,
		.flags = PHX_FRAME_F_MESSAGE | PHX_FRAME_F_HALF_CLOSE,
		.epoch = path->epoch,
		.service = path->bindings[call->binding].service,
		.method = call->method,
		.number = 1,
		.channel = path->id,
		.sequence = path->sequence + 1,
		.arg = UINT64_MAX,
		.meta_len = call->message.meta_len,
	};
	if (phx_unlikely(call->deadline_ns != UINT64_MAX))
		f->arg = call->deadline_ns > now ? call->deadline_ns - now : 0;
}

// Take the call into the table of sent calls before anything can come back.
static void sent_add(struct path *path, struct call *call, uint32_t cookie)
{
	path->sent_free = path->sent_next[cookie];
	path->sent[cookie] = call;
	path->sent_count++;
	link_sent(path->link);
	path->sequence++;
	call->path = path;
	call->cookie = cookie;
	call->sequence = path->sequence;
	call->state = CALL_SENT;
}

static void sent_del(struct call *call)
{
	struct path *path = call->path;

	path->sent[call->cookie] = NULL;
	path->sent_next[call->cookie] = path->sent_free;
	path->sent_free = call->cookie;
	path->sent_count--;
	if (phx_likely(path->link != NULL))
		path->link->inflight--;
	call->path = NULL;
}

void call_unsent(struct path *path, struct call *call)
{
	(void)path;
	sent_del(call);
	call->state = CALL_QUEUED;
}

static void out_fill(struct path *path, struct call *call, uint64_t size, bool encoded)
{
	struct outgoing *out = &call->out;

	out->unpinned = call_out_unpinned;
	out->message = &call->message;
	out->session = call->session;
	out->position = 0;
	out->total = size;
	out->channel = path->id;
	out->sequence = call->sequence;
	out->epoch = path->epoch;
	out->cookie = call->cookie;
	out->is_reply = false;
	out->encoded = encoded;
	out->started = false;
	out->sent = NULL;
}

// The message itself follows on the bulk lane after GRANT (outgoing_start).
static void send_announced(struct path *path, struct call *call, struct phx_frame *f)
{
	struct iovec iov = {call->message.extra, call->message.meta_len};

	f->flags = PHX_FRAME_F_ANNOUNCED | PHX_FRAME_F_HALF_CLOSE |
		   (f->flags & (PHX_FRAME_F_PROTOBUF | PHX_FRAME_F_TRACE));
	f->limit = (uint32_t)call->out.total;
	link_send(path->link, f, &iov, iov.iov_len != 0);
}

// ---- protobuf ----

static void encode_failed(struct path *path, struct call *call, int rc)
{
	bool size = rc == -E2BIG, memory = rc == -ENOMEM;
	const char *text = size		   ? "the message is too large in protobuf"
			   : memory	   ? "no memory to encode the message in protobuf"
			   : rc == -EILSEQ ? "a string is not UTF-8"
					   : "the message changed while it was encoded";
	const struct call_status st = {
		.code = size || memory ? PHX_RESOURCE_EXHAUSTED : PHX_INVALID_ARGUMENT,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.reason = size		  ? PHX_REASON_TOO_LARGE
			  : memory	  ? PHX_REASON_NO_MEMORY
			  : rc == -EILSEQ ? PHX_REASON_UTF8
					  : PHX_REASON_INVALID,
		.text = text,
		.text_len = (uint16_t)strlen(text),
	};

	path_release(path);
	call_complete(call, &st, NULL);
}

static int encode_step(struct call_work *work)
{
	struct call *call = phx_container_of(work, struct call, work);
	struct path *path = call->path;
	int rc = encoding_step(call->session, work, call->schema, call->input, &call->message);

	if (rc == 0)
		return 0;
	call->path = NULL;
	call->state = CALL_QUEUED;
	if (rc < 0)
		encode_failed(path, call, rc);
	else
		path_send(path, call);
	return 1;
}

// False: the message must be encoded first; path_send() or the end of the call follow.
static PHX_NOINLINE bool path_encoded(struct path *path, struct call *call)
{
	int rc;

	if (call->message.encoded != NULL)
		return true;
	rc = encoding_step(call->session, &call->work, call->schema, call->input, &call->message);
	if (rc == 1)
		return true;
	if (rc < 0) {
		encode_failed(path, call, rc);
		return false;
	}
	call->state = CALL_PACK;
	call->path = path;
	call->work.step = encode_step;
	session_work_add(call->session, &call->work);
	return false;
}

// ---- the call goes ----

// A call that is sampled or traced is handed to its link.
static PHX_COLD void sent_stamped(struct path *path, struct call *call, struct phx_frame *f)
{
	struct worker *worker = path->channel->worker;
	const struct link *link = path->link;

	if (call->sample != 0)
		stats_sample_stamp(worker->calls, call->sample, STATS_SENT);
	if (call->trace == 0)
		return;
	if (link->trace)
		f->flags |= PHX_FRAME_F_TRACE;
	trace_call_sent(worker, call->trace, link->id, link->local, link->peer_name);
}

void path_send(struct path *path, struct call *call)
{
	struct iovec iov[CONN_IOV_MAX];
	struct phx_frame f;
	uint64_t size, covered;
	uint32_t cookie;
	int n = 0, rc;

	PROBE1(call_chained, call);
	trace_at(path->channel->worker, call->trace, TRACE_CHAINED);
	if (phx_unlikely(path->state != PATH_OPEN)) {
		struct path *again;

		path->admitted--;
		again = channel_admit(call);
		if (again != NULL)
			path_send(again, call);
		return;
	}
	if (phx_unlikely(!path->bindings[call->binding].image) && !path_encoded(path, call))
		return;
	path->admitted--;
	if (phx_unlikely(call->deadline_ns <= path->channel->worker->now_ns)) {
		path_expired(call);
		return;
	}
	if (phx_unlikely(path->sent_size == 0 || path->sent_free == COOKIE_NONE) &&
		sent_grow(path) != 0) {
		path_failed(path, call, PHX_REASON_NO_MEMORY);
		return;
	}
	cookie = path->sent_free;
	headers_fill(path, call, &f);
	f.cookie = cookie;
	if (phx_unlikely(call->message.encoded != NULL))
		f.flags |= PHX_FRAME_F_PROTOBUF;
	size = message_size(&call->message);
	conn_count(&path->channel->calls, 1);
	conn_count(&path->channel->bytes_out, size);
	conn_count(&path->link->calls_out, 1);
	sent_add(path, call, cookie);
	PROBE2(call_sent, call, path->sequence);
	if (phx_unlikely((call->sample | call->trace) != 0))
		sent_stamped(path, call, &f);
	out_fill(path, call, size, (f.flags & PHX_FRAME_F_PROTOBUF) != 0);
	if (phx_unlikely(size > LINK_SINGLE_BYTES)) {
		send_announced(path, call, &f); // waits for its grant, so it takes no byte credit
		return;
	}
	path->bytes_sent += size;
	f.payload_len = (uint32_t)size;
	if (f.meta_len != 0)
		iov[n++] = (struct iovec){call->message.extra, f.meta_len};
	n += message_iov(&call->message, session_source(path->channel->session), 0, size, iov + n,
		CONN_IOV_MAX - n, &covered);
	rc = outgoing_send_whole(path->link, &f, iov, n, &call->out);
	if (phx_likely(rc >= 0))
		return;
	// No room on the lane, or it is dying (closed() follows): nothing left, so the sequence is
	// free again.
	sent_del(call);
	call->state = CALL_QUEUED;
	path->sequence--;
	path->bytes_sent -= size;
	path->link->small_blocked = true; // also when it is dying: else it would be picked at once
	phx_list_add_head(&path->channel->bindings[call->binding].pending, &call->node);
}

void channel_forget(struct call *call)
{
	struct path *path = call->path;
	struct phx_frame f;

	phx_list_del(&call->node);
	phx_list_del(&call->work.node); // a landed reply that is being checked
	incoming_drop(&call->in, call->session);
	if (call->state != CALL_SENT || path == NULL)
		return;
	if (path->link != NULL) {
		f = (struct phx_frame){
			.type = PHX_FRAME_CANCEL,
			.epoch = path->epoch,
			.cookie = call->cookie,
			.channel = path->id,
			.sequence = call->sequence,
		};
		link_send(path->link, &f, NULL, 0);
	}
	outgoing_stop(&call->out);
	sent_del(call);
}

// ---- paths ----

static uint64_t random_id(void)
{
	uint64_t id = 0;

	while (id == 0) {
		if (phx_random_bytes(&id, sizeof(id)) != 0)
			id = phx_mix64((uint64_t)(uintptr_t)&id ^ phx_clock_ns());
	}
	return id;
}

static void path_open(struct path *path)
{
	struct iovec iov = {path->channel->group, strlen(path->channel->group)};
	const struct phx_frame f = {
		.type = PHX_FRAME_OPEN,
		.epoch = path->epoch,
		.channel = path->id,
		.sequence = path->sequence,
		.payload_len = (uint32_t)iov.iov_len,
	};

	link_send(path->link, &f, &iov, iov.iov_len != 0);
	for (uint32_t i = 0; i < path->channel->binding_count; i++)
		path_subscribe(path, i);
}

static void path_attach(struct path *path, struct link *link)
{
	path->link = link;
	path->peer = link->peer;
	path->member = cluster_is(path->channel->peer)
			       ? cluster_member_find(path->channel->home->cluster, link->peer)
			       : 0;
	path->remote_worker = link->remote_worker;
	path->state = PATH_OPENING;
	path->epoch++;
	phx_list_add_tail(&link->paths, &path->link_node);
	phx_list_add_tail(&link->path_bucket[phx_mix64(path->id) % LINK_BUCKETS], &path->bucket);
	path_open(path);
}

int path_create(struct channel *channel, struct link *link)
{
	struct phx_list *n;
	struct path *path;

	// A path that lost its link goes on over this one, if it leads to the same worker: only
	// that one knows what was accepted.
	phx_list_for_each (n, &channel->paths) {
		path = phx_list_entry(n, struct path, node);
		if (path->state == PATH_LOST && path->peer == link->peer &&
			path->remote_worker == link->remote_worker) {
			path_attach(path, link);
			return 0;
		}
	}
	path = calloc(1, sizeof(*path));
	if (path == NULL)
		return -ENOMEM;
	path->bindings = calloc(phx_max(channel->binding_size, 1u), sizeof(*path->bindings));
	if (path->bindings == NULL) {
		free(path);
		return -ENOMEM;
	}
	path->channel = channel;
	path->id = random_id();
	path->sent_free = COOKIE_NONE;
	phx_list_init(&path->link_node);
	phx_list_init(&path->bucket);
	timer_init(&path->resolve);
	phx_list_add_tail(&channel->paths, &path->node);
	channel->path_count++;
	if (channel->next_path == NULL)
		channel->next_path = path;
	path_attach(path, link);
	return 0;
}

void path_destroy(struct path *path)
{
	timer_stop(&path->channel->worker->timers, &path->resolve);
	phx_list_del(&path->link_node);
	phx_list_del(&path->bucket);
	free(path->bindings);
	free(path->sent);
	free(path->sent_next);
	free(path);
}

void path_subscribe(struct path *path, uint32_t binding)
{
	const struct channel_binding *b = &path->channel->bindings[binding];
	const char *name = phx_schema_service_name(b->schema, b->service);
	struct iovec iov[3] = {
		{path->channel->group, strlen(path->channel->group) + 1},
		{(void *)(uintptr_t)name, strlen(name) + 1},
		{b->methods, b->method_count * sizeof(*b->methods)},
	};
	const struct phx_frame f = {
		.type = PHX_FRAME_SUBSCRIBE,
		.epoch = path->epoch,
		.service = binding,
		.channel = path->id,
		.payload_len = (uint32_t)(iov[0].iov_len + iov[1].iov_len + iov[2].iov_len),
	};

	path->bindings[binding].state = SERVICE_ASKED;
	link_send(path->link, &f, iov, b->method_count != 0 ? 3 : 2);
}
