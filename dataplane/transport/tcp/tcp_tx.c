// SPDX-License-Identifier: BSD-3-Clause
// Sending: frames are copied into a ring, large parts stand in the queue by reference, and one
// gathered write per round takes both.
#include "dataplane/transport/tcp/tcp.h"

#include "lib/base/hash.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#define STAGE_MASK (TCP_STAGE_SIZE - 1)

static uint32_t stage_room(const struct tcp_conn *t)
{
	return TCP_STAGE_SIZE - (t->stage_tail - t->stage_head);
}

static bool tx_has_room(const struct tcp_conn *t, uint32_t len, int iov_count)
{
	if (t->iov_head == t->iov_tail)
		return true;
	return stage_room(t) >= len && t->queued - t->written + len <= TCP_QUEUE_BYTES &&
	       t->iov_tail + 2 * (uint32_t)iov_count + 2 <= TCP_IOV_MAX;
}

// Make the queue longer by memory that is already where it will be read.
static void tx_append(struct tcp_conn *t, void *base, uint32_t len)
{
	struct iovec *last = &t->iov[t->iov_tail - 1];

	if (t->iov_tail != t->iov_head && (uint8_t *)last->iov_base + last->iov_len == base) {
		last->iov_len += len;
		return;
	}
	assert(t->iov_tail < TCP_IOV_MAX);
	t->iov[t->iov_tail++] = (struct iovec){base, len};
}

static void tx_copy(struct tcp_conn *t, const void *data, uint32_t len)
{
	while (len != 0) {
		uint32_t at = t->stage_tail & STAGE_MASK;
		uint32_t n = phx_min(len, TCP_STAGE_SIZE - at);

		memcpy(t->stage + at, data, n);
		tx_append(t, t->stage + at, n);
		t->stage_tail += n;
		data = (const uint8_t *)data + n;
		len -= n;
	}
}

static void tx_header(struct tcp_conn *t, const struct phx_frame *frame)
{
	uint32_t at = t->stage_tail & STAGE_MASK;
	uint8_t bytes[PHX_FRAME_HEADER];

	if (phx_unlikely(TCP_STAGE_SIZE - at < PHX_FRAME_HEADER)) {
		phx_frame_encode(frame, bytes);
		tx_copy(t, bytes, sizeof(bytes));
		return;
	}
	phx_frame_encode(frame, t->stage + at);
	tx_append(t, t->stage + at, PHX_FRAME_HEADER);
	t->stage_tail += PHX_FRAME_HEADER;
}

// Checksummed where it stands. An application can change bytes that are read in place later; then
// the receiver ends that call.
static PHX_NOINLINE void tx_header_crc(
	struct tcp_conn *t, const struct phx_frame *frame, const struct iovec *iov, int iov_count)
{
	struct phx_frame f = *frame;

	f.flags |= PHX_FRAME_F_PAYLOAD_CRC;
	f.payload_crc = 0;
	for (int i = 0; i < iov_count; i++)
		f.payload_crc = phx_crc32c(f.payload_crc, iov[i].iov_base, iov[i].iov_len);
	tx_header(t, &f);
}

// Returns how many bytes were copied.
static uint32_t tx_body(struct tcp_conn *t, const struct iovec *iov, int iov_count, bool in_place)
{
	uint32_t copied = 0;

	for (int i = 0; i < iov_count; i++) {
		uint32_t len = (uint32_t)iov[i].iov_len;

		if (in_place && len >= TCP_IN_PLACE_PART) {
			tx_append(t, iov[i].iov_base, len);
			continue;
		}
		tx_copy(t, iov[i].iov_base, len);
		copied += len;
	}
	return copied;
}

static bool tx_make_room(struct tcp_conn *t, uint32_t len, int iov_count)
{
	if (phx_likely(tx_has_room(t, len, iov_count)))
		return true;
	if (!t->blocked)
		(void)tcp_tx_write(t);
	return tx_has_room(t, len, iov_count);
}

static uint32_t flush_frames(const struct conn *conn)
{
	return conn->flush_frames != 0 ? conn->flush_frames : PHX_LIMIT_FLUSH_FRAMES;
}

