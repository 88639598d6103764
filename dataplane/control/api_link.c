// SPDX-License-Identifier: BSD-3-Clause
// The noun link: connections to other dataplanes, as their workers have them, and peers that are
// being dialled. Works with link/link.h and link/host.h.
#include "dataplane/control/api.h"

#include "dataplane/control/gather.h"
#include "dataplane/link/link.h"
#include "lib/base/clock.h"

#include <stdio.h>
#include <string.h>

struct lane_row {
	uint64_t tx_frames, rx_frames, tx_bytes, rx_bytes, tx_calls, rx_calls, crc_errors;
};

struct link_row {
	uint64_t id, age_ns, calls_out, calls_in, dropped;
	const char *transport; // static
	char peer[128];
	unsigned remote_worker, paths, channels, backlog;
	bool client, local, down, draining, blocked;
	struct lane_row lane[PHX_LANE_COUNT];
};

static uint64_t load(const _Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

static void lane_fill(struct lane_row *row, const struct conn *conn)
{
	*row = (struct lane_row){
		.tx_frames = load(&conn->tx_frames),
		.rx_frames = load(&conn->rx_frames),
		.tx_bytes = load(&conn->tx_bytes),
		.rx_bytes = load(&conn->rx_bytes),
		.tx_calls = load(&conn->tx_calls),
		.rx_calls = load(&conn->rx_calls),
		.crc_errors = load(&conn->crc_errors),
	};
}

static unsigned list_length(const struct phx_list *head)
{
	const struct phx_list *n;
	unsigned count = 0;

	phx_list_for_each (n, head) {
		count++;
	}
	return count;
}

static void link_fill(struct link_row *row, const struct link *link)
{
	row->id = link->id;
	row->age_ns = link->worker->now_ns - link->opened_ns;
	row->calls_out = load(&link->calls_out);
	row->calls_in = load(&link->calls_in);
	row->dropped = load(&link->dropped_frames);
	row->transport = link->lane[PHX_LANE_SMALL]->ops->name;
	row->remote_worker = link->remote_worker;
	row->paths = list_length(&link->paths);
	row->channels = link->rchannel_count;
	row->backlog = link->backlog_count;
	row->client = link->client;
	row->local = link->local;
	row->down = link->down;
	row->draining = link->draining;
	row->blocked = link->small_blocked || link->bulk_blocked;
	memcpy(row->peer, link->peer_name, sizeof(row->peer));
	for (int i = 0; i < PHX_LANE_COUNT; i++) {
		if (i == 0 || link->lane[i] != link->lane[0])
			lane_fill(&row->lane[i], link->lane[i]);
	}
}

static void collect(struct gather_part *part)
{
	const struct link_table *table = link_table(part->worker);
	const struct phx_list *n;

	phx_list_for_each (n, &table->links) {
		const struct link *link = phx_list_entry(n, struct link, node);
		struct link_row *row;

		if (link->lane[PHX_LANE_SMALL] == NULL)
			continue;
		row = gather_add(part);
		if (row != NULL)
			link_fill(row, link);
	}
}

// ---- answers ----

static json_t *lane_json(const char *name, const struct lane_row *l)
{
	return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "lane", name,
		"tx_frames_total", (json_int_t)l->tx_frames, "rx_frames_total",
		(json_int_t)l->rx_frames, "tx_bytes_total", (json_int_t)l->tx_bytes,
		"rx_bytes_total", (json_int_t)l->rx_bytes, "tx_syscalls_total",
		(json_int_t)l->tx_calls, "rx_syscalls_total", (json_int_t)l->rx_calls,
		"crc_errors_total", (json_int_t)l->crc_errors);
}

// Local links count down from the largest number.
json_t *api_link_id(uint64_t id, bool local)
{
	return local ? api_id_json("local", UINT64_MAX - id) : api_id_json("link", id);
}

