// SPDX-License-Identifier: BSD-3-Clause
// See schema_fetch.h. The table comes in parts, each asked for; when it is whole the control thread
// checks and binds it. What the peer sends is checked here and there. Worker thread.
#include "dataplane/link/schema_fetch.h"

#include "lib/base/log.h"

#include <stdlib.h>

static uint64_t now_of(const struct schema_fetch *fetch)
{
	return fetch->channel->worker->now_ns;
}

static void table_drop(struct schema_fetch *fetch)
{
	free(fetch->table);
	fetch->table = NULL;
	fetch->size = fetch->have = 0;
}

static void set_state(struct schema_fetch *fetch, enum trust_state state)
{
	fetch->trust.state = (uint8_t)state;
	chain_trust_changed(session_chain(fetch->session), fetch->channel->worker);
}

static void give_up(struct schema_fetch *fetch, const char *why)
{
	const struct channel_binding *b = &fetch->channel->bindings[fetch->binding];

	phx_log_debug("link", "app-%llu: the schema of %s cannot be had from its server: %s",
		(unsigned long long)session_id(fetch->session),
		phx_schema_service_name(b->schema, b->service), why);
	table_drop(fetch);
	fetch->trust.until_ns = now_of(fetch) + TRUST_AGAIN_NS;
	set_state(fetch, TRUST_NONE);
}

// ---- asking ----

static bool path_serves(const struct path *path, uint32_t binding)
{
	return path->state == PATH_OPEN && path->link != NULL && !path->link->down &&
	       path->bindings[binding].state == SERVICE_UP;
}

static struct path *path_choose(const struct schema_fetch *fetch)
{
	struct path *chosen = NULL;
	struct phx_list *n;

	phx_list_for_each (n, &fetch->channel->paths) {
		struct path *p = phx_list_entry(n, struct path, node);

		if (path_serves(p, fetch->binding) && (chosen == NULL || p->id == fetch->prefer))
			chosen = p;
	}
	return chosen;
}

static void part_ask(const struct schema_fetch *fetch, struct path *path)
{
	const struct phx_frame f = {
		.type = PHX_FRAME_SCHEMA_GET,
		.epoch = path->epoch,
		.service = path->bindings[fetch->binding].service,
		.channel = path->id,
		.arg = fetch->have,
	};

	link_send(path->link, &f, NULL, 0);
}

static void ask(struct chain_trust *trust)
{
	struct schema_fetch *fetch = phx_container_of(trust, struct schema_fetch, trust);
	struct path *path = fetch->posted ? NULL : path_choose(fetch);

	if (path == NULL)
		return;
	table_drop(fetch);
	fetch->path = path->id;
	fetch->prefer = 0;
	fetch->hash = path->bindings[fetch->binding].hash;
	trust->state = TRUST_ASKED;
	trust->until_ns = now_of(fetch) + TRUST_WAIT_NS;
	part_ask(fetch, path);
}

// ---- the answer of control ----

static void bound(struct chain_trust_request *request)
{
	struct schema_fetch *fetch = phx_container_of(request, struct schema_fetch, request);
	struct session *session = fetch->session;
	bool stale = fetch->stale;

	fetch->posted = fetch->stale = false;
	fetch->held = request->rc == 0;
	if (fetch->channel == NULL) {
		schema_fetch_destroy(fetch);
	} else if (stale) {
		table_drop(fetch);
		set_state(fetch, TRUST_UNKNOWN);
	} else if (request->rc != 0) {
		give_up(fetch, request->rc == -EPROTO	? "the table is not sound"
			       : request->rc == -ENOSPC ? "there are too many"
							: "no memory");
	} else {
		table_drop(fetch);
		fetch->trust.bound = request->bound;
		set_state(fetch, TRUST_BOUND);
	}
	session_unpin(session); // it may be gone from here on
}

static void complete(struct schema_fetch *fetch)
{
	const struct channel_binding *b = &fetch->channel->bindings[fetch->binding];
	const struct chain *chain = session_chain(fetch->session);

	if (chain == NULL) { // nobody inspects any more
		table_drop(fetch);
		fetch->trust.state = TRUST_UNKNOWN;
		return;
	}
	fetch->request = (struct chain_trust_request){
		.worker = fetch->channel->worker,
		.schema = b->schema,
		.service = b->service,
		.table = fetch->table,
		.size = fetch->size,
		.replaces = fetch->held ? fetch->request.bound : TRUST_NOTHING,
		.done = bound,
	};
	fetch->posted = true;
	session_pin(fetch->session);
	chain_trust_bind(chain, &fetch->request);
}

