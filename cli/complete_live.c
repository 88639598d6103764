// SPDX-License-Identifier: BSD-3-Clause
// Names of what exists now, for complete.c: which list knows the values of a parameter is read
// from the method table.
#include "cli/complete_internal.h"

#include <stdio.h>
#include <string.h>

#define NAME_BYTES 96

static const struct phx_ctl_method *list_of(const char *name)
{
	const struct phx_ctl_method *m = phx_ctl_method_find(name);

	return m != NULL && grammar_is_command(m) && m->list_key != NULL ? m : NULL;
}

// The list of the noun that a parameter is called after: app, peers.
static const struct phx_ctl_method *list_of_noun(const char *noun)
{
	size_t len = strlen(noun);
	const struct phx_ctl_method *m;
	char name[NAME_BYTES];

	(void)snprintf(name, sizeof(name), "%s.list", noun);
	m = list_of(name);
	if (m == NULL && len > 1 && noun[len - 1] == 's') {
		(void)snprintf(name, sizeof(name), "%.*s.list", (int)len - 1, noun);
		m = list_of(name);
	}
	return m;
}

// The list beside the method: peer.list for peer.del, app.rule_list for app.rule_set. What is
// added has a new name.
static const struct phx_ctl_method *list_beside(const struct phx_ctl_method *m)
{
	const char *verb = strchr(m->name, '.') + 1;
	const char *end = strrchr(verb, '_');
	size_t len = (size_t)((end != NULL ? end + 1 : verb) - m->name);
	char name[NAME_BYTES];

	if (strcmp(m->name + len, "add") == 0)
		return NULL;
	(void)snprintf(name, sizeof(name), "%.*slist", (int)len, m->name);
	return list_of(name);
}

// The noun's own table of what is there, where it has no list: log.get for log.set.
static const struct phx_ctl_method *table_of(
	const struct phx_ctl_method *m, const struct phx_ctl_param *p)
{
	char name[NAME_BYTES];
	const struct phx_ctl_method *table;

	(void)snprintf(name, sizeof(name), "%.*s.get", (int)strcspn(m->name, "."), m->name);
	table = list_of(name);
	for (const struct phx_ctl_column *c = table != NULL ? table->columns : NULL;
		c != NULL && c->key != NULL; c++)
		if (strcmp(c->key, p->name) == 0)
			return table;
	return NULL;
}

static const struct phx_ctl_method *source_of(
	const struct phx_ctl_method *m, const struct phx_ctl_param *p, bool filter)
{
	if (filter)
		return list_of(m->name);
	if (strcmp(p->name, "name") == 0 || strcmp(p->name, "before") == 0 ||
		strcmp(p->name, "after") == 0)
		return list_beside(m);
	return list_of_noun(p->name);
}

// Names may be chosen by applications: only what needs no quotes and steers no terminal.
static bool plain(const char *text)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._:/@+-%";

	return text[0] != '\0' && text[strspn(text, allowed)] == '\0';
}

static void add_value(struct complete *c, json_t *value)
{
	char number[32];

	if (json_is_integer(value)) {
		(void)snprintf(
			number, sizeof(number), "%lld", (long long)json_integer_value(value));
		complete_add(c, number, NULL, NULL);
	} else if (json_is_string(value) && plain(json_string_value(value))) {
		complete_add(c, json_string_value(value), NULL, NULL);
	}
}

void complete_live(struct complete *c, const struct phx_ctl_method *m,
	const struct phx_ctl_param *p, bool filter)
{
	static const char *const names[] = {"name", "claimed_name"};
	const struct phx_ctl_method *list = c->rows != NULL ? source_of(m, p, filter) : NULL;
	json_t *rows, *row;
	size_t i;

	if (list == NULL && c->rows != NULL &&
		(p->type == PHX_CTL_GLOB || p->type == PHX_CTL_NAME)) {
		list = table_of(m, p);
		filter = true; // the member of that name
	}
	if (list == NULL)
		return;
	rows = c->rows(c->arg, list);
	json_array_foreach(rows, i, row)
	{
		if (filter) {
			add_value(c, json_object_get(row, p->name));
			continue;
		}
		add_value(c, json_object_get(row, list->columns[0].key));
		for (size_t n = 0; n < PHX_ARRAY_LEN(names); n++)
			add_value(c, json_object_get(row, names[n]));
	}
	json_decref(rows);
}
