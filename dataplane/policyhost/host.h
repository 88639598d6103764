// SPDX-License-Identifier: BSD-3-Clause
// Private to policyhost: its objects and how its files call each other.
//
// instance: an attached policy with its `self`; lives until its last configuration is freed.
// policy: one configuration of an instance; immutable once published; calls refer to it.
// chain: the policies of one session with their fields bound to the session's schemas.
// set: the chains of all sessions. Sets and chains are seen by workers within a burst only.
#pragma once

#include "dataplane/policyhost/policyhost.h"
#include "lib/schema/path.h"

#define HOLD_BUCKETS 64
#define DENY_TEXT    256 // of a denial: name and reason
#define VALUE_BYTES  4096

// Counters of one policy on one worker; single writer.
struct policy_count {
	_Atomic uint64_t messages[PHX_POLICY_POINT_COUNT]; // [worker>ctl]
	_Atomic uint64_t allowed, denied, held, failed, hold_refused, ended, cycles;
	_Atomic uint64_t counters[PHX_POLICY_COUNTERS_MAX];
	uint32_t bursts; // [worker] drives the sampling
} PHX_CACHE_ALIGNED;

struct policy_live {
	_Atomic uint64_t
		calls; // [worker>ctl] entered less left; wraps, only the sum means something
} PHX_CACHE_ALIGNED;

struct instance {
	struct phx_list node; // of the host's order
	struct chain_host *host;
	const struct phx_policy *type;
	char name[PHX_LIMIT_NAME_BYTES + 1];
	uint64_t app; // scope, 0 = all
	void *self;
	struct policy *current;
	uint32_t policies;	     // that are not freed
	struct policy_count *counts; // [worker_count]
};

struct policy {
	struct phx_list node; // of the host's retired ones
	struct instance *instance;
	const struct phx_policy *type;
	void *config;
	bool configured;
	union phx_policy_arg *args; // strings in `text`
	char **text;
	const char **paths;	  // [field_count] NULL = not inspected
	const char **metadata;	  // [metadata_count] the same
	uint32_t refs;		  // [ctl] chains, and 1 while it is its instance's current one
	struct policy_live *live; // [worker_count]
};

struct bound_field {
	bool bound;   // else it reads as absent
	bool differs; // the application's schema contradicts the trusted one
	struct phx_path path;
};

// The fields of a chain's policies in one message type.
struct chain_type {
	uint16_t failed[PHX_POLICY_POINT_COUNT];  // policies with a field that cannot be bound
	uint16_t differs[PHX_POLICY_POINT_COUNT]; // or that the application's schema has elsewhere
	struct bound_field *fields[PHX_LIMIT_CHAIN_MAX];
};

// A schema of a serving side. Shared by sessions, by content; freed with the last of them.
struct trusted {
	struct phx_list node; // of the host
	uint32_t refs;	      // [ctl]
	struct phx_schema *schema;
};

// What a session's application calls a service by, and what it is called by where it is served.
struct session_trust {
	const struct phx_schema *schema;
	uint32_t service;
	struct trusted *trusted; // NULL: the entry is free
	uint32_t trusted_service;
	uint32_t refs; // bindings of channels that follow it
};
#define SESSION_TRUSTS_MAX	  256
#define SESSION_TRUSTED_BYTES_MAX (UINT64_C(4) << 20)  // tables of one session
#define TRUSTED_BYTES_MAX	  (UINT64_C(64) << 20) // of all tables

// The fields of one session_trust.
struct chain_bound {
	uint32_t type_count;
	struct chain_type **types; // by message index of the application's schema
};

struct chain_schema {
	const struct phx_schema *schema;
	struct phx_inspect *inspect; // NULL = no field is inspected
	uint32_t type_count;	     // not of the schema, which may be gone when this is freed
	struct chain_type **types;   // by message index; NULL where no method uses it
};

struct chain {
	struct chain_head head; // first
	struct chain_host *host;
	const struct host_session *session;
	struct phx_list node; // of the host's retired ones
	uint32_t refs;	      // [ctl] sets
	uint32_t count;
	struct policy *policies[PHX_LIMIT_CHAIN_MAX];
	uint32_t schema_count;
	struct chain_schema *schemas;
	uint32_t trust_changes; // of the session
	uint32_t bound_count;
	struct chain_bound *bounds; // by struct chain_trust.bound
};

// A session as the host knows it. Freed after its chains.
struct host_session {
	struct phx_policy_identity identity;
	char *name;
	struct phx_policy_label *labels; // strings are ours
	const struct phx_schema *schemas[PHX_LIMIT_SCHEMAS_MAX];
	uint32_t schema_count;
	struct session_trust *trusts; // SESSION_TRUSTS_MAX when there is one
	uint32_t trust_count;	      // with free ones between them
	uint32_t trust_changes;	      // entries taken
	uint64_t trusted_bytes;
	bool gone; // the last set still knows it
};

// Something that waits for workers to forget it.
struct retired {
	struct phx_list node;
	uint64_t token; // of quiescence
	struct chain_set *set;
	struct host_session *session; // or NULL
};

