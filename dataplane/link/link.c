// SPDX-License-Identifier: BSD-3-Clause
// Life of links, dispatch of their frames, keep-alive, and the table of one worker. See link.h.
#include "dataplane/link/link.h"
#include "dataplane/link/cluster.h"

#include "lib/base/log.h"

#include <stdlib.h>
#include <sys/random.h>

#define LINK_PINGS_MISSED_MAX 3
void (*link_lost_fn)(struct worker *worker, void *ctl, enum phx_reason reason, int error);

// ---- the table ----

static unsigned table_poll(struct source *source, struct worker *worker)
{
	struct link_table *table = phx_container_of(source, struct link_table, source);
	unsigned work = 0;
	struct phx_list *n;

	(void)worker;
	// One chunk of each link in turn, so many in a round for all of them together: what stands
	// behind them in the round waits no longer the more links there are.
	while (work < LINK_ROUND_CHUNKS && (n = phx_list_pop(&table->busy)) != NULL) {
		phx_list_add_tail(&table->busy, n);
		if (outgoing_pump(phx_list_entry(n, struct link, busy_node)) == 0)
			break;
		work++;
	}
	return work;
}

static void table_nothing(struct source *source)
{
	(void)source;
}

static void table_flush(struct source *source, struct worker *worker)
{
	(void)source;
	(void)worker;
}

static bool table_recheck(struct source *source)
{
	return !phx_list_empty(&phx_container_of(source, struct link_table, source)->busy);
}

static const struct source_ops table_ops = {
	.kind = "links",
	.poll = table_poll,
	.flush = table_flush,
	.arm = table_nothing,
	.recheck = table_recheck,
	.disarm = table_nothing,
};

int link_table_create(struct worker *worker)
{
	struct link_table *table = calloc(1, sizeof(*table));
	int rc;

	if (table == NULL)
		return -ENOMEM;
	table->worker = worker;
	table->source.ops = &table_ops;
	table->source.fd = -1;
	phx_list_init(&table->source.node);
	phx_list_init(&table->links);
	phx_list_init(&table->peers);
	phx_list_init(&table->orphans);
	for (unsigned i = 0; i < LINK_ORPHAN_BUCKETS; i++)
		phx_list_init(&table->orphan_bucket[i]);
	// Zero without entropy: then only as good as the hash.
	if (getrandom(&table->seed, sizeof(table->seed), GRND_NONBLOCK) < 0)
		table->seed = 0;
	phx_list_init(&table->busy);
	phx_list_init(&table->chunks);
	worker->link_layer = table;
	rc = worker_source_add(worker, &table->source);
	if (rc == 0)
		rc = peer_set_state(worker, 0, PEER_UP, NULL);
	return rc;
}

void link_table_destroy(struct worker *worker)
{
	struct link_table *table = link_table(worker);
	struct phx_list *n;

	if (table == NULL)
		return;
	phx_list_for_each (n, &table->links) {
		link_close(phx_list_entry(n, struct link, node), PHX_REASON_ADMIN);
	}
	while (!phx_list_empty(&table->links))
		(void)cmdq_run(&worker->inbox, worker, UINT32_MAX);
	rchannel_expire(table);
	while ((n = phx_list_pop(&table->peers)) != NULL) {
		free(phx_list_entry(n, struct peer_links, node)->cluster);
		free(phx_list_entry(n, struct peer_links, node));
	}
	while ((n = phx_list_pop(&table->chunks)) != NULL)
		free(phx_list_entry(n, struct chunk, done.node));
	worker_source_del(worker, &table->source);
	free(table);
	worker->link_layer = NULL;
}

void link_services_changed(struct worker *worker)
{
	struct link_table *table = link_table(worker);
	struct phx_list *l, *n;

	phx_list_for_each (l, &table->links) {
		struct link *link = phx_list_entry(l, struct link, node);

		phx_list_for_each (n, &link->rchannels) {
			rchannel_subscriptions(phx_list_entry(n, struct rchannel, node), false);
		}
	}
}

// ---- up-calls of the transports ----

static int up_frame(struct conn *conn, const struct phx_frame *f, const struct iovec *iov, int n,
	enum phx_reason *reason)
{
	struct link *link = conn->link;

	if (phx_unlikely(link->down))
		return 0;
	if (f->type == PHX_FRAME_PING) {
		if ((f->flags & PHX_FRAME_F_REPLY) == 0) {
			const struct phx_frame pong = {
				.type = PHX_FRAME_PING,
				.flags = PHX_FRAME_F_REPLY,
				.arg = f->arg,
			};

			link_send(link, &pong, NULL, 0);
		}
		return 0;
	}
	if (link->client)
		return client_frame(link, f, iov, n, reason);
	return server_frame(link, f, iov, n, reason);
}

