// SPDX-License-Identifier: BSD-3-Clause
// The noun channel: what joins applications to services of a peer. Works with link/link.h.
#include "dataplane/control/api.h"

#include "dataplane/control/gather.h"
#include "dataplane/frontend/session.h"
#include "dataplane/link/link.h"

#include <stdio.h>
#include <string.h>

#define SERVICES_TEXT 512
#define HANDLE_BITS   16 // of a channel asked for: application and handle in one number
#define HANDLE_MASK   UINT64_C(0xffff)
static_assert(PHX_LIMIT_CHANNELS_MAX <= HANDLE_MASK, "a handle fits");

struct channel_row {
	uint64_t app, peer, calls, bytes_out;
	uint32_t handle, paths, open_paths, opening_paths, inflight, pending, services;
	uint8_t peer_state, stopped;
	char group[PHX_LIMIT_NAME_BYTES + 1];
	char names[SERVICES_TEXT]; // NUL-terminated one behind the other, as many as fit
};

// One path of a channel: the channel on one link.
struct path_row {
	uint64_t link; // 0 = lost
	uint64_t sequence, limit, bytes_sent, bytes_limit;
	uint32_t epoch, inflight;
	uint16_t remote_worker;
	uint8_t state; // enum path_state
	bool local;
};

struct detail_row {
	bool is_path;
	union {
		struct channel_row channel;
		struct path_row path;
	};
};

static void names_fill(struct channel_row *row, const struct channel *channel)
{
	size_t at = 0;

	row->services = 0;
	for (uint32_t i = 0; i < channel->binding_count; i++) {
		const struct channel_binding *b = &channel->bindings[i];
		const char *name = phx_schema_service_name(b->schema, b->service);
		size_t len = strlen(name) + 1;

		if (at + len > sizeof(row->names))
			return;
		memcpy(row->names + at, name, len);
		at += len;
		row->services++;
	}
}

static void channel_fill(
	struct channel_row *row, const struct channel *channel, const struct peer_links *peer)
{
	const struct phx_list *n;

	row->app = channel->session->config.id;
	row->peer = channel->peer;
	row->peer_state = peer->state;
	row->stopped = channel->stopped;
	row->handle = channel->handle;
	row->calls = atomic_load_explicit(&channel->calls, memory_order_relaxed);
	row->bytes_out = atomic_load_explicit(&channel->bytes_out, memory_order_relaxed);
	row->pending = channel_pending(channel);
	memcpy(row->group, channel->group, sizeof(row->group));
	phx_list_for_each (n, &channel->paths) {
		const struct path *path = phx_list_entry(n, struct path, node);

		row->paths++;
		row->open_paths += path->state == PATH_OPEN;
		row->opening_paths += path->state == PATH_OPENING;
		row->inflight += path->sent_count;
	}
	names_fill(row, channel);
}

static void collect_peer(struct gather_part *part, const struct peer_links *peer)
{
	const struct phx_list *n;

	phx_list_for_each (n, &peer->channels) {
		struct channel_row *row = gather_add(part);

		if (row != NULL)
			channel_fill(row, phx_list_entry(n, struct channel, node), peer);
	}
}

static void collect(struct gather_part *part)
{
	const struct link_table *table = link_table(part->worker);
	const struct phx_list *n;

	phx_list_for_each (n, &table->peers) {
		collect_peer(part, phx_list_entry(n, struct peer_links, node));
	}
}

static void path_fill(struct path_row *row, const struct path *path)
{
	*row = (struct path_row){
		.sequence = path->sequence,
		.limit = path->limit,
		.bytes_sent = path->bytes_sent,
		.bytes_limit = path->bytes_limit,
		.epoch = path->epoch,
		.inflight = path->sent_count,
		.state = path->state,
	};
	if (path->link != NULL) {
		row->link = path->link->id;
		row->local = path->link->local;
		row->remote_worker = path->link->remote_worker;
	}
}

static void collect_detail(
	struct gather_part *part, const struct channel *channel, const struct peer_links *peer)
{
	struct detail_row *row = gather_add(part);
	const struct phx_list *n;

	if (row != NULL)
		channel_fill(&row->channel, channel, peer);
	phx_list_for_each (n, &channel->paths) {
		row = gather_add(part);
		if (row == NULL)
			continue;
		row->is_path = true;
		path_fill(&row->path, phx_list_entry(n, struct path, node));
	}
}

// The one channel whose application and handle are asked for.
static void collect_one(struct gather_part *part)
{
	const struct link_table *table = link_table(part->worker);
	const struct phx_list *p, *n;

	phx_list_for_each (p, &table->peers) {
		const struct peer_links *peer = phx_list_entry(p, struct peer_links, node);

		phx_list_for_each (n, &peer->channels) {
			const struct channel *channel = phx_list_entry(n, struct channel, node);

			if (channel->session->config.id == part->gather->id >> HANDLE_BITS &&
				channel->handle == (part->gather->id & HANDLE_MASK))
				collect_detail(part, channel, peer);
		}
	}
}

// ---- answers ----

static void id_text(char text[API_ID_BYTES], uint64_t app, uint32_t handle)
{
	(void)snprintf(text, API_ID_BYTES, "chan-%llu-%u", (unsigned long long)app, handle);
}

struct address {
	uint64_t peer;
	const char *text;
	bool cluster; // text is the name of one
};

static void find_address(void *arg, const struct host_peer_info *info)
{
	struct address *a = arg;

	if (info->id == a->peer)
		a->text = info->address;
}

static void find_cluster(void *arg, uint64_t peer, const char *name)
{
	struct address *a = arg;

	if (peer == a->peer) {
		a->text = name;
		a->cluster = true;
	}
}

