// SPDX-License-Identifier: BSD-3-Clause
// Filters of a line of the shell: `| grep PATTERN`, `| json`, `| count`, several in a row.
#pragma once

#include "cli/print.h"

#include <regex.h>

#define FILTERS_MAX 4

struct filter {
	enum { FILTER_GREP, FILTER_JSON, FILTER_COUNT } kind;
	regex_t pattern; // FILTER_GREP
};

struct filters {
	struct filter items[FILTERS_MAX];
	size_t count;
};

// Read what stands behind the first |. 0, or -EINVAL with the reason in why; then nothing is
// left for _fini.
int filters_parse(const char *text, struct filters *out, char *why, size_t why_size);
void filters_fini(struct filters *f);

// Print a result through the filters. json shows it as JSON, grep lines of its text, count how
// many rows or lines it has. Parameters as for report_result.
void filters_print(const struct filters *f, FILE *out, const struct phx_ctl_method *m, bool raw,
	const struct print_columns *columns, json_t *result);
