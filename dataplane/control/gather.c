// SPDX-License-Identifier: BSD-3-Clause
// See gather.h. Works with core/worker and the control loop.
#include "dataplane/control/gather.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define ROOM_FIRST 64 // rows

void *gather_add(struct gather_part *part)
{
	size_t size = part->gather->ops->row_size;
	uint32_t index = part->count++;

	if (index >= part->room)
		return NULL;
	return memset(part->rows + index * size, 0, size);
}

static void gather_free(struct gather *g)
{
	unsigned i;

	phx_list_del(&g->node);
	for (i = 0; i < g->part_count; i++)
		free(g->part[i].rows);
	free(g);
}

static int part_room(struct gather_part *part, uint32_t room)
{
	uint8_t *rows = calloc(room, part->gather->ops->row_size);

	if (rows == NULL)
		return -ENOMEM;
	free(part->rows);
	part->rows = rows;
	part->room = room;
	return 0;
}

static void part_returned(struct worker *worker, struct cmd *cmd);

static void part_run(struct worker *worker, struct cmd *cmd)
{
	struct gather_part *part = phx_container_of(cmd, struct gather_part, cmd);

	(void)worker;
	part->count = 0;
	part->gather->ops->collect(part);
	ctl_post(part->gather->api->config.loop, cmd, part_returned);
}

// Rows may have come meanwhile: leave room for more of them.
static void part_returned(struct worker *worker, struct cmd *cmd)
{
	struct gather_part *part = phx_container_of(cmd, struct gather_part, cmd);
	struct gather *g = part->gather;

	(void)worker;
	if (part->count > part->room && part_room(part, part->count + part->count / 4) == 0) {
		worker_post(part->worker, cmd, part_run);
		return;
	}
	part->count = phx_min(part->count, part->room); // without memory a list is cut short
	if (--g->outstanding != 0)
		return;
	g->ops->answer(g);
	gather_free(g);
}

void gather_start(struct api *api, struct phx_ctl_call *call, const struct gather_ops *ops,
	uint32_t worker, uint64_t id)
{
	unsigned count = worker == GATHER_ALL ? api->config.worker_count : 1, i;
	struct gather *g = calloc(1, sizeof(*g) + count * sizeof(g->part[0]));
	int rc = g == NULL ? -ENOMEM : 0;

	if (rc == 0) {
		*g = (struct gather){.api = api, .call = call, .ops = ops, .id = id};
		phx_list_add_tail(&api->gathers, &g->node);
		g->part_count = count;
	}
	for (i = 0; i < count && rc == 0; i++) {
		g->part[i].gather = g;
		g->part[i].worker = api->config.workers[worker == GATHER_ALL ? i : worker];
		rc = part_room(&g->part[i], ROOM_FIRST);
	}
	if (rc != 0) {
		if (g != NULL)
			gather_free(g);
		phx_ctl_call_fail_code(call, PHX_INTERNAL, "out of memory");
		return;
	}
	g->outstanding = count;
	for (i = 0; i < count; i++)
		worker_post(g->part[i].worker, &g->part[i].cmd, part_run);
}

void gather_drop_all(struct phx_list *gathers)
{
	struct phx_list *n;

	while ((n = phx_list_first(gathers)) != NULL) {
		struct gather *g = phx_list_entry(n, struct gather, node);

		phx_ctl_call_fail_code(g->call, PHX_UNAVAILABLE, "the dataplane stops");
		gather_free(g);
	}
}
