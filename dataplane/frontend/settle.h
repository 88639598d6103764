// SPDX-License-Identifier: BSD-3-Clause
// A message that a policy has rewritten becomes canonical again; one that was packed before its
// policies came gets what they inspect. Large ones in steps. Worker thread.
#pragma once

#include "dataplane/frontend/session.h"

// 1: done; 0: call settle_step() in turn with other work; negative errno value (message as before).
// work->pack is used.
int settle_start(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema, uint32_t type);
int settle_step(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema);
// The same for a message that lacks what the session's chain inspects (chain_lacks()): it is copied
// from the application's memory. Afterwards the chain may have changed again.
int settle_fill(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema, uint32_t type);
