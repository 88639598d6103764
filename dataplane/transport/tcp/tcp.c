// SPDX-License-Identifier: BSD-3-Clause
// Life of a TCP connection: made over a connected socket, polled by its worker, closed.
#include "dataplane/transport/tcp/tcp.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TCP_USER_TIMEOUT_MS 15000	 // unacknowledged for so long: the peer is gone
#define TCP_BULK_LOWAT	    (256 * 1024) // unsent bytes in the kernel of a bulk lane

void tcp_fail(struct tcp_conn *t, enum phx_reason reason, int error)
{
	if (t->dead)
		return;
	t->dead = true;
	t->reason = error == -ETIMEDOUT ? PHX_REASON_W_IDLE : reason;
	t->error = error;
	phx_parser_sink_cancel(&t->parser);
	if (t->started)
		worker_source_dirty(&t->base.source); // flush tells the link layer
}

static void tcp_free(struct tcp_conn *t)
{
	free(t->stage);
	free(t->rx);
	free(t);
}

// Between the two, close() leaves the memory to tcp_leave().
static void tcp_enter(struct tcp_conn *t)
{
	t->busy++;
}

static void tcp_leave(struct tcp_conn *t)
{
	if (--t->busy == 0 && t->closing)
		tcp_free(t);
}

static void tcp_tell_closed(struct tcp_conn *t)
{
	if (!t->dead || t->told || t->closing)
		return;
	t->told = true;
	t->base.up->closed(&t->base, t->reason, t->error);
}

static unsigned tcp_poll(struct source *source, struct worker *worker)
{
	struct tcp_conn *t = phx_container_of(source, struct tcp_conn, base.source);
	unsigned work = 0;

	(void)worker;
	tcp_enter(t);
	if (phx_unlikely(t->blocked)) {
		t->blocked = false;
		if (tcp_tx_write(t) != 0)
			work++;
		tcp_tx_finish(t, false);
		tcp_tx_writable(t);
	}
	// What was written amid the round: its answers come now, so it is given back first.
	if (phx_unlikely(!phx_list_empty(&t->dones)))
		tcp_tx_finish(t, false);
	work += tcp_rx(t);
	if (phx_unlikely(t->dead))
		tcp_tell_closed(t);
	tcp_leave(t);
	return work;
}

static void tcp_flush(struct source *source, struct worker *worker)
{
	struct tcp_conn *t = phx_container_of(source, struct tcp_conn, base.source);

	(void)worker;
	tcp_enter(t);
	(void)tcp_tx_write(t);
	tcp_tx_finish(t, false);
	if (phx_unlikely(t->want_writable)) {
		tcp_tx_writable(t);
		(void)tcp_tx_write(t);
	}
	if (phx_unlikely(t->dead))
		tcp_tell_closed(t);
	tcp_leave(t);
}

// The socket is in the worker's epoll set all the time, edge-triggered, so there is nothing to arm.
// An edge that came before the last read that found nothing is spent: sleep only after one.
static bool tcp_recheck(struct source *source)
{
	struct tcp_conn *t = phx_container_of(source, struct tcp_conn, base.source);

	if (t->dead)
		return !t->told;
	return t->rx_more || !t->rx_drained || (t->iov_head != t->iov_tail && !t->blocked);
}

static const struct source_ops tcp_source_ops = {
	.kind = "tcp",
	.poll = tcp_poll,
	.flush = tcp_flush,
	.recheck = tcp_recheck,
};

static void tcp_sink_cancel(struct conn *conn)
{
	phx_parser_sink_cancel(&tcp_of(conn)->parser);
}

static void tcp_close(struct conn *conn)
{
	struct tcp_conn *t = tcp_of(conn);

	assert(!t->closing);
	tcp_enter(t);
	t->closing = true;
	phx_parser_sink_cancel(&t->parser);
	if (!t->dead && !t->blocked)
		(void)tcp_tx_write(t);
	t->dead = true;
	if (t->started)
		worker_source_del(conn->worker, &conn->source);
	(void)close(conn->source.fd); // the connection ends either way
	tcp_tx_finish(t, true);
	tcp_leave(t); // frees, unless this is inside an up-call
}

static int tcp_start(struct conn *conn, struct worker *worker)
{
	struct tcp_conn *t = tcp_of(conn);
	int rc;

	assert(conn->up != NULL && !t->started);
	rc = worker_source_add(worker, &conn->source);
	if (rc != 0)
		return rc;
	conn->worker = worker;
	t->parser.check_crc = conn->payload_crc;
	t->started = true;
	return 0;
}

static const struct transport_ops tcp_ops = {
	.name = "tcp",
	.caps = TRANSPORT_CAP_IN_PLACE | TRANSPORT_CAP_SINK,
	.send = tcp_send,
	.sink_cancel = tcp_sink_cancel,
	.close = tcp_close,
	.start = tcp_start,
};

static int set_option(int fd, int option, int value)
{
	return setsockopt(fd, IPPROTO_TCP, option, &value, sizeof(value)) == 0 ? 0 : -errno;
}

static int tune_socket(int fd, unsigned lane)
{
	int rc = set_option(fd, TCP_NODELAY, 1);

	if (rc == 0)
		rc = set_option(fd, TCP_USER_TIMEOUT, TCP_USER_TIMEOUT_MS);
	if (rc == 0 && lane == PHX_LANE_BULK)
		rc = set_option(fd, TCP_NOTSENT_LOWAT, TCP_BULK_LOWAT);
	return rc;
}

int tcp_conn_create(int take_fd, unsigned lane, bool payload_crc, struct conn **out_conn)
{
	struct tcp_conn *t = calloc(1, sizeof(*t));
	int rc = -ENOMEM;

	if (t == NULL)
		goto close_fd;
	t->stage = malloc(TCP_STAGE_SIZE);
	t->rx = malloc(TCP_RX_SIZE);
	if (t->stage == NULL || t->rx == NULL)
		goto free_conn;
	rc = tune_socket(take_fd, lane);
	if (rc != 0)
		goto free_conn;
	phx_list_init(&t->dones);
	phx_parser_init(&t->parser, payload_crc);
	source_init(&t->base.source, &tcp_source_ops, take_fd);
	t->base.ops = &tcp_ops;
	t->base.lane = (uint8_t)lane;
	t->base.payload_crc = payload_crc;
	*out_conn = &t->base;
	return 0;
free_conn:
	tcp_free(t);
close_fd:
	(void)close(take_fd); // taken, also on failure
	return rc;
}
