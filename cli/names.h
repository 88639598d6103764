// SPDX-License-Identifier: BSD-3-Clause
// A short list of words that may be abbreviated: nouns, verbs, names of parameters.
#pragma once

#include "lib/ctl/method.h"

#define NAMES_MAX   64
#define NAMES_BYTES 48

struct names {
	size_t count;
	const char *items[NAMES_MAX]; // into text, or static
	char text[NAMES_MAX][NAMES_BYTES];
};

// Add a word once, cut when longer than NAMES_BYTES - 1; beyond NAMES_MAX it is left out.
void names_add(struct names *n, const char *word, size_t len);

// Nouns of the table; verbs of a noun; names of a method's parameters, common ones last.
void names_nouns(struct names *out);
void names_verbs(struct names *out, const char *noun);
void names_params(struct names *out, const struct phx_ctl_method *m);

// Index of the word, whole or, when abbreviate, as the beginning of one alone. -ENOENT;
// -EEXIST when it begins several: then *out_several (if not NULL) holds these.
int names_match(const struct names *n, const char *word, size_t len, bool abbreviate,
	struct names *out_several);

// The words as an array of strings. New reference, NULL without memory.
json_t *names_json(const struct names *n);
