// SPDX-License-Identifier: BSD-3-Clause
// Completion for complete.h.
#include "cli/complete.h"

#include "cli/grammar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPTIONS_WITH_VALUE "sitorf"

// Keep the words that begin with partial.
static void add_matching(struct names *out, const struct names *from, const char *partial)
{
	for (size_t i = 0; i < from->count; i++)
		if (strncmp(from->items[i], partial, strlen(partial)) == 0)
			names_add(out, from->items[i], strlen(from->items[i]));
}

static void add_values(struct names *out, const struct phx_ctl_param *p, const char *partial)
{
	struct names values = {.count = 0};
	const char *list = p->type == PHX_CTL_ENUM   ? p->values
			   : p->type == PHX_CTL_BOOL ? "yes|no"
						     : NULL;

	for (const char *v = list; v != NULL; v = strchr(v, '|')) {
		v += *v == '|';
		names_add(&values, v, strcspn(v, "|"));
	}
	add_matching(out, &values, partial);
}

// The method that the first words mean, and how many words that took. NULL: none yet.
static const struct phx_ctl_method *method_of(const struct words *w, size_t *out_taken)
{
	static const char *const verbs[] = {"list", "get"};
	const struct phx_ctl_method *m = NULL;
	char name[NAMES_BYTES * 2];

	*out_taken = 2;
	if (w->count > 1) {
		(void)snprintf(name, sizeof(name), "%s.%s", w->items[0],
			strcmp(w->items[1], "show") == 0 ? "get" : w->items[1]);
		m = phx_ctl_method_find(name);
	}
	for (size_t i = 0; i < PHX_ARRAY_LEN(verbs) && m == NULL && w->count > 0; i++) {
		*out_taken = 1;
		(void)snprintf(name, sizeof(name), "%s.%s", w->items[0], verbs[i]);
		m = phx_ctl_method_find(name);
	}
	return m != NULL && grammar_is_command(m) ? m : NULL;
}

// Parameters with the members of objects: filter.uid.
static void names_of_params(struct names *out, const struct phx_ctl_param *list, const char *prefix)
{
	char text[NAMES_BYTES];

	for (const struct phx_ctl_param *p = list; p->name != NULL; p++) {
		(void)snprintf(text, sizeof(text), "%s%s", prefix, p->name); // may be cut
		if (p->type == PHX_CTL_OBJECT && p->fields != NULL) {
			(void)snprintf(text, sizeof(text), "%s.", p->name);
			names_of_params(out, p->fields, text);
		} else {
			names_add(out, text, strlen(text));
		}
	}
}

static const struct phx_ctl_param *find_param(const struct phx_ctl_method *m, const char *name)
{
	return phx_ctl_method_param(m, name);
}

static void complete_params(const struct words *w, size_t at, const struct phx_ctl_method *m,
	const char *partial, struct names *out)
{
	struct names params = {.count = 0};
	const char *equals = strchr(partial, '=');
	const struct phx_ctl_param *p = NULL;
	char key[NAMES_BYTES];

	if (equals != NULL) {
		(void)snprintf(key, sizeof(key), "%.*s", (int)(equals - partial), partial);
		p = find_param(m, key);
		if (p != NULL)
			add_values(out, p, equals + 1);
		return;
	}
	if (w->count > at)
		p = find_param(m, w->items[w->count - 1]);
	if (p != NULL) {
		add_values(out, p, partial);
		return;
	}
	names_of_params(&params, m->params, "");
	names_of_params(&params, phx_ctl_method_common(m), "");
	add_matching(out, &params, partial);
}

void complete_words(const struct words *w, const char *partial, struct names *out)
{
	const struct phx_ctl_method *m;
	struct names names;
	size_t taken;

	out->count = 0;
	if (w->count == 0) {
		names_nouns(&names);
		add_matching(out, &names, partial);
		names_verbs(&names, "system");
		add_matching(out, &names, partial);
		return;
	}
	if (w->count == 1) {
		names_verbs(&names, w->items[0]);
		add_matching(out, &names, partial);
	}
	m = method_of(w, &taken);
	if (m != NULL)
		complete_params(w, taken, m, partial, out);
}

// Options and their values are no words of the command.
static int without_options(const struct words *all, struct words *out)
{
	int rc = 0;

	for (size_t i = 1; rc == 0 && i < all->count; i++) {
		const char *word = all->items[i];

		if (word[0] != '-')
			rc = words_add(out, word, strlen(word));
		else if ((word[1] != '\0' && word[2] == '\0' &&
				 strchr(OPTIONS_WITH_VALUE, word[1]) != NULL) ||
			 strcmp(word, "--rundir") == 0)
			i++;
	}
	return rc;
}

int complete_bash(void)
{
	const char *line = getenv("COMP_LINE"), *point = getenv("COMP_POINT"), *why;
	struct words all = WORDS_INIT, w = WORDS_INIT;
	struct names found;
	char *text, *partial = NULL;
	size_t len, offset;
	int rc;

	if (line == NULL)
		return -EINVAL;
	len = point != NULL ? strtoul(point, NULL, 10) : strlen(line);
	text = strndup(line, len);
	if (text == NULL)
		return -ENOMEM;
	len = strlen(text);
	rc = words_split(text, &all, &why, &offset);
	if (rc == 0 && all.count > 1 && strchr(" \t", text[len - 1]) == NULL)
		partial = all.items[--all.count]; // ours to free
	if (rc == 0)
		rc = without_options(&all, &w);
	if (rc == 0) {
		complete_words(&w, partial != NULL ? partial : "", &found);
		for (size_t i = 0; i < found.count; i++)
			(void)puts(found.items[i]); // checked when the program ends
	}
	free(partial);
	words_fini(&all);
	words_fini(&w);
	free(text);
	return rc;
}
