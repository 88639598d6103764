// SPDX-License-Identifier: BSD-3-Clause
// Noun and verb of a command; its parameters are read by grammar_params.c.
#include "cli/grammar.h"

#include "cli/grammar_internal.h"
#include "cli/local.h"
#include "cli/names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define METHOD_BYTES 64

bool grammar_is_command(const struct phx_ctl_method *m)
{
	return (m->flags & PHX_CTL_PRIVATE) == 0;
}

int grammar_fail_at(struct grammar_error *e, size_t word, const char *text, const char *given,
	const struct names *expected)
{
	const char *nearest = NULL;

	(void)phx_ctl_error_set(&e->error, PHX_INVALID_ARGUMENT, "%s", text);
	e->word = word;
	if (given != NULL) {
		phx_ctl_error_add(&e->error, "value", json_string(given));
		nearest = phx_ctl_nearest(given, expected->items, expected->count);
	}
	if (nearest != NULL)
		phx_ctl_error_add(&e->error, "candidates", json_pack("[s]", nearest));
	if (expected->count > 0)
		phx_ctl_error_add(&e->error, "expected", names_json(expected));
	return -EINVAL;
}

int grammar_fail_memory(struct grammar_error *e)
{
	e->local = true;
	return phx_ctl_error_set(&e->error, PHX_INTERNAL, "out of memory");
}

int grammar_fail_ambiguous(
	struct grammar_error *e, size_t word, const char *given, const struct names *several)
{
	static const struct names nothing = {.count = 0};
	char text[64];

	(void)snprintf(text, sizeof(text), "'%.40s' is ambiguous", given);
	(void)grammar_fail_at(e, word, text, NULL, &nothing);
	phx_ctl_error_add(&e->error, "value", json_string(given));
	phx_ctl_error_add(&e->error, "candidates", names_json(several));
	return -EINVAL;
}

// Method of a noun and a verb, or NULL.
static const struct phx_ctl_method *method_of(const char *noun, const char *verb)
{
	char name[METHOD_BYTES];

	(void)snprintf(name, sizeof(name), "%s.%s", noun, verb); // a cut one is not found
	return phx_ctl_method_find(name);
}

// What a noun means without a verb.
static const struct phx_ctl_method *method_default(const char *noun)
{
	static const char *const verbs[] = {"list", "get", "status"};
	const struct phx_ctl_method *m = NULL;

	for (size_t i = 0; i < PHX_ARRAY_LEN(verbs) && m == NULL; i++)
		m = method_of(noun, verbs[i]);
	return m;
}

struct parse {
	const struct words *w;
	bool abbreviate;
	struct grammar_command *out;
	struct grammar_error *e;
};

static int take(struct parse *p, const struct phx_ctl_method *m, size_t params_at)
{
	p->out->method = m;
	p->out->name = strdup(m->name);
	if (p->out->name == NULL)
		return grammar_fail_memory(p->e);
	return grammar_params(p->w, params_at, p->abbreviate, p->out, p->e);
}

// `rpc METHOD [JSON]`, for methods that this program may not know.
static int take_raw(struct parse *p, size_t at)
{
	static const struct phx_ctl_param json = {.name = "params", .type = PHX_CTL_OBJECT};
	static const struct names nothing = {.count = 0};
	const char *name = p->w->items[at];
	json_t *holder, *params;
	int rc = 0;

	p->out->raw = true;
	p->out->method = phx_ctl_method_find(name);
	p->out->name = strdup(name);
	if (p->w->count > at + 2)
		return grammar_fail_at(
			p->e, at + 2, "nothing follows the parameters", NULL, &nothing);
	if (p->w->count > at + 1 && strchr("{@", p->w->items[at + 1][0]) == NULL)
		return grammar_fail_at(
			p->e, at + 1, "must be a JSON object or @FILE", NULL, &nothing);
	holder = json_pack("{s:{}}", "params");
	if (p->w->count > at + 1)
		rc = value_put(holder, &json, NULL, p->w->items[at + 1], &p->e->error);
	params = json_incref(json_object_get(holder, "params"));
	json_decref(holder);
	p->out->params = params;
	if (rc == 0 && (p->out->name == NULL || params == NULL))
		return grammar_fail_memory(p->e);
	if (rc != 0) {
		p->e->word = at + 1;
		p->e->local = rc == -EIO;
	}
	return rc != 0 ? -EINVAL : 0;
}

