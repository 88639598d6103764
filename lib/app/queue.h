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

#define PHX_CALL_GRACE_NS UINT64_C(1000000000) // the dataplane ends calls; if it does not, we do

// A call that was started. The handle applications see; recycled after its callback.
struct phx_call {
	struct phx_queue *queue; // [const]
	struct phx_call *next;	 // in the free list; among those that wait for a session
	struct phx_call *all;	 // [const]
	uint64_t tag;		 // generation << 32 | slot
	uint32_t position;	 // submission index of its first slot
	bool busy;		 // submitted, its completion not taken yet
	bool cancel_wanted;	 // the return ring was full
	phx_reply_fn fn;	 // NULL: abandoned, nobody wants to know
	void *arg;
	const struct phx_type *output; // NULL: waits for a connection, there is no reply
	struct phx_message *request;   // NULL: was copied inline
	struct phx_call_wait *wait;    // it waits for a session, NULL: it does not
	uint64_t timeout_ns;	       // PHX_TIMEOUT_NONE
	uint64_t give_up_ns;	       // phx_clock_ns time, 0: nobody has looked yet
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
	phx_handler_fn _Atomic fn; // NULL: no such method, or without a handler, or no more
	void *arg;
	const struct phx_type *output;
	struct phx_message *message; // NULL after the reply
	struct phx_message *reply;   // NULL: a status without text or metadata
	uint64_t handle;
	uint64_t deadline_ns; // phx_clock_ns time, PHX_NO_TIMEOUT
	uint32_t epoch;	      // of the session it came in
	uint32_t service;     // handle of the registration
	uint16_t method;
	uint8_t state; // enum phx_request_state
	bool orphan;   // answered by the library; the handler may still reply, unheard
	bool released; // orphan that no dataplane knows any more
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
	uint32_t users;			     // threads that look at its words without the lock
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
	int fd;		   // for event loops: an epoll of the two below, -1 = not made
	int bell_fd;	   // the dataplane's bell, -1 = none in this session
	uint64_t timer_at; // when timer_fd is set to, UINT64_MAX: it is not
	int timer_fd;	   // work that comes from nobody: calls that wait, a new session

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
	struct phx_burst *backlog;	   // what a session left that was replaced
	struct phx_burst **backlog_tail;

	// calls that wait for a session
	struct phx_call *waiting;
	uint32_t waiting_count;
	uint32_t waiting_round;
	uint32_t waiting_cancels;
	uint64_t waiting_until; // first deadline, UINT64_MAX: none
	uint64_t waiting_retry; // no try before
	uint32_t empty_polls;

