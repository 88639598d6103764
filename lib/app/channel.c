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

static int channel_request_open(
	struct phx_session *s, struct phx_channel *ch, struct phx_status *out_status)
{
	struct phx_attach_channel_open req = {
		.timeout_ns = ch->timeout_ns, .target_len = (uint32_t)strlen(ch->target)};
	uint32_t handle;
	int rc = phx_session_request_handle(s, &req.h, sizeof(req), PHX_ATTACH_CHANNEL_OPEN,
		ch->target, req.target_len, &handle, out_status);

	if (rc == 0)
		atomic_store_explicit(&ch->handle, handle, memory_order_release);
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
	free(ch->target);
	free(ch);
}

static struct phx_channel *channel_create(
	struct phx_context *ctx, const char *target, uint64_t timeout_ns)
{
	struct phx_channel *ch = calloc(1, sizeof(*ch));

	if (ch == NULL)
		return NULL;
	ch->context = ctx;
	ch->timeout_ns = timeout_ns;
	atomic_store_explicit(&ch->handle, PHX_NO_HANDLE, memory_order_relaxed);
	ch->target = strdup(target);
	if (ch->target == NULL) {
		free(ch);
		return NULL;
	}
	return ch;
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
	ch = channel_create(ctx, target, timeout_ns);
	if (ch == NULL)
		return phx_status_end(out_status, -ENOMEM);
	phx_lock_take(&ctx->control);
	rc = channel_request_open(ctx->session, ch, out_status);
	if (rc == 0)
		phx_list_add_tail(&ctx->channels, &ch->link);
	phx_lock_give(&ctx->control);
	if (rc) {
		channel_free(ch);
		return phx_status_end(out_status, rc);
	}
	*out_channel = ch;
	return 0;
}

static struct phx_binding *binding_find(struct phx_channel *ch, const struct phx_service *service)
{
	struct phx_binding *b = atomic_load_explicit(&ch->bindings, memory_order_acquire);

	while (b != NULL && b->service != service)
		b = atomic_load_explicit(&b->next, memory_order_acquire);
	return b;
}

static struct phx_binding *binding_append(struct phx_channel *ch, const struct phx_service *service)
{
	struct phx_binding *b = calloc(1, sizeof(*b));
	struct phx_binding *_Atomic *at = &ch->bindings;

	if (b == NULL)
		return NULL;
	b->service = service;
	atomic_store_explicit(&b->index, PHX_NO_HANDLE, memory_order_relaxed);
	while (atomic_load_explicit(at, memory_order_relaxed) != NULL)
		at = &atomic_load_explicit(at, memory_order_relaxed)->next;
	atomic_store_explicit(at, b, memory_order_release); // phx_channel_binding
	return b;
}

static int binding_request(struct phx_session *s, const struct phx_channel *ch,
	struct phx_binding *b, struct phx_status *out_status)
{
	struct phx_attach_bind req = {
		.channel = atomic_load_explicit(&ch->handle, memory_order_relaxed),
		.service = b->service->index};
	uint32_t index;
	int rc;

	rc = phx_session_schema(s, b->service->file, &req.schema, out_status);
	if (rc)
		return rc;
	rc = phx_session_request_handle(
		s, &req.h, sizeof(req), PHX_ATTACH_BIND, NULL, 0, &index, out_status);
	if (rc)
		return rc;
	if (index > UINT16_MAX)
		return -EPROTO;
	atomic_store_explicit(&b->index, index, memory_order_release); // phx_channel_binding
	return 0;
}

// Open and bind what is not. s: the session this is asked of.
static int channel_bind_in(struct phx_session *s, struct phx_channel *ch, struct phx_binding *b,
	struct phx_status *out_status)
{
	int rc = 0;

	if (atomic_load_explicit(&ch->handle, memory_order_relaxed) == PHX_NO_HANDLE)
		rc = channel_request_open(s, ch, out_status);
	if (rc == 0 && b != NULL &&
		atomic_load_explicit(&b->index, memory_order_relaxed) == PHX_NO_HANDLE)
		rc = binding_request(s, ch, b, out_status);
	return rc;
}

