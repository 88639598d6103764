// SPDX-License-Identifier: BSD-3-Clause
// Frames from one end of a local pair to the other: by a plain call, or as a message.
#include "dataplane/transport/local/local.h"

#include <errno.h>
#include <string.h>

// Deliveries that this thread is inside of. A second one would run up-calls of a link layer that
// is in the middle of its own send() or up-call.
static _Thread_local unsigned local_depth;

static void *local_chunk(struct local_conn *to, const struct phx_frame *frame)
{
	return phx_frame_is_chunk(frame) ? to->base.up->sink(&to->base, frame) : NULL;
}

// Hand a frame to the link layer of `to`. It is dropped when that end is closed or dead.
static void local_deliver(struct local_conn *to, const struct phx_frame *frame,
	const struct iovec *iov, uint32_t iov_count)
{
	enum phx_reason reason = PHX_REASON_W_STATE;
	uint8_t *sink;
	int rc;

	if (to->dead)
		return;
	conn_count(&to->base.rx_frames, 1);
	conn_count(&to->base.rx_bytes, PHX_FRAME_HEADER + phx_frame_body_len(frame));
	local_depth++;
	sink = local_chunk(to, frame);
	if (to->dead) {
		rc = 0; // sink() has closed it
	} else if (sink == NULL) {
		rc = to->base.up->frame(&to->base, frame, iov, (int)iov_count, &reason);
	} else {
		for (uint32_t i = 0; i < iov_count; i++) {
			memcpy(sink, iov[i].iov_base, iov[i].iov_len);
			sink += iov[i].iov_len;
		}
		rc = to->base.up->landed(&to->base, frame, &reason);
	}
	local_depth--;
	if (phx_unlikely(rc < 0))
		local_fail(to, reason, rc);
}

void local_writable(struct local_conn *c)
{
	if (!c->want_writable || c->dead || c->outstanding > LOCAL_QUEUE_MESSAGES / 2 ||
		c->outstanding_large > LOCAL_QUEUE_LARGE / 2 ||
		atomic_load_explicit(&c->peer->home, memory_order_acquire) == NULL)
		return;
	c->want_writable = false;
	c->base.up->writable(&c->base);
}

// The message is back on its sender's worker.
static void local_message_end(struct local_message *m)
{
	struct local_conn *from = m->from;
	struct memory_pool *memory = &from->base.worker->memory;
	struct conn_done *done = m->done;

	from->outstanding--;
	from->outstanding_large -= m->size == PHX_BLOCK_LARGE;
	if (m->extra != NULL)
		memory_block_put(memory, m->extra, PHX_BLOCK_LARGE);
	memory_block_put(memory, m, m->size);
	if (done != NULL)
		done->fn(done);
	if (phx_unlikely(from->want_writable))
		worker_source_dirty(&from->base.source);
	local_unref(from->pair);
}

static void local_returned(struct worker *worker, struct cmd *cmd)
{
	(void)worker;
	local_message_end(phx_container_of(cmd, struct local_message, cmd));
}

// On the receiver's worker.
static void local_arrived(struct worker *worker, struct cmd *cmd)
{
	struct local_message *m = phx_container_of(cmd, struct local_message, cmd);

	(void)worker;
	local_deliver(m->from->peer, &m->frame, m->iov, m->iov_count);
	worker_post(m->from->base.worker, &m->cmd, local_returned);
}

void local_deliver_queue(struct local_conn *c)
{
	struct phx_list *node;

	while ((node = phx_list_pop(&c->queue)) != NULL) {
		struct local_message *m = phx_list_entry(node, struct local_message, node);

		local_deliver(c, &m->frame, m->iov, m->iov_count);
		local_message_end(m);
	}
}

// Where the copied bytes of a message go: behind its head, then the second block.
struct local_copy {
	struct local_message *m;
	struct memory_pool *memory;
	uint8_t *at, *end;
};

static void local_append(struct local_message *m, void *base, size_t len)
{
	struct iovec *last = m->iov + m->iov_count - 1;

	if (m->iov_count != 0 && (uint8_t *)last->iov_base + last->iov_len == base)
		last->iov_len += len;
	else
		m->iov[m->iov_count++] = (struct iovec){base, len};
}

