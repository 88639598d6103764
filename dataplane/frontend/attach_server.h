// SPDX-License-Identifier: BSD-3-Clause
// The server side of app.sock: accepts applications, measures and admits them, gives them shared
// memory and a session on a worker, and takes everything back when they end (INV-6). All
// functions: control thread.
#pragma once

#include "dataplane/control/loop.h"
#include "dataplane/core/worker.h"
#include "dataplane/frontend/attach_region.h"
#include "dataplane/frontend/identity.h"
#include "dataplane/frontend/rules.h"
#include "lib/base/list.h"
#include "lib/base/status.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTACH_HISTORY	   64
#define ATTACH_PENDING_MAX 128 // connections that have not finished their hello
#define ATTACH_SEND_QUEUE  8   // packets that wait for an application to read

struct attach_app;
struct attach_job;
struct chain_host;
struct registry;

// One ended application, for `app history`.
struct attach_history {
	uint64_t id;
	uint32_t uid;
	int32_t pid;
	char name[RULES_NAME]; // by rule, "" = none
	char claim[65];
	enum phx_reason reason;
	char text[128];
	uint64_t time_ns; // wall clock
};

struct attach_stats {
	uint64_t accepted;
	uint64_t refused;      // by rule or version
	uint64_t over_limit;   // connections dropped for want of room
	uint64_t out_of_files; // EMFILE, ENFILE
	uint64_t disconnects[PHX_REASON_COUNT];
};

struct attach_config {
	struct ctl_loop *loop;
	struct rules *rules;
	struct registry *registry; // of services
	struct chain_host *chains; // policies; NULL = none
	struct rte_rcu_qsbr *qsbr;
	struct worker **workers;
	unsigned worker_count;
	uint64_t app_memory;  // bytes of all applications together
	uint64_t max_message; // 0 = default
	uint8_t uuid[16];     // of this instance
	// Open a channel to a target that is not `local:`; NULL: no transports. Answers by
	// attach_channel_opened(), now or later; job and target (not terminated by the
	// application, checked for length only) stay valid until then.
	void (*open_remote)(void *arg, struct attach_job *job, const char *target, unsigned worker,
		uint64_t timeout_ns);
	void *open_remote_arg;
};

// How busy a worker was between two looks at it.
struct attach_busy {
	uint64_t at_ns, busy_ns;
	unsigned percent;
};

struct attach_server {
	struct attach_config config;
	struct ctl_source listener;
	int reserve_fd;	      // given up to refuse a connection when descriptors run out
	struct phx_list apps; // oldest first
	unsigned app_count;
	struct attach_busy busy[PHX_LIMIT_WORKERS_MAX]; // attach_place.c
	unsigned pending_count;
	uint64_t next_id;
	struct attach_budget budget;
	struct attach_stats stats;
	struct attach_history history[ATTACH_HISTORY];
	uint64_t history_count; // entries ever written; the newest is at (count - 1) % size
	bool draining;		// nobody new is let in
	bool stopping;
	void (*stopped)(void *arg);
	void *stopped_arg;
	uint8_t *packet; // receive buffer
};

// Serve on listen_fd (SOCK_SEQPACKET, listening, non-blocking), which is taken over on success.
// -ENOMEM or what the loop said. *out is stopped, then destroyed.
int attach_server_start(
	const struct attach_config *config, int listen_fd, struct attach_server **out);

// Stop accepting, detach every application with DP_RESTART, and call stopped(arg) when the last
// resource is back (from here when there is none).
void attach_server_stop(struct attach_server *server, void (*stopped)(void *arg), void *arg);

// Refuse new applications, UNAVAILABLE(ADMIN), or let them in again.
void attach_server_drain(struct attach_server *server, bool drain);

// After stopped was called. NULL is legal.
void attach_server_destroy(struct attach_server *server);

// ---- for the handlers of dataplane.sock ----

struct session;
// What is shown of an application; borrowed strings, valid until the next turn of the loop.
struct attach_info {
	uint64_t id;
	const struct identity *identity;
	const char *name; // by rule, "" = none
	const char *claim;
	const char *library;
	const char *state; // "hello", "mapping", "ready", "closing"
	const char *rule;  // that allowed it
	unsigned worker;   // index
	enum rules_placement placement;
	bool fixed;			 // a rule names the worker
	uint64_t since_ns;		 // wall clock of the hello
	uint64_t send_bytes, recv_bytes; // heaps
	uint64_t send_quota, recv_quota; // of heaps
	uint64_t queue_bytes;		 // rings, both ways
	uint64_t schema_bytes;		 // charged for its tables
	uint32_t send_regions, recv_regions;
	uint32_t queues, schemas;
	struct session *session; // NULL before it is ready; its counters may be read
};
typedef void (*attach_info_fn)(void *arg, const struct attach_info *info);
void attach_server_each(struct attach_server *server, attach_info_fn fn, void *arg);

// Move an application's session to worker `worker` (index); calls under way have limit_ns to end.
// 0: fn follows with 0 and how long calls waited, -EBUSY (they did not end), -ESHUTDOWN. Else
// -ENOENT, -ERANGE (no such worker), -EAGAIN (attaching, or a request is under way), -EALREADY
// (it is there), -ENOMEM.
typedef void (*attach_moved_fn)(void *arg, int rc, uint64_t pause_ns);
int attach_server_move(struct attach_server *server, uint64_t id, unsigned worker,
	uint64_t limit_ns, attach_moved_fn fn, void *arg);

// -ENOENT.
int attach_server_disconnect(
	struct attach_server *server, uint64_t id, enum phx_reason reason, const char *text);

// The answer of open_remote: rc 0 and the peer of the channel, or a negative errno value with
// the refusal's code, reason and text (may be NULL).
void attach_channel_opened(struct attach_job *job, int rc, uint64_t peer, const char *group,
	enum phx_code code, enum phx_reason reason, const char *text);
