// SPDX-License-Identifier: BSD-3-Clause
// What a call stage hands to the policy host: a burst of messages at one point, each with a verdict
// to be filled in. Implemented by dataplane/policyhost; called by the frontend.
//
// Chains hang from one immutable set per generation, which the control thread publishes by one
// pointer; a worker reads it once per burst with chain_current() and keeps nothing of it beyond
// the burst. Calls remember the policies that they have passed, not the chain; those policies
// live until the last such call has ended.
#pragma once

#include "dataplane/core/call.h"
#include "dataplane/core/rpc.h"
#include "dataplane/core/worker.h"

struct chain;	   // immutable: the policies of one session, in order
struct chain_host; // the policy host

#define CHAIN_SLOT_NONE UINT32_MAX

struct chain_set { // immutable
	uint64_t generation;
	uint32_t count;
	const struct chain *chains[]; // by slot; NULL = no policies
};

// What a stage asks about a chain, in front of struct chain.
struct chain_head {
	uint64_t id;	 // never used twice, not 0
	uint32_t points; // PHX_POLICY_AT(): some policy's burst runs there
	uint32_t judges; // some policy may deny, hold or rewrite there
	uint32_t fields; // 1: some policy inspects fields
};

// What is known of the schema of a channel's service at its serving side (design.md 4). At the
// client's points policies bind their fields to that one, so that an application which renames or
// renumbers a field hides nothing. Lives as long as any item that names it. [worker]
enum trust_state {
	TRUST_UNKNOWN,
	TRUST_ASKED, // the serving side, then the control thread
	TRUST_BOUND,
	TRUST_NONE, // it cannot be had: policies follow their on_failure
};
#define TRUST_WAIT_NS  UINT64_C(1000000000) // calls are held for the schema so long
#define TRUST_AGAIN_NS UINT64_C(5000000000) // a schema that could not be had is asked for again
#define TRUST_NOTHING  UINT32_MAX	    // bound to nothing
struct chain_trust {
	uint8_t state;
	uint32_t bound;	   // BOUND: what chain_trust_bind() gave
	uint64_t until_ns; // ASKED: calls are held until then; NONE: ask again then
	// UNKNOWN becomes ASKED, and stays UNKNOWN when there is nobody to ask.
	void (*ask)(struct chain_trust *trust);
};

enum chain_verdict {
	CHAIN_PASS, // go on
	CHAIN_DENY, // end with item->status (origin policy, text = name and reason)
	CHAIN_HOLD, // the host keeps it and calls item->resume later; give credit back
};

// One message at one point. The stage fills everything but verdict and status.
struct chain_item {
	struct session *session;
	struct message *message; // may be rewritten: image.dirty, then canonicalise
	const struct phx_schema *schema;
	uint32_t type; // message index in the schema
	// Client's points, where the chain inspects fields; NULL: the schema is the serving side's.
	struct chain_trust *trust;
	const char *service; // full name
	const char *method;
	struct call_policy *policy; // per-call state
	uint64_t deadline_ns;
	enum chain_verdict verdict; // out
	struct call_status status;  // out, with DENY; text is valid until the next chain_run()
	// With HOLD: runs later on the same worker; the item is copied by the host. verdict is PASS
	// (all remaining policies agreed) or DENY.
	void (*resume)(void *owner, const struct chain_item *item);
	// A held message lacks what the chain inspects by now (chain_lacks()): 1 = no more, 0 = it
	// is being copied, ask again soon; negative: the stage has ended the call, and its hold.
	// NULL where messages never lack anything.
	int (*fill)(void *owner);
	void *owner;
};

// How a call ended, for chain_call_end().
struct chain_end {
	const struct call_status *status;
	const char *service;
	const char *method;
	uint64_t start_ns;
};

// ---- worker ----

// The chain of the session with this slot, NULL = none. Valid for the burst.
static inline const struct chain *chain_current(const struct worker *worker, uint32_t slot)
{
	const struct chain_set *set;

	if (worker->chains == NULL)
		return NULL;
	// Pairs with the release store of the host's publication.
	set = atomic_load_explicit(worker->chains, memory_order_acquire);
	return slot < set->count ? set->chains[slot] : NULL;
}

