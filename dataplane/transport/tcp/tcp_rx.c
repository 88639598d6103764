// SPDX-License-Identifier: BSD-3-Clause
// Receiving: one large read per round, frames told of in place, chunks read into their sinks.
#include "dataplane/transport/tcp/tcp.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

static void rx_frame(struct tcp_conn *t, uint32_t used)
{
	const struct phx_frame *frame = &t->parser.frame;
	struct iovec iov = {(void *)t->parser.body, phx_frame_body_len(frame)};
	enum phx_reason reason = PHX_REASON_W_STATE;
	int rc;

	if (phx_unlikely(frame->payload_bad))
		conn_count(&t->base.crc_errors, 1);
	rc = t->base.up->frame(&t->base, frame, &iov, iov.iov_len != 0, &reason);
	t->rx_begin += used;
	if (phx_unlikely(rc < 0))
		tcp_fail(t, reason, rc);
}

static void rx_landed(struct tcp_conn *t, uint32_t used)
{
	enum phx_reason reason = PHX_REASON_W_STATE;
	int rc;

	if (phx_unlikely(t->parser.frame.payload_bad))
		conn_count(&t->base.crc_errors, 1);
	t->rx_begin += used;
	rc = t->base.up->landed(&t->base, &t->parser.frame, &reason);
	if (phx_unlikely(rc < 0))
		tcp_fail(t, reason, rc);
}

static void rx_chunk(struct tcp_conn *t, uint32_t used)
{
	void *memory;

	t->rx_begin += used;
	memory = t->base.up->sink(&t->base, &t->parser.frame);
	if (memory != NULL && !t->dead)
		phx_parser_sink(&t->parser, memory);
}

// Tell of up to `max` frames of the buffer; returns how many.
static unsigned rx_parse(struct tcp_conn *t, unsigned max)
{
	unsigned frames = 0;

	t->rx_more = false;
	while (!t->dead) {
		enum phx_reason reason = PHX_REASON_W_STATE;
		size_t used = 0;
		int rc;

		if (phx_unlikely(frames >= max)) {
			t->rx_more = true;
			break;
		}
		rc = phx_parser_next(
			&t->parser, t->rx + t->rx_begin, t->rx_end - t->rx_begin, &used, &reason);
		if (rc == PHX_PARSE_FRAME) {
			rx_frame(t, (uint32_t)used);
			frames++;
		} else if (rc == PHX_PARSE_CHUNK) {
			rx_chunk(t, (uint32_t)used);
		} else if (rc == PHX_PARSE_LANDED) {
			rx_landed(t, (uint32_t)used);
			frames++;
		} else if (rc == PHX_PARSE_MORE) {
			t->rx_begin += (uint32_t)used;
			break;
		} else {
			tcp_fail(t, reason, rc);
		}
	}
	conn_count(&t->base.rx_frames, frames);
	return frames;
}

static void rx_make_room(struct tcp_conn *t)
{
	if (t->rx_begin == t->rx_end) {
		t->rx_begin = t->rx_end = 0;
	} else if (TCP_RX_SIZE - t->rx_end < TCP_RX_SIZE / 2) {
		memmove(t->rx, t->rx + t->rx_begin, t->rx_end - t->rx_begin);
		t->rx_end -= t->rx_begin;
		t->rx_begin = 0;
	}
}

// Read into the sink of the chunk in progress and a little behind it.
static ssize_t rx_recv_direct(struct tcp_conn *t, void *sink, size_t left)
{
	struct iovec iov[2] = {{sink, left}, {t->rx, TCP_RX_BEHIND}};
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
	ssize_t n = recvmsg(t->base.source.fd, &msg, MSG_DONTWAIT);

	if (n > 0) {
		size_t direct = phx_min((size_t)n, left);

		phx_parser_direct_done(&t->parser, direct);
		t->rx_end = (uint32_t)((size_t)n - direct);
	}
	return n;
}

// Returns the bytes that came; 0 = nothing now, or the connection failed.
static size_t rx_recv(struct tcp_conn *t)
{
	size_t left = 0;
	void *sink;
	ssize_t n;

	rx_make_room(t);
	if (t->rx_end == 0)
		left = phx_parser_direct(&t->parser, &sink);
	conn_count(&t->base.rx_calls, 1);
	if (left != 0) {
		n = rx_recv_direct(t, sink, left);
	} else {
		n = recv(t->base.source.fd, t->rx + t->rx_end, TCP_RX_SIZE - t->rx_end,
			MSG_DONTWAIT);
		if (n > 0)
			t->rx_end += (uint32_t)n;
	}
	if (phx_likely(n > 0)) {
		t->rx_drained = false;
		conn_count(&t->base.rx_bytes, (uint64_t)n);
		return (size_t)n;
	}
	if (n == 0)
		tcp_fail(t, PHX_REASON_W_RESET, 0);
	else if (errno == EAGAIN)
		t->rx_drained = true;
	else if (errno != EINTR)
		tcp_fail(t, PHX_REASON_W_RESET, -errno);
	return 0;
}

unsigned tcp_rx(struct tcp_conn *t)
{
	unsigned frames = 0;
	size_t total = 0, n;
	void *sink;

	if (phx_unlikely(t->rx_more)) {
		frames = rx_parse(t, TCP_POLL_FRAMES);
		if (t->rx_more)
			return frames;
	}
	// One read a round; a chunk that is being read into its sink goes on while there is more.
	do {
		if (phx_unlikely(t->dead))
			break;
		n = rx_recv(t);
		if (n == 0)
			break;
		total += n;
		frames += rx_parse(t, TCP_POLL_FRAMES - phx_min(frames, TCP_POLL_FRAMES - 1u));
	} while (total < TCP_POLL_BYTES && !t->rx_more && t->rx_begin == t->rx_end &&
		 phx_parser_direct(&t->parser, &sink) != 0);
	return frames + (total != 0);
}
