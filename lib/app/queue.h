// SPDX-License-Identifier: BSD-3-Clause
// A queue: three rings, the call table, the requests that wait for a reply.
//
// Everything here is under `lock` unless marked. Calls in flight plus lent blocks stay below
// ret_slots (design.md 12.1); returns and cancels that find the return ring full wait in
// private memory, so neither can fail. Submissions made inside callbacks of phx_poll() are
// published once, at its end.
// Files: queue.c (make, end), queue_submit.c, queue_poll.c (hot), wait.c (sleep, descriptor).
#pragma once

#include "lib/app/message.h"
#include "lib/shm/bell.h"
#include "lib/shm/layout.h"
#include "lib/shm/ring.h"

// A call that was started. The handle applications see; recycled after its callback.
struct phx_call {
	struct phx_queue *queue; // [const]
	struct phx_call *next;	 // in the free list
	struct phx_call *all;	 // [const]
	uint64_t tag;		 // generation << 32 | slot
	uint32_t position;	 // submission index of its first slot
	bool busy;		 // submitted, its completion not taken yet
	bool cancel_wanted;	 // the return ring was full
	phx_reply_fn fn;	 // NULL: abandoned, nobody wants to know
	void *arg;
	const struct phx_type *output;
	struct phx_message *request; // NULL: was copied inline
};

struct phx_call_slot {
	struct phx_call *call; // NULL: free
	uint32_t generation;
	uint32_t next_free;
};

enum phx_request_state {
	PHX_REQUEST_DELIVERED, // the handler has it
	PHX_REQUEST_REPLIED,   // the reply is in the ring, its memory still read
	PHX_REQUEST_QUEUED,    // the reply waits for room in the ring
};

struct phx_request {
	struct phx_queue *queue;	      // [const]
	struct phx_request *next;	      // free, hash chain
	struct phx_request *next_reply;	      // queued replies, parked requests
	struct phx_request *all;	      // [const]
	const struct phx_server_entry *entry; // until its server ends
	const struct phx_type *output;
	struct phx_message *message; // NULL after the reply
	struct phx_message *reply;   // NULL: a status without text or metadata
	uint64_t handle;
	uint64_t deadline_ns; // phx_clock_ns time, PHX_NO_TIMEOUT
	uint32_t service;     // handle of the registration
	uint16_t method;
	uint8_t state; // enum phx_request_state
	bool orphan;   // answered by the library; the handler may still reply, unheard
	bool released; // orphan that the dataplane has forgotten
	_Atomic bool cancelled;
	// the reply
	uint32_t code;
	uint32_t side_off; // status text and metadata
	uint16_t meta_len, text_len;
};

// A thread in phx_call(); all words but `state` are under the queue's lock.
struct phx_sync {
	struct phx_sync *next;
	_Atomic uint32_t state; // futex word, enum in call_sync.c
	struct phx_message *reply;
	struct phx_status *status;
};

struct phx_queue {
	struct phx_lock lock;
	struct phx_context *context; // [const]
	struct phx_session *session;
	uint32_t index;			     // [const]
	struct phx_attach_queue_sizes asked; // [const] for; the first queue: see the options
	uint32_t room;			     // limit of calls + lent blocks
	uint32_t comp_slots;

	struct phx_ring_prod sub;
	struct phx_ring_prod ret;
	struct phx_ring_cons comp;
	struct phx_bell_waker bell;
	struct phx_bell_sleeper sleeper;
	const struct phx_shm_u32 *_Atomic bell_word; // futex: what the dataplane rang last
	uint32_t waiters;			     // threads asleep in phx_wait()
	bool fd_armed;
	int fd; // for event loops, -1 = not made

	// calls
	struct phx_call_slot *slots;
	uint32_t call_slots;
	uint32_t free_slot; // head of the free list, call_slots = none
	uint32_t calls;	    // in flight
	uint32_t lent;	    // blocks held by the application or waiting to be returned
	uint32_t cancels;   // calls with cancel_wanted
	struct phx_call *free_calls;
	struct phx_call *all_calls;

	// blocks to return
	uint64_t *returns;
	uint32_t return_count, return_cap;

	// server side
	uint32_t requests; // delivered, their last completion not seen
	uint32_t registering;
	struct phx_request **request_hash; // by handle
	uint32_t hash_mask;
	struct phx_request *free_requests;
	struct phx_request *all_requests;
	struct phx_request *replies; // QUEUED, oldest first
	struct phx_request **replies_tail;
	struct phx_request *parked;	  // came before their registration was answered
	struct phx_server_entry *entries; // registered services

	struct phx_message *free_messages; // of received messages
	uint32_t end_cursor;		   // slots failed so far after the end
	bool ended;			   // all of them
	uint32_t empty_polls;

	// phx_call(): one of the threads waits for all
	struct phx_sync *syncs;
	struct phx_sync *sync_leader;

