// SPDX-License-Identifier: BSD-3-Clause
// An attached application: its session with the dataplane, queues, channels, servers, pools of
// messages.
//
// Locks: `control` serialises app.sock and everything set up through it; the message caches,
// `messages_lock`, `sessions_lock`, `end_lock` and a session's heap lock are leaves.
// phx_context_end() stores `gone` with release, everyone else loads it with acquire.
// If the dataplane dies: the socket hangs up, noticed in phx_wait(), phx_fd_arm(), in any
// request and by every 1,024th empty phx_poll().
#pragma once

#include "lib/app/fork.h"
#include "lib/app/reattach.h"
#include "lib/app/session.h"

#define PHX_MESSAGE_CACHES 4 // stripes of free messages, chosen by thread

struct phx_message_cache {
	struct phx_lock lock;
	struct phx_session *session; // the current one
	struct phx_message *free;    // with a first block in it
	uint32_t count;
	int32_t live; // messages with blocks in `session` that are out: the sum over stripes
} PHX_CACHE_ALIGNED;

enum phx_context_gone {
	PHX_CONTEXT_UP,
	PHX_CONTEXT_AWAY, // the session has ended, reattach.c looks for another
	PHX_CONTEXT_OVER, // it has ended for good
};

struct phx_context {
	struct phx_fork_page *fork_page;      // [const]
	unsigned cpus;			      // [const] that this process may use
	_Atomic uint32_t gone;		      // enum phx_context_gone
	_Atomic uint32_t epoch;		      // of the session that calls name their channels in
	struct phx_attach_options options;    // [const] with copies of its texts
	_Atomic uint64_t ignored_completions; // stale tags and handles

	struct phx_lock end_lock;
	struct phx_session_end end; // under end_lock: why the last session ended

	struct phx_lock control;
	struct phx_session *session;			// under control; NULL before the first
	struct phx_queue *queues[PHX_LIMIT_QUEUES_MAX]; // under control
	struct phx_list channels;			// under control
	struct phx_list servers;			// under control

	struct phx_queue *default_queue; // [const]

	struct phx_reattach reattach;

	struct phx_lock sessions_lock;
	struct phx_list sessions; // under sessions_lock: those that are not freed yet

	struct phx_lock messages_lock;
	struct phx_message *all_messages;  // under messages_lock: for the end
	struct phx_message *bare_messages; // under messages_lock: free, no block
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

// Has it ended for good?
static inline bool phx_context_over(const struct phx_context *ctx)
{
	return atomic_load_explicit(&ctx->gone, memory_order_acquire) == PHX_CONTEXT_OVER;
}

// What every entry point that needs a session asks first: 0, -EPERM or -ENOTCONN.
static inline int phx_context_check(const struct phx_context *ctx)
{
	if (phx_unlikely(phx_context_forked(ctx)))
		return -EPERM;
	return phx_unlikely(phx_context_gone(ctx)) ? -ENOTCONN : 0;
}

// The same for building messages, which calls that wait for a session need.
static inline int phx_context_check_build(const struct phx_context *ctx)
{
	if (phx_unlikely(phx_context_forked(ctx)))
		return -EPERM;
	return phx_unlikely(phx_context_over(ctx)) ? -ENOTCONN : 0;
}

// The current session has ended. Wakes every thread that sleeps in a wait.
PHX_COLD void phx_context_end(struct phx_context *ctx, const struct phx_session_end *end)
	PHX_REQUIRES(ctx->control);

// phx_session_service() of the current session. Returns without doing anything when another
// thread is talking to the dataplane.
void phx_context_service(struct phx_context *ctx);

// Fill a status; out may be NULL. Never touches more of `text` than it writes.
void phx_status_fill(struct phx_status *out, uint32_t code, uint32_t origin, uint32_t executed,
	uint32_t reason, const char *fmt, ...) PHX_PRINTF(6, 7);
// Around a public function with a status: begin makes it PHX_OK; end says what rc means unless
// somebody has said more, and returns rc. out may be NULL.
void phx_status_begin(struct phx_status *out);
int phx_status_end(struct phx_status *out, int rc);

// Fill a status from how the last session ended, or from being a child; untouched when there is
// a session.
void phx_context_end_status(const struct phx_context *ctx, struct phx_status *out);

// The negative errno value for the code of a refusal.
int phx_context_refusal_errno(uint32_t code);
void phx_context_refusal_status(const struct phx_attach_refused *r, struct phx_status *out);
