// SPDX-License-Identifier: BSD-3-Clause
// The columns of -o, checked against the method table before anything is sent.
#include "cli/print.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

static bool word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' || c == '.' || c == '#';
}

// Members of the result as the table's words name them, those of "the row of X.list" too.
static void names_result(struct names *out, const struct phx_ctl_method *m, int depth)
{
	for (const char *s = m->result; *s != '\0';) {
		size_t len = 0;
		char word[NAMES_BYTES];
		const struct phx_ctl_method *other;

		while (word_char(s[len]))
			len++;
		(void)snprintf(word, sizeof(word), "%.*s", (int)len, s); // may be cut
		other = depth == 0 ? phx_ctl_method_find(word) : NULL;
		if (other != NULL)
			names_result(out, other, 1);
		else if (len > 0)
			names_add(out, s, len);
		s += len > 0 ? len : 1;
	}
}

static const struct phx_ctl_column *find_column(
	const struct phx_ctl_method *m, const char *word, size_t len)
{
	for (const struct phx_ctl_column *c = m->columns; c->key != NULL; c++)
		if ((strlen(c->key) == len && strncasecmp(c->key, word, len) == 0) ||
			(strlen(c->header) == len && strncasecmp(c->header, word, len) == 0))
			return c;
	return NULL;
}

static int fail(const struct phx_ctl_method *m, const char *word, struct phx_ctl_error *e)
{
	struct names names = {.count = 0};
	const char *nearest;

	for (const struct phx_ctl_column *c = m->columns; c->key != NULL; c++)
		names_add(&names, c->key, strlen(c->key));
	(void)phx_ctl_error_set(
		e, PHX_INVALID_ARGUMENT, "-o: %s has no column '%.40s'", m->name, word);
	phx_ctl_error_add(e, "value", json_string(word));
	nearest = phx_ctl_nearest(word, names.items, names.count);
	if (nearest != NULL)
		phx_ctl_error_add(e, "candidates", json_pack("[s]", nearest));
	phx_ctl_error_add(e, "expected", names_json(&names));
	return -EINVAL;
}

bool print_column_matches(const char *pattern, const char *word, size_t len)
{
	const char *end = word + len;

	for (; *pattern != '\0' && word < end; pattern++, word++) {
		if (*pattern == '#' && *word >= '0' && *word <= '9') {
			while (word + 1 < end && word[1] >= '0' && word[1] <= '9')
				word++;
		} else if (*pattern != *word) {
			return false;
		}
	}
	return *pattern == '\0' && word == end;
}

// Is the first part of the path a member of the result?
static bool is_member(const struct phx_ctl_method *m, const char *word)
{
	struct names names = {.count = 0};
	size_t len = strcspn(word, ".");

	names_result(&names, m, 0);
	for (const struct phx_ctl_column *c = m->columns; c->key != NULL; c++)
		names_add(&names, c->key, strlen(c->key));
	if (names_match(&names, word, len, false, NULL) >= 0)
		return true;
	for (size_t i = 0; i < names.count; i++)
		if (print_column_matches(names.items[i], word, len))
			return true;
	return false;
}

static int add(struct print_columns *c, const struct phx_ctl_method *m, const char *word,
	size_t len, struct phx_ctl_error *e)
{
	const struct phx_ctl_column *column = m != NULL ? find_column(m, word, len) : NULL;
	size_t before = c->words.count;
	const char *key;

	names_add(&c->words, column != NULL ? column->key : word,
		column != NULL ? strlen(column->key) : len);
	if (c->words.count == before)
		return 0; // named twice
	key = c->words.items[before];
	if (m != NULL && column == NULL && !is_member(m, key))
		return fail(m, key, e);
	c->keys[c->count] = key;
	c->headers[c->count] = column != NULL ? column->header : NULL;
	c->count++;
	return 0;
}

int print_columns_parse(const char *list, const struct phx_ctl_method *m, struct print_columns *out,
	struct phx_ctl_error *e)
{
	*out = (struct print_columns){0};
	while (*list != '\0') {
		size_t len = strcspn(list, ",");
		int rc = len > 0 ? add(out, m, list, len, e) : 0;

		if (rc != 0)
			return rc;
		list += len + (list[len] == ',');
	}
	if (out->count > 0)
		return 0;
	return phx_ctl_error_set(e, PHX_INVALID_ARGUMENT, "-o: names no column");
}
