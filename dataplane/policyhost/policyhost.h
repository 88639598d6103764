// SPDX-License-Identifier: BSD-3-Clause
// The policy host: policies that are attached to applications while calls flow. Every change
// builds a new set of chains beside the old one and publishes it by one pointer; whatever fails
// leaves everything as it was. All functions: control thread.
//
// What is taken away is freed later, when no worker can see it any more and the last call that
// passed it has ended: policyhost_reclaim() does that, and every other function here on its way.
#pragma once

#include "dataplane/core/chain.h"
#include "lib/policy/policy.h"

struct rte_rcu_qsbr;

struct policyhost_config {
	struct rte_rcu_qsbr *qsbr;
	struct worker *const *workers; // lives as long as the host
	unsigned worker_count;
	// After each publication: something waits for policyhost_reclaim(). May be NULL.
	void (*changed)(void *arg);
	void *changed_arg;
	// Any worker: run fn(NULL, cmd) on the control thread soon.
	void (*post)(
		void *arg, struct cmd *cmd, void (*fn)(struct worker *worker, struct cmd *cmd));
	void *post_arg;
};

// Sets worker->chains of all workers, which do not run yet, and knows the built-in types. 0,
// -ENOMEM.
int policyhost_create(const struct policyhost_config *config, struct chain_host **out_host);
// The workers have ended and the sessions are gone. NULL is legal.
void policyhost_destroy(struct chain_host *host);

// Make a type known; it outlives the host. 0; -EINVAL: a descriptor that breaks policy.h;
// -EPROTO: another ABI version; -EEXIST: the name is taken; -ENOMEM.
int policyhost_type_add(struct chain_host *host, const struct phx_policy *type);

struct policyhost_param {
	const char *name;
	const char *value;
};

#define POLICYHOST_LAST UINT32_MAX

struct policyhost_attach {
	const char *name; // of this policy: unique, 1 to PHX_LIMIT_NAME_BYTES bytes
	const char *type;
	uint64_t app;	   // app-N, or 0 = all applications
	uint32_t position; // in the order of all attached policies; POLICYHOST_LAST = at the end
	const struct policyhost_param *params;
	uint32_t param_count;
};

// What was wrong, for operators: lower case, one line.
struct policyhost_error {
	char text[256];
};

// New calls are judged when this has returned, but for bursts that are under way. 0; -EEXIST: the
// name is taken; -ENOENT: no such type; -EINVAL: a parameter; -ENOSPC: a chain would be longer
// than PHX_LIMIT_CHAIN_MAX; -ENOMEM; or what init or configure returned.
int policyhost_attach(struct chain_host *host, const struct policyhost_attach *attach,
	struct policyhost_error *error);
// Calls that it has passed still get their call end. 0, -ENOENT, -ENOMEM.
int policyhost_detach(struct chain_host *host, const char *name);
// New parameters, all of them. 0, -ENOENT, -EINVAL, -ENOMEM, or what configure returned.
int policyhost_reconfigure(struct chain_host *host, const char *name,
	const struct policyhost_param *params, uint32_t param_count,
	struct policyhost_error *error);
// Move it in the order. 0, -ENOENT, -ENOMEM.
int policyhost_move(struct chain_host *host, const char *name, uint32_t position);

struct policyhost_stats {
	uint64_t messages[PHX_POLICY_POINT_COUNT]; // shown to burst
	uint64_t allowed;
	uint64_t denied;
	uint64_t held;	       // times, a call may be held again
	uint64_t failed;       // could not be judged, or an illegal verdict
	uint64_t hold_refused; // no room to hold
	uint64_t ended;	       // call ends
	uint64_t live;	       // calls that it has seen and that have not ended
	uint64_t cycles;       // of the time stamp counter, estimated from a sample of bursts
	uint64_t counters[PHX_POLICY_COUNTERS_MAX]; // of the policy
};
// Sums over workers and configurations. 0, -ENOENT.
int policyhost_stats(
	const struct chain_host *host, const char *name, struct policyhost_stats *out_stats);

// Schemas of serving sides that were not kept: a session or the host had too many.
uint64_t policyhost_trusts_refused(const struct chain_host *host);

// Number of the published set.
uint64_t policyhost_generation(const struct chain_host *host);
// Free what nobody uses; the number of objects that still wait.
unsigned policyhost_reclaim(struct chain_host *host);
