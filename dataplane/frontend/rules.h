// SPDX-License-Identifier: BSD-3-Clause
// Who may attach and who may register what: decided here alone, from the set that was pushed
// last or read from a file. Without a set the answer is NONE. Control thread.
#pragma once

#include "dataplane/frontend/identity.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RULES_ID_ANY	 UINT32_MAX
#define RULES_NAME	 64
#define RULES_OWNERS_MAX 65536 // (group, service) names with an owner
#define RULES_OWNERS_UID 1024  // of one uid

enum rules_action {
	RULES_DENY,
	RULES_ALLOW,
	RULES_OWNER, // registering: the uid that registered the name first
};

// Where the session of an application goes.
enum rules_placement {
	RULES_SHARED,	 // the emptiest worker
	RULES_SPREAD,	 // away from others of the same name, then the emptiest
	RULES_PACKED,	 // the first worker that has time left: few workers are awake
	RULES_DEDICATED, // the emptiest one, and nobody else is placed there from then on
};

struct rules_label {
	char *key;
	char *value;
};

// Checked in order; the first match decides, no match denies.
struct rules_attach {
	char *name;
	enum rules_action action; // ALLOW or DENY
	uint32_t uid, gid;	  // or RULES_ID_ANY
	char *app;		  // name for the application; NULL = none
	enum rules_placement placement;
	int worker; // index, or -1 = by placement
	struct rules_label *labels;
	size_t label_count;
};

struct rules_register {
	char *name;
	enum rules_action action;
	char *service, *group; // globs, fnmatch(3) without flags
	uint32_t uid, gid;     // or RULES_ID_ANY
};

// One immutable set. rules_set_create() gives an empty one with room for the rules, the caller
// fills it with strings of malloc(); rules_set_destroy() frees everything. NULL is legal.
struct rules_set {
	uint64_t generation;
	struct rules_attach *attach;
	size_t attach_count;
	struct rules_register *registers;
	size_t register_count;
};
struct rules_set *rules_set_create(size_t attach_count, size_t register_count);
void rules_set_destroy(struct rules_set *set);

enum rules_verdict {
	RULES_VERDICT_DENY,
	RULES_VERDICT_ALLOW,
	RULES_VERDICT_NONE, // no set has come yet
};

struct rules; // opaque: the set in force and the owners of names

// -ENOMEM.
int rules_create(struct rules **out_rules);
void rules_destroy(struct rules *rules);
// Put a set in force and take it over; the old one ends. Owners of names stay.
void rules_take_set(struct rules *rules, struct rules_set *set);
// NULL before the first one.
const struct rules_set *rules_current(const struct rules *rules);

// *out_rule (may be NULL): the rule that decided, valid until the next set; NULL when none matched.
enum rules_verdict rules_attach_decide(const struct rules *rules, const struct identity *identity,
	const struct rules_attach **out_rule);

// Under an OWNER rule the first allowed uid becomes the owner of (group, service) for good.
// *out_rule as above.
enum rules_verdict rules_register_decide(struct rules *rules, const struct identity *identity,
	const char *group, const char *service, const struct rules_register **out_rule);
