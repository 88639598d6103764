// SPDX-License-Identifier: BSD-3-Clause
// Messages on app.sock between libphoenix and the dataplane's control thread:
// SOCK_SEQPACKET, one struct per packet, little-endian, fixed sizes. The application sends
// requests (never a descriptor: any that arrives disconnects it with FD_UNEXPECTED); the
// dataplane answers each with one packet of type REPLY or REFUSED carrying the same id,
// and sends events with id 0. Descriptors travel only from dataplane to application.
//
// Order: HELLO -> REPLY (fds: app-written QUEUE, dataplane-written QUEUE, app-written HEAP,
// dataplane-written HEAP, doorbell eventfd) -> MAPPED -> REPLY; then any request in any
// order. Nothing else is accepted before (HELLO_STATE), within 5 s (HELLO_TIMEOUT).
#pragma once

#include "lib/base/compiler.h"
#include "lib/base/limits.h"

#include <stdint.h>

#define PHX_ATTACH_MAGIC      UINT32_C(0x41584850) // "PHXA"
#define PHX_ATTACH_MIN	      1
#define PHX_ATTACH_MAX	      1
#define PHX_ATTACH_PACKET_MAX 65536 // bytes of one packet
#define PHX_ATTACH_FDS_MAX    5
#define PHX_ATTACH_HELLO_NS   UINT64_C(5000000000)
// Features of the dataplane, in its answer to HELLO.
#define PHX_ATTACH_FEATURE_CONNECT (UINT64_C(1) << 0) // it takes PHX_SUB_CONNECT

// The same five fields open every versioned interface (design: six hellos).
struct phx_hello {
	uint32_t magic;
	uint16_t min;	   // lowest version spoken
	uint16_t max;	   // highest; in an answer min == max == the version chosen
	uint64_t features; // bits both may use; unknown bits are ignored
	uint8_t uuid[16];  // instance
};

enum phx_attach_type {
	// application -> dataplane
	PHX_ATTACH_HELLO = 1,
	PHX_ATTACH_MAPPED, // regions [first, first + count) of `object` are mapped
	PHX_ATTACH_QUEUE_CREATE,
	PHX_ATTACH_QUEUE_FD,   // fd for epoll of a queue
	PHX_ATTACH_HEAP_GROW,  // one more region of the send heap
	PHX_ATTACH_SCHEMA_PUT, // part of a table; the last part has offset + len == total
	PHX_ATTACH_CHANNEL_OPEN,
	PHX_ATTACH_CHANNEL_CLOSE,
	PHX_ATTACH_BIND,     // service of a schema on a channel
	PHX_ATTACH_REGISTER, // serve a service of a schema on a queue
	PHX_ATTACH_UNREGISTER,
	PHX_ATTACH_GOODBYE, // orderly detach
	// dataplane -> application
	PHX_ATTACH_REPLY = 64,	 // success
	PHX_ATTACH_REFUSED,	 // struct phx_attach_refused
	PHX_ATTACH_EVENT_REGION, // fd: a region of the receive heap, to be MAPPED
	PHX_ATTACH_EVENT_DETACH, // the session is over: struct phx_attach_refused
};

struct phx_attach_header {
	uint16_t type;	// enum phx_attach_type
	uint16_t flags; // 0
	uint32_t size;	// whole packet
	uint64_t id;	// chosen by the requester, echoed; 0 in events
};

struct phx_attach_region {
	uint32_t object; // 0 application-written, 1 dataplane-written
	uint32_t kind;	 // enum phx_region_kind
	uint32_t offset; // in the object's address space
	uint32_t size;
	uint32_t index; // nth region of the object, for MAPPED
	uint32_t queue; // kind QUEUE: queue index
};

struct phx_attach_queue_sizes {
	uint32_t sub_slots;  // 0 = default 1,024; power of two within limits.h
	uint32_t ret_slots;  // 0 = default 1,024; calls + lent blocks never exceed it
	uint32_t comp_slots; // 0 = default 4,096
	uint32_t reserved;
};

