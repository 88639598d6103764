// SPDX-License-Identifier: BSD-3-Clause
// Inside the client end of links: what link_client.c, client_reply.c and trace.c share. Worker
// thread only.
#pragma once

#include "dataplane/link/link.h"

// The sent call that a reply frame belongs to, or NULL (it ended meanwhile: dropped, counted).
struct call *client_call(struct link *link, const struct phx_frame *f);
// The call is no longer sent: what comes for it from now on is dropped.
void client_take_back(struct call *call);
// Another attempt of a call that was taken back, once no transport reads it any more.
void client_again(struct call *call);
// STATUS of a call, its message in the frame or announced.
void client_status(struct link *link, const struct phx_frame *f, const struct iovec *iov, int n);
// TRACE of a call (trace.c). 0, or -EPROTO and *reason.
int client_trace(struct link *link, const struct phx_frame *f, const struct iovec *iov, int n,
	enum phx_reason *reason);
// Complete a call with a frame that holds everything.
void client_reply(struct link *link, struct call *call, const struct phx_frame *f,
	const struct iovec *iov, int n);