	// calls that the dataplane should have ended, see call_overdue.c
	bool overdue;	       // there are some
	uint64_t overdue_look; // no look for them before

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

// Take over what a new session offers for this queue; `fresh` was built over it and gets what is
// to be freed. The queue is settled. What of the old session is still held is counted there.
void phx_queue_replace(struct phx_queue *q, struct phx_queue *fresh) PHX_REQUIRES(q->lock);

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

// What a call is made of.
struct phx_call_spec {
	struct phx_channel *channel;
	const struct phx_service *service;
	uint32_t method;
	bool wait_for_ready;
	uint64_t timeout_ns; // PHX_TIMEOUT_NONE
	const void *meta;
	uint32_t meta_len;
	phx_reply_fn fn;
	void *arg;
};

// Submit it in the current session. call: one that waited, or NULL; *request is taken on success
// only. As phx_call_start().
int phx_call_submit(struct phx_queue *q, const struct phx_call_spec *spec,
	struct phx_message *request, struct phx_call *call, struct phx_call **out_call);
// Room in the rings and the table for one more call of so many slots; asked for before anything is
// taken. 0, -EAGAIN, -EPROTO.
int phx_call_room(struct phx_queue *q, uint32_t slots) PHX_REQUIRES(q->lock);
// Put it into the table; its entry is to be written next.
void phx_call_enter(struct phx_queue *q, struct phx_call *call) PHX_REQUIRES(q->lock);
// An object for a call, in no table. NULL: no memory.
struct phx_call *phx_call_create(struct phx_queue *q) PHX_REQUIRES(q->lock);
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
// The session has ended and another takes its place: handlers may still reply, unheard.
void phx_requests_orphan(struct phx_queue *q) PHX_REQUIRES(q->lock);
// Its server ends: answer UNAVAILABLE; the handler may still reply, unheard.
void phx_request_abandon(struct phx_queue *q, struct phx_request *r) PHX_REQUIRES(q->lock);
// The library has answered before: all that is left is to take things back. -ENOTCONN.
int phx_request_end_orphan(struct phx_queue *q, struct phx_request *r) PHX_REQUIRES(q->lock);

// ---- request_run.c ----

// Give a request to its handler, on the thread that polls. No lock held.
void phx_request_dispatch(struct phx_request *r);
// The same elsewhere and later: only if somebody still waits for the reply.
void phx_request_run(struct phx_request *r);
// There is no room for it where its handler should run.
void phx_request_refuse(struct phx_request *r);

// ---- queue_poll.c ----

// Is there anything for phx_poll() to do? `comp` is what the completion ring said last:
// slots, or -EPROTO, which phx_poll() has to report.
bool phx_queue_has_work(const struct phx_queue *q, int comp) PHX_REQUIRES(q->lock);

// The session has ended: empty the ring and end every call, into the backlog. 0 or -ENOMEM (may
// be called again).
int phx_queue_settle(struct phx_queue *q) PHX_REQUIRES(q->lock);

// ---- call_wait.c ----

// Let a call wait for a session. As phx_call_start().
int phx_call_wait_start(struct phx_queue *q, const struct phx_call_spec *spec,
	struct phx_message *request, struct phx_call **out_call);
// Cancel it. False: it does not wait.
bool phx_call_wait_cancel(struct phx_queue *q, struct phx_call *call) PHX_REQUIRES(q->lock);
// Could phx_call_wait_poll() do something now?
bool phx_call_wait_due(const struct phx_queue *q) PHX_REQUIRES(q->lock);
// When (phx_clock_ns time), 0: at once, UINT64_MAX: never.
uint64_t phx_call_wait_next(const struct phx_queue *q) PHX_REQUIRES(q->lock);
// It is submitted: out of the list.
void phx_call_wait_leave(struct phx_queue *q, struct phx_call *call) PHX_REQUIRES(q->lock);
bool phx_call_wait_is_cancelled(const struct phx_call *call);
// A channel is closed: those of its calls that wait end with CANCELLED. No lock held.
void phx_call_wait_close(struct phx_queue *q, const struct phx_channel *ch);
// Submit or end calls that waited for a session. No lock held. How many have ended.
int phx_call_wait_poll(struct phx_queue *q);

// ---- call_overdue.c ----

// When to look for overdue calls (phx_clock_ns time), UINT64_MAX: never.
uint64_t phx_call_overdue_next(const struct phx_queue *q) PHX_REQUIRES(q->lock);
// Look for them, when it is time: `overdue` tells phx_poll().
void phx_call_overdue_look(struct phx_queue *q, uint64_t now) PHX_REQUIRES(q->lock);
// End them. No lock held. How many.
int phx_call_overdue_poll(struct phx_queue *q);

// ---- queue_fd.c ----

// Make the descriptor readable although no bell came. Any thread.
void phx_queue_wake_fd(struct phx_queue *q) PHX_REQUIRES(q->lock);
// Ask for the dataplane's bell of queue `index`. As phx_session_request().
int phx_queue_ask_fd(struct phx_session *s, uint32_t index, int *out_fd);
// Watch that bell (taken) instead of the one before; -1: none.
int phx_queue_watch(struct phx_queue *q, int bell_fd) PHX_REQUIRES(q->lock);

// Wake the threads in phx_wait(). Any thread, also in a signal handler.
void phx_queue_wake(struct phx_queue *q);
