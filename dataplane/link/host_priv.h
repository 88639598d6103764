// SPDX-License-Identifier: BSD-3-Clause
// Private to host.c (life, links in the hands of workers), inbound.c (listeners), outbound.c
// (peers) and resolve.c (names). Control thread but for what is tagged.
#pragma once

#include "dataplane/link/exchange.h"
#include "dataplane/link/host.h"
#include "dataplane/link/link.h"

#define HOST_HELLO_NS	 UINT64_C(5000000000) // from accept to a complete link
#define HOST_DIAL_NS	 UINT64_C(3000000000) // to connect and say hello, each lane
#define HOST_BACKOFF_MIN UINT64_C(100000000)
#define HOST_BACKOFF_MAX UINT64_C(5000000000)
#define HOST_IDLE_NS	 UINT64_C(10000000000) // a peer without channels is looked at so often

enum host_link_state { HOST_LINK_DIALLING, HOST_LINK_OPENING, HOST_LINK_UP, HOST_LINK_CLOSING };

// A link as control sees it: while it is made, and as long as a worker has it.
struct host_link {
	struct phx_list node; // of host->links
	struct host *host;
	struct host_peer *peer; // dialled; NULL = accepted
	uint64_t id;
	unsigned worker, remote; // index here, index there
	uint8_t state;		 // enum host_link_state
	uint64_t up_ns;
	struct cmd open_cmd, close_cmd, lost_cmd;
	bool close_out; // close_cmd is on its way
	bool lost;	// the worker has no link any more
	char name[HOST_NAME_TEXT];
	struct link_config config;
	struct link *link; // [worker] NULL = not open
	int open_rc;	   // [worker>ctl] with open_cmd
	enum phx_reason reason;
	int error;
	// Dialling: the hellos of the lanes, one after the other.
	struct exchange lane[PHX_LANE_COUNT];
	unsigned lanes;
	uint64_t token;
	// Accepted: to ask again whether the peer is admitted.
	char listener[PHX_LIMIT_NAME_BYTES + 1];
	struct sockaddr_storage from;
};

enum host_peer_state { HOST_PEER_CONNECTING, HOST_PEER_UP, HOST_PEER_BACKOFF, HOST_PEER_SELF };

#define RESOLVE_ADDRESSES_MAX 8 // the rest is left out

// The search for the addresses of a name, on a thread of its own.
struct resolve {
	struct resolve_job *job; // NULL = none is under way
	char host[PHX_LIMIT_NAME_BYTES + 1];
	char port[8];
	struct resolve_address {
		struct sockaddr_storage to;
		socklen_t len;
	} addresses[RESOLVE_ADDRESSES_MAX]; // as the system prefers them
	unsigned count;			    // 0 = to be resolved
	unsigned at;			    // the one that is dialled
	int error;			    // of getaddrinfo, 0 = found
};

struct host_peer {
	struct phx_list node;
	struct host *host;
	uint64_t id;
	char address[PHX_LIMIT_NAME_BYTES + 1]; // "HOST:PORT"
	struct resolve resolve;
	uint8_t state; // enum host_peer_state
	bool wanted[PHX_LIMIT_WORKERS_MAX];
	unsigned remote_workers; // 0 = not known
	unsigned up;		 // links that workers have
	uint8_t uuid[16];
	char name[PHX_WIRE_HELLO_NAME];
	char error[HOST_ERROR_TEXT];
	uint64_t backoff_ns;
	struct timer retry, idle;
	uint64_t used_ns;
	uint64_t attempts, lost;
	// The look for channels, worker by worker.
	struct cmd look_cmd;
	bool looking;
	unsigned look_worker;
	uint32_t look_channels; // [worker>ctl]
};

struct listener {
	struct phx_list node;
	struct host *host;
	struct ctl_source source; // fd -1 = not listening
	struct timer retry;
	bool keep; // during host_set_listeners()
	char name[PHX_LIMIT_NAME_BYTES + 1];
	char error[HOST_ERROR_TEXT];
	struct sockaddr_storage address;
	uint64_t accepted, refused;
};

// An accepted connection: one lane of a link whose other lane is awaited.
struct inbound {
	struct phx_list node;
	struct host *host;
	struct exchange x;
	struct timer timer;
	bool answered;
	char listener[PHX_LIMIT_NAME_BYTES + 1];
	char peer_name[PHX_LIMIT_NAME_BYTES + 1]; // by the operator
	struct sockaddr_storage from;
};

struct host {
	struct host_config config;
	char name[PHX_WIRE_HELLO_NAME];
	struct phx_list listeners, inbound, links, peers, clusters;
	unsigned inbound_count, link_count, peer_count;
	uint64_t next_link, next_peer, next_cluster;
	bool stopped;
};

// host.c
struct phx_wire_hello host_hello(const struct host *host, unsigned worker);
void host_address_text(const struct sockaddr *address, char out[HOST_ADDRESS_TEXT]);
bool host_address_is_loopback(const struct sockaddr *address);
// NULL: no memory, or PHX_LIMIT_LINKS_MAX.
struct host_link *host_link_create(struct host *host);
void host_link_free(struct host_link *hl);
// Give sockets with finished hellos to hl->worker; uuid and CRC by `hello` of the small lane. The
// link's end is told to host_link_ended(). -ENOMEM or what tcp_conn_create() said: hl is freed.
int host_link_hand_over(struct host_link *hl, const int take_fds[PHX_LANE_COUNT],
	const struct phx_wire_hello *hello, bool crc);
// Ask the worker to close it.
void host_link_close(struct host_link *hl);

// outbound.c
void outbound_opened(struct host_link *hl);
void outbound_lost(struct host_link *hl);
void outbound_stop(struct host_peer *peer);
// Dial what is missing.
void outbound_kick(struct host_peer *peer);
// outbound_idle.c: look whether the peer is still used, later.
void outbound_look_later(struct host_peer *peer);
void outbound_resolved(struct host_peer *peer);

// Dial "HOST:PORT" for a worker: its peer, 0 for this host itself. Errors of host_open().
int host_want(struct host *host, const char *address, unsigned worker, uint64_t *out_peer,
	const char **out_text);

// host_cluster.c
int host_open_cluster(struct host *host, const char *target, unsigned worker, uint64_t *out_peer,
	const char **out_group, const char **out_text);
// A peer has turned out to be this host.
void host_cluster_peer_is_self(struct host *host);
void host_cluster_want_like(struct host *host, unsigned from, unsigned to);
void host_clusters_free(struct host *host);

// resolve.c
// Start a thread; outbound_resolved() follows on control. 0 or -errno.
int resolve_start(struct host_peer *peer);
// Dial the next address from now on; false: that was the last, and the name is to be resolved
// again.
bool resolve_next(struct resolve *r);
// The answer is not wanted any more. Does not wait for the thread, which may take long.
void resolve_stop(struct resolve *r);
// After resolve_stop(), when the control loop does not run any more.
void resolve_fini(struct resolve *r);

// inbound.c
void inbound_stop(struct host *host);