static void *up_sink(struct conn *conn, const struct phx_frame *f)
{
	struct link *link = conn->link;

	// Chunks travel on the bulk lane only: on two lanes at once they would be counted twice.
	if (link->down || conn != link->lane[PHX_LANE_BULK])
		return NULL;
	return link->client ? client_sink(link, f) : server_sink(link, f);
}

static int up_landed(struct conn *conn, const struct phx_frame *f, enum phx_reason *reason)
{
	struct link *link = conn->link;

	return link->client ? client_landed(link, f, reason) : server_landed(link, f, reason);
}

static void up_writable(struct conn *conn)
{
	struct link *link = conn->link;
	struct link_table *table = link_table(link->worker);
	struct phx_list *n, *tmp;

	if (link->down)
		return;
	if (conn == link->lane[PHX_LANE_BULK] && link->bulk_blocked) {
		link->bulk_blocked = false;
		if (!phx_list_empty(&link->bulk) && phx_list_empty(&link->busy_node))
			phx_list_add_tail(&table->busy, &link->busy_node);
	}
	if (conn != link->lane[PHX_LANE_SMALL])
		return;
	link->small_blocked = false;
	backlog_send(link);
	if (phx_list_empty(&link->backlog))
		server_writable(link);
	phx_list_for_each_safe (n, tmp, &link->paths) {
		if (link->small_blocked || link->down)
			return;
		channel_kick(phx_list_entry(n, struct path, link_node)->channel);
	}
}

static void up_closed(struct conn *conn, enum phx_reason reason, int error)
{
	link_fail(conn->link, reason, error);
}

const struct conn_up link_up_ops = {
	.frame = up_frame,
	.sink = up_sink,
	.landed = up_landed,
	.writable = up_writable,
	.closed = up_closed,
};

// ---- keep-alive ----

// Does anybody wait for the other side?
static bool link_is_awaited(const struct link *link)
{
	const struct phx_list *n;

	phx_list_for_each (n, &link->paths) {
		const struct path *path = phx_list_entry(n, struct path, link_node);

		if (path->sent_count != 0 || path->state == PATH_OPENING)
			return true;
	}
	phx_list_for_each (n, &link->rchannels) {
		if (phx_list_entry(n, struct rchannel, node)->calls != 0)
			return true;
	}
	return false;
}

// A service that should be at another worker, with no path there, is down after a while.
static void services_reconsider(struct link *link)
{
	struct phx_list *n, *tmp;

	phx_list_for_each_safe (n, tmp, &link->paths) {
		struct path *path = phx_list_entry(n, struct path, link_node);

		for (uint32_t i = 0; i < path->channel->binding_count; i++) {
			if (path->bindings[i].state == SERVICE_ELSEWHERE) {
				channel_reconsider(path->channel);
				break;
			}
		}
	}
}

// Where somebody waits the question goes out at every tick, so that a silent peer is noticed within
// four. An idle link asks seldom, so that it costs nothing.
static void link_tick(struct worker *worker, struct timer *timer)
{
	struct link *link = phx_container_of(timer, struct link, ping);
	uint64_t rx =
		atomic_load_explicit(&link->lane[PHX_LANE_SMALL]->rx_frames, memory_order_relaxed);
	const struct phx_frame ping = {.type = PHX_FRAME_PING, .arg = worker->now_ns};

	services_reconsider(link);
	if (link->down)
		return;
	link->quiet_ticks++;
	if (rx != link->last_rx)
		link->pings_missed = link->quiet_ticks = 0;
	link->last_rx = rx;
	if (link->pings_missed >= LINK_PINGS_MISSED_MAX) {
		link_fail(link, PHX_REASON_W_IDLE, -ETIMEDOUT);
		return;
	}
	timer_start(&worker->timers, &link->ping, worker->now_ns + LINK_PING_NS, link_tick);
	if (link->pings_missed == 0 && link->quiet_ticks < LINK_QUIET_TICKS &&
		!link_is_awaited(link))
		return;
	link->pings_missed++;
	link_send(link, &ping, NULL, 0);
}

// ---- life ----

