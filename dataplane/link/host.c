// SPDX-License-Identifier: BSD-3-Clause
// Life of host.h's object, and the way of a link to its worker and back.
#include "dataplane/link/cluster.h"
#include "dataplane/link/host_priv.h"

#include "dataplane/core/event.h"
#include "lib/base/log.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void link_lost(struct worker *worker, void *ctl, enum phx_reason reason, int error);

int host_create(const struct host_config *config, struct host **out_host)
{
	struct host *host = calloc(1, sizeof(*host));

	if (host == NULL)
		return -ENOMEM;
	host->config = *config;
	host->next_link = host->next_peer = 1;
	if (gethostname(host->name, sizeof(host->name) - 1) != 0)
		host->name[0] = '\0';
	phx_list_init(&host->listeners);
	phx_list_init(&host->inbound);
	phx_list_init(&host->links);
	phx_list_init(&host->peers);
	phx_list_init(&host->clusters);
	host->next_cluster = CLUSTER_ID_FIRST;
	link_lost_fn = link_lost;
	*out_host = host;
	return 0;
}

void host_stop(struct host *host)
{
	struct phx_list *n, *tmp;

	if (host == NULL || host->stopped)
		return;
	host->stopped = true;
	inbound_stop(host);
	phx_list_for_each (n, &host->peers) {
		outbound_stop(phx_list_entry(n, struct host_peer, node));
	}
	phx_list_for_each_safe (n, tmp, &host->links) {
		struct host_link *hl = phx_list_entry(n, struct host_link, node);

		if (hl->state == HOST_LINK_DIALLING)
			host_link_free(hl);
	}
}

void host_destroy(struct host *host)
{
	struct phx_list *n;

	if (host == NULL)
		return;
	host_stop(host);
	while ((n = phx_list_first(&host->links)) != NULL)
		host_link_free(phx_list_entry(n, struct host_link, node));
	while ((n = phx_list_pop(&host->peers)) != NULL) {
		struct host_peer *peer = phx_list_entry(n, struct host_peer, node);

		resolve_fini(&peer->resolve);
		free(peer);
	}
	host_clusters_free(host);
	link_lost_fn = NULL;
	free(host);
}

struct phx_wire_hello host_hello(const struct host *host, unsigned worker)
{
	struct phx_wire_hello h = {
		.min = PHX_WIRE_MIN,
		.max = PHX_WIRE_MAX,
		.features = PHX_WIRE_FEATURE_TRACE,
		.lanes = PHX_LANE_COUNT,
		.worker = (uint16_t)worker,
		.workers = (uint16_t)host->config.worker_count,
	};

	memcpy(h.uuid, host->config.uuid, sizeof(h.uuid));
	memcpy(h.name, host->name, sizeof(h.name));
	return h;
}

void host_address_text(const struct sockaddr *address, char out[HOST_ADDRESS_TEXT])
{
	char text[INET6_ADDRSTRLEN] = "?";

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const void *)address;

		(void)inet_ntop(AF_INET, &in->sin_addr, text, sizeof(text));
		(void)snprintf(out, HOST_ADDRESS_TEXT, "%s:%u", text, ntohs(in->sin_port));
	} else {
		const struct sockaddr_in6 *in6 = (const void *)address;

		(void)inet_ntop(AF_INET6, &in6->sin6_addr, text, sizeof(text));
		(void)snprintf(out, HOST_ADDRESS_TEXT, "[%s]:%u", text, ntohs(in6->sin6_port));
	}
}

bool host_address_is_loopback(const struct sockaddr *address)
{
	const struct sockaddr_in *in = (const void *)address;
	const struct in6_addr *a6 =
		&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr;

	if (address->sa_family == AF_INET)
		return ntohl(in->sin_addr.s_addr) >> 24 == 127;
	return IN6_IS_ADDR_LOOPBACK(a6) || (IN6_IS_ADDR_V4MAPPED(a6) && a6->s6_addr[12] == 127);
}

// ---- links ----

struct host_link *host_link_create(struct host *host)
{
	struct host_link *hl;

	if (host->link_count >= PHX_LIMIT_LINKS_MAX)
		return NULL;
	hl = calloc(1, sizeof(*hl));
	if (hl == NULL)
		return NULL;
	hl->host = host;
	hl->id = host->next_link++;
	for (int i = 0; i < PHX_LANE_COUNT; i++)
		exchange_init(&hl->lane[i], host->config.loop);
	phx_list_add_tail(&host->links, &hl->node);
	host->link_count++;
	return hl;
}

void host_link_free(struct host_link *hl)
{
	for (int i = 0; i < PHX_LANE_COUNT; i++)
		exchange_stop(&hl->lane[i]);
	phx_list_del(&hl->node);
	hl->host->link_count--;
	free(hl);
}

// ---- between control and worker ----