static json_t *link_json(const struct gather_part *part, const struct link_row *r)
{
	json_t *row = json_pack("{s:o, s:s, s:o, s:s, s:s}", "link", api_link_id(r->id, r->local),
		"transport", r->transport, "peer", api_text(r->peer), "direction",
		r->client ? "dialled" : "accepted", "state",
		r->down	      ? "closing"
		: r->draining ? "draining"
			      : "up");

	(void)json_object_set_new(row, "lcore", json_integer((json_int_t)part->worker->lcore));
	(void)json_object_set_new(row, "worker", json_integer((json_int_t)part->worker->index));
	(void)json_object_set_new(row, "remote_worker", json_integer((json_int_t)r->remote_worker));
	(void)json_object_set_new(row, "age_ms", json_integer((json_int_t)(r->age_ns / 1000000)));
	(void)json_object_set_new(
		row, "channels", json_integer((json_int_t)r->paths + r->channels));
	(void)json_object_set_new(row, "calls_out_total", json_integer((json_int_t)r->calls_out));
	(void)json_object_set_new(row, "calls_in_total", json_integer((json_int_t)r->calls_in));
	(void)json_object_set_new(
		row, "dropped_frames_total", json_integer((json_int_t)r->dropped));
	(void)json_object_set_new(row, "tx_bytes_total",
		json_integer((json_int_t)(r->lane[0].tx_bytes + r->lane[1].tx_bytes)));
	(void)json_object_set_new(row, "rx_bytes_total",
		json_integer((json_int_t)(r->lane[0].rx_bytes + r->lane[1].rx_bytes)));
	(void)json_object_set_new(row, "crc_errors_total",
		json_integer((json_int_t)(r->lane[0].crc_errors + r->lane[1].crc_errors)));
	(void)json_object_set_new(row, "blocked", json_boolean(r->blocked));
	(void)json_object_set_new(row, "backlog", json_integer((json_int_t)r->backlog));
	(void)json_object_set_new(row, "lanes",
		r->local ? json_array()
			 : json_pack("[o, o]", lane_json("small", &r->lane[PHX_LANE_SMALL]),
				   lane_json("bulk", &r->lane[PHX_LANE_BULK])));
	(void)json_object_set_new(row, "error", json_string(""));
	return row;
}

// A peer without a link is shown by what is wrong with it.
static void add_peer(void *arg, const struct host_peer_info *info)
{
	json_t *rows = arg;

	if (info->links != 0 || strcmp(info->state, "self") == 0)
		return;
	(void)json_array_append_new(
		rows, json_pack("{s:o, s:s, s:o, s:s, s:s, s:I, s:o}", "link",
			      api_id_json("peer", info->id), "transport", "tcp", "peer",
			      api_text(info->address), "direction", "dialled", "state", info->state,
			      "attempts_total", (json_int_t)info->attempts_total, "error",
			      api_text(info->error)));
}

static json_t *links_json(struct gather *g, bool all)
{
	json_t *rows = json_array();

	for (unsigned i = 0; i < g->part_count; i++) {
		for (uint32_t k = 0; k < g->part[i].count; k++) {
			const struct link_row *r = gather_row(&g->part[i], k);

			if (all || !r->local)
				(void)json_array_append_new(rows, link_json(&g->part[i], r));
		}
	}
	host_peers_each(g->api->config.host, add_peer, rows);
	return rows;
}

static void answer_list(struct gather *g)
{
	api_rows(g->api, g->call, links_json(g, phx_ctl_call_bool(g->call, "all")));
}

static void answer_get(struct gather *g)
{
	const char *wanted = phx_ctl_call_string(g->call, "link", "");
	json_t *rows = links_json(g, true), *names = json_array(), *row, *found = NULL;
	size_t i;

	json_array_foreach(rows, i, row)
	{
		json_t *id = json_object_get(row, "link");

		(void)json_array_append(names, id);
		if (strcmp(json_string_value(id), wanted) == 0)
			found = row;
	}
	if (found != NULL)
		phx_ctl_call_reply(g->call, json_incref(found));
	else
		phx_ctl_call_not_found(
			g->call, "link", "link", wanted, names, "phoenix-cli link list");
	json_decref(names);
	json_decref(rows);
}

void api_link_list(void *arg, struct phx_ctl_call *call)
{
	static const struct gather_ops ops = {sizeof(struct link_row), collect, answer_list};

	gather_start(arg, call, &ops, GATHER_ALL, 0);
}

void api_link_get(void *arg, struct phx_ctl_call *call)
{
	static const struct gather_ops ops = {sizeof(struct link_row), collect, answer_get};

	gather_start(arg, call, &ops, GATHER_ALL, 0);
}
