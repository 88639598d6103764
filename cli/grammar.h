// SPDX-License-Identifier: BSD-3-Clause
// From words to a request: noun, verb and parameters as the method table has them. Nothing
// here is sent or printed. Pure functions but for @FILE; any thread.
#pragma once

#include "cli/words.h"
#include "lib/ctl/method.h"

enum grammar_flag {
	GRAMMAR_ABBREVIATE = 1 << 0, // unique beginnings stand for nouns, verbs and parameters
};

struct local;

// A request that is fit to be sent. name and params are owned.
struct grammar_command {
	const struct local *local; // a command of the shell itself, else NULL; then nothing
				   // else is set, and its words are not parsed
	const struct phx_ctl_method *method; // NULL: `rpc METHOD` with a name not in the table
	char *name;
	json_t *params; // an object
	bool raw;	// `rpc METHOD`: not validated, the result is shown as it is
};

// What is wrong and where: byte offset of words->items[word], or word == words->count for
// something missing at the end. error.data.expected lists what could stand there.
struct grammar_error {
	struct phx_ctl_error error;
	size_t word;
	size_t offset;
	bool local; // no usage error: a file could not be read, no memory
};

// 0 and a command for _fini; -EINVAL with *out_error set, for phx_ctl_error_fini.
int grammar_parse(const struct words *w, unsigned flags, struct grammar_command *out_command,
	struct grammar_error *out_error);
void grammar_command_fini(struct grammar_command *c);

// Add one common parameter of options (-n: dry_run). 0, or -EINVAL with error set when the
// method cannot do without doing it.
int grammar_dry_run(struct grammar_command *c, struct phx_ctl_error *e);

// Is it shown to operators as a command of its own?
bool grammar_is_command(const struct phx_ctl_method *m);

// The parameter that the first word fills when it is no parameter's name, or NULL.
const struct phx_ctl_param *grammar_positional(const struct phx_ctl_method *m);
