// SPDX-License-Identifier: BSD-3-Clause
// Peers that nobody uses: every ten seconds their workers are asked for channels, and without any
// the peer is let go. Works with outbound.c and peer.c.
#include "dataplane/link/host_priv.h"

#include "lib/base/log.h"

#include <stdlib.h>

static void peer_free(struct host_peer *peer)
{
	struct ctl_loop *loop = peer->host->config.loop;

	ctl_timer_stop(loop, &peer->retry);
	ctl_timer_stop(loop, &peer->idle);
	phx_list_del(&peer->node);
	peer->host->peer_count--;
	free(peer);
}

static void look(struct worker *worker, struct timer *timer);

void outbound_look_later(struct host_peer *peer)
{
	struct ctl_loop *loop = peer->host->config.loop;

	ctl_timer_start(loop, &peer->idle, loop->now_ns + HOST_IDLE_NS, look);
}

static bool peer_is_unused(const struct host_peer *peer)
{
	struct phx_list *n;

	for (unsigned w = 0; w < peer->host->config.worker_count; w++) {
		if (peer->wanted[w])
			return false;
	}
	phx_list_for_each (n, &peer->host->links) {
		if (phx_list_entry(n, struct host_link, node)->peer == peer)
			return false;
	}
	return peer->resolve.job == NULL;
}

static void look_next(struct host_peer *peer);

static void looked(struct worker *worker, struct cmd *cmd)
{
	struct host_peer *peer = phx_container_of(cmd, struct host_peer, look_cmd);

	(void)worker;
	peer->looking = false;
	if (peer->look_channels == 0) {
		if (peer->host->config.loop->now_ns - peer->used_ns >= HOST_IDLE_NS)
			peer->wanted[peer->look_worker] = false;
		else
			outbound_kick(peer); // opened meanwhile
	}
	peer->look_worker++;
	look_next(peer);
}

static void look_here(struct worker *worker, struct cmd *cmd)
{
	struct host_peer *peer = phx_container_of(cmd, struct host_peer, look_cmd);

	peer->look_channels = peer_retire(worker, peer->id);
	ctl_post(peer->host->config.loop, &peer->look_cmd, looked);
}

static void look_next(struct host_peer *peer)
{
	const struct host *host = peer->host;

	while (peer->look_worker < host->config.worker_count && !peer->wanted[peer->look_worker])
		peer->look_worker++;
	if (peer->look_worker < host->config.worker_count) {
		peer->looking = true;
		worker_post(host->config.workers[peer->look_worker], &peer->look_cmd, look_here);
	} else if (peer_is_unused(peer)) {
		phx_log_info("peer", "%s: no channels any more", peer->address);
		peer_free(peer);
	} else {
		outbound_look_later(peer);
	}
}

static void look(struct worker *worker, struct timer *timer)
{
	struct host_peer *peer = phx_container_of(timer, struct host_peer, idle);

	(void)worker;
	if (peer->host->stopped)
		return;
	if (peer->host->config.loop->now_ns - peer->used_ns < HOST_IDLE_NS) {
		outbound_look_later(peer); // a channel may be on its way
		return;
	}
	peer->look_worker = 0;
	look_next(peer);
}
