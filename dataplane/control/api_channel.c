// SPDX-License-Identifier: BSD-3-Clause
// The noun channel: what joins applications to services of a peer. Works with link/link.h.
#include "dataplane/control/api.h"

#include "dataplane/control/gather.h"
#include "dataplane/frontend/session.h"
#include "dataplane/link/link.h"

#include <stdio.h>
#include <string.h>

#define SERVICES_TEXT 512

struct channel_row {
	uint64_t app, peer, calls, bytes_out;
	uint32_t handle, paths, open_paths, opening_paths, inflight, pending, services;
	uint8_t peer_state;
	char group[PHX_LIMIT_NAME_BYTES + 1];
	char names[SERVICES_TEXT]; // NUL-terminated one behind the other, as many as fit
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

// ---- answers ----

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

	for (uint32_t i = 0; i < r->services; i++, name += strlen(name) + 1)
		(void)json_array_append_new(services, json_string(name));
	row = json_pack("{s:o, s:o, s:o, s:s, s:i, s:o, s:i, s:i, s:i, s:I, s:I}", "channel",
		json_sprintf("chan-%llu-%u", (unsigned long long)r->app, r->handle), "app",
		api_id_json("app", r->app), "target", target_json(api, r), "state", state_name(r),
		"lcore", (int)part->worker->lcore, "services", services, "links", (int)r->paths,
		"inflight", (int)r->inflight, "pending", (int)r->pending, "calls_total",
		(json_int_t)r->calls, "tx_bytes_total", (json_int_t)r->bytes_out);
	return row;
}

static json_t *channels_json(struct gather *g)
{
	json_t *rows = json_array();

	for (unsigned i = 0; i < g->part_count; i++) {
		for (uint32_t k = 0; k < g->part[i].count; k++)
			(void)json_array_append_new(rows,
				channel_json(g->api, &g->part[i], gather_row(&g->part[i], k)));
	}
	return rows;
}

static void answer_list(struct gather *g)
{
	api_rows(g->api, g->call, channels_json(g));
}

static void answer_get(struct gather *g)
{
	const char *wanted = phx_ctl_call_string(g->call, "channel", "");
	json_t *rows = channels_json(g), *names = json_array(), *row, *found = NULL;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		json_t *id = json_object_get(row, "channel");

		(void)json_array_append(names, id);
		if (strcmp(json_string_value(id), wanted) == 0)
			found = row;
	}
	if (found != NULL)
		phx_ctl_call_reply(g->call, json_incref(found));
	else
		phx_ctl_call_not_found(
			g->call, "channel", "channel", wanted, names, "phoenix-cli channel list");
	json_decref(names);
	json_decref(rows);
}

void api_channel_list(void *arg, struct phx_ctl_call *call)
{
	static const struct gather_ops ops = {sizeof(struct channel_row), collect, answer_list};

	gather_start(arg, call, &ops, GATHER_ALL, 0);
}

void api_channel_get(void *arg, struct phx_ctl_call *call)
{
	static const struct gather_ops ops = {sizeof(struct channel_row), collect, answer_get};

	gather_start(arg, call, &ops, GATHER_ALL, 0);
}
