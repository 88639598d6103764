// SPDX-License-Identifier: BSD-3-Clause
// What an application and the dataplane agree on in shared memory: the two objects,
// the queue regions and the entries of the three rings. Its version is that of the attach hello,
// PHX_ATTACH_MAX.
//
// An application has two address spaces ("objects"), one writer each, addressed by
// 32-bit offsets from the start of a range that each side reserves for itself:
//   application-written: regions of kind HEAP (send heap) and QUEUE
//   dataplane-written:   regions of kind HEAP (receive heap) and QUEUE
// A region is one sealed memory object mapped at its offset. A queue is one QUEUE region in
// each object, with the same queue index.
//
// Entries are written in place by the producer and copied word by word into private
// memory by the consumer, who checks and uses only the copy.
#pragma once

#include <stdint.h>

#define PHX_SLOT_SIZE 64
// Byte offsets inside a queue region; every index word has a cache line of its own.
#define PHX_QA_SUB_PROD	 0    // app-written: submission producer index
#define PHX_QA_RET_PROD	 64   // app-written: return producer index
#define PHX_QA_COMP_CONS 128  // app-written: completion consumer index
#define PHX_QA_SLEEP	 192  // app-written: bell epoch of the application (odd = asleep)
#define PHX_QD_SUB_CONS	 0    // dataplane-written: submission consumer index
#define PHX_QD_RET_CONS	 64   // dataplane-written: return consumer index
#define PHX_QD_COMP_PROD 128  // dataplane-written: completion producer index
#define PHX_QD_SLEEP	 192  // dataplane-written: bell epoch of the worker (odd = asleep)
#define PHX_QD_BELL	 256  // dataplane-written: epoch of PHX_QA_SLEEP rung last, futex word
#define PHX_Q_SLOTS	 4096 // slots start here in both regions
// App-written: submission slots, then return slots. Dataplane-written: completion slots.

enum phx_region_kind {
	PHX_REGION_HEAP = 1,
	PHX_REGION_QUEUE = 2,
};

// ---- submission ring (application -> dataplane) ----
enum phx_sub_kind {
	PHX_SUB_CALL = 1,    // unary request: headers, message, half close in one
	PHX_SUB_REPLY = 2,   // server: the only reply, ends the call
	PHX_SUB_CONNECT = 3, // ends as a CALL does, OK when its channel has a connection; a slot
			     // of the call table, tag, channel and time, everything else 0; with
			     // PHX_ATTACH_FEATURE_CONNECT only
};

enum {
	PHX_SUB_INLINE = 1 << 0,	 // the message stands in the entry
	PHX_SUB_WAIT_FOR_READY = 1 << 1, // CALL
	PHX_SUB_NO_MESSAGE = 1 << 2,	 // REPLY with a status that is not OK
};
#define PHX_SUB_FLAGS_CALL  (PHX_SUB_INLINE | PHX_SUB_WAIT_FOR_READY)
#define PHX_SUB_FLAGS_REPLY (PHX_SUB_INLINE | PHX_SUB_NO_MESSAGE)

#define PHX_TIMEOUT_NONE UINT64_MAX

struct phx_sub_entry {
	uint8_t kind;  // enum phx_sub_kind
	uint8_t slots; // 1..4, slots of this entry
	uint16_t flags;
	uint32_t call;	     // CALL: slot in the queue's call table, chosen by the library
	uint64_t handle;     // CALL: opaque tag, echoed; REPLY: handle of the delivered request
	uint32_t channel;    // CALL: channel handle; REPLY: status code
	uint16_t binding;    // CALL: binding of the channel; REPLY: 0
	uint16_t method;     // CALL: method index in the service; REPLY: 0
	uint64_t timeout_ns; // CALL: remaining time, PHX_TIMEOUT_NONE; REPLY: 0
	uint32_t msg_off;    // root of the message in the application-written object;
			     // inline: 0 (the message starts the inline bytes)
	uint32_t msg_len;    // inline: bytes of the message, root first, references inside;
			     // not inline: 0 (the codec finds the extent)
	uint32_t meta_off;   // metadata block in the application-written object
	uint16_t meta_len;   // 0 = none
	uint16_t text_len;   // REPLY: status text in front of the metadata at meta_off
	uint8_t inl[16];     // inline bytes, continued in the following slots
};
_Static_assert(sizeof(struct phx_sub_entry) == PHX_SLOT_SIZE, "slot");
#define PHX_SUB_INLINE_MAX (16 + 3 * PHX_SLOT_SIZE)

// ---- return ring (application -> dataplane), drained first ----
enum phx_ret_kind {
	PHX_RET_RETURN = 1, // lent blocks come back: handle[0..count)
	PHX_RET_CANCEL = 2, // cancel one call: call, handle[0] = tag, position
};
#define PHX_RET_HANDLES 6
struct phx_ret_entry {
	uint8_t kind;	   // enum phx_ret_kind
	uint8_t count;	   // RETURN: 1..6; CANCEL: 1
	uint16_t queue;	   // CANCEL: the call's queue
	uint32_t call;	   // CANCEL: call slot
	uint32_t position; // CANCEL: submission index of the call's first slot
	uint32_t reserved; // 0
	uint64_t handle[PHX_RET_HANDLES];
};
_Static_assert(sizeof(struct phx_ret_entry) == PHX_SLOT_SIZE, "slot");

// ---- completion ring (dataplane -> application) ----
enum phx_comp_kind {
	PHX_COMP_CALL = 1,	// a client call ended (status, reply); also releases the request
	PHX_COMP_REQUEST = 2,	// a request for a registered service
	PHX_COMP_RELEASED = 3,	// server: the reply message of `handle` is the application's again;
				// not sent for an inline reply, which was copied at submission
	PHX_COMP_CANCELLED = 4, // server: the call is over; instead of RELEASED: a reply
				// submitted before or after is never read
	PHX_COMP_REGION = 5,	// a receive region waits on app.sock (no slot was reserved for it:
				// sent only when there is room)
	PHX_COMP_SERVICE = 6,	// service state of a binding changed (same room rule)
};

enum {
	PHX_COMP_INLINE = 1 << 0,      // message, metadata, text stand in the entry
	PHX_COMP_HAS_MESSAGE = 1 << 1, // a request and an OK reply always have one
};

struct phx_comp_entry {
	uint8_t kind;  // enum phx_comp_kind
	uint8_t slots; // 1..4
	uint16_t flags;
	uint32_t call;	       // CALL: call slot; REQUEST: service handle (from registration)
	uint64_t handle;       // CALL: tag; REQUEST, RELEASED, CANCELLED: request handle
	uint64_t lent;	       // handle to return, 0 when inline or nothing lent
	uint64_t remaining_ns; // REQUEST: deadline budget, PHX_TIMEOUT_NONE
	uint32_t msg_off;      // in the dataplane-written object
	uint32_t msg_len;      // image bytes; metadata follows at align8, then status text
	uint16_t meta_len;
	uint16_t text_len;
	uint8_t code;	     // CALL: enum phx_code
	uint8_t origin;	     // CALL: enum phx_origin
	uint8_t executed;    // CALL: enum phx_executed
	uint8_t reason;	     // CALL: enum phx_reason
	uint16_t method;     // REQUEST: method index in the service
	uint16_t reserved16; // 0
	uint32_t reserved32; // 0
	uint8_t inl[8];	     // inline bytes, continued in the following slots
};
_Static_assert(sizeof(struct phx_comp_entry) == PHX_SLOT_SIZE, "slot");
#define PHX_COMP_INLINE_MAX (8 + 3 * PHX_SLOT_SIZE)
