// SPDX-License-Identifier: BSD-3-Clause
// One attached session: its two address spaces, app.sock, heap, queues, channels, servers.
//
// Locks: `control` serialises app.sock and everything set up through it; `heap_lock` and the
// message caches are leaves. The session ends once: phx_context_end() stores `gone` with
// release, everyone else loads it with acquire and then reads `end_*`.
// If the dataplane dies: the socket hangs up, noticed in phx_wait(), phx_fd_arm(), in any
// request and by every 1,024th empty phx_poll().
#pragma once

#include "lib/app/fork.h"
#include "lib/app/include/phoenix/phoenix.h"
#include "lib/app/lock.h"
#include "lib/app/space.h"
#include "lib/attach/client.h"
#include "lib/base/limits.h"
#include "lib/base/list.h"
#include "lib/shm/heap.h"

#include <errno.h>

#define PHX_CONTROL_NS	   UINT64_C(10000000000) // patience with one request on app.sock
#define PHX_MESSAGE_CACHES 4			 // stripes of free messages, chosen by thread

struct phx_message_cache {
	struct phx_lock lock;
	struct phx_message *free; // with a first block
	uint32_t count;
} PHX_CACHE_ALIGNED;

struct phx_schema_slot {
	const struct phx_file *file;
	uint32_t handle;
};

// A receive region that has arrived and is not mapped yet.
struct phx_region_event {
	struct phx_attach_region region;
	int fd;
	struct phx_region_event *next;
};

struct phx_context {
	struct phx_fork_page *fork_page;      // [const]
	struct phx_space send;		      // application-written
	struct phx_space recv;		      // dataplane-written
	int doorbell;			      // [const] eventfd of the session's worker
	unsigned cpus;			      // [const] that this process may use
	uint64_t app_id;		      // [const]
	uint64_t max_message;		      // [const]
	_Atomic uint32_t gone;		      // 1: the session is over
	uint8_t end_code, end_executed;	      // set before gone
	uint16_t end_reason;		      // set before gone
	char end_text[256];		      // set before gone
	_Atomic uint64_t ignored_completions; // stale tags and handles

	struct phx_lock control;
	struct phx_attach_client client;		       // under control
	struct phx_region_event *region_events;		       // under control
	struct phx_schema_slot schemas[PHX_LIMIT_SCHEMAS_MAX]; // under control
	uint32_t schema_count;				       // under control
	struct phx_queue *queues[PHX_LIMIT_QUEUES_MAX];	       // under control
	struct phx_list channels;			       // under control
	struct phx_list servers;			       // under control

	struct phx_queue *default_queue; // [const]

	struct phx_lock heap_lock;
	struct phx_heap *heap;		   // under heap_lock
	struct phx_message *all_messages;  // under heap_lock: for the end
	struct phx_message *bare_messages; // under heap_lock: free, no block
	struct phx_message_cache caches[PHX_MESSAGE_CACHES];
};

static inline bool phx_context_forked(const struct phx_context *ctx)
{
	return phx_fork_page_forked(ctx->fork_page);
}

// Is the session over? Acquire, pairs with phx_context_end().
static inline bool phx_context_gone(const struct phx_context *ctx)
{
	return atomic_load_explicit(&ctx->gone, memory_order_acquire) != 0;
}

// What every entry point that needs a session asks first: 0, -EPERM or -ENOTCONN.
static inline int phx_context_check(const struct phx_context *ctx)
{
	if (phx_unlikely(phx_context_forked(ctx)))
		return -EPERM;
	return phx_unlikely(phx_context_gone(ctx)) ? -ENOTCONN : 0;
}

// End the session for a reason; the first one stays. Wakes every thread that sleeps in a wait.
PHX_COLD void phx_context_end(struct phx_context *ctx, uint32_t code, uint32_t reason,
	const char *fmt, ...) PHX_PRINTF(4, 5) PHX_REQUIRES(ctx->control);

// Look at the socket without blocking: map regions that came, notice the end. Returns without
// doing anything when another thread is talking to the dataplane.
void phx_context_service(struct phx_context *ctx);

// A request on app.sock; `control` is held. As phx_attach_client_request(), and: a refusal
// becomes a negative errno value (-EACCES denied, -ENOMEM exhausted, -EINVAL, -ENOTSUP
// unimplemented, -EREMOTEIO other) with its reason in *out_status (may be NULL). An end of the
// connection ends the session.
int phx_context_request(struct phx_context *ctx, const struct phx_attach_request *request,
	struct phx_attach_answer *out_answer, struct phx_status *out_status)
	PHX_REQUIRES(ctx->control);

// The same for requests whose answer is a handle.
int phx_context_request_handle(struct phx_context *ctx, struct phx_attach_header *h, size_t size,
	uint16_t type, const void *tail, size_t tail_len, uint32_t *out_handle,
	struct phx_status *out_status) PHX_REQUIRES(ctx->control);

// Map what came in events while another request was under way.
void phx_context_map_events(struct phx_context *ctx) PHX_REQUIRES(ctx->control);

// The handle of an uploaded schema; uploads it at first use.
int phx_context_schema(struct phx_context *ctx, const struct phx_file *file, uint32_t *out_handle,
	struct phx_status *out_status) PHX_REQUIRES(ctx->control);

// Say that a region is mapped and wait for the answer.
int phx_context_mapped(struct phx_context *ctx, uint32_t object, uint32_t index,
	struct phx_status *out_status) PHX_REQUIRES(ctx->control);

// A block of the send heap, asking the dataplane for more when there is none. `control` must
// not be held. -ENOMEM: quota; -ENOTCONN; -ETIMEDOUT.
int phx_context_heap_alloc(struct phx_context *ctx, uint64_t size, uint32_t *out_off);
void phx_context_heap_free(struct phx_context *ctx, uint32_t off);

// Fill a status; out may be NULL. Never touches more of `text` than it writes.
void phx_status_fill(struct phx_status *out, uint32_t code, uint32_t origin, uint32_t executed,
	uint32_t reason, const char *fmt, ...) PHX_PRINTF(6, 7);
// Around a public function with a status: begin makes it PHX_OK; end says what rc means unless
// somebody has said more, and returns rc. out may be NULL.
void phx_status_begin(struct phx_status *out);
int phx_status_end(struct phx_status *out, int rc);

// Fill a status from how the session ended.
void phx_context_end_status(const struct phx_context *ctx, struct phx_status *out);

// The negative errno value for the code of a refusal.
int phx_context_refusal_errno(uint32_t code);
void phx_context_refusal_status(const struct phx_attach_refused *r, struct phx_status *out);
