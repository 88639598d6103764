// SPDX-License-Identifier: BSD-3-Clause
// Snapshots: the application's message becomes a private, checked, canonical image. Worker thread.
#pragma once

#include "dataplane/frontend/session.h"

// Pack the admitted call. 1: packed. 0: large, goes on in session->work. -1: completed with an
// error (credit given back).
int pack_call(struct call *call, struct path *path);
// Give up a call in state PACK.
void pack_abort(struct call *call);

// Before a further step of a pack: chains, and their masks, may have changed since the last.
void pack_inspect(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema);
// Give up resumable work that has a pack.
void pack_drop(struct session *session, struct call_work *work);

// Pack a reply: inline bytes at inl (private) or msg_off. Ends in serve_packed() now or later.
void pack_reply(struct rcall *rcall, const struct phx_sub_entry *e, const uint64_t *inl);

// Give a reply up that is being packed (rcall->work.pack is set).
void pack_reply_abort(struct rcall *rcall);

// Copy `len` bytes of the application's heap into private memory. -EFAULT: outside its regions.
int pack_fetch(struct session *session, uint32_t off, uint32_t len, void *out);
// Fetch metadata (and text in front of it) into message->extra. 0, -EFAULT, -EINVAL, -ENOMEM.
int pack_extra(struct session *session, struct message *message, uint32_t off, uint16_t text_len,
	uint16_t meta_len);
// Give everything of a message back to the session's account.
void message_release(struct session *session, struct message *message);
// Copy a received message into private memory of the session. 0 or -ENOMEM.
int message_store(struct session *session, struct message *message, const struct iovec *iov,
	int iov_count, uint32_t msg_len, const void *meta, uint16_t meta_len);
