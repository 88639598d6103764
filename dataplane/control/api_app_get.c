// SPDX-License-Identifier: BSD-3-Clause
// The noun app in detail: one application, and those that have ended. What its worker owns (queues,
// how calls failed) is asked of it.
#include "dataplane/control/api.h"

#include "dataplane/control/gather.h"
#include "dataplane/frontend/session.h"
#include "lib/base/clock.h"

#include <stdio.h>
#include <string.h>

struct queue_row {
	uint32_t sub_slots, ret_slots, comp_slots, call_slots;
	uint32_t inflight, request_slots, lent, waiting, parked;
};

struct error_row {
	struct session_error error;
	uint64_t age_ns;
	char service[PHX_LIMIT_NAME_BYTES + 1];
	char method[PHX_LIMIT_NAME_BYTES + 1];
};

struct detail_row {
	bool is_queue;
	union {
		struct queue_row queue;
		struct error_row error;
	};
};

// ---- on the worker ----

static uint32_t list_length(const struct phx_list *head)
{
	const struct phx_list *n;
	uint32_t count = 0;

	phx_list_for_each (n, head) {
		count++;
	}
	return count;
}

static void collect_queue(struct gather_part *part, const struct session_queue *q)
{
	struct detail_row *row = gather_add(part);

	if (row == NULL)
		return;
	row->is_queue = true;
	row->queue = (struct queue_row){
		.sub_slots = q->sub_slots,
		.ret_slots = q->ret_slots,
		.comp_slots = q->comp_slots,
		.call_slots = q->call_slots,
		.inflight = q->inflight,
		.request_slots = q->request_slots,
		.lent = q->lent,
		.waiting = list_length(&q->waiting),
		.parked = list_length(&q->parked),
	};
}

static void collect_error(struct gather_part *part, const struct session_error *e)
{
	struct detail_row *row;

	if (e->count == 0)
		return;
	row = gather_add(part);
	if (row == NULL)
		return;
	row->error.error = *e;
	row->error.age_ns = phx_clock_ns() - e->last_ns;
	(void)snprintf(row->error.service, sizeof(row->error.service), "%s", e->service);
	(void)snprintf(row->error.method, sizeof(row->error.method), "%s", e->method);
}

static void collect_list(struct gather_part *part, const struct phx_list *sources)
{
	const struct phx_list *n;

	phx_list_for_each (n, sources) {
		const struct source *source = phx_list_entry(n, struct source, node);
		const struct session *s = phx_container_of(source, struct session, source);

		if (source->ops != &session_source_ops || s->config.id != part->gather->id)
			continue;
		for (uint32_t i = 0; i < s->queue_count; i++)
			collect_queue(part, s->queues[i]);
		for (int i = 0; i < SESSION_ERRORS; i++)
			collect_error(part, &s->errors[i]);
	}
}

static void collect(struct gather_part *part)
{
	collect_list(part, &part->worker->polled);
	collect_list(part, &part->worker->parked);
}

// ---- the answer ----

static json_t *queue_json(const struct queue_row *q, int index)
{
	return json_pack("{s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i}", "queue", index,
		"submission_slots", (int)q->sub_slots, "return_slots", (int)q->ret_slots,
		"completion_slots", (int)q->comp_slots, "calls_max", (int)q->call_slots, "inflight",
		(int)q->inflight, "request_slots", (int)q->request_slots, "lent_blocks",
		(int)q->lent, "requests_waiting", (int)q->waiting, "replies_parked",
		(int)q->parked);
}

static json_t *error_json(const struct error_row *e)
{
	return json_pack("{s:o, s:o, s:s, s:s, s:s, s:s, s:I, s:I}", "service",
		api_text(e->service), "method", api_text(e->method), "status",
		phx_code_name(e->error.code), "reason", phx_reason_name(e->error.reason), "origin",
		phx_origin_name(e->error.origin), "executed", phx_executed_name(e->error.executed),
		"calls_total", (json_int_t)e->error.count, "age_ms",
		(json_int_t)(e->age_ns / PHX_NS_PER_MS));
}

