// SPDX-License-Identifier: BSD-3-Clause
// The words of one command: from the command line as they are, from a line of text split
// as a shell would, except that JSON needs no quotes. Single owner.
#pragma once

#include <stddef.h>

struct words {
	char **items; // NUL-terminated; owned
	size_t count;
};

#define WORDS_INIT ((struct words){0})

void words_fini(struct words *w);

// Append a copy of the word. 0 or -ENOMEM.
int words_add(struct words *w, const char *word, size_t len);

// Split a line at blanks. '...' and "..." (in which \" and \\ are escapes) and \c quote; a #
// that starts a word starts a comment; a word or a value after = that starts with { or [ goes
// on to the bracket that closes it. 0; -EINVAL with the reason in *out_why (static) and
// where it began in *out_offset; -ENOMEM. w is to be empty and stays so on failure.
int words_split(const char *line, struct words *w, const char **out_why, size_t *out_offset);

// The same up to a stop that begins a word and is not quoted; *out_end is its offset in line,
// or that of the line's end.
int words_split_until(const char *line, char stop, struct words *w, size_t *out_end,
	const char **out_why, size_t *out_offset);

// The words as one line, quoted where words_split needs it. *out_column is where byte offset
// of word at begins in it, in characters; at == count: after the last word and a blank.
// malloc()ed, caller frees; NULL when out of memory.
char *words_line(const struct words *w, size_t at, size_t offset, size_t *out_column);
