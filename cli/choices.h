// SPDX-License-Identifier: BSD-3-Clause
// Words that may come next in a command, with what to say about them. Single owner.
#pragma once

#include <stddef.h>

#define CHOICES_MAX 4096

struct choice {
	char *word;	  // owned
	const char *hint; // what follows the word, or NULL; static or of the method table
	const char *help; // what it means, or NULL; the same
};

struct choices {
	struct choice *items;
	size_t count;
};

#define CHOICES_INIT ((struct choices){0})

void choices_fini(struct choices *c);

// Add a copy of the word, unless it is there. Beyond CHOICES_MAX and without memory it is left
// out: an offer that is not made.
void choices_add(struct choices *c, const char *word, const char *hint, const char *help);

// Bytes that all words have in common, from the start; 0 without words.
size_t choices_common(const struct choices *c);
