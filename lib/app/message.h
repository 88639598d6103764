// SPDX-License-Identifier: BSD-3-Clause
// The library's message: an arena of blocks in the send heap while it is built, afterwards a
// received image. Objects are pooled: built ones in the context's caches together with their
// first block, received ones in the queue they came from.
//
// A message under construction belongs to one thread; handing it over passes it on.
#pragma once

#include "lib/app/context.h"
#include "lib/shm/layout.h"

#define PHX_MESSAGE_FIRST  256 // bytes of the first block: small messages need no other
#define PHX_MESSAGE_BLOCKS 48  // each new one is twice as large unless the quota is short

enum phx_message_state {
	PHX_MESSAGE_FREE,
	PHX_MESSAGE_BUILD,
	PHX_MESSAGE_SENT,
	PHX_MESSAGE_RECEIVED,
};

struct phx_message {
	struct phx_context *context; // [const]
	struct phx_session *session; // where its blocks are; NULL: it has none
	struct phx_queue *queue;     // received: where it came from
	struct phx_message *next;    // in a pool
	struct phx_message *all;     // [const] every object of the context
	const struct phx_type *type;
	const uint8_t *root;
	const uint8_t *body; // received: the image, NULL = none
	uint32_t body_len;
	const uint8_t *meta; // received
	uint32_t meta_len;
	uint8_t state; // enum phx_message_state
	uint64_t lent; // received: handle to return, 0 = inline
	uint32_t lent_len;

	uint8_t *cur; // block that is being filled
	uint32_t cur_used;
	uint32_t cur_size;
	uint32_t first;	     // offset of the first block in the send space
	bool has_first;	     // there is one; kept while the object is in a cache
	uint32_t more_count; // further blocks
	uint32_t more[PHX_MESSAGE_BLOCKS];

	// A received inline entry, header included; or what phx_sub_entry takes inline.
	uint64_t entry[PHX_LIMIT_INLINE_SLOTS * PHX_SLOT_SIZE / 8] PHX_CACHE_ALIGNED;
};

// An object for a received message; `blocks` of built ones are absent. NULL: no memory. Any
// thread; takes the heap lock.
struct phx_message *phx_message_create_bare(struct phx_context *ctx);

// Back to the context's pools with all blocks but the first. Any thread.
void phx_message_recycle(struct phx_message *m);

// Can it be copied into an entry: one block, root first, small enough? Bytes, or 0.
static inline uint32_t phx_message_inline_len(const struct phx_message *m)
{
	if (m->more_count != 0 || m->root != m->cur || m->cur_used > PHX_SUB_INLINE_MAX)
		return 0;
	return m->cur_used;
}

// A message whose blocks nobody gives back any more: the dataplane may read them until their
// session ends. The object goes back to the pools. Any thread.
void phx_message_forget(struct phx_message *m);

// A received message out of the hands of the application: the object to its queue, the block to
// the dataplane, or its part to the session that it came in.
void phx_message_give_back(struct phx_queue *q, struct phx_message *m) PHX_NO_ANALYSIS;

// The same content as a message that is being built in the current session. m stays as it is.
// -ENOMEM, -ENOTCONN; -EINVAL: what is in it is not of its type.
int phx_message_move(const struct phx_message *m, struct phx_message **out_message);

// Memory without zeroing for blocks of bytes that are sent beside the message; as
// phx_message_alloc().
void *phx_message_reserve(struct phx_message *m, uint32_t size);

// Is the message complete, unsent, of this context and type?
bool phx_message_sendable(
	const struct phx_message *m, const struct phx_context *ctx, const struct phx_type *type);

// Give a received image its type; one too short for it gets no root.
static inline void phx_message_resolve(struct phx_message *m, const struct phx_type *type)
{
	if (m->body == NULL || type == NULL || m->body_len < type->size)
		return;
	m->root = m->body;
	m->type = type;
}

// A new session takes the place of the current one, in which free messages give their blocks up and
// the others are counted. Under `control`.
void phx_messages_replace(struct phx_context *ctx, struct phx_session *s);

// Free every object of a context at its end.
void phx_message_destroy_all(struct phx_context *ctx);

static inline bool phx_type_same(const struct phx_type *a, const struct phx_type *b)
{
	if (a == b)
		return true;
	if (a == NULL || b == NULL || a->index != b->index)
		return false;
	return a->file == b->file ||
	       (a->file->size == b->file->size &&
		       memcmp(a->file->table, b->file->table, a->file->size) == 0);
}
