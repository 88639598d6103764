// SPDX-License-Identifier: BSD-3-Clause
// The bed: see bed.h.
#include "tests/conformance/bed.h"

#include "lib/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <rte_rcu_qsbr.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

uint8_t bed_byte(uint32_t cookie, uint32_t i)
{
	return (uint8_t)(cookie * 31 + i * 7 + (i >> 8));
}

void bed_fill(uint8_t *out, uint32_t cookie, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++)
		out[i] = bed_byte(cookie, i);
}

static bool body_ok(const struct phx_frame *frame, const struct iovec *iov, int iov_count)
{
	uint32_t at = 0;

	for (int i = 0; i < iov_count; i++) {
		const uint8_t *p = iov[i].iov_base;

		for (size_t k = 0; k < iov[i].iov_len; k++)
			if (p[k] != bed_byte(frame->cookie, at++))
				return false;
	}
	return at == phx_frame_body_len(frame);
}

static struct end *end_of(struct conn *conn)
{
	return conn->link;
}

static void end_got(
	struct end *e, const struct phx_frame *frame, const struct iovec *iov, int iov_count)
{
	e->nested += e->in_send;
	e->last = *frame;
	if (frame->payload_bad)
		e->bad++;
	else if (!body_ok(frame, iov, iov_count))
		e->mistakes++;
	if (frame->cookie != e->next)
		e->mistakes++;
	e->next = frame->cookie + 1;
}

static void end_echo(struct end *e, const struct phx_frame *frame)
{
	struct phx_frame f = {
		.type = PHX_FRAME_PING, .cookie = frame->cookie, .flags = PHX_FRAME_F_REPLY};

	if (end_send(e, &f, NULL, 0, NULL) != 0)
		e->mistakes++;
}

static int up_frame(struct conn *conn, const struct phx_frame *frame, const struct iovec *iov,
	int iov_count, enum phx_reason *reason)
{
	struct end *e = end_of(conn);

	end_got(e, frame, iov, iov_count);
	e->frames++;
	if (e->echo)
		end_echo(e, frame);
	if (e->close_on_frame) {
		e->conn = NULL;
		conn->ops->close(conn);
	}
	if (e->fail_frame != 0)
		*reason = PHX_REASON_W_CREDIT;
	return e->fail_frame;
}

static void *up_sink(struct conn *conn, const struct phx_frame *frame)
{
	struct end *e = end_of(conn);

	if (!phx_frame_is_chunk(frame))
		e->mistakes++;
	return e->use_sink ? e->sink_memory : NULL;
}

static int up_landed(struct conn *conn, const struct phx_frame *frame, enum phx_reason *reason)
{
	struct end *e = end_of(conn);
	struct iovec iov = {e->sink_memory, frame->payload_len};

	end_got(e, frame, &iov, 1);
	e->landed++;
	if (e->fail_frame != 0)
		*reason = PHX_REASON_W_CREDIT;
	return e->fail_frame;
}

static void up_writable(struct conn *conn)
{
	struct end *e = end_of(conn);

	e->nested += e->in_send;
	e->writable++;
}

static void up_closed(struct conn *conn, enum phx_reason reason, int error)
{
	struct end *e = end_of(conn);

	e->nested += e->in_send;
	e->closed++;
	e->reason = reason;
	e->error = error;
}

static const struct conn_up up = {
	.frame = up_frame,
	.sink = up_sink,
	.landed = up_landed,
	.writable = up_writable,
	.closed = up_closed,
};

int end_send(struct end *from, const struct phx_frame *frame, const struct iovec *iov,
	int iov_count, struct conn_done *done)
{
	bool outer = from->in_send;
	int rc;

	from->in_send = true;
	rc = from->conn->ops->send(from->conn, frame, iov, iov_count, done);
	from->in_send = outer;
	return rc;
}

static void tcp_sockets(int out_fds[2])
{
	struct sockaddr_in sa = {.sin_family = AF_INET};
	socklen_t len = sizeof(sa);
	int listener = socket(AF_INET, SOCK_STREAM, 0);

	sa.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(bind(listener, (struct sockaddr *)&sa, sizeof(sa)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&sa, &len), 0);
	out_fds[0] = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(connect(out_fds[0], (struct sockaddr *)&sa, sizeof(sa)), 0);
	out_fds[1] = accept(listener, NULL, NULL);
	assert_true(out_fds[1] >= 0);
	close(listener);
	for (int i = 0; i < 2; i++)
		assert_int_equal(fcntl(out_fds[i], F_SETFL, O_NONBLOCK), 0);
}

