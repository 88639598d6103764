// SPDX-License-Identifier: BSD-3-Clause
// The client end: channels, their paths over links, admission of calls. Hot part: channel_admit()
// and path_send(). See link.h; frames that come back are link_client.c.
#include "dataplane/link/link.h"

#include "lib/base/hash.h"
#include "lib/base/log.h"

#include <stdlib.h>

#define COOKIE_NONE UINT32_MAX

// ---- admission ----

static bool path_has_credit(const struct path *path)
{
	return path->sequence + path->admitted < path->limit &&
	       path->bytes_sent < path->bytes_limit && !path->link->small_blocked &&
	       !path->link->down;
}

// What to answer when no path can take the call now: 0 = wait, else fail with *out.
static int admit_failure(
	const struct channel *channel, const struct call *call, struct call_status *out)
{
	const struct peer_links *peer = peer_get(link_table(channel->worker), channel->peer);
	bool waiting = false, down = false, ambiguous = false;
	const struct phx_list *n;

	phx_list_for_each (n, &channel->paths) {
		const struct path *p = phx_list_entry(n, struct path, node);
		uint8_t state = p->bindings[call->binding].state;

		if (p->state == PATH_OPENING ||
			(p->state == PATH_OPEN && (state == SERVICE_ASKED || state == SERVICE_UP)))
			waiting = true;
		down = down || state == SERVICE_DOWN;
		ambiguous = ambiguous || state == SERVICE_AMBIGUOUS;
	}
	if (call->wait_for_ready || waiting ||
		(channel->path_count == 0 && peer != NULL && peer->state == PEER_CONNECTING))
		return 0;
	*out = (struct call_status){
		.code = PHX_UNAVAILABLE,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.reason = PHX_REASON_LINK_DOWN,
	};
	if (channel->path_count == 0)
		return -ENOTCONN;
	out->reason = PHX_REASON_SERVICE_DOWN;
	if (ambiguous) {
		out->code = PHX_FAILED_PRECONDITION;
		out->reason = PHX_REASON_AMBIGUOUS_GROUP;
	} else if (!down) {
		out->code = PHX_UNIMPLEMENTED;
		out->reason = PHX_REASON_NO_SERVICE;
	}
	return -ENOENT;
}

// The next path, round robin, that can take a call of this binding now, or NULL.
static struct path *path_pick(struct channel *channel, uint16_t binding)
{
	struct path *first = channel->next_path, *p = first;

	if (first == NULL)
		return NULL;
	do {
		struct phx_list *n = p->node.next;

		if (n == &channel->paths)
			n = n->next;
		channel->next_path = phx_list_entry(n, struct path, node);
		if (p->state == PATH_OPEN && p->bindings[binding].state == SERVICE_UP &&
			path_has_credit(p))
			return p;
		p = channel->next_path;
	} while (p != first);
	return NULL;
}

struct path *channel_admit(struct call *call)
{
	struct channel *channel = call->channel;
	struct channel_binding *b = &channel->bindings[call->binding];
	struct call_status failure;
	struct path *path = NULL;

	if (phx_likely(phx_list_empty(&b->pending)))
		path = path_pick(channel, call->binding);
	if (phx_likely(path != NULL)) {
		path->admitted++;
		return path;
	}
	if (admit_failure(channel, call, &failure) == 0) {
		phx_list_add_tail(&b->pending, &call->node);
		return NULL;
	}
	call_complete(call, &failure, NULL);
	return NULL;
}

void path_release(struct path *path)
{
	path->admitted--;
}

// Service, credit or a link came: let waiting calls go, or fail those that must not wait.
void channel_kick(struct channel *channel)
{
	for (uint32_t i = 0; i < channel->binding_count; i++) {
		struct phx_list *pending = &channel->bindings[i].pending;
		struct phx_list *n;

		while ((n = phx_list_first(pending)) != NULL) {
			struct call *call = phx_list_entry(n, struct call, node);
			struct path *path = path_pick(channel, (uint16_t)i);

			if (path == NULL)
				break;
			phx_list_del(n);
			path->admitted++;
			call_admitted(call, path);
		}
	}
}