static inline bool chain_runs(const struct chain *chain, enum policy_point point)
{
	return chain != NULL && (((const struct chain_head *)chain)->points >> point & 1) != 0;
}
// May a policy deny, hold or rewrite here? Then nothing reaches the application before the verdict.
static inline bool chain_judges(const struct chain *chain, enum policy_point point)
{
	return chain != NULL && (((const struct chain_head *)chain)->judges >> point & 1) != 0;
}

static inline uint64_t chain_id(const struct chain *chain)
{
	return chain != NULL ? ((const struct chain_head *)chain)->id : 0;
}
// Was the message packed before this chain came, and may lack what it inspects?
static inline bool chain_lacks(const struct chain *chain, const struct message *message)
{
	return message->image.hole_count != 0 && ((const struct chain_head *)chain)->fields != 0 &&
	       message->inspect_id != chain_id(chain);
}

// No policy has seen the call. Before its request point.
static inline void chain_call_start(struct call_policy *policy)
{
	policy->chain_id = 0;
	policy->hold = NULL;
	policy->entered = policy->owed = policy->again = 0;
	policy->passed[0] = policy->passed[1] = 0;
	policy->mark_class = 0;
	policy->mark_weight = 0;
}

// Run the chain at `point` over n items (at most PHX_LIMIT_BURST) of one session. Policies that a
// call has passed at this point do not run again, so repeating it is harmless.
void chain_run(struct worker *worker, const struct chain *chain, enum policy_point point,
	struct chain_item *items, unsigned n);
// A held item must be forgotten (cancel, deadline, session end): resume will not run.
void chain_unhold(struct worker *worker, struct call_policy *policy);
// The message of a held item has moved.
void chain_hold_moved(struct call_policy *policy, struct message *message);
// Call end, once for each policy that the call passed at its request; the call is not held. Legal
// for a call that no policy has seen.
void chain_call_end(struct worker *worker, struct call_policy *policy, const struct chain_end *end);
// Fields that the chain inspects in messages of this schema: leaves to be copied. NULL = none.
const struct phx_inspect *chain_inspect(const struct chain *chain, const struct phx_schema *schema);

// A table from the serving side is to be checked and bound, on the control thread.
struct chain_trust_request {
	struct cmd cmd;
	struct worker *worker;		 // that asks
	const struct phx_schema *schema; // of the application
	uint32_t service;		 // in it
	void *table;			 // the caller's; read until done
	uint32_t size;
	void (*done)(struct chain_trust_request *request); // runs on the worker
	uint32_t
		replaces; // what an earlier request gave and nobody uses any more, or TRUST_NOTHING
	int rc;		  // out: 0; -EPROTO: no sound table, or without the service; -ENOSPC: the
			  // session or the host has too many; -ENOMEM
	uint32_t bound;	  // out, to be given back by `replaces` or chain_trust_release()
	const struct host_session *session; // the host's
	struct chain_host *host;	    // the host's
};
// The session, whose chain this is, stays until `done` has run.
void chain_trust_bind(const struct chain *chain, struct chain_trust_request *request);
// Give back what the request has got, with its `worker` and `done` set anew. The session stays
// until `done` has run.
void chain_trust_release(struct chain_trust_request *request);
// The trust of some channel has changed: calls that wait for it are asked again soon.
void chain_trust_changed(const struct chain *chain, const struct worker *worker);

// ---- control ----

struct chain_label {
	const char *key;
	const char *value;
};

// Who an application is, measured and named; copied.
struct chain_session {
	uint64_t app; // app-N
	uint32_t uid;
	uint32_t gid;
	const char *name; // NULL or "" = none
	const struct chain_label *labels;
	uint32_t label_count;
};

// A session will come: its slot, and its chain from the next burst on. 0, -ENOMEM, -ENOSPC.
int chain_session_add(
	struct chain_host *host, const struct chain_session *session, uint32_t *out_slot);
// It has another schema (which outlives the session's chain): policies bind their fields. Before
// messages of it pass. 0, -ENOMEM.
int chain_session_schema(struct chain_host *host, uint32_t slot, const struct phx_schema *schema);
// The session is quiet and will be freed. CHAIN_SLOT_NONE is legal.
void chain_session_remove(struct chain_host *host, uint32_t slot);
