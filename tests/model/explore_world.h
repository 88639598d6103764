// SPDX-License-Identifier: BSD-3-Clause
// One state of a model, comparable byte by byte, and the two ways to look at what a thread does
// next. Works with explore.c and explore_search.c.
#pragma once

#include "tests/model/explore.h"

struct world_thread {
	_Alignas(8) uint8_t private[EXPLORE_PRIVATE];
	uint32_t log[EXPLORE_LOG]; // results of the steps of this round
	uint32_t steps;
	uint32_t zero;
};

struct world {
	_Alignas(8) struct memory memory;
	struct world_thread thread[MEMORY_THREADS];
	uint8_t done[MEMORY_THREADS];
	uint8_t asleep[MEMORY_THREADS];
	uint8_t edge[MEMORY_THREADS]; // an event came that no sleep has taken
	uint8_t zero[2];
};

// The step a thread makes next. NULL or a violation.
const char *world_peek(
	const struct model *model, struct world *world, int thread, struct step *out);

// Make it, the choice-th way, and go on to the next one. NULL or a violation.
const char *world_advance(
	const struct model *model, struct world *world, int thread, unsigned choice);

// The model is done with; accesses before the next one only set up handles.
void world_forget(void);
