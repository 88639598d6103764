// SPDX-License-Identifier: BSD-3-Clause
// The table of lent blocks, see lent.h.
#include "dataplane/frontend/lent.h"

#include "dataplane/frontend/submit.h"

#include <stdlib.h>

#define LENT_NONE UINT32_MAX

static int lent_grow(struct session *session)
{
	uint32_t size = session->lent_size == 0 ? 64 : session->lent_size * 2;
	struct lent_block *t = realloc(session->lent, size * sizeof(*t));

	if (t == NULL)
		return -ENOMEM;
	for (uint32_t i = session->lent_size; i < size; i++) {
		t[i].generation = 1;
		t[i].lent = false;
		t[i].next_free = i + 1 < size ? i + 1 : LENT_NONE;
	}
	session->lent = t;
	session->lent_free = session->lent_size;
	session->lent_size = size;
	return 0;
}

int lent_add(
	struct session *session, struct session_queue *queue, uint32_t offset, uint64_t *out_handle)
{
	struct lent_block *b;
	uint32_t i;

	if (session->lent_size == 0 || session->lent_free == LENT_NONE) {
		if (lent_grow(session) != 0)
			return -ENOMEM;
	}
	i = session->lent_free;
	b = &session->lent[i];
	session->lent_free = b->next_free;
	b->lent = true;
	b->offset = offset;
	b->queue = (uint16_t)queue->index;
	queue->lent++;
	b->size = (uint32_t)phx_heap_size(session->recv, offset);
	stat_add(&session->stats.lent_blocks, 1);
	stat_add(&session->stats.lent_bytes, b->size);
	*out_handle = (uint64_t)b->generation << 32 | i;
	return 0;
}

int lent_return(struct session *session, uint64_t handle, enum phx_reason *out_reason)
{
	uint32_t i = (uint32_t)handle;
	struct lent_block *b;

	if (i >= session->lent_size) {
		*out_reason = PHX_REASON_BAD_FREE;
		return -EINVAL;
	}
	b = &session->lent[i];
	if (!b->lent || b->generation != handle >> 32) {
		*out_reason = b->generation == (handle >> 32) + 1 && !b->lent
				      ? PHX_REASON_DOUBLE_FREE
				      : PHX_REASON_STALE_HANDLE;
		return -EINVAL;
	}
	b->lent = false;
	b->generation++;
	b->next_free = session->lent_free;
	session->lent_free = i;
	session->queues[b->queue]->lent--;
	stat_sub(&session->stats.lent_blocks, 1);
	stat_sub(&session->stats.lent_bytes, b->size);
	recv_free(session, b->offset);
	session_room(session->queues[b->queue]);
	return 0;
}
