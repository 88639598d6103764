// SPDX-License-Identifier: BSD-3-Clause
// Life of a pair of local connections.
#include "dataplane/transport/local/local.h"

#include <errno.h>
#include <stdlib.h>

void local_ref(struct local_pair *pair)
{
	(void)atomic_fetch_add_explicit(&pair->refs, 1, memory_order_relaxed);
}

void local_unref(struct local_pair *pair)
{
	if (atomic_fetch_sub_explicit(&pair->refs, 1, memory_order_acq_rel) == 1)
		free(pair);
}

static bool local_is_closed(struct local_conn *c)
{
	return atomic_load_explicit(&c->closed, memory_order_relaxed);
}

void local_fail(struct local_conn *c, enum phx_reason reason, int error)
{
	if (c->dead)
		return;
	c->dead = true;
	c->reason = reason;
	c->error = error;
	worker_source_dirty(&c->base.source);
}

static void local_tell_closed(struct local_conn *c)
{
	if (!c->dead || c->told || local_is_closed(c))
		return;
	c->told = true;
	c->base.up->closed(&c->base, c->reason, c->error);
}

// End of a round in which something waited: the stack is clean now.
static void local_flush(struct source *source, struct worker *worker)
{
	struct local_conn *c = phx_container_of(source, struct local_conn, base.source);
	struct local_pair *pair = c->pair;

	(void)worker;
	local_ref(pair);
	local_deliver_queue(c);
	local_writable(c);
	local_tell_closed(c);
	local_unref(pair);
}

static const struct source_ops local_source_ops = {
	.kind = "local",
	.flush = local_flush,
};

static void local_peer_closed(struct worker *worker, struct cmd *cmd)
{
	struct local_conn *c = phx_container_of(cmd, struct local_conn, peer_cmd);

	(void)worker;
	local_deliver_queue(c); // what was sent before the close
	local_fail(c, PHX_REASON_W_RESET, 0);
	local_tell_closed(c);
	local_unref(c->pair);
}

// Either end may come here first: the one that closes, or the one that starts after it.
static void local_tell_peer(struct local_conn *c)
{
	struct worker *home = atomic_load_explicit(&c->home, memory_order_seq_cst);

	if (home == NULL || !atomic_load_explicit(&c->peer->closed, memory_order_seq_cst))
		return;
	if (atomic_exchange_explicit(&c->peer_told, true, memory_order_relaxed))
		return;
	local_ref(c->pair);
	worker_post(home, &c->peer_cmd, local_peer_closed);
}

static void local_peer_started(struct worker *worker, struct cmd *cmd)
{
	struct local_conn *c = phx_container_of(cmd, struct local_conn, start_cmd);

	(void)worker;
	if (c->want_writable && !c->dead)
		worker_source_dirty(&c->base.source);
	local_unref(c->pair);
}

static int local_start(struct conn *conn, struct worker *worker)
{
	struct local_conn *c = local_of(conn);
	struct worker *peer_home;

	assert(conn->up != NULL && conn->worker == NULL);
	conn->worker = worker;
	conn->source.worker = worker; // for its flush list; never polled
	atomic_store_explicit(&c->home, worker, memory_order_seq_cst);
	local_tell_peer(c);
	peer_home = atomic_load_explicit(&c->peer->home, memory_order_seq_cst);
	if (peer_home != NULL) { // it may have tried to send
		local_ref(c->pair);
		worker_post(peer_home, &c->peer->start_cmd, local_peer_started);
	}
	return 0;
}

static void local_close(struct conn *conn)
{
	struct local_conn *c = local_of(conn);

	assert(!local_is_closed(c));
	local_ref(c->pair);
	atomic_store_explicit(&c->closed, true, memory_order_seq_cst);
	c->dead = true;
	if (conn->worker != NULL) {
		local_deliver_queue(c); // gives back what nobody will read
		worker_source_del(conn->worker, &conn->source);
	}
	local_tell_peer(c->peer);
	local_unref(c->pair);
	local_unref(c->pair);
}

// A chunk is copied into its sink within one call: there is nothing to forget.
static void local_sink_cancel(struct conn *conn)
{
	(void)conn;
}

static const struct transport_ops local_ops = {
	.name = "local",
	.caps = TRANSPORT_CAP_IN_PLACE | TRANSPORT_CAP_SINK | TRANSPORT_CAP_LOCAL,
	.send = local_send,
	.sink_cancel = local_sink_cancel,
	.close = local_close,
	.start = local_start,
};

static void local_end_init(struct local_pair *pair, unsigned i, unsigned lane)
{
	struct local_conn *c = &pair->end[i];

	c->pair = pair;
	c->peer = &pair->end[1 - i];
	phx_list_init(&c->queue);
	source_init(&c->base.source, &local_source_ops, -1);
	c->base.ops = &local_ops;
	c->base.lane = (uint8_t)lane;
}

int local_conn_pair(unsigned lane, struct conn *out_conns[2])
{
	struct local_pair *pair = calloc(1, sizeof(*pair));

	if (pair == NULL)
		return -ENOMEM;
	atomic_init(&pair->refs, 2);
	for (unsigned i = 0; i < 2; i++) {
		local_end_init(pair, i, lane);
		out_conns[i] = &pair->end[i].base;
	}
	return 0;
}
