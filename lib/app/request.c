// SPDX-License-Identifier: BSD-3-Clause
// Requests of a server from delivery to the end of their reply. Works with request_run.c, which
// gives them to handlers, and queue_submit.c.
#include "lib/app/metadata.h"
#include "lib/app/queue.h"
#include "lib/app/server.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct phx_request **request_bucket(struct phx_queue *q, uint64_t handle)
	PHX_REQUIRES(q->lock)
{
	// Fibonacci hashing (Knuth, TAOCP 3, 6.4): handles differ in low and in high bits.
	return &q->request_hash[(handle * UINT64_C(0x9e3779b97f4a7c15) >> 40) & q->hash_mask];
}

struct phx_request *phx_request_create(struct phx_queue *q, uint64_t handle)
{
	struct phx_request **bucket = request_bucket(q, handle);
	struct phx_request *r = q->free_requests;

	if (r != NULL) {
		q->free_requests = r->next;
	} else {
		r = calloc(1, sizeof(*r));
		if (r == NULL)
			return NULL;
		r->queue = q;
		r->all = q->all_requests;
		q->all_requests = r;
	}
	r->handle = handle;
	r->state = PHX_REQUEST_DELIVERED;
	r->epoch = q->session->epoch;
	r->orphan = false;
	r->released = false;
	r->message = NULL;
	r->reply = NULL;
	r->entry = NULL;
	atomic_store_explicit(&r->fn, NULL, memory_order_relaxed);
	r->output = NULL;
	atomic_store_explicit(&r->cancelled, false, memory_order_relaxed);
	r->next = *bucket;
	*bucket = r;
	q->requests++;
	return r;
}

struct phx_request *phx_request_find(struct phx_queue *q, uint64_t handle)
{
	struct phx_request *r = *request_bucket(q, handle);

	while (r != NULL && r->handle != handle)
		r = r->next;
	return r;
}

// The request's message goes back to its pool, its block to the dataplane.
static void request_give_message(struct phx_queue *q, struct phx_request *r) PHX_REQUIRES(q->lock)
{
	struct phx_message *m = r->message;

	if (m == NULL)
		return;
	r->message = NULL;
	phx_message_give_back(q, m);
}

static void request_free(struct phx_queue *q, struct phx_request *r) PHX_REQUIRES(q->lock)
{
	request_give_message(q, r);
	r->entry = NULL;
	r->next = q->free_requests;
	q->free_requests = r;
}

void phx_request_destroy(struct phx_queue *q, struct phx_request *r)
{
	struct phx_request **at = request_bucket(q, r->handle);

	while (*at != r)
		at = &(*at)->next;
	*at = r->next;
	q->requests--;
	if (r->reply != NULL)
		phx_message_recycle(r->reply);
	r->reply = NULL;
	if (r->orphan)
		r->released = true;
	else
		request_free(q, r);
}

void phx_request_abandon(struct phx_queue *q, struct phx_request *r)
{
	r->entry = NULL;
	// It may be on its way to its handler, in this burst or another thread's.
	atomic_store_explicit(&r->fn, NULL, memory_order_relaxed);
	if (r->state != PHX_REQUEST_DELIVERED || r->orphan)
		return;
	r->orphan = true;
	if (phx_context_gone(q->context) ||
		atomic_load_explicit(&r->cancelled, memory_order_relaxed)) {
		phx_request_destroy(q, r);
		return;
	}
	r->code = PHX_UNAVAILABLE;
	r->text_len = 0;
	r->meta_len = 0;
	r->side_off = 0;
	phx_queue_reply(q, r);
}

void phx_requests_orphan(struct phx_queue *q)
{
	// No handler will ever reply to these.
	while (q->parked != NULL) {
		struct phx_request *r = q->parked;

		q->parked = r->next_reply;
		phx_request_destroy(q, r);
	}
	for (uint32_t i = 0; i <= q->hash_mask; i++) {
		while (q->request_hash[i] != NULL) {
			struct phx_request *r = q->request_hash[i];

			if (r->reply != NULL)
				phx_message_forget(r->reply); // may still be read
			r->reply = NULL;
			atomic_store_explicit(&r->cancelled, true, memory_order_release);
			// What is replied to is through; for the others the handler has to come.
			if (r->state == PHX_REQUEST_DELIVERED)
				r->orphan = true;
			phx_request_destroy(q, r);
		}
	}
	q->replies = NULL;
	q->replies_tail = &q->replies;
}

// ---- the reply ----

int phx_request_end_orphan(struct phx_queue *q, struct phx_request *r)
{
	r->orphan = false;
	request_give_message(q, r);
	if (r->released)
		request_free(q, r);
	return -ENOTCONN;
}

// m: the reply, or what holds text and metadata of a status, or NULL; ours from here on.
static int request_submit(struct phx_request *r, struct phx_message *m)
{
	struct phx_queue *q = r->queue;
	int rc = 0;

	phx_lock_take(&q->lock);
	if (phx_unlikely(r->orphan)) {
		rc = phx_request_end_orphan(q, r);
	} else if (phx_unlikely(r->state != PHX_REQUEST_DELIVERED)) {
		rc = -EINVAL; // replied to before
	} else if (phx_unlikely(phx_context_gone(q->context))) {
		phx_request_destroy(q, r);
		rc = -ENOTCONN;
	} else if (atomic_load_explicit(&r->cancelled, memory_order_relaxed)) {
		phx_request_destroy(q, r); // nobody would read it
	} else {
		request_give_message(q, r);
		r->reply = m;
		if (m != NULL)
			m->state = PHX_MESSAGE_SENT;
		m = NULL;
		phx_queue_reply(q, r);
	}
	phx_queue_flush_soon(q);
	phx_lock_give(&q->lock);
	if (m != NULL)
		phx_message_recycle(m);
	return rc;
}

