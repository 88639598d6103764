// SPDX-License-Identifier: BSD-3-Clause
// Peers that applications named: resolve, dial, keep links to all their workers, wait longer after
// each failure, and let go of peers that nobody uses. See host.h.
#include "dataplane/link/host_priv.h"

#include "dataplane/core/event.h"
#include "lib/base/hash.h"
#include "lib/base/log.h"

#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>

#define TARGETS "a target is local:[GROUP], tcp://HOST:PORT[/GROUP] or cluster:NAME[/GROUP]"

// ---- what workers are told ----

struct notice {
	struct cmd cmd;
	uint64_t peer;
	bool self;
	char why[HOST_ERROR_TEXT];
};

static void notice_here(struct worker *worker, struct cmd *cmd)
{
	struct notice *n = phx_container_of(cmd, struct notice, cmd);

	if (n->self)
		peer_localise(worker, n->peer);
	else
		(void)peer_set_state(worker, n->peer, PEER_BACKOFF, n->why); // no memory: no state
	free(n);
}

static void tell_worker(const struct host_peer *peer, unsigned worker)
{
	struct notice *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return; // calls wait under their deadlines
	n->peer = peer->id;
	n->self = peer->state == HOST_PEER_SELF;
	memcpy(n->why, peer->error, sizeof(n->why));
	worker_post(peer->host->config.workers[worker], &n->cmd, notice_here);
}

static void tell_workers(const struct host_peer *peer)
{
	for (unsigned w = 0; w < peer->host->config.worker_count; w++) {
		if (peer->wanted[w])
			tell_worker(peer, w);
	}
}

// ---- failure ----

static void retry(struct worker *worker, struct timer *timer)
{
	(void)worker;
	outbound_kick(phx_container_of(timer, struct host_peer, retry));
}

// Back-off doubles up to its limit; a fifth of it is random, so that hosts do not come in step.
static void peer_failed(struct host_peer *peer, const char *what)
{
	struct ctl_loop *loop = peer->host->config.loop;
	char text[HOST_ERROR_TEXT];
	uint64_t jitter = 0;

	(void)phx_random_bytes(&jitter, sizeof(jitter)); // without: no jitter
	(void)snprintf(text, sizeof(text), "%.*s: %s", 80, peer->address, what);
	if (strcmp(text, peer->error) != 0) {
		phx_log_warn("peer", "%s; trying again", text);
		EVENT_TELL("peer.error", peer->address, {"text", what});
	}
	memcpy(peer->error, text, sizeof(peer->error));
	if (peer->up == 0)
		peer->state = HOST_PEER_BACKOFF;
	tell_workers(peer);
	ctl_timer_start(loop, &peer->retry,
		loop->now_ns + peer->backoff_ns - jitter % (peer->backoff_ns / 5), retry);
	peer->backoff_ns = phx_min(peer->backoff_ns * 2, HOST_BACKOFF_MAX);
}

static void dial_failed(struct host_link *hl, const char *what)
{
	struct host_peer *peer = hl->peer;

	host_link_free(hl);
	// Of a host that is there, only this link failed.
	if (peer->up != 0 || !resolve_next(&peer->resolve)) {
		peer_failed(peer, what);
		return;
	}
	phx_log_debug("peer", "%s: %s; trying its next address", peer->address, what);
	outbound_kick(peer);
}

// ---- dialling ----

static void dial_lane(struct host_link *hl);

// The peer has our own UUID: no socket is needed.
static void peer_is_self(struct host_peer *peer)
{
	struct phx_list *n, *tmp;

	phx_log_info("peer", "%s is this host", peer->address);
	peer->state = HOST_PEER_SELF;
	peer->error[0] = '\0';
	phx_list_for_each_safe (n, tmp, &peer->host->links) {
		struct host_link *hl = phx_list_entry(n, struct host_link, node);

		if (hl->peer == peer)
			host_link_close(hl);
	}
	tell_workers(peer);
	host_cluster_peer_is_self(peer->host);
}