static void link_init(struct link *link, struct worker *worker, const struct link_config *c)
{
	link->worker = worker;
	link->id = c->id;
	link->peer = c->peer;
	link->client = c->client;
	link->local = c->local;
	link->trace = c->trace;
	link->remote_worker = (uint16_t)c->remote_worker;
	link->ctl = c->ctl;
	link->opened_ns = worker->now_ns;
	memcpy(link->peer_uuid, c->peer_uuid, sizeof(link->peer_uuid));
	(void)strncpy(link->peer_name, c->peer_name, sizeof(link->peer_name) - 1);
	phx_list_init(&link->paths);
	phx_list_init(&link->rchannels);
	phx_list_init(&link->bulk);
	phx_list_init(&link->backlog);
	phx_list_init(&link->replies);
	phx_list_init(&link->busy_node);
	timer_init(&link->ping);
	timer_init(&link->drain);
	for (int i = 0; i < LINK_BUCKETS; i++) {
		phx_list_init(&link->path_bucket[i]);
		phx_list_init(&link->rchannel_bucket[i]);
	}
}

static void lanes_close(struct link *link)
{
	struct conn *small = link->lane[PHX_LANE_SMALL], *bulk = link->lane[PHX_LANE_BULK];

	link->lane[PHX_LANE_SMALL] = NULL;
	link->lane[PHX_LANE_BULK] = NULL;
	if (bulk != NULL && bulk != small)
		bulk->ops->close(bulk);
	if (small != NULL)
		small->ops->close(small);
}

static void add_path(struct channel *channel, void *link)
{
	(void)path_create(channel, link); // fewer paths are legal
}

int link_open(struct worker *worker, const struct link_config *c, struct link **out_link)
{
	struct link_table *table = link_table(worker);
	struct link *link = calloc(1, sizeof(*link));
	struct phx_list *n, *tmp;
	int rc = 0;

	if (link == NULL) {
		for (int i = 0; i < PHX_LANE_COUNT; i++) {
			if (i == 0 || c->lane[i] != c->lane[0])
				c->lane[i]->ops->close(c->lane[i]);
		}
		return -ENOMEM;
	}
	link_init(link, worker, c);
	for (int i = 0; i < PHX_LANE_COUNT; i++) {
		link->lane[i] = c->lane[i];
		c->lane[i]->link = link;
		c->lane[i]->up = &link_up_ops;
	}
	for (int i = 0; i < PHX_LANE_COUNT && rc == 0; i++) {
		if (i == 0 || c->lane[i] != c->lane[0])
			rc = c->lane[i]->ops->start(c->lane[i], worker);
	}
	if (rc != 0) {
		lanes_close(link);
		free(link);
		return rc;
	}
	phx_list_add_tail(&table->links, &link->node);
	if (!link->local)
		timer_start(&worker->timers, &link->ping, worker->now_ns + LINK_PING_NS, link_tick);
	*out_link = link;
	if (link->client) {
		struct peer_links *peer = peer_get(table, link->peer);

		if (peer != NULL) {
			peer->state = PEER_UP;
			peer->retired = false;
			peer->link_count++;
			phx_list_for_each_safe (n, tmp, &peer->channels) {
				struct channel *channel = phx_list_entry(n, struct channel, node);

				rc = path_create(channel, link);
				// Nothing else would give it a path: dial again.
				if (rc != 0 && channel->path_count == 0)
					link_fail(link, PHX_REASON_NO_MEMORY, rc);
			}
			cluster_each_channel(table, link->peer, add_path, link);
		}
	}
	return 0;
}

// The teardown runs from a command, so that callers deep in an up-call still find their link.
static void link_end(struct worker *worker, struct cmd *cmd)
{
	struct link *link = phx_container_of(cmd, struct link, end);
	void *ctl = link->ctl;
	enum phx_reason reason = link->end_reason;
	int error = link->end_error;

	phx_list_del(&link->node);
	if (link->client) {
		struct peer_links *peer = peer_get(link_table(worker), link->peer);

		if (peer != NULL && --peer->link_count == 0)
			peer->state = PEER_CONNECTING;
		client_lost(link, reason);
		peer_link_ended(link_table(worker), link->peer);
	} else {
		server_lost(link, reason);
	}
	backlog_drop(link);
	lanes_close(link);
	free(link);
	if (link_lost_fn != NULL)
		link_lost_fn(worker, ctl, reason, error);
}

void link_fail(struct link *link, enum phx_reason reason, int error)
{
	if (link->down)
		return;
	link->down = true;
	link->end_reason = reason;
	link->end_error = error;
	if (!link->local) // those inside this process end with it
		phx_log_info("link", "link-%llu to %s lost: %s (%s)", (unsigned long long)link->id,
			link->peer_name, phx_reason_name(reason),
			error != 0 ? strerror(-error) : "closed");
	timer_stop(&link->worker->timers, &link->ping);
	timer_stop(&link->worker->timers, &link->drain);
	phx_list_del(&link->busy_node);
	worker_post(link->worker, &link->end, link_end);
}

void link_close(struct link *link, enum phx_reason reason)
{
	link_fail(link, reason, 0);
}
