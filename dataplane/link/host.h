// SPDX-License-Identifier: BSD-3-Clause
// Links of this dataplane with other hosts: listens, dials, exchanges hellos, gives finished links
// to workers and makes lost ones anew. A peer is one address that applications named; it has one
// link for each pair of a local worker that has channels to it and a worker of the peer. All
// functions: control thread.
#pragma once

#include "dataplane/control/loop.h"
#include "dataplane/core/worker.h"
#include "lib/base/status.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#define HOST_PEERS_MAX	  256 // addresses that applications have open
#define HOST_INBOUND_MAX  128 // accepted connections whose link is not complete
#define HOST_ADDRESS_TEXT 64  // "[IPv6]:port"
#define HOST_NAME_TEXT	  128
#define HOST_ERROR_TEXT	  160

struct host;

struct host_config {
	struct ctl_loop *loop;
	struct worker **workers;
	unsigned worker_count;
	uint8_t uuid[16]; // of this instance
	// May a peer with this address use the listener? NULL: no, else the name to show. Borrowed
	// until the next call.
	const char *(*admits)(void *arg, const char *listener, const struct sockaddr *from);
	void *admits_arg;
};

// -ENOMEM.
int host_create(const struct host_config *config, struct host **out_host);
// Close listeners and half-made links, dial nobody any more. The links that workers have stay.
void host_stop(struct host *host);
// After host_stop(), when no worker has a link or a command any more. NULL is legal.
void host_destroy(struct host *host);

// ---- listeners ----

struct host_listener_config {
	const char *name;
	struct sockaddr_storage address;
};
// Make the listeners these and no others; those with equal name and address stay. Links whose
// listener is gone or whose peer is not admitted any more are closed. An address that is not to be
// had is tried again every second. -ENOMEM.
int host_set_listeners(
	struct host *host, const struct host_listener_config *listeners, unsigned count);

struct host_listener_info {
	const char *name;
	char address[HOST_ADDRESS_TEXT];
	bool listening;
	const char *error; // why not, "" = none
	uint64_t accepted_total, refused_total;
};
typedef void (*host_listener_fn)(void *arg, const struct host_listener_info *info);
void host_listeners_each(const struct host *host, host_listener_fn fn, void *arg);

// ---- peers ----

// The peer of "tcp://HOST:PORT[/GROUP]" for a channel of worker `worker`; connecting goes on behind
// it. 0 with *out_peer (0 = this host itself) and *out_group, which points into target.
// "cluster:NAME[/GROUP]" has a peer of its own. -ENOENT: no such cluster, with *out_text.
// -EINVAL: not such a target, with *out_text; -ENOSPC: too many peers; -ENOMEM.
int host_open(struct host *host, const char *target, unsigned worker, uint64_t *out_peer,
	const char **out_group, const char **out_text);

// Worker `to` will need the links that worker `from` has: dial them.
void host_want_like(struct host *host, unsigned from, unsigned to);

// ---- clusters ----

struct host_endpoint_config {
	const char *address; // "IP:PORT"
	unsigned weight;
};
struct host_cluster_config {
	const char *name;
	bool least_request; // else round robin
	const struct host_endpoint_config *endpoints;
	unsigned count; // at most PHX_LIMIT_ENDPOINTS_MAX
};
// Make the clusters these and no others, for channels that are open too; those of a cluster that
// is gone have no endpoint. Everything is copied. -ENOMEM.
int host_set_clusters(
	struct host *host, const struct host_cluster_config *clusters, unsigned count);
typedef void (*host_cluster_fn)(void *arg, uint64_t peer, const char *name);
void host_clusters_each(const struct host *host, host_cluster_fn fn, void *arg);

struct host_peer_info {
	uint64_t id;
	const char *address; // as the application wrote it
	const char *state;   // "connecting", "up", "backoff", "self"
	const char *error;   // of the last attempt, "" = none
	unsigned links;
	unsigned remote_workers; // 0 = not known yet
	const char *host;	 // name that the peer gave itself, a claim
	uint64_t attempts_total, lost_total;
};
typedef void (*host_peer_fn)(void *arg, const struct host_peer_info *info);
void host_peers_each(const struct host *host, host_peer_fn fn, void *arg);
