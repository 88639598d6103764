// SPDX-License-Identifier: BSD-3-Clause
// A session's events and its end. Made by attach.c.
#include "lib/app/attach.h"

#include "lib/app/queue.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void phx_context_end(struct phx_context *ctx, uint32_t code, uint32_t reason, const char *fmt, ...)
{
	va_list args;

	if (phx_context_gone(ctx))
		return;
	ctx->end_code = (uint8_t)code;
	ctx->end_reason = (uint16_t)reason;
	va_start(args, fmt);
	(void)vsnprintf(ctx->end_text, sizeof(ctx->end_text), fmt, args); // cut off when long
	va_end(args);
	atomic_store_explicit(&ctx->gone, 1, memory_order_release); // phx_context_gone
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX; i++)
		if (ctx->queues[i] != NULL)
			phx_queue_wake(ctx->queues[i]);
}

void phx_context_on_event(void *arg, const struct phx_attach_header *h,
	int fd) PHX_NO_ANALYSIS // the client runs under `control`
{
	struct phx_context *ctx = arg;
	struct phx_region_event *event;

	if (h->type == PHX_ATTACH_EVENT_DETACH) {
		const struct phx_attach_refused *r = phx_attach_refused_of(h);

		phx_context_end(ctx, PHX_UNAVAILABLE,
			r->reason < PHX_REASON_COUNT ? r->reason : (uint32_t)PHX_REASON_DETACHED,
			"detached by the dataplane: %s%s%.*s", phx_reason_name(r->reason),
			r->text_len ? ": " : "", (int)r->text_len, (const char *)(r + 1));
		return;
	}
	event = malloc(sizeof(*event));
	if (event == NULL) {
		// The dataplane keeps the region unused as long as nobody says that it is mapped.
		(void)close(fd); // received, not wanted
		return;
	}
	event->region = ((const struct phx_attach_region_rep *)(const void *)h)->region;
	event->fd = fd;
	event->next = ctx->region_events;
	ctx->region_events = event;
}

static void context_map_event(struct phx_context *ctx, const struct phx_region_event *event)
	PHX_REQUIRES(ctx->control)
{
	struct phx_attach_mapped mapped = {.object = 1, .index = event->region.index};
	const char *text = "region of the wrong object";
	int rc = -EPROTO;

	if (event->region.object == 1)
		rc = phx_space_map(
			&ctx->recv, event->fd, event->region.offset, event->region.size, &text);
	if (rc == -EPROTO || rc == -EBADF)
		phx_context_end(ctx, PHX_UNAVAILABLE, PHX_REASON_INTERNAL,
			"dataplane announced a bad receive region: %s", text);
	else if (rc == 0)
		// Nobody needs the answer; a socket without room is one without a reader.
		(void)phx_attach_client_post(
			&ctx->client, &mapped.h, sizeof(mapped), PHX_ATTACH_MAPPED);
}

void phx_context_map_events(struct phx_context *ctx)
{
	while (ctx->region_events != NULL) {
		struct phx_region_event *event = ctx->region_events;

		ctx->region_events = event->next;
		context_map_event(ctx, event);
		(void)close(event->fd); // mapped, or of no use
		free(event);
	}
}

void phx_context_service(struct phx_context *ctx)
{
	int rc;

	// Whoever holds it reads the socket.
	if (!phx_lock_try(&ctx->control))
		return;
	if (!phx_context_gone(ctx)) {
		rc = phx_attach_client_poll(&ctx->client);
		phx_context_map_events(ctx);
		if (rc == -EPROTO)
			phx_context_end(ctx, PHX_UNAVAILABLE, PHX_REASON_INTERNAL,
				"dataplane sent a packet that is not of the protocol");
		else if (rc < 0)
			phx_context_end(ctx, PHX_UNAVAILABLE, PHX_REASON_DATAPLANE_GONE,
				"the dataplane is gone");
	}
	phx_lock_give(&ctx->control);
}
