// SPDX-License-Identifier: BSD-3-Clause
// Control frames of a link, and what waits when the small lane is full: they must not be lost.
// Worker thread. Works with link.c.
#include "dataplane/link/link.h"

#include <stdlib.h>

// Bytes that may wait for the small lane: at a client end what applications here do at once; at a
// server end, where a peer may not read, a little more than it has subscribed to.
#define BACKLOG_BYTES_CLIENT (UINT64_C(64) << 20)
#define BACKLOG_BYTES_SERVER (UINT64_C(1) << 20)

// A control frame that found its lane full.
struct backlog_frame {
	struct phx_list node;
	struct phx_frame frame;
	size_t len;
	uint8_t body[];
};

// Both ends of a local link are ours, nothing would bring it back, and it never stands for long.
static bool backlog_is_full(const struct link *link)
{
	if (link->local)
		return false;
	return link->backlog_bytes >=
	       (link->client ? BACKLOG_BYTES_CLIENT
			     : BACKLOG_BYTES_SERVER + link->subscription_bytes);
}

static void backlog_add(
	struct link *link, const struct phx_frame *frame, const struct iovec *iov, int n)
{
	struct backlog_frame *b;
	size_t len = 0;

	for (int i = 0; i < n; i++)
		len += iov[i].iov_len;
	b = backlog_is_full(link) ? NULL : malloc(sizeof(*b) + len);
	if (b == NULL) {
		// Control frames must not be lost: a peer that reads nothing loses the link.
		link_fail(link, PHX_REASON_W_CREDIT, -ENOBUFS);
		return;
	}
	b->frame = *frame;
	b->len = 0;
	for (int i = 0; i < n; i++) {
		memcpy(b->body + b->len, iov[i].iov_base, iov[i].iov_len);
		b->len += iov[i].iov_len;
	}
	link->backlog_count++;
	link->backlog_bytes += sizeof(*b) + b->len;
	phx_list_add_tail(&link->backlog, &b->node);
}

void link_send(struct link *link, const struct phx_frame *frame, const struct iovec *iov, int n)
{
	struct conn *conn = link->lane[PHX_LANE_SMALL];
	int rc;

	if (link->down)
		return;
	if (phx_list_empty(&link->backlog)) {
		rc = conn->ops->send(conn, frame, iov, n, NULL);
		if (phx_likely(rc != -EAGAIN))
			return; // sent, or the connection is dying and closed() will tell
	}
	link->small_blocked = true;
	backlog_add(link, frame, iov, n);
}

void backlog_send(struct link *link)
{
	struct conn *conn = link->lane[PHX_LANE_SMALL];
	struct phx_list *n;

	while ((n = phx_list_first(&link->backlog)) != NULL) {
		struct backlog_frame *b = phx_list_entry(n, struct backlog_frame, node);
		struct iovec iov = {b->body, b->len};

		if (conn->ops->send(conn, &b->frame, &iov, b->len != 0, NULL) == -EAGAIN) {
			link->small_blocked = true;
			return;
		}
		phx_list_del(n);
		link->backlog_count--;
		link->backlog_bytes -= sizeof(*b) + b->len;
		free(b);
	}
}

void backlog_drop(struct link *link)
{
	struct phx_list *n;

	while ((n = phx_list_pop(&link->backlog)) != NULL)
		free(phx_list_entry(n, struct backlog_frame, node));
}
