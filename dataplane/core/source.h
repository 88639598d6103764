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
struct source {
	struct phx_list node;	      // [worker] poll list or parked list
	const struct source_ops *ops; // [const]
	int fd;			// [const] in the worker's epoll set, edge-triggered; -1 = none
	bool parked;		// [worker]
	bool dirty;		// [worker] wants flush at the end of this round
	uint32_t idle_rounds;	// [worker] polls in a row without work
	_Atomic uint64_t polls; // [worker>ctl] statistics, single writer
	_Atomic uint64_t work;
	_Atomic uint64_t busy_ns;
};
