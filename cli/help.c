// SPDX-License-Identifier: BSD-3-Clause
// Text and JSON for help.h.
#include "cli/help.h"

#include "cli/grammar.h"
#include "cli/local.h"
#include "cli/names.h"
#include "cli/options.h"
#include "cli/value.h"

#include <errno.h>
#include <string.h>

// "app list" for "app.list".
static void command_text(const struct phx_ctl_method *m, char *out, size_t size)
{
	size_t noun = strcspn(m->name, ".");

	(void)snprintf(out, size, "%.*s %s", (int)noun, m->name, m->name + noun + 1);
}

static void put_summaries(FILE *out, const char *noun)
{
	char text[NAMES_BYTES];

	for (size_t i = 0; i < phx_ctl_method_count(); i++) {
		const struct phx_ctl_method *m = phx_ctl_method_at(i);
		size_t len = strcspn(m->name, ".");

		if (!grammar_is_command(m) ||
			(noun != NULL && (strlen(noun) != len || strncmp(noun, m->name, len) != 0)))
			continue;
		command_text(m, text, sizeof(text));
		(void)fprintf(out, "  %-20s %s\n", text, m->summary);
	}
}

static void put_params(FILE *out, const struct phx_ctl_param *list, int indent)
{
	for (const struct phx_ctl_param *p = list; p->name != NULL; p++) {
		(void)fprintf(out, "%*s%-*s %-20s %s%s\n", indent, "", 18 - indent, p->name,
			value_hint(p), p->help != NULL ? p->help : "",
			p->required ? " (required)" : "");
		if (p->type == PHX_CTL_OBJECT && p->fields != NULL)
			put_params(out, p->fields, indent + 2);
	}
}

static void put_method(FILE *out, const struct phx_ctl_method *m)
{
	const struct phx_ctl_param *positional = grammar_positional(m);
	char text[NAMES_BYTES];

	command_text(m, text, sizeof(text));
	(void)fprintf(out, "phoenix-cli %s", text);
	if (positional != NULL)
		(void)fprintf(out, positional->required ? " %s" : " [%s]", value_hint(positional));
	(void)fprintf(out, "%s\n  %s (role %s)\n",
		m->params[0].name != NULL ? " [[--]KEY VALUE | [--]KEY=VALUE]..." : "", m->summary,
		phx_ctl_role_name(m->role));
	if (m->params[0].name != NULL)
		(void)fputs("parameters:\n", out);
	put_params(out, m->params, 2);
	(void)fputs("of every command:\n", out);
	put_params(out, phx_ctl_method_common(m), 2);
	(void)fprintf(out, "result: %s\nexample: phoenix-cli %s\n", m->result, m->example);
}

int help_print(FILE *out, const struct words *w)
{
	char name[NAMES_BYTES * 2];
	const struct phx_ctl_method *m;
	struct names nouns;

	if (w->count == 0) {
		(void)fprintf(out, "%s\ncommands:\n", options_help);
		put_summaries(out, NULL);
		for (size_t i = 0; i < local_count(); i++)
			(void)fprintf(out, "  %-20s %s\n", local_at(i)->name, local_at(i)->summary);
		return 0;
	}
	if (local_find(w->items[0]) != NULL) {
		(void)fputs(local_find(w->items[0])->help, out);
		return 0;
	}
	names_nouns(&nouns);
	if (w->count == 1) {
		if (names_match(&nouns, w->items[0], strlen(w->items[0]), false, NULL) < 0)
			return -EINVAL;
		put_summaries(out, w->items[0]);
		return 0;
	}
	(void)snprintf(name, sizeof(name), "%s.%s", w->items[0],
		strcmp(w->items[1], "show") == 0 ? "get" : w->items[1]); // cut: not found
	m = phx_ctl_method_find(name);
	if (m == NULL || !grammar_is_command(m))
		return -EINVAL;
	put_method(out, m);
	return 0;
}

static json_t *params_json(const struct phx_ctl_param *list)
{
	json_t *array = json_array();

	for (const struct phx_ctl_param *p = list; p != NULL && p->name != NULL; p++) {
		bool ranged = p->type == PHX_CTL_INT || p->type == PHX_CTL_NUMBER ||
			      p->type == PHX_CTL_TEXT;
		json_t *param = json_pack("{s:s, s:s, s:b, s:s, s:s?, s:s?, s:s?}", "name", p->name,
			"type", phx_ctl_type_name(p->type), "required", p->required, "write",
			value_hint(p), "unit", p->unit, "values", p->values, "help", p->help);

		if (ranged)
			(void)json_object_set_new(param, "min", json_integer(p->min));
		if (p->max > 0)
			(void)json_object_set_new(param, "max", json_integer(p->max));
		if (p->fields != NULL)
			(void)json_object_set_new(param, "members", params_json(p->fields));
		(void)json_array_append_new(array, param); // best effort
	}
	return array;
}

static json_t *columns_json(const struct phx_ctl_method *m)
{
	json_t *array = json_array();

	for (const struct phx_ctl_column *c = m->columns; c != NULL && c->key != NULL; c++)
		(void)json_array_append_new(
			array, json_pack("{s:s, s:s}", "key", c->key, "header", c->header));
	return array;
}

json_t *help_dump(void)
{
	json_t *commands = json_array();
	char text[NAMES_BYTES];

	for (size_t i = 0; i < phx_ctl_method_count(); i++) {
		const struct phx_ctl_method *m = phx_ctl_method_at(i);
		const struct phx_ctl_param *positional = grammar_positional(m);

		if (!grammar_is_command(m))
			continue;
		command_text(m, text, sizeof(text));
		(void)json_array_append_new(commands,
			json_pack("{s:s, s:s, s:s, s:s, s:b, s:s?, s:o, s:o, s:o, s:s, s:s}",
				"command", text, "method", m->name, "role",
				phx_ctl_role_name(m->role), "summary", m->summary, "changes",
				(m->flags & (PHX_CTL_MUTATES | PHX_CTL_ACTION)) != 0, "positional",
				positional != NULL ? positional->name : NULL, "params",
				params_json(m->params), "common",
				params_json(phx_ctl_method_common(m)), "columns", columns_json(m),
				"result", m->result, "example", m->example));
	}
	return commands;
}
