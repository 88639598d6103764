// SPDX-License-Identifier: BSD-3-Clause
// Blocks of the receive heap that the application holds: handle = generation << 32 | index, valid
// for exactly one return. The table is private; what the application returns is checked here.
#pragma once

#include "dataplane/frontend/session.h"

// Lend the heap block at `offset`; the return comes to `queue`'s account. 0 or -ENOMEM.
int lent_add(struct session *session, struct session_queue *queue, uint32_t offset,
	uint64_t *out_handle);
// The application gave a handle back. -EINVAL with *out_reason BAD_FREE, DOUBLE_FREE or
// STALE_HANDLE.
int lent_return(struct session *session, uint64_t handle, enum phx_reason *out_reason);

// Receive heap with its waiters. session_recv_* of core/rpc.h live in recv.c.
// A block for a reply, or for a request, which may not take the last quarter of the quota. -ENOMEM:
// no room now.
int recv_alloc(struct session *session, uint32_t size, bool is_reply, uint32_t *out_offset);
void recv_free(struct session *session, uint32_t offset);
// Memory came free: serve reservations, replies first.
void recv_serve(struct session *session);
