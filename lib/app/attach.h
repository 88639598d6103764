// SPDX-License-Identifier: BSD-3-Clause
// How a session comes about: attach.c and hello.c.
#pragma once

#include "lib/app/context.h"

// Connect and say hello once. A new session, held by the caller, and its first queue. As
// phx_attach(), each step within patience_ns, with -ENOENT, -ECONNREFUSED, -EAGAIN, -ENOTCONN where
// another try may succeed.
int phx_attach_once(struct phx_context *ctx, const struct phx_attach_options *options,
	uint64_t patience_ns, struct phx_session **out_session, struct phx_attach_queue *out_queue,
	struct phx_status *out_status);

// Say hello over a connected client and map what the dataplane offers. As phx_attach().
int phx_hello(struct phx_session *s, const struct phx_attach_options *options, uint64_t deadline_ns,
	struct phx_attach_queue *out_queue, struct phx_status *out_status);
