// SPDX-License-Identifier: BSD-3-Clause
// Attaching again after the dataplane has gone: a thread that lives only while there is no session,
// or something of the application is not open or registered in the new one.
//
// It says hello, asks for the same queues, opens the channels, binds and registers again, and then
// puts the new session in the place of the old one: all under `control`, each queue under its
// lock. An application sees its handles go on; calls between the sessions end in phx_poll().
#pragma once

#include "lib/app/lock.h"

#include <pthread.h>
#include <stdbool.h>

struct phx_context;

struct phx_reattach {
	pthread_mutex_t mutex; // of `wake` and `stop`
	pthread_cond_t wake;
	bool stop; // under mutex
	pthread_t thread;
	bool started; // under control: to be joined
	bool running; // under control: it will look again before it ends
};

void phx_reattach_init(struct phx_context *ctx);
// End and join the thread. No lock is held, nobody else uses the context. Not in a child.
void phx_reattach_fini(struct phx_context *ctx);

// Look for a dataplane from now on. `control` is held. What fails here is tried again by
// phx_context_service().
PHX_COLD void phx_reattach_start(struct phx_context *ctx);