static void row_details(json_t *row, const struct gather *g)
{
	json_t *queues = json_array(), *errors = json_array();

	for (unsigned i = 0; i < g->part_count; i++) {
		for (uint32_t k = 0; k < g->part[i].count; k++) {
			const struct detail_row *d = gather_row(&g->part[i], k);

			if (d->is_queue)
				(void)json_array_append_new(queues,
					queue_json(&d->queue, (int)json_array_size(queues)));
			else
				(void)json_array_append_new(errors, error_json(&d->error));
		}
	}
	(void)json_object_set_new(row, "queues", queues);
	(void)json_object_set_new(row, "last_errors", errors);
}

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
	return json_pack("{s:I, s:I, s:I, s:i, s:i}", "send_bytes", (json_int_t)info->send_bytes,
		"recv_bytes", (json_int_t)info->recv_bytes, "queue_bytes",
		(json_int_t)info->queue_bytes, "send_regions", (int)info->send_regions,
		"recv_regions", (int)info->recv_regions);
}

static json_t *quotas_json(const struct attach_info *info)
{
	const struct session_config *c = &info->session->config;

	return json_pack("{s:I, s:I, s:I, s:I}", "send_bytes", (json_int_t)info->send_quota,
		"recv_bytes", (json_int_t)info->recv_quota, "message_bytes",
		(json_int_t)c->max_message, "snapshot_bytes", (json_int_t)c->snapshot_quota);
}

struct find {
	struct api *api;
	uint64_t id;
	unsigned worker;
	json_t *row;
};

static void add_detail(void *arg, const struct attach_info *info)
{
	struct find *f = arg;
	const struct session *s = info->session;

	if (info->id != f->id)
		return;
	f->row = api_app_row(f->api, info);
	(void)json_object_set_new(f->row, "registered", services_json(f->api, s));
	(void)json_object_set_new(f->row, "memory", memory_json(info));
	(void)json_object_set_new(f->row, "schemas", json_integer((json_int_t)info->schemas));
	if (s == NULL)
		return;
	(void)json_object_set_new(f->row, "quotas", quotas_json(info));
	(void)json_object_set_new(f->row, "lent_blocks", api_counter(&s->stats.lent_blocks));
	(void)json_object_set_new(f->row, "recv_used_bytes", api_counter(&s->stats.recv_used));
	(void)json_object_set_new(f->row, "room_waits_total", api_counter(&s->stats.room_waits));
	(void)json_object_set_new(f->row, "wakeups_total", api_counter(&s->stats.wakeups));
	(void)json_object_set_new(
		f->row, "dropped_replies_total", api_counter(&s->stats.dropped_replies));
}

static void answer(struct gather *g)
{
	struct find f = {.api = g->api, .id = g->id};

	attach_server_each(g->api->config.attach, add_detail, &f);
	if (f.row == NULL) { // it has gone meanwhile
		uint64_t id;

		if (api_app_find(g->api, g->call, &id))
			phx_ctl_call_fail_code(g->call, PHX_NOT_FOUND, "the application has gone");
		return;
	}
	row_details(f.row, g);
	phx_ctl_call_reply(g->call, f.row);
}

static void find_worker(void *arg, const struct attach_info *info)
{
	struct find *f = arg;

	if (info->id == f->id)
		f->worker = info->worker;
}

void api_app_get(void *arg, struct phx_ctl_call *call)
{
	static const struct gather_ops ops = {sizeof(struct detail_row), collect, answer};
	struct find f = {.api = arg};

	if (!api_app_find(arg, call, &f.id))
		return;
	attach_server_each(f.api->config.attach, find_worker, &f);
	gather_start(arg, call, &ops, f.worker, f.id);
}

void api_app_history(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	const struct attach_server *server = api->config.attach;
	uint64_t kept = phx_min(server->history_count, (uint64_t)ATTACH_HISTORY);
	json_t *rows = json_array();

	for (uint64_t i = server->history_count; i > server->history_count - kept; i--) {
		const struct attach_history *h = &server->history[(i - 1) % ATTACH_HISTORY];

		(void)json_array_append_new(rows,
			json_pack("{s:o, s:o, s:o, s:I, s:i, s:s, s:o, s:o}", "app",
				api_id_json("app", h->id), "name", api_text(h->name),
				"claimed_name", api_text(h->claim), "uid", (json_int_t)h->uid,
				"pid", h->pid, "reason", phx_reason_name(h->reason), "text",
				api_text(h->text), "ended_at", phx_ctl_wall_time(h->time_ns)));
	}
	api_rows(api, call, rows);
}
