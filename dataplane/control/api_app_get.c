// SPDX-License-Identifier: BSD-3-Clause
// The noun app in detail: one application, and those that have ended.
#include "dataplane/control/api.h"

#include "dataplane/frontend/session.h"

#include <string.h>

struct find {
	uint64_t id;
	const struct attach_info *info;
	struct api *api;
	json_t *row;
};

static json_t *services_json(const struct api *api, const struct session *session)
{
	const struct service_set *set = registry_set(api->config.registry);
	json_t *services = json_array();

	for (uint32_t i = 0; session != NULL && i < set->count; i++) {
		const struct service_entry *e = &set->entries[i];

		for (uint32_t k = 0; k < e->instance_count; k++) {
			if (e->instances[k].session == session)
				(void)json_array_append_new(services,
					json_pack("{s:o, s:o}", "service", api_text(e->name),
						"group", api_text(e->group)));
		}
	}
	return services;
}

static json_t *memory_json(const struct attach_info *info)
{
	return json_pack("{s:I, s:I, s:i, s:i}", "send_bytes", (json_int_t)info->send_bytes,
		"recv_bytes", (json_int_t)info->recv_bytes, "send_regions", (int)info->send_regions,
		"recv_regions", (int)info->recv_regions);
}

static json_t *quotas_json(const struct session *session)
{
	const struct session_config *c = &session->config;

	return json_pack("{s:I, s:I, s:I}", "recv_bytes", (json_int_t)c->recv_quota,
		"message_bytes", (json_int_t)c->max_message, "snapshot_bytes",
		(json_int_t)c->snapshot_quota);
}

static void add_detail(void *arg, const struct attach_info *info)
{
	struct find *f = arg;
	const struct session *s = info->session;

	if (info->id != f->id)
		return;
	f->row = api_app_row(f->api, info);
	(void)json_object_set_new(f->row, "registered", services_json(f->api, s));
	(void)json_object_set_new(f->row, "memory", memory_json(info));
	(void)json_object_set_new(f->row, "queues", json_integer((json_int_t)info->queues));
	(void)json_object_set_new(f->row, "schemas", json_integer((json_int_t)info->schemas));
	if (s == NULL)
		return;
	(void)json_object_set_new(f->row, "quotas", quotas_json(s));
	(void)json_object_set_new(f->row, "lent_blocks", api_counter(&s->stats.lent_blocks));
	(void)json_object_set_new(f->row, "recv_used_bytes", api_counter(&s->stats.recv_used));
	(void)json_object_set_new(f->row, "room_waits_total", api_counter(&s->stats.room_waits));
	(void)json_object_set_new(f->row, "wakeups_total", api_counter(&s->stats.wakeups));
	(void)json_object_set_new(
		f->row, "dropped_replies_total", api_counter(&s->stats.dropped_replies));
}

void api_app_get(void *arg, struct phx_ctl_call *call)
{
	struct find f = {.api = arg};

	if (!api_app_find(arg, call, &f.id))
		return;
	attach_server_each(f.api->config.attach, add_detail, &f);
	phx_ctl_call_reply(call, f.row);
}

void api_app_history(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	const struct attach_server *server = api->config.attach;
	uint64_t kept = phx_min(server->history_count, (uint64_t)ATTACH_HISTORY);
	json_t *rows = json_array();

	for (uint64_t i = server->history_count; i > server->history_count - kept; i--) {
		const struct attach_history *h = &server->history[(i - 1) % ATTACH_HISTORY];

		(void)json_array_append_new(
			rows, json_pack("{s:o, s:o, s:I, s:i, s:s, s:o, s:o}", "app",
				      api_id_json("app", h->id), "claimed_name", api_text(h->claim),
				      "uid", (json_int_t)h->uid, "pid", h->pid, "reason",
				      phx_reason_name(h->reason), "text", api_text(h->text),
				      "ended_at", phx_ctl_wall_time(h->time_ns)));
	}
	api_rows(api, call, rows);
}
