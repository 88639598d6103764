// SPDX-License-Identifier: BSD-3-Clause
// What happens to a context while it lives. Made by attach.c.
#include "lib/app/context.h"

#include "lib/app/queue.h"

void phx_context_end(struct phx_context *ctx, const struct phx_session_end *end)
{
	phx_lock_take(&ctx->end_lock);
	ctx->end = *end;
	phx_lock_give(&ctx->end_lock);
	atomic_store_explicit(&ctx->gone, 1, memory_order_release); // phx_context_gone
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX; i++)
		if (ctx->queues[i] != NULL)
			phx_queue_wake(ctx->queues[i]);
}

void phx_context_service(struct phx_context *ctx)
{
	// Whoever holds it reads the socket.
	if (!phx_lock_try(&ctx->control))
		return;
	phx_session_service(ctx->session);
	phx_lock_give(&ctx->control);
}
