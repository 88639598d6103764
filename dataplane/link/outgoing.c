// SPDX-License-Identifier: BSD-3-Clause
// Announced messages on their way out: once granted, a link cuts them into chunks on its bulk lane,
// one chunk of each in turn. Also gather lists and the protobuf form. Worker thread.
#include "dataplane/link/link.h"

#include <stdlib.h>

uint64_t message_size(const struct message *message)
{
	return message->encoded != NULL ? message->encoded_len : message->image.total_len;
}

int message_iov(const struct message *message, const struct phx_source *source, uint64_t position,
	uint64_t len, struct iovec *iov, int max, uint64_t *out_len)
{
	if (message->encoded != NULL) {
		iov[0] = (struct iovec){message->encoded + position, len};
		*out_len = len;
		return len != 0;
	}
	// A small image stands in one block: the common case needs no walk.
	if (phx_likely(message->image.hole_count == 0 && message->image.block_count == 1)) {
		iov[0] = (struct iovec){message->image.block0 + position, len};
		*out_len = len;
		return len != 0;
	}
	return phx_image_iov(&message->image, source, position, len, iov, max, out_len);
}

// ---- in-place accounting ----

static void out_unpin(struct outgoing *out)
{
	struct session *session = out->session;

	out->in_place--;
	if (out->in_place == 0)
		out->unpinned(out);
	session_unpin(session);
}

static void whole_done(struct conn_done *done)
{
	out_unpin(phx_container_of(done, struct outgoing, done));
}

int outgoing_send_whole(struct link *link, const struct phx_frame *f, const struct iovec *iov,
	int n, struct outgoing *out)
{
	struct conn *conn = link->lane[PHX_LANE_SMALL];
	int rc;

	// Headers must not overtake what waits for the lane: sequences come in order.
	if (phx_unlikely(!phx_list_empty(&link->backlog)))
		return -EAGAIN;
	// Pinned first: the answer may come before send() returns.
	out->done.fn = whole_done;
	out->in_place++;
	rc = conn->ops->send(conn, f, iov, n, &out->done);
	if (phx_unlikely(rc == 1)) {
		session_pin(out->session);
		return 1;
	}
	out->in_place--;
	if (rc == 0 && out->in_place == 0)
		out->unpinned(out);
	return rc;
}

// ---- chunks ----

static void chunk_done(struct conn_done *done)
{
	struct chunk *chunk = phx_container_of(done, struct chunk, done);
	struct link_table *table = chunk->table;
	struct outgoing *out = chunk->out;

	phx_list_add_head(&table->chunks, &chunk->done.node);
	out_unpin(out);
}

static struct chunk *chunk_get(struct link_table *table)
{
	struct phx_list *n = phx_list_pop(&table->chunks);
	struct chunk *chunk;

	if (phx_likely(n != NULL))
		return phx_list_entry(n, struct chunk, done.node);
	// Grows to what the transports keep in flight (their queues are bounded), then never again.
	chunk = calloc(1, sizeof(*chunk));
	if (chunk != NULL) {
		chunk->table = table;
		chunk->done.fn = chunk_done;
	}
	return chunk;
}

void outgoing_start(struct link *link, struct outgoing *out)
{
	struct link_table *table = link_table(link->worker);

	phx_list_add_tail(&link->bulk, &out->node);
	if (phx_list_empty(&link->busy_node))
		phx_list_add_tail(&table->busy, &link->busy_node);
	worker_source_wake(link->worker, &table->source);
}

void outgoing_stop(struct outgoing *out)
{
	phx_list_del(&out->node);
}

static void chunk_header(const struct outgoing *out, uint64_t len, struct phx_frame *f)
{
	*f = (struct phx_frame){
		.type = PHX_FRAME_MESSAGE,
		.flags = PHX_FRAME_F_MESSAGE,
		.epoch = out->epoch,
		.number = 1,
		.cookie = out->cookie,
		.channel = out->channel,
		.sequence = out->sequence,
		.arg = out->position,
		.payload_len = (uint32_t)len,
	};
	if (out->position + len < out->total)
		f->flags |= PHX_FRAME_F_MORE;
	if (out->is_reply)
		f->flags |= PHX_FRAME_F_REPLY;
	if (out->encoded)
		f->flags |= PHX_FRAME_F_PROTOBUF;
}

// Hand over the next chunk. 0 = moved on, -EAGAIN, -EPIPE, -ENOMEM.
static int outgoing_chunk(struct link *link, struct outgoing *out)
{
	struct conn *conn = link->lane[PHX_LANE_BULK];
	struct chunk *chunk = chunk_get(link_table(link->worker));
	struct iovec iov[CONN_IOV_MAX];
	uint64_t len = phx_min(out->total - out->position, (uint64_t)PHX_LIMIT_CHUNK_BYTES);
	uint64_t covered;
	struct phx_frame f;
	int n, rc;

	if (chunk == NULL)
		return -ENOMEM;
	chunk->out = out;
	n = message_iov(out->message, session_source(out->session), out->position, len, iov,
		CONN_IOV_MAX, &covered);
	chunk_header(out, covered, &f);
	out->in_place++;
	session_pin(out->session);
	rc = conn->ops->send(conn, &f, iov, n, &chunk->done);
	if (rc >= 0)
		out->position += covered;
	if (rc != 1)
		phx_list_add_head(&link_table(link->worker)->chunks, &chunk->done.node);
	if (rc != 1 && rc != 0) {
		out->in_place--;
		session_unpin(out->session);
	}
	return rc < 0 ? rc : rc == 0 ? 2 : 0;
}

// The next chunk; each message has one in turn, so that none waits for another's end.
unsigned outgoing_pump(struct link *link)
{
	struct phx_list *n = phx_list_pop(&link->bulk);
	struct outgoing *out;
	int rc;

	if (n == NULL || link->down) {
		phx_list_del(&link->busy_node);
		if (n != NULL)
			phx_list_add_head(&link->bulk, n);
		return 0;
	}
	out = phx_list_entry(n, struct outgoing, node);
	rc = outgoing_chunk(link, out);
	if (rc < 0) {
		phx_list_add_head(&link->bulk, n);
		link->bulk_blocked = rc == -EAGAIN;
	} else {
		if (out->position < out->total)
			phx_list_add_tail(&link->bulk, n);
		else if (out->sent != NULL)
			out->sent(out);
		if (rc == 2)
			out_unpin(out);
	}
	if (phx_list_empty(&link->bulk) || link->bulk_blocked)
		phx_list_del(&link->busy_node);
	return rc >= 0;
}