// The word after a noun is no verb: the noun's default method, get for a name, or an error.
static int take_default(struct parse *p, const char *noun, const struct names *verbs, size_t at)
{
	const struct phx_ctl_method *m = method_default(noun);
	const struct phx_ctl_method *get = method_of(noun, "get");
	const char *word = at < p->w->count ? p->w->items[at] : NULL;
	char text[128];

	if (m != NULL && (word == NULL || grammar_is_key(m, word)))
		return take(p, m, at);
	if (word == NULL)
		return grammar_fail_at(p->e, at, "a verb is missing", NULL, verbs);
	if (get != NULL && grammar_positional(get) != NULL && word[0] != '{' &&
		phx_ctl_nearest(word, verbs->items, verbs->count) == NULL)
		return take(p, get, at);
	(void)snprintf(text, sizeof(text), "'%.40s' is no verb of %s", word, noun);
	return grammar_fail_at(p->e, at, text, word, verbs);
}

static int take_noun(struct parse *p, const char *noun)
{
	struct names verbs, several;
	const char *word = p->w->count > 1 ? p->w->items[1] : NULL;
	int i;

	names_verbs(&verbs, noun);
	if (word == NULL)
		return take_default(p, noun, &verbs, 1);
	i = names_match(&verbs, word, strlen(word), p->abbreviate, &several);
	if (i >= 0)
		return take(p, method_of(noun, verbs.items[i]), 2);
	if (i == -EEXIST)
		return grammar_fail_ambiguous(p->e, 1, word, &several);
	if (strcmp(noun, "rpc") == 0 && strchr(word, '.') != NULL)
		return take_raw(p, 1);
	return take_default(p, noun, &verbs, strcmp(word, "show") == 0 ? 2 : 1);
}

// What may stand alone: `status` is `system status`, and commands of the shell. A local one
// comes first where both have a name.
static void add_others(struct names *first)
{
	struct names verbs;

	for (size_t i = 0; i < local_count(); i++)
		names_add(first, local_at(i)->name, strlen(local_at(i)->name));
	names_verbs(&verbs, "system");
	for (size_t v = 0; v < verbs.count; v++)
		names_add(first, verbs.items[v], strlen(verbs.items[v]));
}

int grammar_parse(const struct words *w, unsigned flags, struct grammar_command *out_command,
	struct grammar_error *out_error)
{
	struct parse p = {w, (flags & GRAMMAR_ABBREVIATE) != 0, out_command, out_error};
	struct names first, several;
	size_t noun_count;
	char text[128];
	int i, rc;

	*out_command = (struct grammar_command){0};
	*out_error = (struct grammar_error){0};
	names_nouns(&first);
	if (w->count == 0) {
		rc = grammar_fail_at(out_error, 0, "a command is missing", NULL, &first);
		phx_ctl_error_add(&out_error->error, "hint", json_string("phoenix-cli --help"));
		return rc;
	}
	noun_count = first.count;
	add_others(&first);

	i = names_match(&first, w->items[0], strlen(w->items[0]), p.abbreviate, &several);
	if (i == -EEXIST) {
		rc = grammar_fail_ambiguous(out_error, 0, w->items[0], &several);
	} else if (i < 0) {
		(void)snprintf(text, sizeof(text), "'%.40s' is no command", w->items[0]);
		rc = grammar_fail_at(out_error, 0, text, w->items[0], &first);
	} else if ((size_t)i < noun_count) {
		rc = take_noun(&p, first.items[i]);
	} else if (local_find(first.items[i]) != NULL) {
		out_command->local = local_find(first.items[i]);
		rc = 0;
	} else {
		rc = take(&p, method_of("system", first.items[i]), 1);
	}
	if (rc != 0)
		grammar_command_fini(out_command);
	return rc;
}

void grammar_command_fini(struct grammar_command *c)
{
	free(c->name);
	json_decref(c->params);
	*c = (struct grammar_command){0};
}

int grammar_dry_run(struct grammar_command *c, struct phx_ctl_error *e)
{
	unsigned flags = c->method != NULL ? c->method->flags : PHX_CTL_ACTION;

	if ((flags & PHX_CTL_MUTATES) != 0)
		return json_object_set_new(c->params, "dry_run", json_true());
	if ((flags & PHX_CTL_ACTION) == 0)
		return 0; // it only reads
	return phx_ctl_error_set(
		e, PHX_INVALID_ARGUMENT, "%s cannot be tried without doing it (-n)", c->name);
}
