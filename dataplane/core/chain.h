// SPDX-License-Identifier: BSD-3-Clause
// What a call stage hands to the policy host: a burst of messages at one point, each with a verdict
// to be filled in. Implemented by dataplane/policyhost; called by the frontend on the worker.
#pragma once

#include "dataplane/core/call.h"
#include "dataplane/core/rpc.h"

struct chain; // immutable, shared by sessions with equal chains

enum chain_verdict {
	CHAIN_PASS, // go on
	CHAIN_DENY, // end with item->status (origin policy, text = policy name)
	CHAIN_HOLD, // the host keeps it and calls item->resume later; give credit back
};

// One message at one point. The stage fills everything but verdict and status.
struct chain_item {
	struct session *session;
	struct message *message; // may be rewritten (image becomes dirty: canonicalise)
	const struct phx_schema *schema;
	uint32_t type;	     // message index in the schema
	const char *service; // full name
	const char *method;
	struct call_policy *policy; // per-call state
	uint64_t deadline_ns;
	enum chain_verdict verdict; // out
	struct call_status status;  // out, with DENY
	// With HOLD: runs later on the same worker; the item is copied by the host. verdict is PASS
	// (all remaining policies agreed) or DENY.
	void (*resume)(void *owner, const struct chain_item *item);
	void *owner;
};

// Run the session's chain at `point` over n items (at most PHX_LIMIT_BURST). Sessions without a
// chain never get here.
void chain_run(
	const struct chain *chain, enum policy_point point, struct chain_item *items, unsigned n);
// A held item must be forgotten (cancel, deadline, session end): resume will not run.
void chain_unhold(struct call_policy *policy, void *owner);
// Run call end exactly once for a call that passed its request point.
void chain_call_end(struct call_policy *policy, const struct call_status *status);
// Fields that the chain inspects in this message type: leaves to be copied. NULL = none.
const struct phx_inspect *chain_inspect(const struct chain *chain, const struct phx_schema *schema);
