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
	uint32_t handle;
	bool gone; // unregistered
};

struct phx_server {
	struct phx_context *context; // [const]
	struct phx_queue *queue;     // [const]
	struct phx_list link;	     // in the context's list
	_Atomic bool stop;
};

// Free the entries of a queue that ends; the servers of a context that ends.
void phx_server_entries_free(struct phx_server_entry *entries);
void phx_servers_free(struct phx_context *ctx);
