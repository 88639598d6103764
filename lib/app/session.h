// SPDX-License-Identifier: BSD-3-Clause
// One session with a dataplane: app.sock, the two address spaces, the send heap, uploaded schemas.
// A context has one at a time; after a restart of the dataplane a new one takes its place
// (reattach.c), and the old one lives until nothing of the application stands in it any more:
// messages being built, received messages that are held, threads that wait on its words.
//
// Holders: the context (for the current one), and after that what was counted when it was
// replaced; each gives its part back by phx_session_put(), the last one unmaps. While a session is
// current, messages and waits are counted in words of their pools and queues, so that the fast
// path touches no shared counter.
// Locks: what belongs to app.sock is under the context's `control`; a session that is being built
// is known to one thread alone, which then needs none.
#pragma once

#include "lib/app/include/phoenix/phoenix.h"
#include "lib/app/lock.h"
#include "lib/app/space.h"
#include "lib/attach/client.h"
#include "lib/base/limits.h"
#include "lib/base/list.h"
#include "lib/shm/heap.h"

#include <errno.h>

#define PHX_CONTROL_NS UINT64_C(10000000000) // patience with one request on app.sock

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

// Why a session is over; code 0: it is not.
struct phx_session_end {
	uint32_t code;
	uint32_t reason;
	char text[256];
};

struct phx_session {
	struct phx_context *context; // [const]
	struct phx_list link;	     // in the context's list of all, under its `sessions` lock
	_Atomic uint32_t refs;
	uint32_t epoch;	       // [const] since it became current: 1, 2, ...
	struct phx_space send; // application-written
	struct phx_space recv; // dataplane-written
	int doorbell;	       // [const] eventfd of the session's worker
	uint64_t app_id;       // [const]
	uint64_t max_message;  // [const]
	uint64_t features;     // [const] of the dataplane, PHX_ATTACH_FEATURE_*
	uint64_t patience_ns;  // under control: with one request

	struct phx_attach_client client;		       // under control
	struct phx_region_event *region_events;		       // under control
	struct phx_schema_slot schemas[PHX_LIMIT_SCHEMAS_MAX]; // under control
	uint32_t schema_count;				       // under control
	struct phx_session_end end;			       // under control

	struct phx_lock heap_lock;
	struct phx_heap *heap; // under heap_lock
};

// A session without a dataplane yet, held by the caller. 0 or -ENOMEM.
int phx_session_create(struct phx_context *ctx, struct phx_session **out_session);

// Give parts back; the last one unmaps and frees. No lock but `control` and queue locks are held.
void phx_session_put(struct phx_session *s, uint32_t parts);

// At the end of the context, whoever holds parts. forked: the mappings are not there any more.
void phx_session_destroy(struct phx_session *s, bool forked);

// The session is over for a reason; the first one stays. When it is the context's, the context
// is told (phx_context_end()).
PHX_COLD void phx_session_end(struct phx_session *s, uint32_t code, uint32_t reason,
	const char *fmt, ...) PHX_PRINTF(4, 5);

// Fill a status from how the session ended; out may be NULL.
void phx_session_end_status(const struct phx_session *s, struct phx_status *out);

// A request on app.sock; `control` is held unless the session is being built. As
// phx_attach_client_request(), and: a refusal becomes a negative errno value (-EACCES denied,
// -ENOMEM exhausted, -EINVAL, -ENOTSUP unimplemented, -EREMOTEIO other) with its reason in
// *out_status (may be NULL). An end of the connection ends the session, and so does no answer in
// time (-ETIMEDOUT): what the dataplane has made of the request is unknown then.
int phx_session_request(struct phx_session *s, const struct phx_attach_request *request,
	struct phx_attach_answer *out_answer, struct phx_status *out_status);

// The same for requests whose answer is a handle.
int phx_session_request_handle(struct phx_session *s, struct phx_attach_header *h, size_t size,
	uint16_t type, const void *tail, size_t tail_len, uint32_t *out_handle,
	struct phx_status *out_status);

// Map what came in events while a request was under way.
void phx_session_map_events(struct phx_session *s);

// Look at the socket without blocking: map regions that came, notice the end.
void phx_session_service(struct phx_session *s);

// The handle of an uploaded schema; uploads it at first use.
int phx_session_schema(struct phx_session *s, const struct phx_file *file, uint32_t *out_handle,
	struct phx_status *out_status);

// Say that a region is mapped and wait for the answer.
int phx_session_mapped(
	struct phx_session *s, uint32_t object, uint32_t index, struct phx_status *out_status);

// A block of the send heap, asking the dataplane for more when there is none. `control` must
// not be held. Without a dataplane the library makes some. -ENOMEM: quota.
int phx_session_heap_alloc(struct phx_session *s, uint64_t size, uint32_t *out_off);
void phx_session_heap_free(struct phx_session *s, uint32_t off);
