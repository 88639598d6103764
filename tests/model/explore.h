// SPDX-License-Identifier: BSD-3-Clause
// Runs two threads of real code in every possible way. A thread is a function called again and
// again, one call a round, whose whole state between rounds is a block of private memory. Its
// accesses to shared memory come here through the hooks of lib/shm/word.h; each is one step of the
// exploration. To stand at a step in the middle of a round the round is run again with the results
// it had so far. Works with memory.h.
#pragma once

#include "tests/model/memory.h"

#include <stddef.h>
#include <stdint.h>

#define EXPLORE_PRIVATE 320 // bytes at most
#define EXPLORE_LOG	32  // steps of one round at most

// A planted mistake: accesses of this kind to this location get another order.
struct weakening {
	enum step_kind kind;
	int location; // -1: none
	int order;
};

struct model {
	const struct machine *machine;
	struct memory_layout layout;
	const char *names[MEMORY_LOCATIONS];
	const void *address[MEMORY_LOCATIONS]; // what the hooks are called with
	uint32_t initial[MEMORY_LOCATIONS];

	// One round; false: the thread is finished. Makes at least one step unless it is.
	bool (*round[MEMORY_THREADS])(void *private);
	const void *private[MEMORY_THREADS];
	size_t private_size[MEMORY_THREADS];

	struct weakening weakening[2];
};

struct verdict {
	const char *violation; // NULL: none in any interleaving
	uint32_t states;
	uint32_t endings; // states in which both threads finished
};

// Explore everything. A violation is what a thread reported, a race, or a state from which
// the end cannot be reached any more, whatever is scheduled: a lost wake-up or deadlock.
// trace: print the steps that lead to it.
struct verdict explore(const struct model *model, bool trace);

// For the code of a round.
void explore_violation(const char *text);		      // does not return
void explore_store_plain(void *address, uint32_t value);      // plain data
void explore_sleep_futex(const void *address, uint32_t seen); // as phx_bell_wait_futex
void explore_sleep_event(void);				      // edge-triggered, never read
void explore_bell_futex(void); // the second half of phx_bell_ring_futex
void explore_bell_event(void);