// What a worker keeps.
struct host_worker {
	struct worker *worker;
	struct chain_host *host;
	struct phx_list holds[HOLD_BUCKETS]; // struct hold_queue
	uint32_t changes;		     // sets seen: what was held before is asked again
	uint64_t random;
	_Atomic bool posted;
	struct cmd changed; // a new set has been published
	char text[PHX_LIMIT_BURST][DENY_TEXT];
	uint8_t value[VALUE_BYTES]; // of a string that spans blocks
} PHX_CACHE_ALIGNED;

struct chain_host {
	_Atomic(const struct chain_set *) current; // [ctl>worker]
	struct policyhost_config config;
	struct host_worker *workers; // [worker_count]
	struct phx_list order;	     // struct instance
	const struct phx_policy **types;
	uint32_t type_count;
	struct host_session **sessions; // by slot
	uint32_t session_size;
	uint64_t next_chain;
	struct phx_list retired;  // struct retired, oldest first
	struct phx_list unwanted; // struct policy without refs
	struct phx_list trusted;  // struct trusted
	uint64_t trusted_bytes;
	uint64_t trusts_refused;
};

static inline const struct chain_set *host_set(const struct chain_host *host)
{
	// Control alone writes it.
	return atomic_load_explicit(&host->current, memory_order_relaxed);
}

static inline void count_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
		memory_order_relaxed);
}

// ---- worker ----

// Behind phx_policy_burst.host and phx_policy_message.host.
struct run_context {
	const struct chain *chain;
	struct host_worker *worker;
	const struct policy *policy; // whose burst runs
	uint32_t index;		     // of it in the chain
	enum policy_point point;
};
struct run_message {
	struct chain_item *item;
	const struct chain_type *type; // NULL = nothing bound
	bool failed;		       // a field could not be had
	bool waits;		       // for the schema of the serving side
};
extern const struct phx_policy_ops policy_ops;

static inline struct host_worker *chain_worker(const struct chain *chain, const struct worker *w)
{
	return &chain->host->workers[w->index];
}

// hold.c
struct hold {
	struct phx_list node; // of the queue
	struct hold_queue *queue;
	struct chain_item item;
	enum policy_point point;
	uint64_t not_before_ns;
	uint32_t changes; // of the worker when it was asked last
	bool unseen;	  // it waits for a schema, and the policy has not seen it
};
// The policy of slot `index` keeps the item. 0, or -ENOMEM: no room, nothing has changed.
int hold_put(struct host_worker *w, const struct instance *instance, const struct chain_item *item,
	enum policy_point point, uint64_t key, uint64_t not_before_ns);
uint32_t hold_waiting(const struct host_worker *w, const struct instance *instance, uint64_t key);
// Ask the first of every queue again soon.
void hold_kick_all(struct host_worker *w);

// Is the item held by this policy?
bool hold_is_of(const struct hold *hold, const struct instance *instance);

// chain_slot.c: the call has not seen this chain yet, at the request (phase 0) or reply (1).
void slots_rebase(struct worker *worker, const struct chain_item *item, const struct chain *chain,
	unsigned phase);

// ---- control ----

// params.c: args and strings of a policy from what an operator wrote. 0, -EINVAL, -ENOMEM.
int params_parse(struct policy *policy, const struct policyhost_param *params, uint32_t count,
	struct policyhost_error *error);
void params_free(struct policy *policy);

// fields.c: bind the fields of the chain's policies to one schema. 0 or -ENOMEM.
int fields_bind(struct chain *chain, const struct phx_schema *schema, struct chain_schema *out);
void fields_free(struct chain_schema *schema);
const struct chain_type *fields_find(
	const struct chain *chain, const struct phx_schema *schema, uint32_t type);

// Bind a policy's field along its path in `schema` from `message`. False: it cannot be bound, and
// the policy needs it.
bool field_bind(const struct policy *policy, uint32_t field, const struct phx_schema *schema,
	uint32_t message, struct bound_field *out);
// Points at which the field is read.
uint32_t field_points(const struct phx_policy *type, const struct phx_policy_field *field);
void types_free(struct chain_type **types, uint32_t count);

// trust.c: bind the fields of the chain's policies for one of its session's trusts, after
// fields_bind(). 0 or -ENOMEM.
int trust_bind(struct chain *chain, const struct session_trust *trust, struct chain_bound *out);
void trusts_free(struct chain_host *host, struct host_session *session);
// What binds an item with a trust now; *out_waits: it is to be held for it. Worker thread.
const struct chain_type *trust_find(
	const struct chain *chain, const struct chain_item *item, uint64_t now_ns, bool *out_waits);

// set.c: build a set from the order and the sessions, and publish it. 0, -ENOSPC, -ENOMEM.
// `left` (may be NULL) is a session that leaves with the old set.
int set_publish(struct chain_host *host, struct host_session *left);
void set_free(struct chain_set *set);
void policy_unref(struct policy *policy);
void policy_free(struct policy *policy);
// Of which no configuration is left.
void instance_free(struct instance *instance);
void session_free(struct chain_host *host, struct host_session *session);

// builtin.c
extern const struct phx_policy *const builtin_types[];
extern const unsigned builtin_type_count;
