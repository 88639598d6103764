// SPDX-License-Identifier: BSD-3-Clause
// An attached application on its worker: rings, call tables, channels, receive heap, everything in
// one object, so that moving a session is moving this. Worker thread only, except session_create,
// session_destroy and the fields tagged for control.
//
// Control creates it; session_start() and changes (queues, regions, schemas, channels,
// registrations) are functions called on the worker's thread by posted commands; the end
// is session_close() on the worker, after which session_is_quiet() turns true and, a grace period
// later, control calls session_destroy().
//
// If the application dies or lies, session_fail() is called once: the session leaves the poll list
// and control is told by config.failed, which then starts the teardown.
#pragma once

#include "dataplane/core/call.h"
#include "dataplane/core/rpc.h"
#include "dataplane/core/source.h"
#include "lib/shm/bell.h"
#include "lib/shm/heap.h"
#include "lib/shm/ring.h"

#include <stdatomic.h>

struct session;

// Single-writer counters: no locked instruction.
static inline void stat_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}
static inline void stat_sub(_Atomic uint64_t *counter, uint64_t n)
{
	stat_add(counter, (uint64_t)0 - n);
}

struct session_config {
	uint64_t id;	   // app-N
	uint8_t *app_base; // application-written object, read-only mapping (range base)
	uint8_t *dp_base;  // dataplane-written object, read-write mapping (range base)
	int doorbell_fd;   // eventfd the application writes; edge-triggered, never read
	uint64_t recv_quota;
	uint64_t max_message;
	uint64_t snapshot_quota;
	uint32_t chain_slot; // of chain_session_add(), or CHAIN_SLOT_NONE
	void *ctl;	     // control's object, passed back
	// Worker thread -> control: this application must be disconnected (post it on).
	void (*failed)(void *ctl, enum phx_reason reason, const char *text);
	// Worker thread -> control: a receive region of at least `size` bytes is wanted.
	void (*want_region)(void *ctl, uint64_t size);
};

struct session_queue_config {
	uint32_t index;
	uint32_t sub_slots, ret_slots, comp_slots, call_slots;
	uint32_t app_offset; // of the QUEUE region in the application-written object
	uint32_t dp_offset;
};

// Control-visible counters, single writer: the worker.
struct session_stats {
	_Atomic uint64_t calls; // accepted from the application
	_Atomic uint64_t completions;
	_Atomic uint64_t errors;   // completions that are not OK
	_Atomic uint64_t requests; // delivered to the application
	_Atomic uint64_t replies;
	_Atomic uint64_t inflight; // client calls now
	_Atomic uint64_t serving;  // requests now
	_Atomic uint64_t channels; // open now
	_Atomic uint64_t lent_blocks;
	_Atomic uint64_t lent_bytes;
	_Atomic uint64_t recv_used;
	_Atomic uint64_t room_waits;	  // requests that waited for room
	_Atomic uint64_t wakeups;	  // futex or descriptor wake-ups sent
	_Atomic uint64_t dropped_replies; // replies to calls that were over
};

#define SESSION_ERRORS 8

// A way in which calls failed, for `app get`.
struct session_error {
	uint64_t count;		      // 0 = unused
	uint64_t last_ns;	      // monotonic
	const char *service, *method; // of a schema of the session, or ""
	uint8_t code, origin, executed, reason;
};

struct session_queue {
	struct session *session;
	uint32_t index;
	uint32_t sub_slots, ret_slots, comp_slots, call_slots;
	struct phx_ring_cons sub;
	struct phx_ring_cons ret;
	struct phx_ring_prod comp;
	struct phx_bell_sleeper bell;	// the worker sleeps
	struct phx_bell_waker app_bell; // the application sleeps
	struct phx_shm_u32 *bell_word;	// futex: what we rang last
	int notify_fd;			// for epoll users, -1 = none
	struct call *calls;		// [call_slots]
	uint32_t inflight;
	uint32_t request_slots; // completion slots reserved for requests
	uint32_t lent;
	uint32_t drain_left; // entries that cancels may still drain in this poll
	bool dirty;
	struct timer room; // runs while something waits for room
	uint64_t room_ns;
	struct phx_list waiting; // rcalls WAITING for room
	struct phx_list parked;	 // completions that wait for heap room
};

struct lent_block {
	uint32_t generation;
	uint32_t offset;
	uint32_t size; // of the heap block
	uint32_t next_free;
	uint16_t queue;
	bool lent;
};

