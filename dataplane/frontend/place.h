// SPDX-License-Identifier: BSD-3-Clause
// Messages that were judged in private memory on their way into the receive heap: a block is there
// or is waited for, and the copy goes in steps. Worker thread.
#pragma once

#include "dataplane/frontend/session.h"

// rcall->message.image (which may be the landing of rcall->in) and its metadata go into a block;
// then serve_ready(). Without room the request is refused, now or later.
void place_request(struct rcall *rcall);
// A message goes into call->in.block; then call_complete_block() with call->reply_status. It lives
// until then, in call->held_reply. Without room the call ends, now or later.
void place_reply(struct call *call, const struct message *message);
// The reply that lies in call->in is not delivered.
void place_drop(struct call *call);
