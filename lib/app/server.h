// SPDX-License-Identifier: BSD-3-Clause
// Servers: registrations of a queue, found by the handle that a request names.
#pragma once

#include "lib/app/context.h"

// One service on one queue; in the queue's list, under its lock.
struct phx_server_entry {
	struct phx_server_entry *next;
	struct phx_server *server;
	const struct phx_service *service;
	const phx_handler_fn *handlers; // copied
	void *arg;
	char *group;	 // as registered
	uint32_t handle; // PHX_NO_HANDLE: not registered in this session
	bool gone;	 // unregistered
};

struct phx_server {
	struct phx_context *context; // [const]
	struct phx_queue *queue;     // [const]
	struct phx_runner *runner;   // [const] NULL: handlers run on the thread that polls
	struct phx_list link;	     // in the context's list
	_Atomic bool stop;
};

// A new session: nothing is registered in it; then register everything again. 0, or the first
// error.
void phx_servers_void(struct phx_context *ctx) PHX_REQUIRES(ctx->control);
int phx_servers_replay(struct phx_context *ctx, struct phx_session *s) PHX_REQUIRES(ctx->control);

// Free the entries of a queue that ends; the servers of a context that ends.
void phx_server_entries_free(struct phx_server_entry *entries);
void phx_servers_free(struct phx_context *ctx);
