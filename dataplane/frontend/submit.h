// SPDX-License-Identifier: BSD-3-Clause
// From submission entries to packed, chained calls and replies. Worker thread, hot.
#pragma once

#include "dataplane/frontend/session.h"

// Take at most a burst of entries from the queue's submission ring. Returns how many.
unsigned submit_poll(struct session_queue *q);
// Take entries until submission index `position` has been consumed (for cancel). False: not yet, as
// many entries as the ring holds were taken in this poll already.
bool submit_drain_to(struct session_queue *q, uint32_t position);
// Take what stands in the submission rings now, of each as much as it holds.
void submit_drain(struct session *session);
// Start the timer of a call's deadline on its session's worker, if it has one.
void submit_deadline(struct call *call);
// Cancel the call in this slot if it still is the one with `tag`.
void submit_cancel(struct call *call, uint64_t tag);
// Go on with messages that did not fit one step of work. Returns the number of steps.
unsigned submit_work(struct session *session);

// complete.c: a request slot, heap memory or lent room came free on this queue.
void session_room(struct session_queue *q);
// complete.c: a request or reply waits for room on this queue: look from time to time.
void session_room_wait(struct session_queue *q);
// complete.c: one byte to the queue's descriptor; never blocks.
void session_notify(struct session_queue *q);
