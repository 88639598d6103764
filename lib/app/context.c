// SPDX-License-Identifier: BSD-3-Clause
// What happens to a context while it lives. Made by attach.c.
#include "lib/app/context.h"

#include "lib/app/queue.h"

// Does it help to look for a dataplane again? Not after being shown the door.
static bool context_comes_back(const struct phx_context *ctx, uint32_t reason)
{
	return !ctx->options.stay_detached &&
	       (reason == PHX_REASON_DATAPLANE_GONE || reason == PHX_REASON_DP_RESTART ||
		       reason == PHX_REASON_SLOW_CONSUMER);
}

void phx_context_end(struct phx_context *ctx, const struct phx_session_end *end)
{
	bool back = context_comes_back(ctx, end->reason);

	phx_lock_take(&ctx->end_lock);
	ctx->end = *end;
	phx_lock_give(&ctx->end_lock);
	atomic_store_explicit(&ctx->gone, back ? PHX_CONTEXT_AWAY : PHX_CONTEXT_OVER,
		memory_order_release); // phx_context_gone
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX; i++)
		if (ctx->queues[i] != NULL)
			phx_queue_wake(ctx->queues[i]);
	if (back)
		phx_reattach_start(ctx);
}

void phx_context_service(struct phx_context *ctx)
{
	// Whoever holds it reads the socket.
	if (!phx_lock_try(&ctx->control))
		return;
	phx_session_service(ctx->session);
	if (phx_unlikely(phx_context_gone(ctx)) && !phx_context_over(ctx))
		phx_reattach_start(ctx); // where that failed before
	phx_lock_give(&ctx->control);
}