// By handle, which is the place in the table and a generation: a place is used again when its
// registration has gone and no request names it any more.
#define REGISTRATION_INDEX_BITS 8
static_assert(PHX_LIMIT_SERVICES_MAX <= 1 << REGISTRATION_INDEX_BITS, "a place fits a handle");

struct registration {
	uint32_t handle; // of the one that is here, or else of the next
	const struct phx_schema *schema;
	uint32_t service;
	struct session_queue *queue;
	struct stats_series **series; // of each method, NULL until it is called
	bool live;
};

struct session {
	struct source source;
	struct session_config config;
	struct worker *worker;
	struct phx_source app; // send heap regions
	struct phx_source_region regions[PHX_LIMIT_HEAP_REGIONS_MAX];
	struct memory_account account; // snapshots
	struct phx_heap *recv;
	uint64_t recv_used;
	bool region_wanted;
	struct phx_list recv_waiters[2]; // requests, replies
	bool recv_serving;
	struct lent_block *lent;
	uint32_t lent_size, lent_free;
	struct session_queue *queues[PHX_LIMIT_QUEUES_MAX];
	uint32_t queue_count;
	struct channel **channels; // by handle
	uint32_t channel_size;
	uint64_t binding_bytes; // of all channels
	struct phx_schema *schemas[PHX_LIMIT_SCHEMAS_MAX];
	uint32_t schema_count;
	struct registration *registrations; // by place, see registration_at()
	uint32_t registration_count;
	struct rcall **rcalls;	 // by index
	uint64_t *rcall_history; // per index: which past generations ended by cancel
	uint32_t rcall_room, rcall_size, rcall_free, rcall_count;
	struct phx_list work; // struct call_work: resumable, one step a poll
	uint32_t pins;	      // transports reading our memory in place
	bool failed, closing;
	bool moving;	    // to another worker, see session_move.h
	_Atomic bool quiet; // [worker>ctl] nothing refers to the session any more
	struct session_stats stats;
	struct session_error errors[SESSION_ERRORS]; // [worker]
	struct stats_series *nowhere;		     // of this worker, for calls whose method is
						     // not known; NULL until there is one
};

// The place that a handle names, maybe of another registration by now. NULL: none.
static inline struct registration *registration_at(const struct session *session, uint32_t handle)
{
	uint32_t i = handle & ((UINT32_C(1) << REGISTRATION_INDEX_BITS) - 1);

	return i < session->registration_count ? &session->registrations[i] : NULL;
}

// ---- control thread ----
int session_create(const struct session_config *config, struct session **out_session);
// After session_is_quiet() and a grace period. NULL is legal.
void session_destroy(struct session *session);
bool session_is_quiet(const struct session *session);
// Of its policies; constant.
static inline uint32_t session_chain_slot(const struct session *session)
{
	return session->config.chain_slot;
}

// ---- worker thread, through posted commands ----
int session_start(struct session *session, struct worker *worker);
int session_queue_add(struct session *session, const struct session_queue_config *config);
int session_queue_set_notify(struct session *session, uint32_t queue, int fd);
int session_send_region_add(struct session *session, uint64_t offset, uint64_t size);
int session_recv_region_add(struct session *session, uint64_t offset, uint64_t size);
// What became of config.want_region(): 0, the application is told to look at app.sock; or there is
// none.
void session_recv_region_answer(struct session *session, int rc);
// Takes the schema over; *out_handle is what the application names it by.
int session_schema_add(struct session *session, struct phx_schema *schema, uint32_t *out_handle);
// 0 or -errno; peer 0 = local.
int session_channel_open(
	struct session *session, const char *group, uint64_t peer, uint32_t *out_handle);
int session_channel_close(struct session *session, uint32_t handle);
int session_bind(struct session *session, uint32_t channel, uint32_t schema, uint32_t service,
	uint32_t *out_binding);
int session_register(struct session *session, uint32_t schema, uint32_t service, uint32_t queue,
	uint32_t *out_handle);
void session_unregister(struct session *session, uint32_t handle);
// End everything: calls, requests, channels; nothing is delivered to the application any more.
void session_close(struct session *session, enum phx_reason reason);

// ---- inside the frontend ----
void session_fail(struct session *session, enum phx_reason reason, const char *text);
void calls_abort(
	struct session *session, const struct channel *channel, const struct call_status *status);
// Set `quiet` when a closing session is not referred to any more.
void session_check_quiet(struct session *session);
extern const struct source_ops session_source_ops;