static bool local_copy(struct local_copy *copy, const uint8_t *data, size_t len)
{
	while (len != 0) {
		size_t n = phx_min(len, (size_t)(copy->end - copy->at));

		if (n == 0) {
			copy->m->extra = memory_block_get(copy->memory, PHX_BLOCK_LARGE);
			if (copy->m->extra == NULL)
				return false;
			copy->at = copy->m->extra;
			copy->end = copy->at + PHX_BLOCK_LARGE;
			continue;
		}
		memcpy(copy->at, data, n);
		local_append(copy->m, copy->at, n);
		copy->at += n;
		data += n;
		len -= n;
	}
	return true;
}

static bool local_fill(
	struct local_copy *copy, const struct iovec *iov, int iov_count, struct conn_done *done)
{
	for (int i = 0; i < iov_count; i++) {
		if (done != NULL && iov[i].iov_len >= LOCAL_IN_PLACE_PART) {
			local_append(copy->m, iov[i].iov_base, iov[i].iov_len);
			copy->m->done = done;
		} else if (!local_copy(copy, iov[i].iov_base, iov[i].iov_len)) {
			return false;
		}
	}
	return true;
}

// A message of the frame, or NULL: no blocks.
static struct local_message *local_message_make(struct local_conn *from,
	const struct phx_frame *frame, const struct iovec *iov, int iov_count,
	struct conn_done *done)
{
	struct memory_pool *memory = &from->base.worker->memory;
	uint32_t body = phx_frame_body_len(frame);
	bool small = sizeof(struct local_message) + sizeof(struct iovec) + body <= PHX_BLOCK_SMALL;
	uint32_t size = small ? PHX_BLOCK_SMALL : PHX_BLOCK_LARGE;
	uint32_t iovs = small ? 1 : 2 * CONN_IOV_MAX + 2;
	struct local_message *m = memory_block_get(memory, size);
	struct local_copy copy;

	if (m == NULL)
		return NULL;
	*m = (struct local_message){.from = from, .size = size, .frame = *frame};
	m->iov = (struct iovec *)(m + 1);
	copy = (struct local_copy){m, memory, (uint8_t *)(m->iov + iovs), (uint8_t *)m + size};
	if (body < LOCAL_IN_PLACE_BODY)
		done = NULL;
	if (local_fill(&copy, iov, iov_count, done))
		return m;
	memory_block_put(memory, m, size); // only the second block can be missing
	return NULL;
}

static PHX_NOINLINE int local_send_message(struct local_conn *from, const struct phx_frame *frame,
	const struct iovec *iov, int iov_count, struct conn_done *done)
{
	struct local_conn *to = from->peer;
	struct worker *home = atomic_load_explicit(&to->home, memory_order_acquire);
	struct local_message *m = NULL;
	int in_place;

	if (home != NULL && from->outstanding < LOCAL_QUEUE_MESSAGES &&
		from->outstanding_large < LOCAL_QUEUE_LARGE)
		m = local_message_make(from, frame, iov, iov_count, done);
	if (m == NULL) {
		from->want_writable = true;
		return -EAGAIN;
	}
	in_place = m->done != NULL;
	from->outstanding++;
	from->outstanding_large += m->size == PHX_BLOCK_LARGE;
	local_ref(from->pair);
	if (home == from->base.worker) {
		phx_list_add_tail(&to->queue, &m->node);
		worker_source_dirty(&to->base.source);
	} else {
		worker_post(home, &m->cmd, local_arrived);
	}
	return in_place;
}

int local_send(struct conn *conn, const struct phx_frame *frame, const struct iovec *iov,
	int iov_count, struct conn_done *done)
{
	struct local_conn *from = local_of(conn), *to = from->peer;
	int rc = 0;

	assert(iov_count <= CONN_IOV_MAX);
	if (phx_unlikely(from->dead))
		return -EPIPE;
	if (local_depth == 0 &&
		atomic_load_explicit(&to->home, memory_order_acquire) == conn->worker &&
		phx_list_empty(&to->queue))
		local_deliver(to, frame, iov, (uint32_t)iov_count);
	else
		rc = local_send_message(from, frame, iov, iov_count, done);
	if (rc >= 0) {
		conn_count(&conn->tx_frames, 1);
		conn_count(&conn->tx_bytes, PHX_FRAME_HEADER + phx_frame_body_len(frame));
	}
	return rc;
}