static void dial_complete(struct host_link *hl)
{
	struct host_peer *peer = hl->peer;
	const struct phx_wire_hello hello = hl->lane[PHX_LANE_SMALL].peer;
	bool crc = (hello.features & PHX_WIRE_FEATURE_CRC) != 0;
	int fds[PHX_LANE_COUNT], rc;

	for (int i = 0; i < PHX_LANE_COUNT; i++)
		fds[i] = exchange_take_fd(&hl->lane[i]);
	peer->remote_workers = hello.workers;
	memcpy(peer->uuid, hello.uuid, sizeof(peer->uuid));
	memcpy(peer->name, hello.name, sizeof(peer->name));
	hl->remote = hello.worker;
	phx_log_info("link", "link-%llu to %s, host %s, worker %u to %u",
		(unsigned long long)hl->id, hl->name, hello.name, hl->worker, hl->remote);
	rc = host_link_hand_over(hl, fds, &hello, crc);
	if (rc != 0)
		peer_failed(peer, strerror(-rc));
}

static void lane_greeted(struct exchange *x, int rc)
{
	struct host_link *hl = phx_container_of(x - x->own.lane, struct host_link, lane[0]);
	struct host_peer *peer = hl->peer;

	if (rc != 0) {
		char text[EXCHANGE_TEXT];

		memcpy(text, x->text, sizeof(text));
		dial_failed(hl, text);
	} else if (memcmp(x->peer.uuid, hl->host->config.uuid, sizeof(x->peer.uuid)) == 0) {
		peer_is_self(peer);
	} else if (hl->lanes > 1 &&
		   memcmp(x->peer.uuid, hl->lane[0].peer.uuid, sizeof(x->peer.uuid)) != 0) {
		dial_failed(hl, "two dataplanes answer at this address");
	} else if (hl->lanes < PHX_LANE_COUNT) {
		dial_lane(hl);
	} else {
		dial_complete(hl);
	}
}

static void dial_lane(struct host_link *hl)
{
	struct host_peer *peer = hl->peer;
	const struct resolve_address *address = &peer->resolve.addresses[peer->resolve.at];
	const struct sockaddr *to = (const struct sockaddr *)&address->to;
	struct phx_wire_hello own = host_hello(hl->host, hl->worker);
	unsigned lane = hl->lanes++;
	int rc;

	own.lane = (uint8_t)lane;
	own.token = hl->token;
	own.wish = (uint16_t)hl->remote;
	if (!host_address_is_loopback(to))
		own.features |= PHX_WIRE_FEATURE_CRC;
	rc = exchange_dial(&hl->lane[lane], to, address->len, &own, HOST_DIAL_NS, lane_greeted);
	if (rc != 0)
		dial_failed(hl, strerror(-rc));
}

static struct host_link *peer_link(const struct host_peer *peer, unsigned worker, unsigned remote)
{
	struct phx_list *n;

	phx_list_for_each (n, &peer->host->links) {
		struct host_link *hl = phx_list_entry(n, struct host_link, node);

		if (hl->peer == peer && hl->worker == worker && hl->remote == remote)
			return hl;
	}
	return NULL;
}

// False: no more now.
static bool peer_dial(struct host_peer *peer, unsigned worker, unsigned remote)
{
	struct host_link *hl;

	if (peer_link(peer, worker, remote) != NULL)
		return true;
	hl = host_link_create(peer->host);
	if (hl == NULL) {
		peer_failed(peer, "no room for another link");
		return false;
	}
	hl->peer = peer;
	hl->worker = worker;
	hl->remote = remote;
	(void)snprintf(
		hl->name, sizeof(hl->name), "%.*s", (int)sizeof(hl->name) - 1, peer->address);
	peer->attempts++;
	if (phx_random_bytes(&hl->token, sizeof(hl->token)) != 0)
		hl->token = phx_mix64((uint64_t)(uintptr_t)hl ^ peer->host->config.loop->now_ns);
	dial_lane(hl);
	return !timer_is_running(&peer->retry);
}

