// SPDX-License-Identifier: BSD-3-Clause
// The two ends of a call and the functions by which the frontend (applications), the link layer
// (peers) and the policy host (chains) hand them to each other. Everything here belongs to the
// worker that owns the session; all functions run on its thread.
//
// Client side, struct call:  FREE -> PACK -> QUEUED -> SENT -> FREE
//   PACK    the message is being copied and checked (resumable)
//   QUEUED  it waits in its channel's list (connection, service, credit) or is held by a policy
//   SENT    HEADERS was handed to a link; sequence is given
// Server side, struct rcall: RECEIVING -> WAITING -> DELIVERED -> REPLYING -> freed
//   RECEIVING  the message arrives (or waits for room); WAITING  for room in the session's rings
//   DELIVERED  the application has it; REPLYING  its reply is being sent
#pragma once

#include "dataplane/core/done.h"
#include "dataplane/core/memory.h"
#include "dataplane/core/stats.h"
#include "dataplane/core/timer.h"
#include "lib/base/bits.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/limits.h"
#include "lib/base/status.h"
#include "lib/schema/image.h"
#include "lib/schema/pack.h"
#include "lib/schema/schema.h"
#include "lib/shm/layout.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

struct message;
struct worker;
struct session;
struct session_queue;
struct channel;
struct path;
struct rchannel;
struct link;
struct phx_validate;
struct decoding;
struct encoding;
struct call_work;

// A status as it travels; text is not owned.
struct call_status {
	uint8_t code;
	uint8_t origin;
	uint8_t executed;
	uint8_t reason;
	uint16_t text_len;
	const char *text;
};

// A message on its way out: image plus the metadata and text that go with it.
struct message {
	struct phx_image image; // empty when encoded is set or there is no message
	uint8_t *encoded;	// protobuf bytes (message_encoded_get()), or NULL
	uint32_t encoded_len;
	bool rewritten;	     // by a policy: what was encoded before is stale
	uint64_t inspect_id; // chain whose fields were copied; 0 = none, or not only one
	uint16_t meta_len;
	uint16_t text_len;
	uint8_t *extra;	     // metadata then text, a pool block; NULL when both are 0
	uint32_t extra_size; // size of that block
};

// Sending state of a message, whole or (announced) cut into chunks.
struct outgoing {
	struct phx_list node; // of the link's bulk list, while granted
	struct conn_done done;
	struct message *message;
	struct session *session; // whose memory the message is in
	uint64_t position;	 // next byte to hand over
	uint64_t total;
	uint64_t channel; // of the frames
	uint64_t sequence;
	uint32_t epoch;
	uint32_t cookie;
	uint32_t in_place; // gather lists that a transport still reads
	bool is_reply;
	bool encoded;				// protobuf
	bool started;				// granted
	void (*unpinned)(struct outgoing *out); // in_place fell to 0
	void (*sent)(struct outgoing *out);	// the last chunk was handed over, may be NULL
};

// Room for an announced message: asked for, waited for.
struct recv_waiter {
	struct phx_list node;
	struct timer timer;
	struct session *session;
	uint32_t total;
	bool is_reply;
	bool waiting;
	void (*fn)(struct recv_waiter *waiter, uint32_t offset, enum phx_reason reason);
};

// Reception of a message into a block of the receive heap: announced, or in protobuf.
struct incoming {
	struct recv_waiter waiter; // for the block, then (its timer) for progress of the grant
	struct call_work *work;	   // of the owner; NULL = there is nothing to be given back
	uint64_t deadline_ns;
	uint32_t block; // valid when has_block
	uint32_t total; // image or protobuf bytes
	uint32_t received;
	uint32_t received_seen; // when the grant was looked at last
	bool active;		// announced, not complete
	bool has_block;
	bool encoded;	   // protobuf
	uint16_t meta_len; // goes behind the message in the block
	uint8_t *meta;	   // malloc, until it stands there
	uint8_t *landing;  // where a policy judges it first, see core/landing.h; NULL = the block
	uint32_t landing_size;
	struct decoding *decode;       // a large pool block
	struct link *sink;	       // a transport writes into the block now
	struct phx_validate *validate; // while checking: a large pool block
};

// Resumable work of a session (pack of a large message), served one step a poll.
struct call_work {
	struct phx_list node;
	struct encoding *encode; // a large pool block
	// 1 = done or gone (the object may have ended), 0 = call again.
	int (*step)(struct call_work *work);
	struct phx_pack *pack;	      // in a small pool block
	struct phx_image_copy copy;   // of a private message into the receive heap
	const struct message *placed; // that message, of a call
};