void bed_connect(enum bed_kind kind, bool payload_crc, struct conn *out_conns[2])
{
	int fds[2];

	if (kind != BED_TCP) {
		assert_int_equal(local_conn_pair(PHX_LANE_SMALL, out_conns), 0);
		return;
	}
	tcp_sockets(fds);
	for (int i = 0; i < 2; i++)
		assert_int_equal(
			tcp_conn_create(fds[i], PHX_LANE_SMALL, payload_crc, &out_conns[i]), 0);
}

static struct bed *bed_new(unsigned worker_count)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	size_t size = rte_rcu_qsbr_get_memsize(2);

	assert_non_null(bed);
	bed->qsbr = aligned_alloc(64, (size + 63) & ~(size_t)63);
	assert_int_equal(rte_rcu_qsbr_init(bed->qsbr, 2), 0);
	bed->worker_count = worker_count;
	for (unsigned i = 0; i < worker_count; i++)
		assert_int_equal(worker_create(i, i, false, bed->qsbr, &bed->workers[i]), 0);
	return bed;
}

static void bed_start(struct bed *bed, unsigned i, struct conn *conn)
{
	struct end *e = &bed->end[i];

	e->conn = conn;
	e->peer = &bed->end[1 - i];
	e->worker = bed->workers[i % bed->worker_count];
	e->sink_memory = malloc(PHX_LIMIT_CHUNK_BYTES);
	conn->link = e;
	conn->up = &up;
	assert_int_equal(conn->ops->start(conn, e->worker), 0);
}

struct bed *bed_create(enum bed_kind kind, bool payload_crc)
{
	struct bed *bed = bed_new(kind == BED_LOCAL ? 1 : 2);
	struct conn *conns[2];

	bed_connect(kind, payload_crc, conns);
	bed_start(bed, 0, conns[0]);
	bed_start(bed, 1, conns[1]);
	bed_settle(bed);
	return bed;
}

struct bed *bed_create_raw(bool payload_crc, int *out_fd)
{
	struct bed *bed = bed_new(1);
	struct conn *conn;
	int fds[2];

	tcp_sockets(fds);
	assert_int_equal(fcntl(fds[1], F_SETFL, 0), 0);
	assert_int_equal(tcp_conn_create(fds[0], PHX_LANE_BULK, payload_crc, &conn), 0);
	bed_start(bed, 0, conn);
	*out_fd = fds[1];
	return bed;
}

void bed_destroy(struct bed *bed)
{
	for (unsigned i = 0; i < 2; i++)
		if (bed->end[i].conn != NULL)
			bed->end[i].conn->ops->close(bed->end[i].conn);
	bed_settle(bed); // messages and commands under way
	for (unsigned i = 0; i < bed->worker_count; i++)
		worker_destroy(bed->workers[i]);
	for (unsigned i = 0; i < 2; i++)
		free(bed->end[i].sink_memory);
	free(bed->qsbr);
	free(bed);
}

unsigned bed_round(struct worker *worker)
{
	struct phx_list *node = worker->polled.next;
	unsigned work = 0;

	while (node != &worker->polled) {
		struct source *source = phx_list_entry(node, struct source, node);

		worker->cursor = node->next;
		if (source->ops->poll != NULL)
			work += source->ops->poll(source, worker);
		node = worker->cursor;
	}
	worker->cursor = NULL;
	for (int pass = 0; pass < 2; pass++) {
		while ((node = phx_list_pop(&worker->dirty)) != NULL) {
			struct source *source = phx_list_entry(node, struct source, dirty_node);

			source->dirty = false;
			if (source->ops->flush != NULL)
				source->ops->flush(source, worker);
			work++;
		}
		if (pass == 0)
			work += cmdq_run(&worker->inbox, worker, 64);
	}
	return work;
}

uint64_t bed_deadline(void)
{
	return phx_clock_ns() + 10 * PHX_NS_PER_S;
}

void bed_rounds(struct bed *bed, uint64_t deadline, const char *what)
{
	for (unsigned i = 0; i < bed->worker_count; i++)
		(void)bed_round(bed->workers[i]);
	if (phx_clock_ns() > deadline)
		fail_msg("no %s within 10 s", what);
}

void bed_settle(struct bed *bed)
{
	for (unsigned quiet = 0; quiet < 100; quiet++)
		for (unsigned i = 0; i < bed->worker_count; i++)
			if (bed_round(bed->workers[i]) != 0)
				quiet = 0;
}
