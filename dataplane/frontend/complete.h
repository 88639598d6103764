// SPDX-License-Identifier: BSD-3-Clause
// Entries of the completion ring. Room: one slot for each entry of the call table, whether the
// call is seen already or still stands in the submission ring, and one for the release of each
// delivered request are reserved, so nothing here can overflow; only spare slots carry requests and
// inline bytes. Worker thread, hot.
#pragma once

#include "dataplane/frontend/session.h"

// End a call early (cancel, deadline): leaves pack, chain and link first.
void call_abort(struct call *call, const struct call_status *status);

// Slots that no call or request has reserved; -1 when the application's index is impossible (the
// session has failed then).
int comp_spare(struct session_queue *q, uint32_t want);

// Bytes that go with an entry: message, metadata, text, laid out as in shm/layout.h.
struct comp_bytes {
	const struct iovec *iov;
	int iov_count;
	const void *meta;
	const void *text;
};

// Size of the bytes of an entry in the ring or in a block.
static inline uint32_t comp_size(const struct phx_comp_entry *e)
{
	return (uint32_t)phx_align_up(e->msg_len, 8) + e->meta_len + e->text_len;
}

// Put an entry; inline when `slots` > 1 or the bytes fit the first slot (bytes != NULL), else the
// entry says where they are. The caller made sure of the room.
void comp_put(struct session_queue *q, struct phx_comp_entry *e, const struct comp_bytes *bytes);
// Slots an entry with these bytes takes inline, 0 when it does not fit inline.
unsigned comp_inline_slots(const struct phx_comp_entry *e);
// Copy the bytes into a block of the receive heap.
void comp_copy(struct session *session, uint32_t offset, const struct phx_comp_entry *e,
	const struct comp_bytes *bytes);

// A call ended while a transport still reads its message in place: complete it later. The reply
// (may be NULL) is kept in private memory until then; one in a block of its own stays there.
void call_zombie(
	struct call *call, const struct call_status *status, const struct reply_view *reply);
// No heap room for a reply: keep it in private memory until there is.
void reply_park(struct session_queue *q, struct phx_comp_entry *e, const struct comp_bytes *bytes);
void reply_unpark(struct session_queue *q);
// The session ends: parked replies are not delivered any more.
void reply_drop_parked(struct session_queue *q);
