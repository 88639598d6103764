// SPDX-License-Identifier: BSD-3-Clause
// Between frontend and policy host: bursts of calls become chain items, verdicts become sends,
// completions and waiting. Sessions without a chain pass straight through. Worker thread.
#pragma once

#include "dataplane/frontend/session.h"

// Packed calls with credit: chain, then send. n <= PHX_LIMIT_BURST.
void chained_calls(struct session *session, struct call **calls, struct path **paths, unsigned n);
// A request in rcall->message or rcall->block: chain, then serve_ready().
void chained_request_in(struct rcall *rcall);
// A packed reply in rcall->message: chain, then rcall_send().
void chained_reply_out(struct rcall *rcall);