// Dial what is missing: the first link alone, since only its hello tells how many workers there
// are.
void outbound_kick(struct host_peer *peer)
{
	const struct host *host = peer->host;
	unsigned w, r;
	int rc;

	if (peer->state == HOST_PEER_SELF || host->stopped || peer->resolve.job != NULL ||
		timer_is_running(&peer->retry))
		return;
	if (peer->resolve.count == 0) {
		rc = resolve_start(peer);
		if (rc != 0)
			peer_failed(peer, strerror(-rc));
		return;
	}
	for (w = 0; w < host->config.worker_count; w++) {
		if (!peer->wanted[w])
			continue;
		for (r = 0; r < phx_max(peer->up != 0 ? peer->remote_workers : 0, 1u); r++) {
			if (!peer_dial(peer, w, r))
				return;
		}
		if (peer->up == 0)
			return;
	}
}

void outbound_resolved(struct host_peer *peer)
{
	if (peer->host->stopped)
		return;
	if (peer->resolve.error != 0) {
		peer->resolve.count = 0;
		peer_failed(peer, gai_strerror(peer->resolve.error));
		return;
	}
	outbound_kick(peer);
}

void outbound_opened(struct host_link *hl)
{
	struct host_peer *peer = hl->peer;

	if (hl->lost) {
		peer_failed(peer, strerror(-hl->open_rc));
		return;
	}
	if (peer->up++ == 0)
		EVENT_TELL("peer.up", peer->address, {"host", peer->name});
	peer->state = HOST_PEER_UP;
	peer->error[0] = '\0';
	outbound_kick(peer);
}

void outbound_lost(struct host_link *hl)
{
	struct host_peer *peer = hl->peer;
	uint64_t now = peer->host->config.loop->now_ns;

	peer->up--;
	peer->lost++;
	// An address may have moved with its name.
	if (peer->up == 0)
		peer->resolve.count = 0;
	phx_list_del(&hl->node); // not in the way of its successor
	phx_list_init(&hl->node);
	if (peer->host->stopped || hl->state == HOST_LINK_CLOSING)
		return;
	if (peer->up == 0) {
		peer->state = HOST_PEER_CONNECTING;
		EVENT_TELL("peer.down", peer->address, {"host", peer->name});
	}
	if (now - hl->up_ns >= PHX_NS_PER_S) {
		peer->backoff_ns = HOST_BACKOFF_MIN;
		outbound_kick(peer);
	} else {
		peer_failed(peer, "the link was lost at once");
	}
}

// ---- open ----

static struct host_peer *peer_find(const struct host *host, const char *address)
{
	struct phx_list *n;

	phx_list_for_each (n, &host->peers) {
		struct host_peer *p = phx_list_entry(n, struct host_peer, node);

		if (strcmp(p->address, address) == 0)
			return p;
	}
	return NULL;
}

// "HOST:PORT" or "[V6]:PORT" into the two parts of r.
static bool address_split(const char *address, struct resolve *r)
{
	const char *colon = strrchr(address, ':');
	size_t host_len = colon != NULL ? (size_t)(colon - address) : 0;
	const char *host = address;
	unsigned long port;
	char *end;

	if (host_len == 0 || host_len >= sizeof(r->host))
		return false;
	if (host[0] == '[' && host[host_len - 1] == ']') {
		host++;
		host_len -= 2;
	} else if (memchr(host, ':', host_len) != NULL) {
		return false;
	}
	if (colon[1] < '0' || colon[1] > '9')
		return false;
	port = strtoul(colon + 1, &end, 10);
	if (*end != '\0' || port == 0 || port > 65535 || host_len == 0)
		return false;
	memcpy(r->host, host, host_len);
	r->host[host_len] = '\0';
	(void)snprintf(r->port, sizeof(r->port), "%lu", port);
	return true;
}

static int peer_create(
	struct host *host, const char *address, struct host_peer **out, const char **out_text)
{
	struct host_peer *peer;