int phx_channel_bind_locked(struct phx_context *ctx, struct phx_channel *ch,
	const struct phx_service *service, struct phx_channel_ids *out_ids,
	struct phx_status *out_status)
{
	struct phx_binding *b = binding_find(ch, service);
	int rc;

	if (phx_context_gone(ctx)) {
		phx_context_end_status(ctx, out_status);
		return -ENOTCONN;
	}
	if (b == NULL)
		b = binding_append(ch, service);
	if (b == NULL)
		return -ENOMEM;
	rc = channel_bind_in(ctx->session, ch, b, out_status);
	if (rc == 0)
		(void)phx_channel_ids_of(ch, b, out_ids); // both are there
	return rc;
}

int phx_channel_bind(struct phx_channel *ch, const struct phx_service *service,
	struct phx_channel_ids *out_ids, struct phx_status *out_status)
{
	struct phx_context *ctx = ch->context;
	int rc;

	phx_lock_take(&ctx->control);
	rc = phx_channel_bind_locked(ctx, ch, service, out_ids, out_status);
	phx_lock_give(&ctx->control);
	return rc;
}

int phx_channel_reopen(struct phx_channel *ch)
{
	struct phx_context *ctx = ch->context;
	int rc = -ENOTCONN;

	phx_lock_take(&ctx->control);
	if (!phx_context_gone(ctx))
		rc = channel_bind_in(ctx->session, ch, NULL, NULL);
	phx_lock_give(&ctx->control);
	return rc;
}

void phx_channels_void(struct phx_context *ctx)
{
	for (struct phx_list *n = ctx->channels.next; n != &ctx->channels; n = n->next) {
		struct phx_channel *ch = phx_list_entry(n, struct phx_channel, link);
		struct phx_binding *b = atomic_load_explicit(&ch->bindings, memory_order_relaxed);

		atomic_store_explicit(&ch->handle, PHX_NO_HANDLE, memory_order_relaxed);
		for (; b != NULL; b = atomic_load_explicit(&b->next, memory_order_relaxed))
			atomic_store_explicit(&b->index, PHX_NO_HANDLE, memory_order_relaxed);
	}
}

int phx_channels_replay(struct phx_context *ctx, struct phx_session *s)
{
	int first = 0;

	for (struct phx_list *n = ctx->channels.next; n != &ctx->channels; n = n->next) {
		struct phx_channel *ch = phx_list_entry(n, struct phx_channel, link);
		struct phx_binding *b = atomic_load_explicit(&ch->bindings, memory_order_relaxed);
		int rc = channel_bind_in(s, ch, NULL, NULL);

		for (; rc == 0 && b != NULL;
			b = atomic_load_explicit(&b->next, memory_order_relaxed))
			rc = channel_bind_in(s, ch, b, NULL);
		if (first == 0)
			first = rc;
	}
	return first;
}

// What callbacks of a running poll have started must be there to be cancelled.
static void channel_flush_queues(struct phx_channel *ch)
{
	struct phx_context *ctx = ch->context;

	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX; i++) {
		struct phx_queue *q;

		phx_lock_take(&ctx->control);
		q = ctx->queues[i];
		phx_lock_give(&ctx->control);
		if (q == NULL)
			continue;
		phx_call_wait_close(q, ch);
		phx_lock_take(&q->lock);
		phx_queue_flush(q);
		phx_lock_give(&q->lock);
	}
}

void phx_channel_close(struct phx_channel *ch)
{
	struct phx_context *ctx;

	if (ch == NULL || phx_context_forked(ch->context))
		return;
	ctx = ch->context;
	channel_flush_queues(ch);
	phx_lock_take(&ctx->control);
	if (!phx_context_gone(ctx) &&
		atomic_load_explicit(&ch->handle, memory_order_relaxed) != PHX_NO_HANDLE) {
		struct phx_attach_handle_req req = {
			.handle = atomic_load_explicit(&ch->handle, memory_order_relaxed)};
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
