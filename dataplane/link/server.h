// SPDX-License-Identifier: BSD-3-Clause
// Inside the server end of links: what link_server.c, server_open.c, server_service.c,
// server_request.c and server_reply.c share. Worker thread only.
#pragma once

#include "dataplane/link/link.h"

struct phx_list *rchannel_bucket(struct link *link, uint64_t id);
struct rchannel *rchannel_find(struct link *link, uint64_t id);
struct rcall *rcall_find(struct rchannel *rc, uint64_t sequence);
// A call is over: its credit goes back, told in steps of half a window.
void rchannel_credit(struct rchannel *rc, uint32_t bytes);
// End every call of the channel; those that only wait for the transport end later.
void rchannel_end(struct rchannel *rc, enum phx_reason reason);
// Say again where the service of a subscription is.
void rchannel_tell(struct rchannel *rc, uint32_t id);
// Take it out of every list and free it; replies still in hand find nobody.
void rchannel_free(struct rchannel *rc);
// The call leaves its channel; its credit goes back.
void rcall_detach(struct rcall *r);
// Tell the client the times of a traced call, before its STATUS (trace.c).
void server_trace_send(struct rcall *r);
// The peer has given the request up, or its link is lost.
void request_end(struct rcall *r, enum phx_reason reason);
// REFUSED for a channel (sequence 0), else STATUS for a call that reached no session.
void server_refuse(struct link *link, const struct phx_frame *to, uint64_t sequence,
	enum phx_code code, enum phx_reason reason, const char *text);

// Forget what the peer subscribed to.
void rchannel_unsubscribe(struct rchannel *rc);
// The next instance on this worker that can take the call of a HEADERS frame, or NULL.
const struct service_instance *subscription_pick(
	struct subscription *s, const struct worker *worker, const struct phx_frame *f);
// Index of the client's method in the schema of the instance, -ENOENT.
int subscription_method(
	const struct subscription *s, const struct service_instance *in, uint16_t method);

// Frames. 0, or -EPROTO and *reason: the link must die.
int server_open(struct link *link, const struct phx_frame *f, enum phx_reason *reason);
int server_subscribe(struct rchannel *rc, const struct phx_frame *f, const struct iovec *iov, int n,
	enum phx_reason *reason);
int server_schema(struct rchannel *rc, const struct phx_frame *f, enum phx_reason *reason);
int server_headers(struct link *link, struct rchannel *rc, const struct phx_frame *f,
	const struct iovec *iov, int n, enum phx_reason *reason);
