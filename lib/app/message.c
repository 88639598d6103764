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

	phx_lock_take(&ctx->messages_lock);
	m = ctx->bare_messages;
	if (m != NULL)
		ctx->bare_messages = m->next;
	phx_lock_give(&ctx->messages_lock);
	if (m != NULL)
		return m;
	m = aligned_alloc(PHX_CACHE_LINE, sizeof(*m));
	if (m == NULL)
		return NULL;
	memset(m, 0, sizeof(*m));
	m->context = ctx;
	phx_lock_take(&ctx->messages_lock);
	m->all = ctx->all_messages;
	ctx->all_messages = m;
	phx_lock_give(&ctx->messages_lock);
	return m;
}

static void message_give_bare(struct phx_message *m)
{
	struct phx_context *ctx = m->context;

	phx_lock_take(&ctx->messages_lock);
	m->next = ctx->bare_messages;
	ctx->bare_messages = m;
	phx_lock_give(&ctx->messages_lock);
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
	m->cur = phx_space_at(&m->session->send, m->first);
	m->cur_used = 0;
	m->cur_size = PHX_MESSAGE_FIRST;
}

// Out of the cache, with a block of the current session, or NULL. Counted as live either way.
static struct phx_message *message_take(
	struct phx_message_cache *cache, struct phx_session **out_session)
{
	struct phx_message *m;

	phx_lock_take(&cache->lock);
	m = cache->free;
	if (phx_likely(m != NULL)) {
		cache->free = m->next;
		cache->count--;
	}
	cache->live++;
	*out_session = cache->session;
	phx_lock_give(&cache->lock);
	return m;
}

// One message less in the session, which may end with it.
static void message_unlive(struct phx_message_cache *cache, struct phx_session *s)
{
	bool old;

	phx_lock_take(&cache->lock);
	old = s != cache->session;
	if (!old)
		cache->live--;
	phx_lock_give(&cache->lock);
	if (phx_unlikely(old))
		phx_session_put(s, 1);
}

void phx_messages_replace(struct phx_context *ctx, struct phx_session *s) PHX_NO_ANALYSIS
{
	struct phx_session *old = ctx->caches[0].session;
	struct phx_message *free_messages[PHX_MESSAGE_CACHES];
	int32_t live = 0;

	// All at once: only their sum says how many are out.
	for (unsigned i = 0; i < PHX_MESSAGE_CACHES; i++)
		phx_lock_take(&ctx->caches[i].lock);
	for (unsigned i = 0; i < PHX_MESSAGE_CACHES; i++) {
		struct phx_message_cache *cache = &ctx->caches[i];

		free_messages[i] = cache->free;
		live += cache->live;
		cache->session = s;
		cache->free = NULL;
		cache->count = 0;
		cache->live = 0;
	}
	// The context's own part is still there, so this is no revival.
	atomic_fetch_add_explicit(&old->refs, (uint32_t)live, memory_order_relaxed);
	for (unsigned i = 0; i < PHX_MESSAGE_CACHES; i++)
		phx_lock_give(&ctx->caches[i].lock);
	for (unsigned i = 0; i < PHX_MESSAGE_CACHES; i++) {
		while (free_messages[i] != NULL) {
			struct phx_message *m = free_messages[i];

			free_messages[i] = m->next;
			m->session = NULL;
			m->has_first = false;
			message_give_bare(m);
		}
	}
}

// A message for a block of its own. 0 or as phx_session_heap_alloc().
static int message_create(
	struct phx_context *ctx, struct phx_session *s, struct phx_message **out_message)
{
	struct phx_message *m;
	uint32_t off;
	int rc;

	rc = phx_session_heap_alloc(s, PHX_MESSAGE_FIRST, &off);
	if (rc)
		return rc;
	m = phx_message_create_bare(ctx);
	if (m == NULL) {
		phx_session_heap_free(s, off);
		return -ENOMEM;
	}
	m->session = s;
	m->first = off;
	m->has_first = true;
	*out_message = m;
	return 0;
}

int phx_message_new(struct phx_context *ctx, struct phx_message **out_message)
{
	struct phx_message_cache *cache;
	struct phx_session *s;
	struct phx_message *m;
	int rc;

	if (ctx == NULL || out_message == NULL)
		return -EINVAL;
	rc = phx_context_check_build(ctx);
	if (rc)
		return rc;
	cache = message_cache(ctx);
	m = message_take(cache, &s);
	if (m == NULL) {
		rc = message_create(ctx, s, &m);
		if (rc) {
			message_unlive(cache, s);
			return rc;
		}
	}
	message_start(m);
	*out_message = m;
	return 0;
}

void phx_message_recycle(struct phx_message *m)
{
	struct phx_context *ctx = m->context;
	struct phx_message_cache *cache = message_cache(ctx);
	struct phx_session *s = m->session;
	bool kept = false;

	m->state = PHX_MESSAGE_FREE;
	m->root = NULL;
	for (uint32_t i = 0; i < m->more_count; i++)
		phx_session_heap_free(s, m->more[i]);
	m->more_count = 0;
	phx_lock_take(&cache->lock);
	if (phx_likely(s == cache->session && cache->count < MESSAGE_CACHE_MAX)) {
		m->next = cache->free;
		cache->free = m;
		cache->count++;
		cache->live--;
		kept = true;
	}
	phx_lock_give(&cache->lock);
	if (kept)
		return;
	phx_session_heap_free(s, m->first);
	phx_message_forget(m);
}

void phx_message_forget(struct phx_message *m)
{
	struct phx_session *s = m->session;

	m->state = PHX_MESSAGE_FREE;
	m->root = NULL;
	m->more_count = 0;
	m->session = NULL;
	m->has_first = false;
	message_unlive(message_cache(m->context), s);
	message_give_bare(m);
}

void phx_message_give_back(struct phx_queue *q, struct phx_message *m)
{
	struct phx_session *s = m->session;

	m->state = PHX_MESSAGE_FREE;
	m->root = NULL;
	m->session = NULL;
	m->next = q->free_messages;
	q->free_messages = m;
	if (m->lent == 0)
		return;
	if (phx_likely(s == q->session))
		phx_queue_return(q, m->lent);
	else
		phx_session_put(s, 1); // it was counted when its session was replaced
}

// A received message goes back to its queue, its block to the dataplane.
static void message_release_received(struct phx_message *m)
{
	struct phx_queue *q = m->queue;

	phx_lock_take(&q->lock);
	phx_message_give_back(q, m);
	// Six handles fill an entry; fewer small ones wait for the next poll, wait or call, since
	// returning alone is not worth waking a worker.
	if (m->lent != 0 &&
		(q->return_count >= PHX_RET_HANDLES || m->lent_len >= MESSAGE_RETURN_NOW))
		phx_queue_flush_soon(q);
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
