// SPDX-License-Identifier: BSD-3-Clause
// Requests to the dataplane whose answer takes its time. The dataplane answers a connection in
// order, so each of them has a connection of its own and nothing else waits behind it. One thread.
#pragma once

#include "controlplane/loop.h"
#include "lib/base/list.h"
#include "lib/ctl/client.h"

#define ASIDES_MAX 4 // under way: the dataplane bounds its connections

struct asides {
	struct loop *loop;
	const char *path; // of the dataplane's socket
	struct phx_list all;
	unsigned count;
};

// path is kept by reference.
void asides_init(struct asides *a, struct loop *loop, const char *path);
// What is under way ends with UNAVAILABLE.
void asides_fini(struct asides *a);

// As phx_ctl_client_send(). -EBUSY: ASIDES_MAX are under way; -ENOMEM, or what dialling said.
int asides_request(struct asides *a, const char *method, json_t *params, uint64_t timeout_ns,
	phx_ctl_done_fn done, void *arg);
