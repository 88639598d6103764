// SPDX-License-Identifier: BSD-3-Clause
// The noun flow: steps of closing channels and links and of taking the dataplane out of service.
// A step changes something at once and says how many calls are left; the control plane asks again.
// Works with link/stop.c and controlplane/job.c.
#include "dataplane/control/api.h"

#include "dataplane/control/gather.h"
#include "dataplane/frontend/session.h"
#include "dataplane/link/link.h"
#include "lib/base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// An object and what to do with it, in gather.id: (app << 13 | handle << 1 | close).
#define CLOSE_BIT    1u
#define HANDLE_SHIFT 1
#define APP_SHIFT    13
static_assert(PHX_LIMIT_CHANNELS_MAX <= 1 << (APP_SHIFT - HANDLE_SHIFT), "a handle fits");

struct flow_row {
	uint32_t inflight;
	bool client;
};

static bool is_close(const struct phx_ctl_call *call)
{
	return strcmp(phx_ctl_call_string(call, "act", ""), "close") == 0;
}

// The number behind "NOUN-" in text; false: there is none.
static bool number_behind(const char *text, const char *noun, uint64_t *out, const char **out_rest)
{
	size_t len = strlen(noun);
	char *end;

	if (strncmp(text, noun, len) != 0 || text[len] != '-' || text[len + 1] < '0' ||
		text[len + 1] > '9')
		return false;
	*out = strtoull(text + len + 1, &end, 10);
	*out_rest = end;
	return true;
}

static void answer(struct gather *g, const char *kind, const char *field)
{
	const char *name = phx_ctl_call_string(g->call, field, "");
	char hint[64];

	for (unsigned i = 0; i < g->part_count; i++) {
		const struct flow_row *r;

		if (g->part[i].count == 0)
			continue;
		r = gather_row(&g->part[i], 0);
		phx_ctl_call_reply(g->call,
			json_pack("{s:s, s:i}", "object", name, "inflight", (int)r->inflight));
		return;
	}
	(void)snprintf(hint, sizeof(hint), "phoenix-cli %s list", kind);
	phx_ctl_call_not_found(g->call, kind, field, name, NULL, hint);
}

// ---- channels ----

static void channel_here(struct gather_part *part)
{
	static const struct call_status st = {
		.code = PHX_UNAVAILABLE,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_MAYBE,
		.reason = PHX_REASON_ADMIN,
	};
	uint64_t id = part->gather->id;
	uint32_t handle = (uint32_t)(id >> HANDLE_SHIFT) & ((1u << (APP_SHIFT - HANDLE_SHIFT)) - 1);
	struct channel *channel = channel_find(part->worker, id >> APP_SHIFT, handle);
	struct flow_row *row;

	if (channel == NULL)
		return;
	row = gather_add(part);
	if ((id & CLOSE_BIT) != 0)
		channel_stop(channel, CHANNEL_STOPPED_ADMIN);
	else
		channel_drain(channel);
	if (row != NULL)
		row->inflight = channel_inflight(channel);
	if ((id & CLOSE_BIT) != 0)
		calls_abort(channel->session, channel, &st);
}

static void channel_answer(struct gather *g)
{
	answer(g, "channel", "channel");
}

void api_flow_channel(void *arg, struct phx_ctl_call *call)
{
	static const struct gather_ops ops = {
		sizeof(struct flow_row), channel_here, channel_answer};
	const char *text = phx_ctl_call_string(call, "channel", ""), *rest = "";
	uint64_t app = 0, handle = 0;
	char *end;

	if (!number_behind(text, "chan", &app, &rest) || rest[0] != '-')
		rest = "-"; // no channel has such a name
	handle = strtoull(rest + 1, &end, 10);
	if (rest[1] == '\0' || *end != '\0' || handle >= PHX_LIMIT_CHANNELS_MAX) {
		phx_ctl_call_not_found(
			call, "channel", "channel", text, NULL, "phoenix-cli channel list");
		return;
	}
	gather_start(arg, call, &ops, GATHER_ALL,
		app << APP_SHIFT | handle << HANDLE_SHIFT | (is_close(call) ? CLOSE_BIT : 0));
}

