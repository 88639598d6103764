// SPDX-License-Identifier: BSD-3-Clause
// A question of an operator to workers: a command to each of them copies what it owns into rows of
// memory that control made, and the answer is given when the last one is back. A worker allocates
// nothing for it and formats nothing. Control thread, except collect().
#pragma once

#include "dataplane/control/api.h"

struct gather_part {
	struct cmd cmd;
	struct gather *gather;
	struct worker *worker;
	uint8_t *rows;	// of ops->row_size bytes
	uint32_t room;	// rows there is memory for
	uint32_t count; // rows there are; more than room: asked again with more memory
};

struct gather_ops {
	size_t row_size;
	// Worker: gather_add() for each row.
	void (*collect)(struct gather_part *part);
	// Control: all parts are there. Answers gather->call; the rows go away afterwards.
	void (*answer)(struct gather *gather);
};

struct gather {
	struct phx_list node; // of api->gathers
	struct api *api;
	struct phx_ctl_call *call;
	const struct gather_ops *ops;
	uint64_t id;	      // of the object asked for, as the noun likes
	unsigned outstanding; // parts that are with their worker
	unsigned part_count;
	struct gather_part part[];
};

// Ask worker `worker` (an index) or all of them (GATHER_ALL). Without memory the call is answered
// so.
#define GATHER_ALL UINT32_MAX
void gather_start(struct api *api, struct phx_ctl_call *call, const struct gather_ops *ops,
	uint32_t worker, uint64_t id);

// Worker: the next row, zeroed; NULL when it does not fit (it is counted).
void *gather_add(struct gather_part *part);

// Row `index` of a part.
static inline const void *gather_row(const struct gather_part *part, uint32_t index)
{
	return part->rows + (size_t)index * part->gather->ops->row_size;
}

// Answer all of the list UNAVAILABLE; no worker runs any more.
void gather_drop_all(struct phx_list *gathers);
