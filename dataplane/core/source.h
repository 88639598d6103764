// SPDX-License-Identifier: BSD-3-Clause
// An event source: what a worker polls, arms before sleep and rechecks. Sessions, link
// connections and the worker's own command queue are sources. Owned by one worker; only its
// thread calls the operations.
#pragma once

#include "lib/base/list.h"

#include <stdbool.h>
#include <stdint.h>

struct worker;
struct source;

struct source_ops {
	const char *kind; // "session", "tcp", ... shown by `engine list`
	// Do at most a burst of work; the return value is the amount of work done, 0 = idle.
	// May delete and free this source or any other; flush may too.
	unsigned (*poll)(struct source *source, struct worker *worker);
	// End of a round: push out what the polls produced (publish rings, flush a socket).
	void (*flush)(struct source *source, struct worker *worker);
	// Ask for a wake-up on `fd` (or let the kernel give it); then recheck tells whether
	// work came before that took effect. disarm: awake again.
	void (*arm)(struct source *source);
	bool (*recheck)(struct source *source);
	void (*disarm)(struct source *source);
};

// States: polled (on the worker's poll list), or parked (armed; costs nothing until fd fires).
// Operations may be NULL: arm and disarm where the kernel tells by itself, recheck then too, if
// poll has read until EAGAIN; poll and flush where there is nothing to do.
struct source {
	struct phx_list node;	      // [worker] poll list or parked list
	struct phx_list dirty_node;   // [worker] flush list of this round
	const struct source_ops *ops; // [const]
	struct worker *worker;	      // [worker] whose lists it is on, NULL = none
	int fd;			// [const] in the worker's epoll set, edge-triggered; -1 = none
	bool parked;		// [worker]
	bool dirty;		// [worker] wants flush at the end of this round
	bool active;		// [worker] had work since the worker slept last
	uint32_t idle_rounds;	// [worker] polls in a row without work
	_Atomic uint64_t polls; // [worker>ctl] statistics, single writer
	_Atomic uint64_t work;
	_Atomic uint64_t busy_ns; // estimated from one poll in 16
};

// A source of ops, on no worker yet. Any thread that owns it.
static inline void source_init(struct source *source, const struct source_ops *ops, int fd)
{
	*source = (struct source){.ops = ops, .fd = fd};
	phx_list_init(&source->node);
	phx_list_init(&source->dirty_node);
}
