// SPDX-License-Identifier: BSD-3-Clause
// Opening and closing channels, binding services to them.
#include "lib/app/channel.h"

#include "lib/app/queue.h"
#include "lib/base/clock.h"
#include "lib/shm/layout.h"

#include <errno.h>
#include <stdlib.h>

#define CHANNEL_TARGET_MAX 255
#define CHANNEL_TIMEOUT_NS (10 * PHX_NS_PER_S)

static int channel_request_open(struct phx_context *ctx, const char *target, uint64_t timeout_ns,
	uint32_t *out_handle, struct phx_status *out_status) PHX_REQUIRES(ctx->control)
{
	struct phx_attach_channel_open req = {
		.timeout_ns = timeout_ns, .target_len = (uint32_t)strlen(target)};

	return phx_session_request_handle(ctx->session, &req.h, sizeof(req),
		PHX_ATTACH_CHANNEL_OPEN, target, req.target_len, out_handle, out_status);
}

int phx_channel_open(struct phx_context *ctx, const char *target,
	const struct phx_channel_options *options, struct phx_channel **out_channel,
	struct phx_status *out_status)
{
	uint64_t timeout_ns = CHANNEL_TIMEOUT_NS;
	struct phx_channel *ch;
	int rc;

	phx_status_begin(out_status);
	if (ctx == NULL || target == NULL || out_channel == NULL)
		return phx_status_end(out_status, -EINVAL);
	rc = phx_context_check(ctx);
	if (rc) {
		phx_context_end_status(ctx, out_status);
		return rc;
	}
	if (target[0] == '\0' || strlen(target) > CHANNEL_TARGET_MAX) {
		phx_status_fill(out_status, PHX_INVALID_ARGUMENT, PHX_ORIGIN_LIBRARY,
			PHX_EXECUTED_NO, PHX_REASON_INVALID, "target is empty or too long");
		return -EINVAL;
	}
	if (options != NULL && options->size >= sizeof(*options) && options->timeout_ns != 0)
		timeout_ns = options->timeout_ns;
	ch = calloc(1, sizeof(*ch));
	if (ch == NULL)
		return phx_status_end(out_status, -ENOMEM);
	ch->context = ctx;
	phx_lock_take(&ctx->control);
	rc = channel_request_open(ctx, target, timeout_ns, &ch->handle, out_status);
	if (rc == 0)
		phx_list_add_tail(&ctx->channels, &ch->link);
	phx_lock_give(&ctx->control);
	if (rc) {
		free(ch);
		return phx_status_end(out_status, rc);
	}
	*out_channel = ch;
	return 0;
}

static struct phx_binding *binding_append(
	struct phx_channel *ch, const struct phx_service *service, uint32_t index)
{
	struct phx_binding *b = calloc(1, sizeof(*b));
	struct phx_binding *_Atomic *at = &ch->bindings;

	if (b == NULL)
		return NULL;
	b->service = service;
	b->index = (uint16_t)index;
	while (atomic_load_explicit(at, memory_order_relaxed) != NULL)
		at = &atomic_load_explicit(at, memory_order_relaxed)->next;
	atomic_store_explicit(at, b, memory_order_release); // phx_channel_binding
	return b;
}

static int channel_bind(struct phx_context *ctx, struct phx_channel *ch,
	const struct phx_service *service, uint16_t *out_binding, struct phx_status *out_status)
	PHX_REQUIRES(ctx->control)
{
	struct phx_attach_bind req = {.channel = ch->handle, .service = service->index};
	uint32_t index;
	int rc;

	if (phx_channel_binding(ch, service, out_binding))
		return 0; // another thread was faster
	rc = phx_session_schema(ctx->session, service->file, &req.schema, out_status);
	if (rc)
		return rc;
	rc = phx_session_request_handle(
		ctx->session, &req.h, sizeof(req), PHX_ATTACH_BIND, NULL, 0, &index, out_status);
	if (rc)
		return rc;
	if (index > UINT16_MAX)
		return -EPROTO;
	if (binding_append(ch, service, index) == NULL)
		return -ENOMEM;
	*out_binding = (uint16_t)index;
	return 0;
}

int phx_channel_bind(struct phx_channel *ch, const struct phx_service *service,
	uint16_t *out_binding, struct phx_status *out_status)
{
	struct phx_context *ctx = ch->context;
	int rc;

	phx_lock_take(&ctx->control);
	rc = channel_bind(ctx, ch, service, out_binding, out_status);
	phx_lock_give(&ctx->control);
	return rc;
}

static void channel_free(struct phx_channel *ch)
{
	struct phx_binding *b = atomic_load_explicit(&ch->bindings, memory_order_relaxed);

	while (b != NULL) {
		struct phx_binding *next = atomic_load_explicit(&b->next, memory_order_relaxed);

		free(b);
		b = next;
	}
	free(ch);
}

void phx_channel_close(struct phx_channel *ch)
{
	struct phx_context *ctx;

	if (ch == NULL || phx_context_forked(ch->context))
		return;
	ctx = ch->context;
	phx_lock_take(&ctx->control);
	// What callbacks of a running poll have started must be there to be cancelled.
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX; i++) {
		if (ctx->queues[i] == NULL)
			continue;
		phx_lock_take(&ctx->queues[i]->lock);
		phx_queue_flush(ctx->queues[i]);
		phx_lock_give(&ctx->queues[i]->lock);
	}
	if (!phx_context_gone(ctx)) {
		struct phx_attach_handle_req req = {.handle = ch->handle};
		struct phx_attach_request request = {.h = &req.h,
			.size = sizeof(req),
			.type = PHX_ATTACH_CHANNEL_CLOSE,
			.answer_size = sizeof(struct phx_attach_header)};
		struct phx_attach_answer answer;

		// The channel ends here whatever the dataplane says; its calls end by completions.
		(void)phx_session_request(ctx->session, &request, &answer, NULL);
	}
	phx_list_del(&ch->link);
	phx_lock_give(&ctx->control);
	channel_free(ch);
}

void phx_channels_free(struct phx_context *ctx)
{
	struct phx_list *node;

	while ((node = phx_list_pop(&ctx->channels)) != NULL)
		channel_free(phx_list_entry(node, struct phx_channel, link));
}
