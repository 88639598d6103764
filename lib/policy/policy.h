// SPDX-License-Identifier: BSD-3-Clause
// The policy SDK: all that a policy may include of the project. A policy is one constant
// struct phx_policy; the host (the dataplane, or a test) calls it and hands it a table of
// operations, which the inline functions below wrap. A policy links to nothing.
//
// Life: init once for each attached policy, configure once for each set of parameters (the new
// configuration is built beside the old one, which stays until nothing uses it), then bursts and
// call ends on the workers, then unconfigure and fini. Calls flow all the while.
//
// Threads: init, configure, unconfigure and fini run on the control thread and may allocate. burst
// and call_end run on the workers, several at once, and must not block, allocate, lock, log or
// make system calls. What they change in `self` must be sharded by burst->worker; a
// configuration is immutable. Nothing else may be kept: no pointer that the host hands out is
// valid after the function has returned, unless it says so.
//
// Errors are negative errno values.
#ifndef PHX_POLICY_H
#define PHX_POLICY_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/base/status.h"

#ifdef __cplusplus
extern "C" {
#endif

// ---- versions ----

#define PHX_POLICY_MAGIC   UINT32_C(0x31584850) // "PHX1"
#define PHX_POLICY_ABI_MIN 1u
#define PHX_POLICY_ABI_MAX 1u

// First in the descriptor and in the operations. The two sides agree on the highest version
// both know; structs only grow at their end, and `size` says how far the other side's reaches.
struct phx_policy_hello {
	uint32_t magic; // PHX_POLICY_MAGIC
	uint32_t min;	// oldest version that this side speaks
	uint32_t max;	// newest
	uint32_t size;	// of the struct that starts with this
};

// ---- points ----

// Where a burst runs. OUT is the side of the message's sender, IN that of its receiver: a client's
// application passes REQUEST_OUT and REPLY_IN, a server's REQUEST_IN and REPLY_OUT.
enum phx_policy_point {
	PHX_POLICY_REQUEST_OUT = 0,
	PHX_POLICY_REQUEST_IN = 1,
	PHX_POLICY_REPLY_OUT = 2,
	PHX_POLICY_REPLY_IN = 3,
};
#define PHX_POLICY_POINT_COUNT 4
#define PHX_POLICY_AT(point)   (1u << (point))
#define PHX_POLICY_REQUESTS                                                                        \
	(PHX_POLICY_AT(PHX_POLICY_REQUEST_OUT) | PHX_POLICY_AT(PHX_POLICY_REQUEST_IN))
#define PHX_POLICY_REPLIES                                                                         \
	(PHX_POLICY_AT(PHX_POLICY_REPLY_OUT) | PHX_POLICY_AT(PHX_POLICY_REPLY_IN))

// ---- parameters ----

enum phx_policy_type {
	PHX_POLICY_BOOL = 0,   // "true", "false"
	PHX_POLICY_UINT = 1,   // decimal
	PHX_POLICY_INT = 2,    // decimal, may be negative
	PHX_POLICY_STRING = 3, // UTF-8 without NUL
};

struct phx_policy_param {
	const char *name;
	uint32_t type;	  // enum phx_policy_type
	const char *unit; // "ns", "calls/s"...; NULL = none
	// Range: of the value (UINT; INT as two's complement), or of the length in bytes (STRING).
	uint64_t min;
	uint64_t max;
	const char *def; // as an operator writes it; NULL = must be given
	const char *help;
};

// The value of one parameter, in range. Strings live as long as the configuration.
union phx_policy_arg {
	bool b;
	uint64_t u;
	int64_t i;
	const char *s;
};

// ---- what it inspects ----

#define PHX_POLICY_FIELD_OPTIONAL 1u // where it cannot be bound it reads as absent

// A field that the policy reads or rewrites. Its number in the table is the handle for the
// functions below. What is declared here is copied before the policy looks, and the
// copy is what is sent.
struct phx_policy_field {
	const char *message; // full name of the message type; NULL = whatever type passes
	// Field names joined by dots; a list means any of its elements. "$name" takes the value of
	// a STRING parameter; an empty value means: not inspected, reads as absent.
	const char *path;
	uint32_t points; // where it is needed; 0 = at all points of the policy
	uint32_t flags;	 // PHX_POLICY_FIELD_*
};

enum phx_policy_failure {
	PHX_POLICY_OPEN = 0,   // a call that the policy cannot judge passes
	PHX_POLICY_CLOSED = 1, // it is denied
};

// ---- messages and verdicts ----

enum phx_policy_verdict {
	PHX_POLICY_ALLOW = 0,
	PHX_POLICY_DENY = 1, // see phx_policy_deny()
	PHX_POLICY_HOLD = 2, // see phx_policy_hold()
};

#define PHX_POLICY_M_REASKED 1u // it was held by this policy and is the first of its queue
#define PHX_POLICY_M_CHANGED 2u // it has let the call pass under an older configuration
#define PHX_POLICY_M_REQUEST 4u // this policy has seen the call's request (at reply points)

// Bytes of state that the host keeps for each call and policy.
#define PHX_POLICY_STATE_SIZE 16

// One message of a burst. The host fills it and presets ALLOW.
struct phx_policy_message {
	// PHX_POLICY_STATE_SIZE bytes, aligned to 8, zero when the policy sees the call first; kept
	// from point to point and handed to call_end.
	void *state;
	uint32_t flags;	    // PHX_POLICY_M_*
	uint8_t verdict;    // out: enum phx_policy_verdict
	uint8_t code;	    // out, with DENY: enum phx_code, not OK
	uint8_t mark;	    // out: 1 = mark_class and mark_weight are set
	uint8_t mark_class; // out
	uint32_t mark_weight;
	uint32_t reserved;
	const char *text;	// out, with DENY
	uint64_t key;		// out, with HOLD
	uint64_t not_before_ns; // out, with HOLD
	const void *host;	// the host's
	uint64_t reserved2;
};

struct phx_policy_ops;

// What is the same for all messages of a burst.
struct phx_policy_burst {
	const struct phx_policy_ops *ops;
	void *self;	    // of init
	const void *config; // of configure
	uint64_t now_ns;    // monotonic; read once per burst
	uint32_t worker;    // 0 to worker_count - 1
	uint32_t point;	    // enum phx_policy_point; of call_end: UINT32_MAX
	void *host;	    // the host's
};

// How a call ended. Strings are valid during call_end.
struct phx_policy_end {
	const char *service; // full name
	const char *method;
	uint64_t duration_ns; // since the application submitted it, or since it came from the link
	uint8_t code;	      // enum phx_code
	uint8_t origin;	      // enum phx_origin
	uint8_t executed;     // enum phx_executed
	uint8_t reason;	      // enum phx_reason; DETACHED: the policy was taken away from the call
	uint32_t reserved;
};

// ---- the descriptor ----

// Handed to init; valid during init only, except ops.
struct phx_policy_host {
	const struct phx_policy_ops *ops; // valid for the life of the policy
	uint32_t worker_count;		  // worker numbers are below this
	uint32_t reserved;
};

// A policy type. All of it is constant. Functions that are NULL do nothing.
struct phx_policy {
	struct phx_policy_hello hello; // PHX_POLICY_HELLO
	const char *name;	       // of the type: a-z 0-9 - _, up to 32 bytes
	const char *version;	       // free text, for operators
	const char *help;	       // one line
	const struct phx_policy_param *params;
	const struct phx_policy_field *fields;
	const char *const *metadata; // keys that it reads; "$name" as for fields
	const char *const *counters; // names, for operators
	uint32_t param_count;	     // up to PHX_POLICY_PARAMS_MAX
	uint32_t field_count;	     // up to PHX_POLICY_FIELDS_MAX
	uint32_t metadata_count;     // up to PHX_POLICY_FIELDS_MAX
	uint32_t counter_count;	     // up to PHX_POLICY_COUNTERS_MAX
	uint32_t points;	     // PHX_POLICY_AT(): where burst is called
	// Of these, where it may deny, hold or rewrite. Elsewhere it only looks on, and any other
	// verdict than ALLOW is its failure.
	uint32_t judges;
	uint32_t on_failure;	    // enum phx_policy_failure
	uint32_t state_size;	    // bytes of state it uses, up to PHX_POLICY_STATE_SIZE
	uint32_t recheck_on_change; // 1: calls that passed are shown to a new configuration again
	uint32_t reserved;

	// Control thread. self is handed to everything else; NULL is legal. Nothing is left behind
	// on failure.
	int (*init)(const struct phx_policy_host *host, void **out_self);
	void (*fini)(void *self);
	// Control thread. args has param_count values. An error refuses the parameters and
	// leaves the old configuration in force.
	int (*configure)(void *self, const union phx_policy_arg *args, void **out_config);
	// Control thread. Nothing uses the configuration any more.
	void (*unconfigure)(void *self, void *config);
	// Worker. 1 to 32 messages, all at one point and of one application. It sets verdicts; the
	// rest is the host's work.
	void (*burst)(const struct phx_policy_burst *burst,
		struct phx_policy_message *const *messages, unsigned n);
	// Worker. Once for each call that the policy has let pass at the request, however it ended
	// (also by cancel, deadline and link loss). state: as the last point left it.
	void (*call_end)(const struct phx_policy_burst *burst, const void *state,
		const struct phx_policy_end *end);
};

#define PHX_POLICY_PARAMS_MAX	64
#define PHX_POLICY_FIELDS_MAX	64
#define PHX_POLICY_COUNTERS_MAX 16
#define PHX_POLICY_HELLO                                                                           \
	{                                                                                          \
		PHX_POLICY_MAGIC, PHX_POLICY_ABI_MIN, PHX_POLICY_ABI_MAX,                          \
			sizeof(struct phx_policy)                                                  \
	}
// The name by which the host finds the descriptor in a shared object.
#define PHX_POLICY_SYMBOL "phx_policy_descriptor"

// ---- verdicts ----

// End the call with this status (origin: policy). code is not PHX_OK; text is ASCII or UTF-8, up to
// 200 bytes count, and need not outlive the burst. The host puts the policy's name in front.
static inline void phx_policy_deny(
	struct phx_policy_message *m, enum phx_code code, const char *text)
{
	m->verdict = PHX_POLICY_DENY;
	m->code = (uint8_t)code;
	m->text = text;
}

// Keep the call back. Held calls of one key stand in a queue in the order in which they were held;
// only the first is shown again, not before the given time (monotonic; 0 = as soon as possible),
// with PHX_POLICY_M_REASKED. It keeps its deadline.
static inline void phx_policy_hold(
	struct phx_policy_message *m, uint64_t key, uint64_t not_before_ns)
{
	m->verdict = PHX_POLICY_HOLD;
	m->key = key;
	m->not_before_ns = not_before_ns;
}

// Say how the framework should schedule the call: class 0 (the default) to 7, the higher the more
// urgent; weight 1 to 65535 among calls of a class. The last policy that marks it wins.
static inline void phx_policy_mark(
	struct phx_policy_message *m, unsigned mark_class, uint32_t mark_weight)
{
	m->mark = 1;
	m->mark_class = (uint8_t)mark_class;
	m->mark_weight = mark_weight;
}

// ---- operations: all on the worker, inside burst ----

enum phx_policy_value_kind {
	PHX_POLICY_VALUE_UINT = 0,
	PHX_POLICY_VALUE_INT = 1, // enum values too
	PHX_POLICY_VALUE_BOOL = 2,
	PHX_POLICY_VALUE_DOUBLE = 3, // float fields too
	PHX_POLICY_VALUE_STRING = 4,
	PHX_POLICY_VALUE_BYTES = 5,
};

struct phx_policy_value {
	uint32_t kind; // enum phx_policy_value_kind
	uint32_t len;  // STRING, BYTES: bytes of the value
	union {
		uint64_t u;
		int64_t i;
		double d;
		bool b;
	} number;
	// STRING, BYTES: no NUL at the end. Valid until the next operation on the same message.
	const void *data;
	uint32_t have; // bytes at data: less than len where a long value could not be had whole
	uint32_t reserved;
};

// Non-zero stops the iteration.
typedef int (*phx_policy_value_fn)(void *arg, const struct phx_policy_value *value);

struct phx_policy_label {
	const char *key;
	const char *value;
};

// The application on this side of the call, as the dataplane measured it; valid for the burst.
struct phx_policy_identity {
	uint64_t app; // app-N
	uint32_t uid;
	uint32_t gid;
	const char *name; // given by the operator's rules; "" = none
	const struct phx_policy_label *labels;
	uint32_t label_count;
	uint32_t reserved;
};

// The table behind the functions below; members are documented there.
struct phx_policy_ops {
	struct phx_policy_hello hello;
	int (*field_get)(const struct phx_policy_burst *burst, const struct phx_policy_message *m,
		uint32_t field, struct phx_policy_value *out_value);
	int (*field_each)(const struct phx_policy_burst *burst, const struct phx_policy_message *m,
		uint32_t field, phx_policy_value_fn fn, void *arg);
	int (*field_set_number)(const struct phx_policy_burst *burst,
		const struct phx_policy_message *m, uint32_t field,
		const struct phx_policy_value *value);
	int (*field_set_bytes)(const struct phx_policy_burst *burst,
		const struct phx_policy_message *m, uint32_t field, const void *data, uint32_t len);
	int (*metadata_get)(const struct phx_policy_burst *burst,
		const struct phx_policy_message *m, uint32_t key,
		struct phx_policy_value *out_value);
	const struct phx_policy_identity *(*identity)(
		const struct phx_policy_burst *burst, const struct phx_policy_message *m);
	const char *(*service)(
		const struct phx_policy_burst *burst, const struct phx_policy_message *m);
	const char *(*method)(
		const struct phx_policy_burst *burst, const struct phx_policy_message *m);
	uint64_t (*deadline)(
		const struct phx_policy_burst *burst, const struct phx_policy_message *m);
	uint32_t (*waiting)(const struct phx_policy_burst *burst, uint64_t key);
	uint64_t (*clock)(const struct phx_policy_burst *burst);
	uint64_t (*random)(const struct phx_policy_burst *burst);
	void (*count)(const struct phx_policy_burst *burst, uint32_t counter, uint64_t n);
};

// The first value of a field. 0; -ENOENT: absent (unset optional field, other oneof member, null
// message, empty list, no message at all: a reply that is a bare status); -EINVAL: no such
// handle; -ENODATA: it could not be bound or copied: after that the call follows on_failure
// whatever the verdict is; -E2BIG: too many list elements on the way, same consequence.
static inline int phx_policy_field_get(const struct phx_policy_burst *burst,
	const struct phx_policy_message *m, uint32_t field, struct phx_policy_value *out_value)
{
	return burst->ops->field_get(burst, m, field, out_value);
}

// All values of a field, in order. 0, what fn returned, or the errors of phx_policy_field_get().
static inline int phx_policy_field_each(const struct phx_policy_burst *burst,
	const struct phx_policy_message *m, uint32_t field, phx_policy_value_fn fn, void *arg)
{
	return burst->ops->field_each(burst, m, field, fn, arg);
}

// Rewrite a number, bool or enum in a path without lists; value->kind must fit the field (INT for
// enums, DOUBLE for float). The receiver sees the new value. 0; -EPERM: the policy does not judge
// at this point; -EINVAL: no such handle, wrong kind, or out of the field's range; -ENOENT: a
// message on the way is null or the oneof selects another member; -ENOTSUP: a list on the way;
// -ENODATA; -ENOMEM: the application's snapshots are at their limit. The message is unchanged on
// failure.
static inline int phx_policy_field_set_number(const struct phx_policy_burst *burst,
	const struct phx_policy_message *m, uint32_t field, const struct phx_policy_value *value)
{
	return burst->ops->field_set_number(burst, m, field, value);
}

// The same for strings (UTF-8, else -EILSEQ) and bytes. -E2BIG: the message would be too large.
static inline int phx_policy_field_set_bytes(const struct phx_policy_burst *burst,
	const struct phx_policy_message *m, uint32_t field, const void *data, uint32_t len)
{
	return burst->ops->field_set_bytes(burst, m, field, data, len);
}

// The first pair with a declared metadata key (its number in the descriptor's table); kind is BYTES
// for keys that end in "-bin", else STRING. 0; -ENOENT: none; -EINVAL: no such handle.
static inline int phx_policy_metadata_get(const struct phx_policy_burst *burst,
	const struct phx_policy_message *m, uint32_t key, struct phx_policy_value *out_value)
{
	return burst->ops->metadata_get(burst, m, key, out_value);
}

// Whose call it is. Never NULL.
static inline const struct phx_policy_identity *phx_policy_identity(
	const struct phx_policy_burst *burst, const struct phx_policy_message *m)
{
	return burst->ops->identity(burst, m);
}

// Full name of the service, and the method's name. Never NULL; valid for the burst.
static inline const char *phx_policy_service(
	const struct phx_policy_burst *burst, const struct phx_policy_message *m)
{
	return burst->ops->service(burst, m);
}
static inline const char *phx_policy_method(
	const struct phx_policy_burst *burst, const struct phx_policy_message *m)
{
	return burst->ops->method(burst, m);
}

// When the call expires, monotonic nanoseconds; UINT64_MAX = never.
static inline uint64_t phx_policy_deadline(
	const struct phx_policy_burst *burst, const struct phx_policy_message *m)
{
	return burst->ops->deadline(burst, m);
}

// Calls that this policy holds under a key on this worker. A policy that must not let a new
// call overtake held ones holds it too while this is not 0.
static inline uint32_t phx_policy_waiting(const struct phx_policy_burst *burst, uint64_t key)
{
	return burst->ops->waiting(burst, key);
}

// The monotonic clock now, in nanoseconds. burst->now_ns is cheaper.
static inline uint64_t phx_policy_clock(const struct phx_policy_burst *burst)
{
	return burst->ops->clock(burst);
}

// 64 random bits, not for secrets.
static inline uint64_t phx_policy_random(const struct phx_policy_burst *burst)
{
	return burst->ops->random(burst);
}

// Add n to a declared counter (its number in the descriptor's table). Also inside call_end.
static inline void phx_policy_count(
	const struct phx_policy_burst *burst, uint32_t counter, uint64_t n)
{
	burst->ops->count(burst, counter, n);
}

#ifdef __cplusplus
}
#endif

#endif
