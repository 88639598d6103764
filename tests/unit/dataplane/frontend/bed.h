// SPDX-License-Identifier: BSD-3-Clause
// A session of an application without a worker loop and without links: the test is the application
// (both memory objects are plain memory that it writes as it likes) and the network. Used by the
// unit tests of dataplane/frontend and by the fuzzers; works with bed_link.c.
#pragma once

#include "dataplane/core/worker.h"
#include "dataplane/frontend/session.h"
#include "lib/shm/layout.h"

#define BED_SLOTS      64  // submission and return ring
#define BED_COMP_SLOTS 128 // completion ring
#define BED_CALL_SLOTS 32
// Layout of the application-written object: two heap regions with a hole between, the queue.
#define BED_APP_REGION 16384u
#define BED_APP_SECOND 32768u
#define BED_APP_QUEUE  65536u
#define BED_APP_SIZE   (BED_APP_QUEUE + PHX_Q_SLOTS + 2 * BED_SLOTS * PHX_SLOT_SIZE)
#define BED_APP_RET    (BED_APP_QUEUE + PHX_Q_SLOTS + BED_SLOTS * PHX_SLOT_SIZE)
// Of the dataplane-written one: receive heap, a hole, the queue.
#define BED_DP_HEAP	131072u
#define BED_DP_QUEUE	196608u
#define BED_DP_SIZE	(BED_DP_QUEUE + PHX_Q_SLOTS + BED_COMP_SLOTS * PHX_SLOT_SIZE)
#define BED_SNAPSHOTS	(UINT64_C(4) << 20)
#define BED_MAX_MESSAGE (UINT64_C(1) << 20)

enum bed_admit {
	BED_ADMIT_NOW,
	BED_ADMIT_LATER, // queued in the channel until bed_link_admit()
	BED_ADMIT_FAIL,	 // UNAVAILABLE
};

struct bed;

// The network, played by the test.
struct bed_link {
	enum bed_admit admit;
	bool hold_replies;	 // server replies wait for bed_link_replies()
	bool pin;		 // a transport reads sent messages in place until bed_link_unpin()
	struct phx_list pending; // client calls in their channel
	struct phx_list sent;	 // client calls on the network
	struct phx_list replies; // struct rcall
	uint32_t replied[PHX_EXECUTED_YES + 1]; // how many replies came, by status.executed
	struct phx_list pinned;			// struct outgoing
	uint32_t paths;				// admitted, not sent or released
	void (*on_admit)(struct bed *bed);	// as if it happened on another CPU meanwhile
};

struct bed {
	struct worker worker;
	struct session *session;
	struct session_queue *queue;
	uint8_t *app; // [BED_APP_SIZE], what the application writes
	uint8_t *dp;  // [BED_DP_SIZE]
	struct bed_link link;
	enum phx_reason failed; // NONE: not failed
	const char *failed_text;
	uint64_t wanted; // size of the receive region asked for

	// An honest application, for those who want one.
	uint32_t sub_prod, ret_prod, comp_cons;
};

// A session with one queue, the schema t_all_schema() as schema 0, its services registered (if
// serving) and bound as bindings of channel 0. The bed is one: bed_link.c finds it here.
struct bed *bed_create(bool serving);
// Ends what the network holds, closes the session, destroys everything. False: something was left
// (calls, memory, pins).
bool bed_destroy(struct bed *bed);

// One round of the worker at `now`: poll, timers, flush.
void bed_round(struct bed *bed, uint64_t now_ns);

// ---- the application ----

struct phx_sub_entry *bed_sub_slot(struct bed *bed, uint32_t i); // i-th after the producer
void bed_sub_publish(struct bed *bed, uint32_t slots);
// Write an entry with inline bytes (zero-filled to its slots) and publish it.
void bed_sub(struct bed *bed, struct phx_sub_entry e, const void *inl, uint32_t inl_len);
void bed_ret(struct bed *bed, const struct phx_ret_entry *e);
uint32_t bed_word(const uint8_t *object, uint32_t offset);
void bed_word_set(uint8_t *object, uint32_t offset, uint32_t value);
// Entries in the completion ring; more than its size: it was overrun.
uint32_t bed_comp_count(const struct bed *bed);
// Take the next completion. False: none.
bool bed_comp(struct bed *bed, struct phx_comp_entry *out);

// ---- the network ----

// Let the calls that wait in their channel go.
void bed_link_admit(struct bed *bed);
// Answer the oldest call on the network: with an image (NULL: no message), or a status.
bool bed_link_answer(struct bed *bed, enum phx_code code, const void *image, uint32_t len);
// A request for registration 0, method 0. NULL: refused.
struct rcall *bed_link_request(struct bed *bed, const void *image, uint32_t len);
void bed_link_replies(struct bed *bed);
void bed_link_unpin(struct bed *bed);
