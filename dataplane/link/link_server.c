// SPDX-License-Identifier: BSD-3-Clause
// The server end: frames of the channels that peers opened, their table and credit. Everything a
// peer sends is checked before use. Worker thread, hot. Calls are server_request.c and
// server_reply.c.
#include "dataplane/link/server.h"

#include "lib/base/hash.h"

struct phx_list *rchannel_bucket(struct link *link, uint64_t id)
{
	uint64_t seed = link_table(link->worker)->seed;

	return &link->rchannel_bucket[phx_mix64(id ^ seed) % LINK_BUCKETS];
}

struct rchannel *rchannel_find(struct link *link, uint64_t id)
{
	struct phx_list *head = rchannel_bucket(link, id), *n;

	phx_list_for_each (n, head) {
		struct rchannel *rc = phx_list_entry(n, struct rchannel, bucket);

		if (rc->id == id)
			return rc;
	}
	return NULL;
}

struct rcall *rcall_find(struct rchannel *rc, uint64_t sequence)
{
	struct phx_list *head = &rc->calls_bucket[sequence % RCHANNEL_BUCKETS], *n;

	phx_list_for_each (n, head) {
		struct rcall *r = phx_list_entry(n, struct rcall, bucket);

		if (r->sequence == sequence)
			return r;
	}
	return NULL;
}

// ---- credit ----

static void credit_send(struct rchannel *rc, uint8_t type)
{
	const struct phx_frame f = {
		.type = type,
		.epoch = rc->epoch,
		.channel = rc->id,
		.sequence = rc->accepted,
		.limit = (uint32_t)(rc->completed + LINK_WINDOW_CALLS - rc->accepted),
		.arg = rc->bytes_done + LINK_WINDOW_BYTES,
	};

	rc->limit_told = rc->completed + LINK_WINDOW_CALLS;
	rc->bytes_told = f.arg;
	link_send(rc->link, &f, NULL, 0);
}

// A call is over: its credit goes back, told in steps of half a window.
void rchannel_credit(struct rchannel *rc, uint32_t bytes)
{
	rc->completed++;
	rc->calls--;
	rc->bytes_done += bytes;
	if (rc->link == NULL)
		return;
	if (rc->completed + LINK_WINDOW_CALLS - rc->limit_told >= LINK_WINDOW_CALLS / 2 ||
		rc->bytes_done + LINK_WINDOW_BYTES - rc->bytes_told >= LINK_WINDOW_BYTES / 2)
		credit_send(rc, PHX_FRAME_CREDIT);
}

void rcall_detach(struct rcall *r)
{
	struct rchannel *rc = r->rchannel;

	if (rc == NULL)
		return;
	phx_list_del(&r->bucket);
	r->rchannel = NULL;
	rchannel_credit(rc, r->bytes);
}

// ---- dispatch ----

int server_frame(struct link *link, const struct phx_frame *f, const struct iovec *iov, int n,
	enum phx_reason *reason)
{
	struct rchannel *rc;
	struct rcall *r;

	if (f->type == PHX_FRAME_OPEN)
		return server_open(link, f, reason);
	rc = rchannel_find(link, f->channel);
	if (phx_unlikely(rc == NULL || f->epoch != rc->epoch)) {
		conn_count(&link->dropped_frames, 1);
		return 0;
	}
	switch (f->type) {
	case PHX_FRAME_HEADERS:
		return server_headers(link, rc, f, iov, n, reason);
	case PHX_FRAME_SUBSCRIBE:
		return server_subscribe(rc, f, iov, n, reason);
	case PHX_FRAME_SCHEMA_GET:
		return server_schema(rc, f, reason);
	case PHX_FRAME_CANCEL:
		r = rcall_find(rc, f->sequence);
		if (r != NULL)
			request_end(r, PHX_REASON_CANCELLED);
		return 0;
	case PHX_FRAME_GRANT:
		r = rcall_find(rc, f->sequence);
		if (r != NULL && r->out.total > LINK_SINGLE_BYTES && r->out.position == 0 &&
			!r->out.started) {
			r->out.started = true;
			outgoing_start(link, &r->out);
		}
		return 0;
	case PHX_FRAME_MESSAGE:
		conn_count(&link->dropped_frames, 1);
		return 0;
	case PHX_FRAME_GOAWAY:
		rchannel_end(rc, PHX_REASON_CANCELLED);
		link->rchannel_count--;
		rchannel_free(rc);
		return 0;
	default:
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
}
