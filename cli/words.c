// SPDX-License-Identifier: BSD-3-Clause
// Splitting and joining for words.h.
#include "cli/words.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void words_fini(struct words *w)
{
	for (size_t i = 0; i < w->count; i++)
		free(w->items[i]);
	free(w->items);
	*w = WORDS_INIT;
}

int words_add(struct words *w, const char *word, size_t len)
{
	char **items = realloc(w->items, (w->count + 1) * sizeof(*items));

	if (items == NULL)
		return -ENOMEM;
	w->items = items;
	items[w->count] = strndup(word, len);
	if (items[w->count] == NULL)
		return -ENOMEM;
	w->count++;
	return 0;
}

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

// One word being read: from is the line, to a buffer as long as the line.
struct scan {
	const char *from;
	char *to;
	size_t pos, len;
	bool quoted; // the word holds quotes, so it exists even when empty
	const char *why;
};

static int fail(struct scan *s, size_t at, const char *why)
{
	s->pos = at;
	s->why = why;
	return -EINVAL;
}

static int scan_quoted(struct scan *s, char quote)
{
	size_t begin = s->pos++;

	s->quoted = true;
	while (s->from[s->pos] != quote) {
		if (s->from[s->pos] == '\0')
			return fail(s, begin, "this quote is not closed");
		if (quote == '"' && s->from[s->pos] == '\\' &&
			(s->from[s->pos + 1] == '"' || s->from[s->pos + 1] == '\\'))
			s->pos++;
		s->to[s->len++] = s->from[s->pos++];
	}
	s->pos++;
	return 0;
}

// JSON, to the bracket that closes it; brackets within its strings do not count.
static int scan_json(struct scan *s)
{
	size_t begin = s->pos, depth = 0;
	bool in_string = false;

	do {
		char c = s->from[s->pos];

		if (c == '\0')
			return fail(s, begin, "this bracket is not closed");
		if (c == '"')
			in_string = !in_string;
		else if (in_string && c == '\\' && s->from[s->pos + 1] != '\0')
			s->to[s->len++] = s->from[s->pos++];
		else if (!in_string && (c == '{' || c == '['))
			depth++;
		else if (!in_string && (c == '}' || c == ']'))
			depth--;
		s->to[s->len++] = s->from[s->pos++];
	} while (depth > 0);
	return 0;
}

static int scan_word(struct scan *s)
{
	int rc = 0;

	s->len = 0;
	s->quoted = false;
	while (rc == 0 && s->from[s->pos] != '\0' && !blank(s->from[s->pos])) {
		char c = s->from[s->pos];
		bool fresh = !s->quoted && (s->len == 0 || s->to[s->len - 1] == '=');

		if (c == '\'' || c == '"') {
			rc = scan_quoted(s, c);
		} else if (fresh && (c == '{' || c == '[')) {
			rc = scan_json(s);
		} else {
			if (c == '\\' && s->from[s->pos + 1] != '\0')
				s->pos++;
			s->to[s->len++] = s->from[s->pos++];
		}
	}
	return rc;
}

int words_split(const char *line, struct words *w, const char **out_why, size_t *out_offset)
{
	size_t end;

	return words_split_until(line, '\0', w, &end, out_why, out_offset);
}

int words_split_until(const char *line, char stop, struct words *w, size_t *out_end,
	const char **out_why, size_t *out_offset)
{
	struct scan s = {.from = line, .to = malloc(strlen(line) + 1)};
	int rc = s.to != NULL ? 0 : -ENOMEM;

	while (rc == 0) {
		while (blank(line[s.pos]))
			s.pos++;
		if (line[s.pos] == '\0' || line[s.pos] == '#' || line[s.pos] == stop)
			break;
		rc = scan_word(&s);
		if (rc == 0)
			rc = words_add(w, s.to, s.len);
	}
	if (rc != 0)
		words_fini(w);
	if (rc == -EINVAL) {
		*out_why = s.why;
		*out_offset = s.pos;
	}
	*out_end = line[s.pos] == stop ? s.pos : strlen(line);
	free(s.to);
	return rc;
}

static bool plain(const char *word)
{
	if (word[0] == '\0' || word[0] == '#')
		return false;
	return strpbrk(word, " \t\r\n'\"\\{[") == NULL;
}

static void put_word(FILE *out, const char *word)
{
	if (plain(word)) {
		(void)fputs(word, out); // errors show when the stream is closed
		return;
	}
	(void)fputc('\'', out);
	for (; *word != '\0'; word++) {
		if (*word == '\'')
			(void)fputs("'\\''", out);
		else
			(void)fputc(*word, out);
	}
	(void)fputc('\'', out);
}

static size_t characters(const char *text, size_t size)
{
	size_t count = 0;

	for (size_t i = 0; i < size; i++)
		count += ((unsigned char)text[i] & 0xc0) != 0x80;
	return count;
}

char *words_line(const struct words *w, size_t at, size_t offset, size_t *out_column)
{
	char *text = NULL;
	size_t size = 0, start = 0;
	FILE *out = open_memstream(&text, &size);

	if (out == NULL)
		return NULL;
	for (size_t i = 0; i < w->count; i++) {
		if (i > 0)
			(void)fputc(' ', out);
		if (i == at) {
			(void)fflush(out);
			start = size + !plain(w->items[i]) + offset;
		}
		put_word(out, w->items[i]);
	}
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	if (at >= w->count)
		*out_column = characters(text, size) + (w->count > 0);
	else
		*out_column = characters(text, start < size ? start : size);
	return text;
}
