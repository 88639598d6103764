// SPDX-License-Identifier: BSD-3-Clause
// Moving a session to another worker while calls flow. New calls wait in their channels, peers are
// told that the services are elsewhere, calls that are under way end where they are; then the
// session leaves its worker and joins the other. Nothing is lost or repeated: what was not
// sent waits, and a request that came too late is refused as not executed and sent again by
// its dataplane. Works with frontend/attach_move.c, which orders it.
#pragma once

#include "dataplane/core/cmdq.h"
#include "dataplane/frontend/session.h"

struct session_move {
	struct session *session;
	struct worker *from, *to; // [const]
	uint64_t limit_ns;	  // [const] calls under way have so long to end
	// [const] Told on either worker when it is over: rc 0, or the session stays where it was:
	// -EBUSY calls under way did not end in time, -ESHUTDOWN it ends, -ENOMEM.
	void (*done)(struct session_move *move);
	int rc;
	uint64_t frozen_ns; // when calls began to wait
	uint64_t pause_ns;  // how long they waited
	struct cmd cmd;
	struct timer timer;
	uint64_t give_up_ns;
};

// Worker `from`. move stays the caller's and valid until done().
void session_move_start(struct session_move *move);
