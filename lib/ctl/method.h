// SPDX-License-Identifier: BSD-3-Clause
// The one table of control methods: name, role, parameters, result, help. Daemons
// bind handlers to it, the shell derives its grammar, help and columns from it, tests
// are generated from it. One file per noun (methods_<noun>.c). Constant data; any thread.
#pragma once

#include "lib/ctl/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Roles in rising order; each includes those below.
enum phx_ctl_role {
	PHX_CTL_RO,
	PHX_CTL_OP,
	PHX_CTL_ADM,
};

enum phx_ctl_type {
	PHX_CTL_BOOL,
	PHX_CTL_INT,	    // min..max
	PHX_CTL_GENERATION, // decimal string of 64 bits
	PHX_CTL_NAME,	    // chosen by the operator: [A-Za-z0-9][A-Za-z0-9._-]{0,63}
	PHX_CTL_GLOB,	    // a name of at most NAME_BYTES in which * and ? match
	PHX_CTL_TEXT,	    // UTF-8 without control characters, min..max bytes
	PHX_CTL_ENUM,	    // one word of values
	PHX_CTL_ADDRESS,    // 192.0.2.1:5000 or [2001:db8::1]:5000
	PHX_CTL_NETWORK,    // 192.0.2.0/24, 2001:db8::/32, or one address
	PHX_CTL_PATH,	    // absolute path of a file; the shell makes it absolute
	PHX_CTL_NUMBER,	    // real number in 0..max, for quantiles
	PHX_CTL_MAP,	    // object of name -> text, at most max members
	PHX_CTL_OBJECT,	    // object with the members of fields, or any when NULL
	PHX_CTL_ARRAY,	    // at most max elements, each as fields[0]
	PHX_CTL_DOCUMENT,   // intent document, checked by its method; the shell reads a file
};

#define PHX_CTL_NAME_BYTES 64

// timeout_ms: of a job when it is absent, and the largest.
#define PHX_CTL_JOB_MS	       10000
#define PHX_CTL_TIMEOUT_MAX_MS 600000

struct phx_ctl_param {
	const char *name; // NULL ends a list
	enum phx_ctl_type type;
	bool required;
	bool lasts;  // INT in ms: the answer may take so long
	int64_t min; // INT: value; TEXT: bytes
	int64_t max; // INT, NUMBER: value; TEXT: bytes; MAP, ARRAY: members
	const char *unit;
	const char *values; // ENUM: "a|b|c"
	const struct phx_ctl_param *fields;
	const char *help;
};

// A member of the result, as the shell prints it; # in its name stands for digits.
struct phx_ctl_column {
	const char *key; // NULL ends a list
	const char *header;
};

enum phx_ctl_flag {
	PHX_CTL_MUTATES = 1 << 0, // changes intent: dry_run, if_generation; changed, generation
	PHX_CTL_ACTION = 1 << 1,  // changes run-time state only; audited like a mutation
	PHX_CTL_STARTUP = 1 << 2, // works without a dataplane
	PHX_CTL_FORWARD = 1 << 3, // answered by the dataplane; the control plane passes it on
	PHX_CTL_PRIVATE = 1 << 4, // dataplane.sock only: not shown to operators
	PHX_CTL_STREAM = 1 << 5,  // concerns notifications on the connection of the request
	PHX_CTL_JOB = 1 << 6,	  // the result is a job; one that has failed is a failure
	PHX_CTL_FAULTS = 1 << 7,  // the rows are what is wrong; if there are any, it is a failure
};

struct phx_ctl_method {
	const char *name; // noun.verb
	enum phx_ctl_role role;
	unsigned flags;
	const char *summary; // one line, lower case, no dot
	const struct phx_ctl_param *params;
	const char *list_key; // member of the result that holds the rows; NULL: one object
	const struct phx_ctl_column *columns;
	const char *result;  // its members, in words
	const char *example; // words for phoenix-cli, without the program name
};

// Methods in order of nouns; index in [0, phx_ctl_method_count()).
size_t phx_ctl_method_count(void);
const struct phx_ctl_method *phx_ctl_method_at(size_t index);
// By full name; NULL when there is none.
const struct phx_ctl_method *phx_ctl_method_find(const char *name);

// Parameters that a method takes beside its own: timeout_ms, and for a mutation
// dry_run and if_generation. Ended by name NULL.
const struct phx_ctl_param *phx_ctl_method_common(const struct phx_ctl_method *m);
// Own or common parameter of that name, or NULL.
const struct phx_ctl_param *phx_ctl_method_param(const struct phx_ctl_method *m, const char *name);

// How much longer than usual the answer may take, in ms: the sum of what params (borrowed; NULL:
// none) say.
int64_t phx_ctl_method_lasts_ms(const struct phx_ctl_method *m, json_t *params);

// Check params (borrowed, an object) against the table. 0, or -EINVAL with code
// PHX_CTL_INVALID_PARAMS, the path of the field, the value and what would be accepted.
int phx_ctl_method_validate(
	const struct phx_ctl_method *m, json_t *params, struct phx_ctl_error *e);

// Check one value against one parameter; path names it in errors ("filter.uid").
int phx_ctl_param_validate(
	const struct phx_ctl_param *p, const char *path, json_t *value, struct phx_ctl_error *e);
// Check an object against a list of parameters; prefix is "" or "path.".
int phx_ctl_params_validate(const struct phx_ctl_param *fields, const struct phx_ctl_param *common,
	const char *prefix, json_t *object, struct phx_ctl_error *e);

// Names for people: "ro", "op", "adm"; "integer", "name", ...
const char *phx_ctl_role_name(enum phx_ctl_role role);
const char *phx_ctl_type_name(enum phx_ctl_type type);

// The word of words (count entries; NULL entries are skipped) nearest to word, or NULL
// when none is near enough to be what was meant.
const char *phx_ctl_nearest(const char *word, const char *const *words, size_t count);

// Keep the rows (array, borrowed) that match filter (object or NULL): strings by glob,
// numbers and booleans by equality, all members. New reference, NULL without memory.
json_t *phx_ctl_filter_rows(json_t *rows, json_t *filter);

// The table as results: rpc.methods, rpc.discover (OpenRPC 1.2.6), rpc.limits.
// bound says which methods this server has.
typedef bool (*phx_ctl_bound_fn)(void *arg, const struct phx_ctl_method *m);
json_t *phx_ctl_methods_json(phx_ctl_bound_fn bound, void *arg, const char *prefix);
json_t *phx_ctl_discover_json(phx_ctl_bound_fn bound, void *arg);
json_t *phx_ctl_limits_json(void);