// ---- what the peer says ----

void schema_fetch_announced(struct schema_fetch *fetch, const struct path *path)
{
	const struct phx_hash128 *hash = &path->bindings[fetch->binding].hash;
	bool same = hash->lo == fetch->hash.lo && hash->hi == fetch->hash.hi;

	if (fetch->trust.state == TRUST_UNKNOWN || (same && fetch->trust.state != TRUST_NONE))
		return;
	fetch->prefer = path->id;
	if (fetch->posted) {
		fetch->stale = true;
		return;
	}
	table_drop(fetch);
	set_state(fetch, TRUST_UNKNOWN);
}

void schema_fetch_lost(struct schema_fetch *fetch, const struct path *path)
{
	if (fetch->trust.state != TRUST_ASKED || fetch->posted || fetch->path != path->id)
		return;
	table_drop(fetch);
	set_state(fetch, TRUST_UNKNOWN); // another path is asked
}

static bool part_is_sound(const struct schema_fetch *fetch, const struct phx_frame *f)
{
	if (f->payload_bad || f->meta_len != 0 || f->text_len != 0 || f->payload_len == 0)
		return false;
	if (f->limit == 0 || f->limit > PHX_LIMIT_SCHEMA_BYTES_MAX || f->arg != fetch->have)
		return false;
	return (fetch->have == 0 || f->limit == fetch->size) &&
	       f->payload_len <= f->limit - fetch->have;
}

void schema_fetch_part(struct schema_fetch *fetch, struct path *path, const struct phx_frame *f,
	const struct iovec *iov, int n)
{
	uint32_t left = f->payload_len;

	if (fetch->trust.state != TRUST_ASKED || fetch->posted || fetch->path != path->id) {
		conn_count(&path->link->dropped_frames, 1);
		return;
	}
	if (!part_is_sound(fetch, f)) {
		give_up(fetch, "its answer makes no sense");
		return;
	}
	if (fetch->table == NULL)
		fetch->table = malloc(f->limit);
	if (fetch->table == NULL) {
		give_up(fetch, "no memory");
		return;
	}
	fetch->size = f->limit;
	for (int i = 0; i < n && left != 0; i++) {
		uint32_t len = (uint32_t)phx_min(iov[i].iov_len, (size_t)left);

		memcpy(fetch->table + fetch->have, iov[i].iov_base, len);
		fetch->have += len;
		left -= len;
	}
	if (fetch->have == fetch->size)
		complete(fetch);
	else
		part_ask(fetch, path);
}

// ---- the object ----

struct schema_fetch *schema_fetch_create(struct channel *channel, uint32_t binding)
{
	struct schema_fetch *fetch = calloc(1, sizeof(*fetch));

	if (fetch == NULL)
		return NULL;
	fetch->trust.ask = ask;
	fetch->channel = channel;
	fetch->binding = binding;
	fetch->session = channel->session;
	return fetch;
}

static void released(struct chain_trust_request *request)
{
	struct schema_fetch *fetch = phx_container_of(request, struct schema_fetch, request);
	struct session *session = fetch->session;

	free(fetch->table);
	free(fetch);
	session_unpin(session); // it may be gone from here on
}

// A session that closes gives back all that it has, but may live long with a channel less.
static void release(struct schema_fetch *fetch)
{
	fetch->posted = true;
	fetch->request.done = released;
	session_pin(fetch->session);
	chain_trust_release(&fetch->request);
}

void schema_fetch_destroy(struct schema_fetch *fetch)
{
	if (fetch == NULL)
		return;
	if (!fetch->posted && fetch->channel != NULL)
		fetch->request.worker = fetch->channel->worker; // it may have moved
	fetch->channel = NULL;
	if (fetch->posted)
		return; // bound() comes back here
	if (fetch->held) {
		release(fetch);
		return;
	}
	free(fetch->table);
	free(fetch);
}

struct chain_trust *channel_trust(const struct channel *channel, uint16_t binding)
{
	return &channel->bindings[binding].fetch->trust;
}
