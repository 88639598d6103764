// SPDX-License-Identifier: BSD-3-Clause
// Results as text: rows as aligned columns, one object as key: value lines with tables and
// blocks for what is nested. JSON is printed by report.h. Text is for reading, not parsing.
#pragma once

#include "cli/names.h"

#include <stdio.h>

// Columns chosen with -o: keys or headers of the table, or other members of the result.
// count 0: the table's choice.
struct print_columns {
	size_t count;
	const char *keys[NAMES_MAX];	// member of a row; "a.b" goes into objects
	const char *headers[NAMES_MAX]; // or NULL: made from the key
	struct names words;		// where keys that are not in the table live
};

// Read "a,b,c" for the method (NULL: no table to check with). 0, or -EINVAL with the word
// and what there is in e.
int print_columns_parse(const char *list, const struct phx_ctl_method *m, struct print_columns *out,
	struct phx_ctl_error *e);

// Is the word the pattern, with digits for each #?
bool print_column_matches(const char *pattern, const char *word, size_t len);

// Print a result. m may be NULL. Everything the result has is shown, in the order of the
// method's columns and then as it came, unless columns choose; a list shows the method's
// columns.
void print_result(FILE *out, const struct phx_ctl_method *m, const struct print_columns *columns,
	json_t *result);