// A state got worse: fail-fast calls that wait may have to end.
void channel_reconsider(struct channel *channel)
{
	for (uint32_t i = 0; i < channel->binding_count; i++) {
		struct phx_list *pending = &channel->bindings[i].pending;
		struct phx_list *n, *tmp;

		phx_list_for_each_safe (n, tmp, pending) {
			struct call *call = phx_list_entry(n, struct call, node);
			struct call_status failure;

			if (admit_failure(channel, call, &failure) == 0)
				continue;
			phx_list_del(n);
			call_complete(call, &failure, NULL);
		}
	}
	channel_kick(channel);
}

// ---- sending ----

static int sent_grow(struct path *path)
{
	uint32_t size = path->sent_size == 0 ? 64 : path->sent_size * 2;
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

	f->flags =
		PHX_FRAME_F_ANNOUNCED | PHX_FRAME_F_HALF_CLOSE | (f->flags & PHX_FRAME_F_PROTOBUF);
	f->limit = (uint32_t)call->out.total;
	link_send(path->link, f, &iov, iov.iov_len != 0);
}

void path_send(struct path *path, struct call *call)
{
	struct iovec iov[CONN_IOV_MAX];
	struct phx_frame f;
	uint64_t size, covered;
	uint32_t cookie;
	int n = 0, rc;

	path->admitted--;
	if (phx_unlikely(path->state != PATH_OPEN)) {
		struct path *again = channel_admit(call);

		if (again != NULL)
			path_send(again, call);
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
	if (phx_unlikely(!path->bindings[call->binding].image)) {
		if (message_encode(call->schema, call->input, call->session, &call->message) != 0) {
			path_failed(path, call, PHX_REASON_NO_MEMORY);
			return;
		}
		f.flags |= PHX_FRAME_F_PROTOBUF;
	}
	size = message_size(&call->message);
	conn_count(&path->channel->calls, 1);
	conn_count(&path->channel->bytes_out, size);
	conn_count(&path->link->calls_out, 1);
	sent_add(path, call, cookie);
	out_fill(path, call, size, (f.flags & PHX_FRAME_F_PROTOBUF) != 0);
	path->bytes_sent += size;
	if (phx_unlikely(size > LINK_SINGLE_BYTES)) {
		send_announced(path, call, &f);
		return;
	}
	f.payload_len = (uint32_t)size;
	if (f.meta_len != 0)
		iov[n++] = (struct iovec){call->message.extra, f.meta_len};
	n += message_iov(&call->message, session_source(path->channel->session), 0, size, iov + n,
		CONN_IOV_MAX - n, &covered);
	rc = outgoing_send_whole(path->link, &f, iov, n, &call->out);
	if (phx_likely(rc >= 0))
		return;
	// No room on the lane, or it is dying: nothing left, so the sequence is free again.
	sent_del(call);
	call->state = CALL_QUEUED;
	path->sequence--;
	path->bytes_sent -= size;
	if (rc == -EAGAIN)
		path->link->small_blocked = true;
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

	// A path that lost its link goes on over this one.
	phx_list_for_each (n, &channel->paths) {
		path = phx_list_entry(n, struct path, node);
		if (path->state == PATH_LOST) {
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
	struct iovec iov[2] = {
		{path->channel->group, strlen(path->channel->group) + 1},
		{(void *)(uintptr_t)name, strlen(name)},
	};
	const struct phx_frame f = {
		.type = PHX_FRAME_SUBSCRIBE,
		.epoch = path->epoch,
		.service = binding,
		.channel = path->id,
		.payload_len = (uint32_t)(iov[0].iov_len + iov[1].iov_len),
	};

	path->bindings[binding].state = SERVICE_ASKED;
	link_send(path->link, &f, iov, 2);
}

// ---- channels ----

int channel_create(const struct channel_config *config, struct channel **out_channel)
{
	struct link_table *table = link_table(config->worker);
	struct peer_links *peer = peer_get(table, config->peer);
	struct channel *channel;
	struct phx_list *n;

	if (peer == NULL)
		return -ENOMEM;
	channel = calloc(1, sizeof(*channel));
	if (channel == NULL)
		return -ENOMEM;
	channel->session = config->session;
	channel->worker = config->worker;
	channel->handle = config->handle;
	channel->peer = config->peer;
	memcpy(channel->group, config->group, sizeof(channel->group));
	phx_list_init(&channel->paths);
	phx_list_add_tail(&peer->channels, &channel->node);
	phx_list_for_each (n, &table->links) {
		struct link *link = phx_list_entry(n, struct link, node);

		if (!link->client || link->peer != config->peer || link->down)
			continue;
		if (path_create(channel, link) != 0) {
			channel_destroy(channel, NULL);
			return -ENOMEM;
		}
	}
	*out_channel = channel;
	return 0;
}

void channel_destroy(struct channel *channel, const struct call_status *status)
{
	struct phx_list *n;

	(void)status; // the frontend has aborted every call of the channel
	phx_list_del(&channel->node);
	while ((n = phx_list_pop(&channel->paths)) != NULL) {
		struct path *path = phx_list_entry(n, struct path, node);
		const struct phx_frame f = {
			.type = PHX_FRAME_GOAWAY,
			.epoch = path->epoch,
			.channel = path->id,
		};

		if (path->link != NULL)
			link_send(path->link, &f, NULL, 0);
		path_destroy(path);
	}
	free(channel->bindings);
	free(channel);
}

static int bindings_grow(struct channel *channel)
{
	uint32_t size = channel->binding_size == 0 ? 4 : channel->binding_size * 2;
	struct channel_binding *t;
	struct phx_list *n;

	phx_list_for_each (n, &channel->paths) {
		struct path *p = phx_list_entry(n, struct path, node);
		struct path_binding *pb = realloc(p->bindings, size * sizeof(*pb));

		if (pb == NULL)
			return -ENOMEM;
		p->bindings = pb;
	}
	// Lists point into themselves: move them one by one.
	t = calloc(size, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < channel->binding_count; i++) {
		struct phx_list *call;

		t[i] = channel->bindings[i];
		phx_list_init(&t[i].pending);
		while ((call = phx_list_pop(&channel->bindings[i].pending)) != NULL)
			phx_list_add_tail(&t[i].pending, call);
	}
	free(channel->bindings);
	channel->bindings = t;
	channel->binding_size = size;
	return 0;
}

int channel_bind(struct channel *channel, const struct phx_schema *schema, uint32_t service)
{
	uint32_t i = channel->binding_count;
	struct channel_binding *b;
	struct phx_list *n;

	if (i >= PHX_LIMIT_SERVICES_MAX)
		return -ENOSPC;
	if (i == channel->binding_size && bindings_grow(channel) != 0)
		return -ENOMEM;
	b = &channel->bindings[i];
	b->schema = schema;
	b->service = service;
	b->hash = phx_schema_service_hash(schema, service);
	phx_list_init(&b->pending);
	channel->binding_count++;
	phx_list_for_each (n, &channel->paths) {
		struct path *p = phx_list_entry(n, struct path, node);

		memset(&p->bindings[i], 0, sizeof(p->bindings[i]));
		if (p->link != NULL)
			path_subscribe(p, i);
	}
	return (int)i;
}

const struct phx_method *channel_method(const struct channel *channel, uint16_t binding,
	uint16_t method, const struct phx_schema **out_schema, const char **out_service)
{
	const struct channel_binding *b;

	if (binding >= channel->binding_count)
		return NULL;
	b = &channel->bindings[binding];
	if (method >= phx_schema_method_count(b->schema, b->service))
		return NULL;
	*out_schema = b->schema;
	*out_service = phx_schema_service_name(b->schema, b->service);
	return phx_schema_method(b->schema, b->service, method);
}