static void tell_link(const struct host_link *hl, const char *type)
{
	bool lost = hl->lost;
	char id[EVENT_ID_BYTES];

	EVENT_TELL(type, event_id(id, "link", hl->id), {"peer", hl->name},
		{"reason", lost ? phx_reason_name(hl->reason) : NULL},
		{"text", lost && hl->error != 0 ? strerror(-hl->error) : NULL});
}

static void opened(struct worker *worker, struct cmd *cmd)
{
	struct host_link *hl = phx_container_of(cmd, struct host_link, open_cmd);

	(void)worker;
	if (hl->open_rc != 0) {
		phx_log_warn("link", "link-%llu to %s cannot be opened: %s",
			(unsigned long long)hl->id, hl->name, strerror(-hl->open_rc));
		hl->lost = true;
		hl->error = hl->open_rc;
		hl->reason = PHX_REASON_NO_MEMORY;
	} else if (hl->state == HOST_LINK_OPENING) {
		hl->state = HOST_LINK_UP;
		tell_link(hl, "link.up");
		hl->up_ns = hl->host->config.loop->now_ns;
	}
	if (hl->peer != NULL)
		outbound_opened(hl);
	if (hl->lost && !hl->close_out)
		host_link_free(hl);
}

static void open_here(struct worker *worker, struct cmd *cmd)
{
	struct host_link *hl = phx_container_of(cmd, struct host_link, open_cmd);

	hl->open_rc = link_open(worker, &hl->config, &hl->link);
	ctl_post(hl->host->config.loop, &hl->open_cmd, opened);
}

static void lost(struct worker *worker, struct cmd *cmd)
{
	struct host_link *hl = phx_container_of(cmd, struct host_link, lost_cmd);

	(void)worker;
	hl->lost = true;
	tell_link(hl, "link.lost");
	if (hl->peer != NULL)
		outbound_lost(hl);
	if (!hl->close_out)
		host_link_free(hl);
}

// Runs on the worker that had the link.
static void link_lost(struct worker *worker, void *ctl, enum phx_reason reason, int error)
{
	struct host_link *hl = ctl;

	(void)worker;
	if (hl == NULL)
		return; // a local link
	hl->link = NULL;
	hl->reason = reason;
	hl->error = error;
	ctl_post(hl->host->config.loop, &hl->lost_cmd, lost);
}

int host_link_hand_over(struct host_link *hl, const int take_fds[PHX_LANE_COUNT],
	const struct phx_wire_hello *hello, bool crc)
{
	struct conn *conns[PHX_LANE_COUNT] = {NULL};
	int i, rc = 0;

	for (i = 0; i < PHX_LANE_COUNT; i++) {
		if (rc == 0)
			rc = tcp_conn_create(take_fds[i], (unsigned)i, crc, &conns[i]);
		else
			(void)close(take_fds[i]); // taken, also on failure
	}
	if (rc != 0) {
		for (i = 0; i < PHX_LANE_COUNT; i++) {
			if (conns[i] != NULL)
				conns[i]->ops->close(conns[i]);
		}
		host_link_free(hl);
		return rc;
	}
	hl->config = (struct link_config){
		.id = hl->id,
		.peer = hl->peer != NULL ? hl->peer->id : 0,
		.client = hl->peer != NULL,
		.trace = (hello->features & PHX_WIRE_FEATURE_TRACE) != 0,
		.peer_name = hl->name,
		.remote_worker = hl->remote,
		.ctl = hl,
	};
	memcpy(hl->config.peer_uuid, hello->uuid, sizeof(hl->config.peer_uuid));
	memcpy(hl->config.lane, conns, sizeof(conns));
	hl->state = HOST_LINK_OPENING;
	worker_post(hl->host->config.workers[hl->worker], &hl->open_cmd, open_here);
	return 0;
}

static void close_ran(struct worker *worker, struct cmd *cmd)
{
	struct host_link *hl = phx_container_of(cmd, struct host_link, close_cmd);

	(void)worker;
	hl->close_out = false;
	if (hl->lost)
		host_link_free(hl);
}

static void close_here(struct worker *worker, struct cmd *cmd)
{
	struct host_link *hl = phx_container_of(cmd, struct host_link, close_cmd);

	(void)worker;
	if (hl->link != NULL)
		link_close(hl->link, PHX_REASON_ADMIN);
	ctl_post(hl->host->config.loop, &hl->close_cmd, close_ran);
}

void host_link_close(struct host_link *hl)
{
	if (hl->state == HOST_LINK_DIALLING) {
		host_link_free(hl);
		return;
	}
	hl->state = HOST_LINK_CLOSING;
	if (hl->close_out || hl->lost)
		return;
	hl->close_out = true;
	worker_post(hl->host->config.workers[hl->worker], &hl->close_cmd, close_here);
}
