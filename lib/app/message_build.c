// SPDX-License-Identifier: BSD-3-Clause
// The arena of a message under construction. Works with message.c (pools) and session_heap.c.
#include "lib/app/message.h"

#include "lib/base/bits.h"

#include <errno.h>

// A message hardly ever needs many; what is left in a block when the next begins is lost.
PHX_COLD static int message_add_block(struct phx_message *m, uint32_t size)
{
	uint64_t want = phx_max((uint64_t)size, (uint64_t)m->cur_size * 2);
	uint32_t off;
	int rc;

	if (m->has_first && m->more_count == PHX_MESSAGE_BLOCKS)
		return -ENOMEM;
	want = phx_max(want, (uint64_t)PHX_MESSAGE_FIRST);
	rc = phx_session_heap_alloc(m->session, want, &off);
	if (rc == -ENOMEM && want > size) {
		// The quota is short: settle for less than twice as much.
		want = phx_max((uint64_t)size, (uint64_t)PHX_MESSAGE_FIRST);
		rc = phx_session_heap_alloc(m->session, want, &off);
	}
	if (rc)
		return rc;
	m->more[m->more_count++] = off;
	m->cur = phx_space_at(&m->session->send, off);
	m->cur_size = (uint32_t)phx_min(want, (uint64_t)UINT32_MAX);
	m->cur_used = 0;
	return 0;
}

void *phx_message_reserve(struct phx_message *m, uint32_t size)
{
	uint32_t rounded;
	uint8_t *p;

	if (phx_unlikely(size > PHX_LIMIT_MESSAGE_BYTES_MAX))
		return NULL;
	rounded = (uint32_t)phx_align_up(phx_max(size, 1u), 8);
	if (phx_unlikely(m->cur_size - m->cur_used < rounded) && message_add_block(m, rounded) != 0)
		return NULL;
	p = m->cur + m->cur_used;
	m->cur_used += rounded;
	return p;
}

void *phx_message_alloc(struct phx_message *m, uint32_t size)
{
	void *p;

	if (phx_unlikely(m == NULL || m->state != PHX_MESSAGE_BUILD ||
			 phx_context_check_build(m->context) != 0))
		return NULL;
	p = phx_message_reserve(m, size);
	if (phx_likely(p != NULL))
		memset(p, 0, phx_align_up(phx_max(size, 1u), 8));
	return p;
}

int phx_message_set_root(struct phx_message *m, void *root, const struct phx_type *type)
{
	if (m == NULL || root == NULL || type == NULL || m->state != PHX_MESSAGE_BUILD)
		return -EINVAL;
	if (m->root != NULL)
		return -EINVAL;
	if (phx_context_forked(m->context))
		return -EPERM;
	m->root = root;
	m->type = type;
	return 0;
}

const void *phx_message_root(const struct phx_message *m, const struct phx_type *type)
{
	if (m == NULL || m->root == NULL || phx_unlikely(phx_context_forked(m->context)))
		return NULL;
	return phx_type_same(m->type, type) ? m->root : NULL;
}

bool phx_message_sendable(
	const struct phx_message *m, const struct phx_context *ctx, const struct phx_type *type)
{
	return m != NULL && m->context == ctx && m->state == PHX_MESSAGE_BUILD && m->root != NULL &&
	       phx_type_same(m->type, type);
}