// ---- links ----

static void link_here(struct gather_part *part)
{
	struct phx_list *n;

	phx_list_for_each (n, &link_table(part->worker)->links) {
		struct link *link = phx_list_entry(n, struct link, node);
		struct flow_row *row;

		if (link->id != part->gather->id >> 1 || link->local || link->down)
			continue;
		row = gather_add(part);
		if (row != NULL) {
			row->inflight = link_inflight(link);
			row->client = link->client;
		}
		if ((part->gather->id & CLOSE_BIT) != 0)
			link_close(link, PHX_REASON_ADMIN);
		else if (link->client)
			link_drain(link); // one that was accepted has calls of its peer
		return;
	}
}

static void link_answer(struct gather *g)
{
	answer(g, "link", "link");
}

void api_flow_link(void *arg, struct phx_ctl_call *call)
{
	static const struct gather_ops ops = {sizeof(struct flow_row), link_here, link_answer};
	const char *text = phx_ctl_call_string(call, "link", ""), *rest = "";
	uint64_t id = 0;

	if (!number_behind(text, "link", &id, &rest) || rest[0] != '\0') {
		phx_ctl_call_not_found(call, "link", "link", text, NULL, "phoenix-cli link list");
		return;
	}
	gather_start(arg, call, &ops, GATHER_ALL, id << 1 | (is_close(call) ? CLOSE_BIT : 0));
}

// ---- the whole ----

static void stop_here(struct gather_part *part)
{
	link_stop_channels(part->worker, true);
}

static void resume_here(struct gather_part *part)
{
	link_stop_channels(part->worker, false);
}

static void count_calls(void *arg, const struct attach_info *info)
{
	uint64_t *count = arg;

	if (info->session != NULL)
		*count +=
			atomic_load_explicit(&info->session->stats.inflight, memory_order_relaxed) +
			atomic_load_explicit(&info->session->stats.serving, memory_order_relaxed);
}

static void host_answer(struct gather *g)
{
	uint64_t count = 0;

	attach_server_each(g->api->config.attach, count_calls, &count);
	phx_ctl_call_reply(
		g->call, json_pack("{s:s, s:I}", "object", "host", "inflight", (json_int_t)count));
}

void api_flow_host(void *arg, struct phx_ctl_call *call)
{
	static const struct gather_ops stop = {sizeof(struct flow_row), stop_here, host_answer};
	static const struct gather_ops resume = {sizeof(struct flow_row), resume_here, host_answer};
	struct api *api = arg;
	const char *act = phx_ctl_call_string(call, "act", "");

	if (strcmp(act, "close") == 0) {
		phx_log_info("api", "the control plane ends this dataplane");
		phx_ctl_call_reply(call, json_pack("{s:s, s:i}", "object", "host", "inflight", 0));
		api->config.shutdown(api->config.document_arg);
		return;
	}
	attach_server_drain(api->config.attach, strcmp(act, "drain") == 0);
	gather_start(api, call, strcmp(act, "drain") == 0 ? &stop : &resume, GATHER_ALL, 0);
}

static void add_listener(void *arg, const struct host_listener_info *info)
{
	json_t *rows = arg;

	(void)json_array_append_new(rows,
		json_pack("{s:s, s:s, s:s, s:s, s:I, s:I}", "name", info->name, "address",
			info->address, "state", info->listening ? "listening" : "error", "error",
			info->error, "accepted_total", (json_int_t)info->accepted_total,
			"refused_total", (json_int_t)info->refused_total));
}

void api_flow_listeners(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	json_t *rows = json_array();

	host_listeners_each(api->config.host, add_listener, rows);
	api_rows(api, call, rows);
}
