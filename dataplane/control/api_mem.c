// SPDX-License-Identifier: BSD-3-Clause
// The noun mem: shared memory of applications and pools of workers.
#include "dataplane/control/api.h"

#include "dataplane/frontend/session.h"
#include "lib/schema/image.h"

#include <string.h>

struct rows {
	json_t *rows;
	uint64_t only; // application, 0 = all
};

static void add_app(void *arg, const struct attach_info *info)
{
	static const struct session_stats none;
	struct rows *r = arg;
	const struct session *s = info->session;
	const struct session_stats *st = s != NULL ? &s->stats : &none;
	json_t *row;

	if (!api_is_app(info) || (r->only != 0 && info->id != r->only))
		return;
	row = json_pack("{s:o, s:o, s:o, s:I, s:I, s:I, s:I, s:I, s:I}", "app",
		api_id_json("app", info->id), "name", api_text(info->name), "claimed_name",
		api_text(info->claim), "send_bytes", (json_int_t)info->send_bytes,
		"send_quota_bytes", (json_int_t)info->send_quota, "recv_bytes",
		(json_int_t)info->recv_bytes, "recv_quota_bytes", (json_int_t)info->recv_quota,
		"queue_bytes", (json_int_t)info->queue_bytes, "schema_bytes",
		(json_int_t)info->schema_bytes);
	(void)json_object_set_new(row, "send_regions", json_integer(info->send_regions));
	(void)json_object_set_new(row, "recv_regions", json_integer(info->recv_regions));
	(void)json_object_set_new(row, "recv_used_bytes", api_counter(&st->recv_used));
	(void)json_object_set_new(row, "lent_blocks", api_counter(&st->lent_blocks));
	(void)json_object_set_new(row, "lent_bytes", api_counter(&st->lent_bytes));
	(void)json_object_set_new(row, "room_waits_total", api_counter(&st->room_waits));
	(void)json_object_set_new(row, "snapshot_bytes",
		s != NULL ? api_counter(&s->account.bytes) : json_integer(0));
	(void)json_object_set_new(row, "snapshot_quota_bytes",
		json_integer(s != NULL ? (json_int_t)s->config.snapshot_quota : 0));
	(void)json_object_set_new(row, "snapshot_refused_total",
		s != NULL ? api_counter(&s->account.refused) : json_integer(0));
	(void)json_array_append_new(r->rows, row);
}

static json_t *pool_json(const struct worker *w, const char *name, uint64_t size,
	const _Atomic uint64_t *used, const _Atomic uint64_t *total)
{
	json_t *row = json_pack("{s:s, s:i, s:I}", "name", name, "lcore", (int)w->lcore,
		"block_bytes", (json_int_t)size);

	(void)json_object_set_new(row, "used", api_counter(used));
	(void)json_object_set_new(row, "total", api_counter(total));
	(void)json_object_set_new(row, "refused_total", api_counter(&w->memory.refused));
	return row;
}

void api_mem_get(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	const struct attach_budget *budget = &api->config.attach->budget;
	struct rows r = {json_array(), 0};
	json_t *pools = json_array();

	if (phx_ctl_call_string(call, "app", NULL) != NULL && !api_app_find(api, call, &r.only)) {
		json_decref(r.rows);
		json_decref(pools);
		return;
	}
	attach_server_each(api->config.attach, add_app, &r);
	for (unsigned i = 0; i < api->config.worker_count; i++) {
		const struct worker *w = api->config.workers[i];
		const struct memory_pool *m = &w->memory;

		(void)json_array_append_new(pools,
			pool_json(w, "small", PHX_BLOCK_SMALL, &m->small_used, &m->small_total));
		(void)json_array_append_new(pools,
			pool_json(w, "large", PHX_BLOCK_LARGE, &m->large_used, &m->large_total));
	}
	phx_ctl_call_reply(
		call, json_pack("{s:I, s:I, s:I, s:o, s:o}", "app_bytes", (json_int_t)budget->used,
			      "app_limit_bytes", (json_int_t)budget->limit, "app_refused_total",
			      (json_int_t)budget->refused, "apps", r.rows, "pools", pools));
}
