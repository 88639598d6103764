// SPDX-License-Identifier: BSD-3-Clause
// Shared by grammar.c and grammar_params.c.
#pragma once

#include "cli/grammar.h"
#include "cli/names.h"
#include "cli/value.h"

// Set the error; given (or NULL) is the wrong word, to which the nearest of expected is
// offered. Returns -EINVAL.
int grammar_fail_at(struct grammar_error *e, size_t word, const char *text, const char *given,
	const struct names *expected);
// A word that begins several of names.
int grammar_fail_ambiguous(
	struct grammar_error *e, size_t word, const char *given, const struct names *several);
int grammar_fail_memory(struct grammar_error *e);

// Does the word begin a parameter of m: its name, name=..., name.member, or JSON?
bool grammar_is_key(const struct phx_ctl_method *m, const char *word);

// Read the words from index at on into out->params and validate them.
int grammar_params(const struct words *w, size_t at, bool abbreviate, struct grammar_command *out,
	struct grammar_error *e);
