// SPDX-License-Identifier: BSD-3-Clause
// A bounded queue of requests between threads that poll and threads that run handlers, any number
// of either. Putting and taking take no lock: Vyukov's bounded queue, a turn in each cell
// (1024cores.net, "Bounded MPMC queue"). One wake-up for all that a poll brings.
//
// A cell whose turn is its position is free; one more, and it holds a request; the taker adds the
// length of the queue for the next round. A thread that is stopped between claiming a cell and
// filling it holds up those that take, until it goes on; nothing is lost.
// Sleep: a taker loads `epoch`, finds nothing, counts itself in `sleepers`, sleeps while the epoch
// is still that. phx_handover_wake() raises the epoch behind what was put, then looks at sleepers.
#pragma once

#include "lib/base/compiler.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define PHX_HANDOVER_MAX 65536u // cells

struct phx_request;

struct phx_handover_cell {
	_Atomic uint32_t turn;
	struct phx_request *request;
};

struct phx_handover {
	struct phx_handover_cell *cells;	// [const]
	uint32_t mask;				// [const]
	_Atomic uint32_t put PHX_CACHE_ALIGNED; // position of the next one
	_Atomic uint32_t take PHX_CACHE_ALIGNED;
	_Atomic uint32_t epoch PHX_CACHE_ALIGNED; // futex word
	_Atomic uint32_t sleepers;
	_Atomic bool stop; // nobody waits any more
};

// Room for at least so many, at most PHX_HANDOVER_MAX. 0 or -ENOMEM.
int phx_handover_init(struct phx_handover *h, uint32_t count);
void phx_handover_fini(struct phx_handover *h);

// False: it is full.
bool phx_handover_put(struct phx_handover *h, struct phx_request *r);
// So many were put: wake as many who sleep.
void phx_handover_wake(struct phx_handover *h, unsigned count);
// NULL: there is none.
struct phx_request *phx_handover_take(struct phx_handover *h);
// The same, and wait for it; NULL: stopped.
struct phx_request *phx_handover_wait(struct phx_handover *h);
// Send away who waits, and who comes; or let them wait again.
void phx_handover_stop(struct phx_handover *h, bool stop);