static json_t *target_json(const struct api *api, const struct channel_row *r)
{
	struct address a = {r->peer, "?", false};

	if (r->peer == 0)
		return json_sprintf("local:%s", r->group);
	host_clusters_each(api->config.host, find_cluster, &a);
	if (a.cluster)
		return json_sprintf(
			"cluster:%s%s%s", a.text, r->group[0] != '\0' ? "/" : "", r->group);
	host_peers_each(api->config.host, find_address, &a);
	return json_sprintf("tcp://%s%s%s", a.text, r->group[0] != '\0' ? "/" : "", r->group);
}

static const char *state_name(const struct channel_row *r)
{
	if ((r->stopped & CHANNEL_STOPPED_ADMIN) != 0)
		return "closed";
	if (r->stopped != 0)
		return "draining";
	if (r->open_paths != 0)
		return "open";
	if (r->opening_paths != 0)
		return "opening";
	return r->peer_state == PEER_BACKOFF ? "backoff" : "connecting";
}

static json_t *channel_json(
	const struct api *api, const struct gather_part *part, const struct channel_row *r)
{
	json_t *services = json_array(), *row;
	const char *name = r->names;
	char id[API_ID_BYTES];

	id_text(id, r->app, r->handle);
	for (uint32_t i = 0; i < r->services; i++, name += strlen(name) + 1)
		(void)json_array_append_new(services, json_string(name));
	row = json_pack("{s:s, s:o, s:o, s:s, s:i, s:o, s:i, s:i, s:i, s:I, s:I}", "channel", id,
		"app", api_id_json("app", r->app), "target", target_json(api, r), "state",
		state_name(r), "lcore", (int)part->worker->lcore, "services", services, "links",
		(int)r->paths, "inflight", (int)r->inflight, "pending", (int)r->pending,
		"calls_total", (json_int_t)r->calls, "tx_bytes_total", (json_int_t)r->bytes_out);
	return row;
}

static json_t *path_json(const struct path_row *r)
{
	static const char *const states[] = {"opening", "open", "refused", "lost"};
	json_t *link = json_null();

	if (r->link != 0)
		link = api_link_id(r->link, r->local);
	return json_pack("{s:o, s:s, s:i, s:i, s:i, s:I, s:I, s:I, s:I}", "link", link, "state",
		states[r->state], "remote_worker", (int)r->remote_worker, "epoch", (int)r->epoch,
		"inflight", (int)r->inflight, "sequence", (json_int_t)r->sequence, "sequence_limit",
		(json_int_t)r->limit, "bytes_sent", (json_int_t)r->bytes_sent, "bytes_limit",
		(json_int_t)r->bytes_limit);
}

static void answer_list(struct gather *g)
{
	json_t *rows = json_array();

	for (unsigned i = 0; i < g->part_count; i++) {
		for (uint32_t k = 0; k < g->part[i].count; k++)
			(void)json_array_append_new(rows,
				channel_json(g->api, &g->part[i], gather_row(&g->part[i], k)));
	}
	api_rows(g->api, g->call, rows);
}

static void not_found(struct api *api, struct phx_ctl_call *call);

static void answer_get(struct gather *g)
{
	json_t *paths = json_array(), *row = NULL;

	for (unsigned i = 0; i < g->part_count; i++) {
		for (uint32_t k = 0; k < g->part[i].count; k++) {
			const struct detail_row *d = gather_row(&g->part[i], k);

			if (d->is_path)
				(void)json_array_append_new(paths, path_json(&d->path));
			else
				row = channel_json(g->api, &g->part[i], &d->channel);
		}
	}
	if (row != NULL) {
		(void)json_object_set_new(row, "paths", paths);
		phx_ctl_call_reply(g->call, row);
		return;
	}
	json_decref(paths);
	not_found(g->api, g->call);
}

// ---- names of those that are there, for one that is not ----

static void answer_not_found(struct gather *g)
{
	json_t *names = json_array();

	for (unsigned i = 0; i < g->part_count; i++) {
		for (uint32_t k = 0; k < g->part[i].count; k++) {
			const struct channel_row *r = gather_row(&g->part[i], k);
			char id[API_ID_BYTES];

			id_text(id, r->app, r->handle);
			(void)json_array_append_new(names, json_string(id));
		}
	}
	phx_ctl_call_not_found(g->call, "channel", "channel",
		phx_ctl_call_string(g->call, "channel", ""), names, "phoenix-cli channel list");
	json_decref(names);
}

static void not_found(struct api *api, struct phx_ctl_call *call)
{
	static const struct gather_ops ops = {
		sizeof(struct channel_row), collect, answer_not_found};

	gather_start(api, call, &ops, GATHER_ALL, 0);
}

void api_channel_list(void *arg, struct phx_ctl_call *call)
{
	static const struct gather_ops ops = {sizeof(struct channel_row), collect, answer_list};

	gather_start(arg, call, &ops, GATHER_ALL, 0);
}

void api_channel_get(void *arg, struct phx_ctl_call *call)
{
	static const struct gather_ops ops = {sizeof(struct detail_row), collect_one, answer_get};
	const char *text = phx_ctl_call_string(call, "channel", "");
	unsigned long long app;
	unsigned handle;
	char id[API_ID_BYTES] = "";

	if (sscanf(text, "chan-%llu-%u", &app, &handle) == 2)
		id_text(id, app, handle);
	if (strcmp(id, text) == 0 && handle <= HANDLE_MASK && app <= UINT64_MAX >> HANDLE_BITS)
		gather_start(arg, call, &ops, GATHER_ALL, (uint64_t)app << HANDLE_BITS | handle);
	else
		not_found(arg, call);
}
