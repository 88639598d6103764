// SPDX-License-Identifier: BSD-3-Clause
// What a command says when it is over: results and errors, as text or as one JSON document.
#pragma once

#include "cli/grammar.h"
#include "cli/print.h"

#include <stdio.h>

struct filters;

struct report {
	FILE *out, *err; // borrowed
	bool json, pretty, quiet;
	const char *where;	       // "FILE:LINE" in a batch, else NULL
	const struct filters *filters; // of the shell's line, at least one, else NULL
};

// Print the result (borrowed); m may be NULL. raw: the result object as it is.
void report_result(const struct report *r, const struct phx_ctl_method *m, bool raw,
	const struct print_columns *columns, json_t *result);

// The rows that JSON shows for the result of a list (borrowed), NULL for other results.
json_t *report_rows(const struct phx_ctl_method *m, bool raw, json_t *result);

// Print an error; e gets where added.
void report_error(const struct report *r, struct phx_ctl_error *e);

// Print an error of usage with the words and a caret below the one that is wrong.
void report_usage(const struct report *r, const struct words *w, struct grammar_error *e);
