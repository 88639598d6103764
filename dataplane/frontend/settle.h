// SPDX-License-Identifier: BSD-3-Clause
// A message that a policy has rewritten becomes canonical again; a large one in steps. Worker
// thread.
#pragma once

#include "dataplane/frontend/session.h"

// 1: done; 0: call settle_step() in turn with other work; negative errno value (message as before).
// work->pack is used.
int settle_start(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema, uint32_t type);
int settle_step(struct session *session, struct call_work *work, struct message *message);
