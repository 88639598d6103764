// SPDX-License-Identifier: BSD-3-Clause
// Where the handlers of a server run when that is not the thread that polls: on a pool of threads
// that lives as long as phx_server_run() does, or as tasks of the application's executor.
//
// Held by its server, and by each event in a burst that goes there, so that a server may be
// destroyed while another thread is handing requests over: whoever puts behind that finds the
// runner closed and ends what is left itself. A request that waits here holds nothing; its server's
// end makes it an orphan (request.c), and taking it only frees it.
#pragma once

#include "lib/app/context.h"
#include "lib/app/handover.h"

#define PHX_POOL_THREADS_MAX 1024u

struct phx_runner {
	uint32_t refs;		  // under the queue's lock
	uint32_t kind;		  // [const] enum phx_handlers, not INLINE
	uint32_t threads;	  // [const]
	uint32_t cpu_count;	  // [const] 0: wherever
	uint32_t *cpus;		  // [const]
	phx_executor_fn executor; // [const]
	void *executor_arg;	  // [const]
	pthread_t *pool;	  // of the thread in phx_server_run()
	uint32_t started;	  // the same
	_Atomic uint32_t named;	  // threads so far
	_Atomic bool running;	  // somebody is in phx_server_run()
	_Atomic bool closed;	  // its server has ended
	struct phx_handover work; // POOL
};

// What options ask for; q: whose requests. *out_runner is NULL for INLINE. 0, -ENOMEM, -EINVAL.
int phx_runner_create(const struct phx_server_options *options, const struct phx_queue *q,
	struct phx_runner **out_runner);
// Give one part back; under the queue's lock unless nobody else uses the context. NULL is legal.
void phx_runner_put(struct phx_runner *r);

// Make the pool's threads. 0; -EBUSY: they are there; -EINVAL: a CPU is not allowed; -EAGAIN: no
// threads. NULL is legal, as below.
int phx_runner_start(struct phx_runner *r);
// End them when their handlers have returned. What nobody took waits for the next start.
void phx_runner_stop(struct phx_runner *r);

// A request goes there. False: no room, or the executor does not take it.
bool phx_runner_give(struct phx_runner *r, struct phx_request *request);
// So many were given and nothing else is about to be.
void phx_runner_given(struct phx_runner *r, unsigned count);

// Its server has ended, its requests are orphans: free those that wait. No lock held.
void phx_runner_close(struct phx_runner *r);