enum call_state { CALL_FREE, CALL_PACK, CALL_QUEUED, CALL_SENT };

struct held_reply;
struct hold;
struct policy;

// What a policy keeps for a call, and which policy (with its configuration) that is.
struct policy_slot {
	struct policy *policy; // valid while its bit in `entered` is set
	uint64_t state[2];
};

// The policies that have seen a call. Written by dataplane/policyhost; bit i of the masks is slot
// i.
struct call_policy {
	uint64_t chain_id;  // chain whose policies have the first slots, in order; 0 = none yet
	struct hold *hold;  // set while a policy holds the call
	uint16_t entered;   // the policy has seen the call
	uint16_t passed[2]; // it has let the request, the reply pass
	uint16_t owed;	    // it has let the request pass, so it gets the call's end
	uint16_t again;	    // it passed under an older configuration
	uint8_t mark_class; // for schedulers
	uint16_t mark_weight;
	struct policy_slot slot[PHX_LIMIT_CHAIN_MAX];
};

struct call {
	struct phx_list node; // [worker] channel's pending list, or session's work list
	struct timer timer;   // deadline
	uint64_t tag;	      // of the library, echoed
	uint64_t sequence;    // on its path
	uint64_t deadline_ns; // monotonic; UINT64_MAX = none
	uint64_t start_ns;
	struct session_queue *queue; // [const]
	struct session *session;     // [const]
	struct channel *channel;
	struct path *path; // when SENT or PACK
	uint32_t cookie;   // when SENT: in the path's table
	uint32_t slot;	   // [const] in the queue's table
	uint32_t position; // submission index of its first slot
	uint16_t binding;
	uint16_t method;
	uint8_t state; // enum call_state
	bool wait_for_ready;
	bool connect; // waits for a connection of its channel: no method, message or series
	bool inline_message;
	bool packed;	  // message holds a snapshot
	bool zombie;	  // ended, but a transport still reads the message in place
	uint32_t msg_off; // not inline: root in the application-written object
	uint32_t msg_len; // inline: bytes
	uint32_t meta_off;
	uint16_t meta_len;
	struct incoming in;		 // an announced reply
	struct call_status reply_status; // of an announced reply, or of a zombie that has none
	struct outgoing out;
	struct call_work work;
	struct message message;
	const struct phx_schema *schema; // of the binding
	const char *service_name;	 // for the chain
	const char *method_name;
	struct stats_series *series; // where it counts, NULL = its method is not known
	uint64_t sample;	     // number, 0 = its stages are not stamped
	uint64_t trace;		     // token of core/trace.h, 0 = it is not traced
	uint32_t input;		     // message index of the request
	uint32_t output;
	struct call_policy policy;
	struct held_reply *held_reply; // of the frontend: a reply that is not delivered yet
	uint64_t inl[(PHX_SUB_INLINE_MAX + 7) / 8];
};

enum rcall_state { RCALL_FREE, RCALL_RECEIVING, RCALL_WAITING, RCALL_DELIVERED, RCALL_REPLYING };

struct rcall {
	struct phx_list node; // waiting list, or bucket of the rchannel
	struct phx_list bucket;
	struct timer timer;	 // deadline
	struct session *session; // who serves it
	struct session_queue *queue;
	struct rchannel *rchannel; // who asked; NULL after the link or channel went away
	uint64_t sequence;
	uint64_t deadline_ns;
	uint64_t start_ns;
	uint32_t cookie;
	uint32_t index; // in the session's table
	uint32_t generation;
	uint32_t service; // handle of the registration
	uint16_t method;
	uint8_t state;	 // enum rcall_state
	bool delivered;	 // the application has seen it
	bool has_block;	 // the request lies in `block`, not in `message`
	bool peer_image; // the client takes images of our schema's hash
	bool reply_inline;
	uint32_t block;	    // receive-heap block of the request
	uint32_t bytes;	    // charged to the channel's window
	struct incoming in; // an announced request
	uint16_t meta_len;
	uint64_t lent; // handle of the lent block
	const struct phx_schema *schema;
	struct stats_series *series; // where it counts
	uint64_t sample;	     // number, 0 = its stages are not stamped
	uint64_t trace;		     // token of core/trace.h, 0 = its client does not trace it
	uint32_t input;
	uint32_t output;
	struct call_status status; // of the reply
	struct outgoing out;
	struct call_work work;
	struct message message;			    // the request while it waits, then the reply
	uint32_t msg_len;			    // of the request
	uint64_t inl[(PHX_SUB_INLINE_MAX + 7) / 8]; // an inline reply
	struct call_policy policy;
};