int tcp_send(struct conn *conn, const struct phx_frame *frame, const struct iovec *iov,
	int iov_count, struct conn_done *done)
{
	struct tcp_conn *t = tcp_of(conn);
	uint32_t body = phx_frame_body_len(frame), copied;
	bool in_place = done != NULL && body >= TCP_IN_PLACE_BODY;

	assert(iov_count <= CONN_IOV_MAX);
	if (phx_unlikely(t->dead))
		return -EPIPE;
	if (phx_unlikely(!tx_make_room(t, PHX_FRAME_HEADER + body, iov_count))) {
		if (t->dead)
			return -EPIPE;
		t->want_writable = true;
		return -EAGAIN;
	}
	if (conn->payload_crc && body != 0)
		tx_header_crc(t, frame, iov, iov_count);
	else
		tx_header(t, frame);
	copied = PHX_FRAME_HEADER + tx_body(t, iov, iov_count, in_place);
	in_place = copied != PHX_FRAME_HEADER + body;
	t->queued += PHX_FRAME_HEADER + body;
	if (in_place) {
		done->position = t->queued;
		phx_list_add_tail(&t->dones, &done->node);
	}
	conn_count(&conn->tx_frames, 1);
	t->unflushed_frames++;
	t->unflushed_bytes += copied;
	worker_source_dirty(&conn->source);
	if (phx_unlikely(t->unflushed_frames >= flush_frames(conn) ||
			 t->unflushed_bytes >= PHX_LIMIT_FLUSH_BYTES) &&
		!t->blocked)
		(void)tcp_tx_write(t);
	return in_place;
}

static bool is_staged(const struct tcp_conn *t, const void *p)
{
	return (uintptr_t)p - (uintptr_t)t->stage < TCP_STAGE_SIZE;
}

static void tx_advance(struct tcp_conn *t, size_t len)
{
	t->written += len;
	if (t->written == t->queued) { // start again at the front: few pages are touched
		t->iov_head = t->iov_tail = 0;
		t->stage_head = t->stage_tail = 0;
		return;
	}
	while (len != 0) {
		struct iovec *v = &t->iov[t->iov_head];
		size_t n = phx_min(len, v->iov_len);

		if (is_staged(t, v->iov_base))
			t->stage_head += (uint32_t)n;
		v->iov_base = (uint8_t *)v->iov_base + n;
		v->iov_len -= n;
		if (v->iov_len == 0)
			t->iov_head++;
		len -= n;
	}
	if (t->iov_head > TCP_IOV_MAX / 4) {
		memmove(t->iov, t->iov + t->iov_head,
			(t->iov_tail - t->iov_head) * sizeof(t->iov[0]));
		t->iov_tail -= t->iov_head;
		t->iov_head = 0;
	}
}

static ssize_t tx_once(struct tcp_conn *t)
{
	struct iovec *v = &t->iov[t->iov_head];
	uint32_t count = t->iov_tail - t->iov_head;
	struct msghdr msg = {.msg_iov = v, .msg_iovlen = count};
	int fd = t->base.source.fd;

	conn_count(&t->base.tx_calls, 1);
	if (count == 1)
		return send(fd, v->iov_base, v->iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	return sendmsg(fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
}

uint64_t tcp_tx_write(struct tcp_conn *t)
{
	uint64_t before = t->written;

	while (t->iov_head != t->iov_tail && !t->dead && !t->blocked) {
		ssize_t n = tx_once(t);

		if (n >= 0) {
			tx_advance(t, (size_t)n);
			continue;
		}
		if (errno == EAGAIN)
			t->blocked = true;
		else if (errno != EINTR)
			tcp_fail(t, PHX_REASON_W_RESET, -errno);
	}
	t->unflushed_frames = 0;
	t->unflushed_bytes = 0;
	t->base.flush_frames = 0;
	conn_count(&t->base.tx_bytes, t->written - before);
	return t->written - before;
}

void tcp_tx_finish(struct tcp_conn *t, bool all)
{
	while (!phx_list_empty(&t->dones)) {
		struct conn_done *done = phx_list_entry(t->dones.next, struct conn_done, node);

		if (!all && done->position > t->written)
			return;
		phx_list_del(&done->node);
		done->fn(done);
	}
}

static bool tx_is_half_empty(const struct tcp_conn *t)
{
	return t->queued - t->written <= TCP_QUEUE_BYTES / 2 &&
	       stage_room(t) >= TCP_STAGE_SIZE / 2 && t->iov_tail - t->iov_head <= TCP_IOV_MAX / 4;
}

void tcp_tx_writable(struct tcp_conn *t)
{
	if (!t->want_writable || t->dead || !tx_is_half_empty(t))
		return;
	t->want_writable = false;
	t->base.up->writable(&t->base);
}
