// SPDX-License-Identifier: BSD-3-Clause
// The noun engine: what each worker polls. Works with core/source.h.
#include "dataplane/control/api.h"

#include "dataplane/control/gather.h"
#include "dataplane/frontend/session.h"
#include "dataplane/link/link.h"

#include <stdio.h>
#include <string.h>

#define OBJECT_BYTES 64

struct engine_row {
	const char *kind; // static
	uint64_t object;  // number of the application or link
	uint8_t lane;
	bool parked;
	uint64_t polls, work, busy_ns;
};

static void engine_fill(struct engine_row *row, const struct source *source)
{
	row->kind = source->ops->kind;
	row->parked = source->parked;
	row->polls = atomic_load_explicit(&source->polls, memory_order_relaxed);
	row->work = atomic_load_explicit(&source->work, memory_order_relaxed);
	row->busy_ns = atomic_load_explicit(&source->busy_ns, memory_order_relaxed);
	if (source->ops == &session_source_ops) {
		row->object = phx_container_of(source, struct session, source)->config.id;
	} else if (strcmp(row->kind, "tcp") == 0) {
		const struct conn *conn = phx_container_of(source, struct conn, source);

		row->object = ((const struct link *)conn->link)->id;
		row->lane = conn->lane;
	}
}

static void collect_list(struct gather_part *part, const struct phx_list *head)
{
	const struct phx_list *n;

	phx_list_for_each (n, head) {
		struct engine_row *row = gather_add(part);

		if (row != NULL)
			engine_fill(row, phx_list_entry(n, struct source, node));
	}
}

static void collect(struct gather_part *part)
{
	collect_list(part, &part->worker->polled);
	collect_list(part, &part->worker->parked);
}

// What the engine does the work of: named so that it keeps its name on another worker.
static void object_text(const struct engine_row *r, const struct worker *w, char text[OBJECT_BYTES])
{
	unsigned long long number = r->object;

	if (strcmp(r->kind, "session") == 0)
		(void)snprintf(text, OBJECT_BYTES, "app-%llu", number);
	else if (strcmp(r->kind, "tcp") == 0)
		(void)snprintf(text, OBJECT_BYTES, "link-%llu.%s", number,
			r->lane == PHX_LANE_BULK ? "bulk" : "small");
	else
		(void)snprintf(text, OBJECT_BYTES, "lcore-%u.%s", w->lcore, r->kind);
}

static void answer(struct gather *g)
{
	json_t *rows = json_array();

	for (unsigned i = 0; i < g->part_count; i++) {
		const struct worker *w = g->part[i].worker;

		for (uint32_t k = 0; k < g->part[i].count; k++) {
			const struct engine_row *r = gather_row(&g->part[i], k);
			char object[OBJECT_BYTES];

			object_text(r, w, object);
			(void)json_array_append_new(rows,
				json_pack("{s:o, s:s, s:s, s:i, s:i, s:s, s:I, s:I, s:I, s:o, s:o}",
					"engine", json_sprintf("eng-%s", object), "kind", r->kind,
					"object", object, "lcore", (int)w->lcore, "worker",
					(int)w->index, "state", r->parked ? "parked" : "active",
					"polls_total", (json_int_t)r->polls, "work_total",
					(json_int_t)r->work, "busy_ns_total",
					(json_int_t)r->busy_ns, "work_per_poll",
					api_ratio(r->work, r->polls), "ns_per_work",
					api_ratio(r->busy_ns, r->work)));
		}
	}
	api_rows(g->api, g->call, rows);
}

void api_engine_list(void *arg, struct phx_ctl_call *call)
{
	static const struct gather_ops ops = {sizeof(struct engine_row), collect, answer};

	gather_start(arg, call, &ops, GATHER_ALL, 0);
}
