// SPDX-License-Identifier: BSD-3-Clause
// Look-ups behind names.h; the words come from the method table alone.
#include "cli/names.h"

#include "cli/grammar.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void names_add(struct names *n, const char *word, size_t len)
{
	if (n->count == NAMES_MAX)
		return;
	(void)snprintf(n->text[n->count], NAMES_BYTES, "%.*s", (int)len, word); // may be cut
	for (size_t i = 0; i < n->count; i++)
		if (strcmp(n->items[i], n->text[n->count]) == 0)
			return;
	n->items[n->count] = n->text[n->count];
	n->count++;
}

void names_nouns(struct names *out)
{
	out->count = 0;
	for (size_t i = 0; i < phx_ctl_method_count(); i++) {
		const struct phx_ctl_method *m = phx_ctl_method_at(i);

		if (grammar_is_command(m))
			names_add(out, m->name, strcspn(m->name, "."));
	}
}

void names_verbs(struct names *out, const char *noun)
{
	size_t len = strlen(noun);

	out->count = 0;
	for (size_t i = 0; i < phx_ctl_method_count(); i++) {
		const struct phx_ctl_method *m = phx_ctl_method_at(i);

		if (grammar_is_command(m) && strncmp(m->name, noun, len) == 0 &&
			m->name[len] == '.')
			names_add(out, m->name + len + 1, strlen(m->name + len + 1));
	}
}

void names_params(struct names *out, const struct phx_ctl_method *m)
{
	out->count = 0;
	for (const struct phx_ctl_param *p = m->params; p->name != NULL; p++)
		names_add(out, p->name, strlen(p->name));
	for (const struct phx_ctl_param *p = phx_ctl_method_common(m); p->name != NULL; p++)
		names_add(out, p->name, strlen(p->name));
}

int names_match(const struct names *n, const char *word, size_t len, bool abbreviate,
	struct names *out_several)
{
	int found = -ENOENT;
	size_t hits = 0;

	if (out_several != NULL)
		out_several->count = 0;
	for (size_t i = 0; i < n->count; i++) {
		if (strncmp(n->items[i], word, len) != 0)
			continue;
		if (n->items[i][len] == '\0')
			return (int)i;
		if (!abbreviate || len == 0)
			continue;
		found = (int)i;
		hits++;
		if (out_several != NULL)
			names_add(out_several, n->items[i], strlen(n->items[i]));
	}
	return hits > 1 ? -EEXIST : found;
}

json_t *names_json(const struct names *n)
{
	json_t *array = json_array();

	for (size_t i = 0; i < n->count; i++)
		(void)json_array_append_new(array, json_string(n->items[i])); // best effort
	return array;
}