// Put text and metadata into the message. 0 or -ENOMEM.
static int request_side(struct phx_request *r, struct phx_message *m, const char *text,
	size_t text_len, const struct phx_metadata *md)
{
	size_t meta_len = md != NULL ? md->len : 0;
	uint8_t *side;

	r->text_len = (uint16_t)text_len;
	r->meta_len = (uint16_t)meta_len;
	r->side_off = 0;
	if (text_len + meta_len == 0)
		return 0;
	side = phx_message_reserve(m, (uint32_t)(text_len + meta_len));
	if (side == NULL)
		return -ENOMEM;
	if (text_len != 0)
		memcpy(side, text, text_len);
	if (meta_len != 0)
		memcpy(side + text_len, md->block, meta_len);
	r->side_off = (uint32_t)(side - m->session->send.range.base);
	return 0;
}

// A reply that was begun before its request's session, moved there; one that is newer than it has
// nobody to go to. 0, -ENOTCONN, -ENOMEM, and then *reply is released.
PHX_COLD static int request_move_reply(const struct phx_request *r, struct phx_message **reply)
{
	struct phx_message *m = *reply, *moved = NULL;
	int rc = -ENOTCONN;

	if ((int32_t)(r->epoch - m->session->epoch) > 0) {
		rc = phx_message_move(m, &moved);
		if (rc == 0 && moved->session->epoch != r->epoch) {
			phx_message_release(moved);
			rc = -ENOTCONN;
		}
	}
	phx_message_release(m);
	*reply = moved;
	return rc;
}

int phx_reply(struct phx_request *r, struct phx_message *reply, const struct phx_metadata *metadata)
{
	int rc;

	if (r == NULL)
		return -EINVAL;
	if (phx_context_forked(r->queue->context))
		return -EPERM;
	if (!phx_message_sendable(reply, r->queue->context, r->output)) {
		phx_message_release(reply);
		// The caller hears -EINVAL in any case.
		(void)phx_reply_status(
			r, PHX_INTERNAL, "handler replied with another type of message", NULL);
		return -EINVAL;
	}
	if (phx_unlikely(reply->session->epoch != r->epoch)) {
		rc = request_move_reply(r, &reply);
		if (rc) {
			// Nobody may be there to hear it.
			(void)phx_reply_status(r, PHX_UNAVAILABLE, NULL, NULL);
			return rc;
		}
	}
	r->code = PHX_OK;
	rc = request_side(r, reply, NULL, 0, metadata);
	if (rc) {
		phx_message_release(reply);
		// The caller hears -ENOMEM in any case.
		(void)phx_reply_status(r, PHX_RESOURCE_EXHAUSTED, NULL, NULL);
		return rc;
	}
	return request_submit(r, reply);
}

int phx_reply_status(
	struct phx_request *r, uint32_t code, const char *text, const struct phx_metadata *metadata)
{
	size_t text_len = text != NULL ? strnlen(text, PHX_LIMIT_STATUS_TEXT_BYTES) : 0;
	struct phx_message *m = NULL;

	if (r == NULL)
		return -EINVAL;
	if (phx_context_forked(r->queue->context))
		return -EPERM;
	r->code = code == PHX_OK || code >= PHX_CODE_COUNT ? (uint32_t)PHX_UNKNOWN : code;
	r->text_len = 0;
	r->meta_len = 0;
	r->side_off = 0;
	if ((text_len != 0 || (metadata != NULL && metadata->len != 0)) &&
		phx_message_new(r->queue->context, &m) == 0 &&
		(m->session->epoch != r->epoch ||
			request_side(r, m, text, text_len, metadata) != 0)) {
		phx_message_release(m); // the code matters more than the text
		m = NULL;
	}
	if (m == NULL) {
		r->text_len = 0;
		r->meta_len = 0;
	}
	return request_submit(r, m);
}

// ---- what a handler may ask ----

const struct phx_message *phx_request_message(const struct phx_request *r)
{
	return r != NULL ? r->message : NULL;
}

struct phx_metadata_view phx_request_metadata(const struct phx_request *r)
{
	return phx_reply_metadata(r != NULL ? r->message : NULL);
}

uint64_t phx_request_remaining_ns(const struct phx_request *r)
{
	uint64_t now;

	if (r == NULL || r->deadline_ns == PHX_NO_TIMEOUT)
		return PHX_NO_TIMEOUT;
	now = phx_clock_ns();
	return r->deadline_ns > now ? r->deadline_ns - now : 0;
}

bool phx_request_is_cancelled(const struct phx_request *r)
{
	if (r == NULL || phx_context_check(r->queue->context) != 0)
		return true;
	return atomic_load_explicit(&r->cancelled, memory_order_acquire) ||
	       phx_request_remaining_ns(r) == 0;
}

struct phx_context *phx_request_context(const struct phx_request *r)
{
	return r != NULL ? r->queue->context : NULL;
}
