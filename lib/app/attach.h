// SPDX-License-Identifier: BSD-3-Clause
// Where attach.c, context.c and queue_create.c meet.
#pragma once

#include "lib/app/context.h"

// phx_attach_event_fn of a context.
void phx_context_on_event(void *arg, const struct phx_attach_header *h, int fd);

// Say hello over a connected client and build the session. As phx_attach().
int phx_hello(struct phx_context *ctx, const struct phx_attach_options *options,
	uint64_t deadline_ns, struct phx_status *out_status) PHX_REQUIRES(ctx->control);