	// adaptive waiting, see wait.c
	uint64_t spin_ns;
	uint32_t spin_skipped;
	bool quiet;		// the last wait timed out: the next one sleeps at once
	_Atomic uint32_t wakes; // phx_queue_wake() calls so far
};

// ---- queue.c ----

// Build a queue over mapped regions; `q` was checked against the protocol's limits by
// phx_queue_check(). 0 or -ENOMEM, -EINVAL.
int phx_queue_init(
	struct phx_session *s, const struct phx_attach_queue *q, struct phx_queue **out_queue);
void phx_queue_destroy(struct phx_queue *q);

// Ask the dataplane for one more queue and map it; `control` is held unless the session is being
// built. As phx_session_request().
int phx_queue_ask(struct phx_session *s, const struct phx_attach_queue_sizes *sizes,
	struct phx_attach_queue *out_queue);

// What is wrong with a queue that the dataplane offers; NULL: nothing.
const char *phx_queue_check(const struct phx_attach_queue *q);

// ---- queue_submit.c ----

// The queue whose callbacks this thread is running; it publishes when they are through.
extern _Thread_local const struct phx_queue *phx_queue_polled
	__attribute__((tls_model("initial-exec")));

static inline bool phx_queue_polling(const struct phx_queue *q)
{
	return phx_queue_polled == q;
}

// Write waiting returns, cancels and replies, publish all rings, ring the worker if it sleeps.
void phx_queue_flush(struct phx_queue *q) PHX_REQUIRES(q->lock);

// phx_queue_flush() unless the end of a running phx_poll() of this thread does it.
void phx_queue_flush_soon(struct phx_queue *q) PHX_REQUIRES(q->lock);

// A lent block comes back.
void phx_queue_return(struct phx_queue *q, uint64_t lent) PHX_REQUIRES(q->lock);

// Slots of the submission ring for an entry of `slots`; 0 or -EAGAIN, -EPROTO.
int phx_queue_sub_room(struct phx_queue *q, uint32_t slots) PHX_REQUIRES(q->lock);

// Write an entry: header and inline bytes.
void phx_queue_sub_write(struct phx_queue *q, struct phx_sub_entry *e, const void *inl,
	uint32_t inl_len) PHX_REQUIRES(q->lock);

// Slots an entry with so many inline bytes takes.
static inline uint32_t phx_queue_sub_slots(uint32_t inl_len)
{
	uint32_t first = sizeof(((struct phx_sub_entry *)0)->inl);

	return inl_len <= first ? 1 : 1 + (inl_len - first + PHX_SLOT_SIZE - 1) / PHX_SLOT_SIZE;
}

// The same entry for a message: inline when it is small, its place otherwise.
void phx_queue_sub_message(struct phx_queue *q, struct phx_sub_entry *e,
	const struct phx_message *m, uint32_t inl_len) PHX_REQUIRES(q->lock);

// Submit a reply or keep it until there is room.
void phx_queue_reply(struct phx_queue *q, struct phx_request *r) PHX_REQUIRES(q->lock);

// Push the cancel of a busy call.
void phx_queue_cancel(struct phx_queue *q, struct phx_call *call) PHX_REQUIRES(q->lock);

// ---- call.c ----

// Take a call out of the table; it stays alive until phx_call_recycle().
void phx_call_take(struct phx_queue *q, struct phx_call *call) PHX_REQUIRES(q->lock);
void phx_call_recycle(struct phx_queue *q, struct phx_call *call) PHX_REQUIRES(q->lock);

// ---- server.c, request.c ----

struct phx_request *phx_request_create(struct phx_queue *q, uint64_t handle) PHX_REQUIRES(q->lock);
struct phx_request *phx_request_find(struct phx_queue *q, uint64_t handle) PHX_REQUIRES(q->lock);
// Forget a request with its messages.
void phx_request_destroy(struct phx_queue *q, struct phx_request *r) PHX_REQUIRES(q->lock);
// The registration a request came for, NULL: unknown.
const struct phx_server_entry *phx_server_entry_find(struct phx_queue *q, uint32_t service)
	PHX_REQUIRES(q->lock);
// Its server ends: answer UNAVAILABLE; the handler may still reply, unheard.
void phx_request_abandon(struct phx_queue *q, struct phx_request *r) PHX_REQUIRES(q->lock);
// Give a request to its handler. No lock held.
void phx_request_dispatch(struct phx_request *r);

// ---- queue_poll.c ----

// Is there anything for phx_poll() to do? `comp` is what the completion ring said last:
// slots, or -EPROTO, which phx_poll() has to report.
bool phx_queue_has_work(const struct phx_queue *q, int comp) PHX_REQUIRES(q->lock);

// ---- wait.c ----

// Wake the threads in phx_wait(). Any thread, also in a signal handler.
void phx_queue_wake(struct phx_queue *q);
