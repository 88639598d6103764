// SPDX-License-Identifier: BSD-3-Clause
// Between frontend and policy host: messages become chain items, verdicts become sends,
// deliveries, completions and waiting. Sessions without policies pass straight through. Worker
// thread.
#pragma once

#include "dataplane/core/chain.h"
#include "dataplane/frontend/session.h"

// Packed calls with credit: chain, then send. n <= PHX_LIMIT_BURST.
void chained_calls(struct session *session, struct call **calls, struct path **paths, unsigned n);
// A packed reply in rcall->message: chain, then rcall_send().
void chained_reply_out(struct rcall *rcall);

// What has been received is judged where it is: in the dataplane's memory, never in the
// application's. True: it passes unchanged, the caller goes on with its own copy. False: taken
// over; it is denied, held, or goes on in private memory, rewritten.
//
// A request with its metadata; rcall->state is WAITING when it is held.
bool chained_request_in(struct rcall *rcall, const struct chain *chain, const void *base,
	uint32_t len, const void *meta);
// A reply on its way to the application; call->held_reply keeps it when it is held.
bool chained_reply_in(struct call *call, const struct chain *chain,
	const struct call_status *status, const struct reply_view *view);
// The same for one that lies complete in call->in, whose status is call->reply_status.
void chained_reply_block(struct call *call, const struct chain *chain);
// Keep a reply in call->held_reply until chained_reply_go() completes the call with it. -ENOMEM.
int chained_reply_store(
	struct call *call, const struct call_status *status, const struct reply_view *reply);
void chained_reply_go(struct call *call);
// The call ends: forget its held reply.
void chained_reply_drop(struct call *call);

// The item of a server call; its message is rcall->message.
void chained_rcall_item(struct rcall *rcall, uint32_t type,
	void (*resume)(void *, const struct chain_item *), struct chain_item *item);
// Call end, if any policy has seen the call; it is held no more.
void chained_call_end(struct call *call, const struct call_status *status);
void chained_rcall_end(struct rcall *rcall, const struct call_status *status);