	if (host->peer_count >= HOST_PEERS_MAX) {
		*out_text = "too many peers are open on this host";
		return -ENOSPC;
	}
	peer = calloc(1, sizeof(*peer));
	if (peer == NULL) {
		*out_text = "no memory for a peer";
		return -ENOMEM;
	}
	if (!address_split(address, &peer->resolve)) {
		free(peer);
		*out_text = TARGETS;
		return -EINVAL;
	}
	peer->host = host;
	peer->id = host->next_peer++;
	peer->backoff_ns = HOST_BACKOFF_MIN;
	(void)snprintf(peer->address, sizeof(peer->address), "%s", address);
	timer_init(&peer->retry);
	timer_init(&peer->idle);
	phx_list_add_tail(&host->peers, &peer->node);
	host->peer_count++;
	outbound_look_later(peer);
	*out = peer;
	return 0;
}

int host_want(struct host *host, const char *address, unsigned worker, uint64_t *out_peer,
	const char **out_text)
{
	struct host_peer *peer = peer_find(host, address);
	int rc = peer == NULL ? peer_create(host, address, &peer, out_text) : 0;

	if (rc != 0)
		return rc;
	peer->used_ns = host->config.loop->now_ns;
	*out_peer = peer->state == HOST_PEER_SELF ? 0 : peer->id;
	if (peer->wanted[worker])
		return 0;
	peer->wanted[worker] = true;
	if (peer->state == HOST_PEER_BACKOFF || peer->state == HOST_PEER_SELF)
		tell_worker(peer, worker);
	outbound_kick(peer);
	return 0;
}

int host_open(struct host *host, const char *target, unsigned worker, uint64_t *out_peer,
	const char **out_group, const char **out_text)
{
	static const char scheme[] = "tcp://", cluster[] = "cluster:";
	char address[PHX_LIMIT_NAME_BYTES + 1];
	const char *slash;

	if (strncmp(target, cluster, sizeof(cluster) - 1) == 0)
		return host_open_cluster(
			host, target + sizeof(cluster) - 1, worker, out_peer, out_group, out_text);
	if (strncmp(target, scheme, sizeof(scheme) - 1) != 0) {
		*out_text = TARGETS;
		return -EINVAL;
	}
	target += sizeof(scheme) - 1;
	slash = strchr(target, '/');
	(void)snprintf(address, sizeof(address), "%.*s",
		slash != NULL ? (int)(slash - target) : PHX_LIMIT_NAME_BYTES, target);
	*out_group = slash != NULL ? slash + 1 : "";
	return host_want(host, address, worker, out_peer, out_text);
}

void host_want_like(struct host *host, unsigned from, unsigned to)
{
	struct phx_list *n;

	phx_list_for_each (n, &host->peers) {
		struct host_peer *peer = phx_list_entry(n, struct host_peer, node);

		if (!peer->wanted[from] || peer->wanted[to])
			continue;
		peer->used_ns = host->config.loop->now_ns;
		peer->wanted[to] = true;
		if (peer->state == HOST_PEER_BACKOFF || peer->state == HOST_PEER_SELF)
			tell_worker(peer, to);
		outbound_kick(peer);
	}
	host_cluster_want_like(host, from, to);
}

void outbound_stop(struct host_peer *peer)
{
	struct ctl_loop *loop = peer->host->config.loop;

	ctl_timer_stop(loop, &peer->retry);
	ctl_timer_stop(loop, &peer->idle);
	resolve_stop(&peer->resolve);
}

void host_peers_each(const struct host *host, host_peer_fn fn, void *arg)
{
	static const char *const states[] = {
		[HOST_PEER_CONNECTING] = "connecting",
		[HOST_PEER_UP] = "up",
		[HOST_PEER_BACKOFF] = "backoff",
		[HOST_PEER_SELF] = "self",
	};
	struct phx_list *n;

	phx_list_for_each (n, &host->peers) {
		const struct host_peer *p = phx_list_entry(n, struct host_peer, node);
		const struct host_peer_info info = {
			.id = p->id,
			.address = p->address,
			.state = states[p->state],
			.error = p->error,
			.links = p->up,
			.remote_workers = p->remote_workers,
			.host = p->name,
			.attempts_total = p->attempts,
			.lost_total = p->lost,
		};

		fn(arg, &info);
	}
}
