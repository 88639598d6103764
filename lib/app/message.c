// SPDX-License-Identifier: BSD-3-Clause
// Pools of message objects and the way back of received ones. Works with message_build.c.
#include "lib/app/message.h"

#include "lib/app/queue.h"

#include <errno.h>
#include <stdlib.h>

#define MESSAGE_CACHE_MAX  32	 // free messages with a block in one stripe
#define MESSAGE_RETURN_NOW 65536 // bytes of a lent block that is returned at once

// Threads are dealt out over the stripes in the order in which they come.
static struct phx_message_cache *message_cache(struct phx_context *ctx)
{
	static _Atomic unsigned threads;
	static _Thread_local unsigned mine;

	if (phx_unlikely(mine == 0))
		mine = 1 + atomic_fetch_add_explicit(&threads, 1, memory_order_relaxed);
	return &ctx->caches[mine % PHX_MESSAGE_CACHES];
}

struct phx_message *phx_message_create_bare(struct phx_context *ctx)
{
	struct phx_message *m;

	phx_lock_take(&ctx->heap_lock);
	m = ctx->bare_messages;
	if (m != NULL)
		ctx->bare_messages = m->next;
	phx_lock_give(&ctx->heap_lock);
	if (m != NULL)
		return m;
	m = aligned_alloc(PHX_CACHE_LINE, sizeof(*m));
	if (m == NULL)
		return NULL;
	memset(m, 0, sizeof(*m));
	m->context = ctx;
	phx_lock_take(&ctx->heap_lock);
	m->all = ctx->all_messages;
	ctx->all_messages = m;
	phx_lock_give(&ctx->heap_lock);
	return m;
}

static void message_give_bare(struct phx_message *m)
{
	struct phx_context *ctx = m->context;

	phx_lock_take(&ctx->heap_lock);
	m->next = ctx->bare_messages;
	ctx->bare_messages = m;
	phx_lock_give(&ctx->heap_lock);
}

// A message with an empty first block.
static void message_start(struct phx_message *m)
{
	m->state = PHX_MESSAGE_BUILD;
	m->type = NULL;
	m->root = NULL;
	m->meta_len = 0;
	m->lent = 0;
	m->queue = NULL;
	m->more_count = 0;
	m->cur = phx_space_at(&m->context->send, m->first);
	m->cur_used = 0;
	m->cur_size = PHX_MESSAGE_FIRST;
}

int phx_message_new(struct phx_context *ctx, struct phx_message **out_message)
{
	struct phx_message_cache *cache;
	struct phx_message *m;
	int rc;

	if (ctx == NULL || out_message == NULL)
		return -EINVAL;
	rc = phx_context_check(ctx);
	if (rc)
		return rc;
	cache = message_cache(ctx);
	phx_lock_take(&cache->lock);
	m = cache->free;
	if (m != NULL) {
		cache->free = m->next;
		cache->count--;
	}
	phx_lock_give(&cache->lock);
	if (m == NULL) {
		uint32_t off;

		rc = phx_context_heap_alloc(ctx, PHX_MESSAGE_FIRST, &off);
		if (rc)
			return rc;
		m = phx_message_create_bare(ctx);
		if (m == NULL) {
			phx_context_heap_free(ctx, off);
			return -ENOMEM;
		}
		m->first = off;
		m->has_first = true;
	}
	message_start(m);
	*out_message = m;
	return 0;
}

void phx_message_recycle(struct phx_message *m)
{
	struct phx_context *ctx = m->context;
	struct phx_message_cache *cache = message_cache(ctx);
	bool kept = false;

	m->state = PHX_MESSAGE_FREE;
	m->root = NULL;
	for (uint32_t i = 0; i < m->more_count; i++)
		phx_context_heap_free(ctx, m->more[i]);
	m->more_count = 0;
	if (m->has_first) {
		phx_lock_take(&cache->lock);
		if (cache->count < MESSAGE_CACHE_MAX) {
			m->next = cache->free;
			cache->free = m;
			cache->count++;
			kept = true;
		}
		phx_lock_give(&cache->lock);
		if (kept)
			return;
		phx_context_heap_free(ctx, m->first);
		m->has_first = false;
	}
	message_give_bare(m);
}

// A received message goes back to its queue, its block to the dataplane.
static void message_release_received(struct phx_message *m)
{
	struct phx_queue *q = m->queue;

	phx_lock_take(&q->lock);
	m->state = PHX_MESSAGE_FREE;
	m->root = NULL;
	m->next = q->free_messages;
	q->free_messages = m;
	if (m->lent != 0) {
		phx_queue_return(q, m->lent);
		// Six handles fill an entry; fewer small ones wait for the next poll, wait or
		// call, since returning alone is not worth waking a worker.
		if (q->return_count >= PHX_RET_HANDLES || m->lent_len >= MESSAGE_RETURN_NOW)
			phx_queue_flush_soon(q);
	}
	phx_lock_give(&q->lock);
}

void phx_message_release(struct phx_message *m)
{
	if (m == NULL || phx_context_forked(m->context))
		return;
	if (m->state == PHX_MESSAGE_RECEIVED)
		message_release_received(m);
	else if (m->state == PHX_MESSAGE_BUILD)
		phx_message_recycle(m);
}

struct phx_metadata_view phx_reply_metadata(const struct phx_message *reply)
{
	struct phx_metadata_view none = {NULL, 0};

	if (reply == NULL || reply->state != PHX_MESSAGE_RECEIVED ||
		phx_context_forked(reply->context))
		return none;
	return (struct phx_metadata_view){reply->meta, reply->meta_len};
}

void phx_message_destroy_all(struct phx_context *ctx)
{
	while (ctx->all_messages != NULL) {
		struct phx_message *m = ctx->all_messages;

		ctx->all_messages = m->all;
		free(m);
	}
}