// What a queue is: answered to HELLO (queue 0) and QUEUE_CREATE.
struct phx_attach_queue {
	uint32_t index;
	uint32_t sub_slots;
	uint32_t ret_slots;
	uint32_t comp_slots;
	uint32_t call_slots; // size of the call table: call slots are [0, call_slots)
	uint32_t app_offset; // of the QUEUE region in the application-written object
	uint32_t app_size;
	uint32_t dp_offset;
	uint32_t dp_size;
	uint32_t reserved;
};

struct phx_attach_hello_req {
	struct phx_attach_header h;
	struct phx_hello hello;
	struct phx_attach_queue_sizes queue;
	uint64_t send_quota; // 0 = default; clipped to the operator's limit
	uint64_t recv_quota;
	char name[64];	  // claim, NUL-terminated; shown as a claim, never decides
	char library[32]; // library version
};

struct phx_attach_hello_rep {
	struct phx_attach_header h;
	struct phx_hello hello;
	uint64_t app_id;
	uint64_t send_quota; // bytes of address space to reserve for the app-written object
	uint64_t recv_quota; // and for the dataplane-written one (queues included)
	uint64_t max_message;
	struct phx_attach_queue queue;
	struct phx_attach_region send_heap;
	struct phx_attach_region recv_heap;
};

struct phx_attach_mapped {
	struct phx_attach_header h;
	uint32_t object;
	uint32_t index; // region index
};

struct phx_attach_queue_create {
	struct phx_attach_header h;
	struct phx_attach_queue_sizes sizes;
};

// fds: app-written QUEUE, dataplane-written QUEUE; answer both with MAPPED before use.
struct phx_attach_queue_rep {
	struct phx_attach_header h;
	struct phx_attach_queue queue;
	uint32_t app_region; // region indices for MAPPED
	uint32_t dp_region;
};

struct phx_attach_queue_fd {
	struct phx_attach_header h; // reply: header + one fd
	uint32_t queue;
	uint32_t reserved;
};

struct phx_attach_heap_grow {
	struct phx_attach_header h;
	uint64_t size; // least size of the region; the dataplane rounds up
};

// Also the body of EVENT_REGION. One fd.
struct phx_attach_region_rep {
	struct phx_attach_header h;
	struct phx_attach_region region;
};

struct phx_attach_schema_put {
	struct phx_attach_header h;
	uint32_t total;	 // bytes of the whole table
	uint32_t offset; // of this part; parts come in order
	uint32_t len;
	uint32_t reserved;
	// len bytes follow
};

// Reply of SCHEMA_PUT (last part: id; earlier parts: 0), CHANNEL_OPEN, BIND, REGISTER.
struct phx_attach_handle_rep {
	struct phx_attach_header h;
	uint32_t handle;
	uint32_t reserved;
};

struct phx_attach_channel_open {
	struct phx_attach_header h;
	uint64_t timeout_ns; // to resolve and connect; PHX_TIMEOUT_NONE
	uint32_t flags;	     // 0
	uint32_t target_len; // bytes that follow, at most 255: "local:", "tcp://host:port/group"
};

// CHANNEL_CLOSE (channel handle), UNREGISTER (service handle).
struct phx_attach_handle_req {
	struct phx_attach_header h;
	uint32_t handle;
	uint32_t reserved;
};

struct phx_attach_bind {
	struct phx_attach_header h;
	uint32_t channel;
	uint32_t schema;
	uint32_t service; // index in the schema
	uint32_t reserved;
};

struct phx_attach_register {
	struct phx_attach_header h;
	uint32_t schema;
	uint32_t service;   // index in the schema
	uint32_t queue;	    // requests come on this queue
	uint32_t group_len; // bytes that follow, at most 255; 0 = group "default"
};

struct phx_attach_refused {
	struct phx_attach_header h;
	uint32_t code;	 // enum phx_code
	uint32_t reason; // enum phx_reason
	uint16_t min;	 // HELLO_VERSION: what this side speaks
	uint16_t max;
	uint32_t text_len; // bytes that follow, at most PHX_LIMIT_STATUS_TEXT_BYTES
};
