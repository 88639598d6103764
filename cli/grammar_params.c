// SPDX-License-Identifier: BSD-3-Clause
// Parameters of a command: key value, key=value, key.member=value, whole JSON objects, and
// the one value that needs no key. Checked against the method table before anything is sent.
#include "cli/grammar_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_BYTES 256

// Where the value of a path came from, to point at it when the validator objects.
struct origin {
	char path[PATH_BYTES];
	size_t word, offset;
};

struct reader {
	const struct words *w;
	size_t at; // next word
	bool abbreviate;
	const struct phx_ctl_method *m;
	json_t *params;
	const struct phx_ctl_param *positional; // NULL once it is filled
	const struct phx_ctl_param *last;	// object given as key=value: may go on
	struct origin *origins;
	size_t origin_count;
	struct grammar_error *e;
};

const struct phx_ctl_param *grammar_positional(const struct phx_ctl_method *m)
{
	static const enum phx_ctl_type types[] = {
		PHX_CTL_GLOB, PHX_CTL_NAME, PHX_CTL_PATH, PHX_CTL_DOCUMENT};

	for (const struct phx_ctl_param *p = m->params; p->name != NULL; p++)
		if (p->required)
			return p;
	if (m->params[0].name == NULL)
		return NULL;
	for (size_t i = 0; i < PHX_ARRAY_LEN(types); i++)
		if (m->params[0].type == types[i])
			return &m->params[0];
	return NULL;
}

// Length of the parameter's name in key, key=value, key.member.
static size_t key_len(const char *word)
{
	return strcspn(word, ".=");
}

static const struct phx_ctl_param *find_key(const struct phx_ctl_method *m, const char *word,
	bool abbreviate, struct names *out_several)
{
	struct names names;
	int i;

	names_params(&names, m);
	i = names_match(&names, word, key_len(word), abbreviate, out_several);
	return i >= 0 ? phx_ctl_method_param(m, names.items[i]) : NULL;
}

bool grammar_is_key(const struct phx_ctl_method *m, const char *word)
{
	return word[0] == '{' || find_key(m, word, false, NULL) != NULL;
}

static void note_origin(
	struct reader *r, const char *name, const char *rest, size_t word, size_t offset)
{
	struct origin *o = &r->origins[r->origin_count++];

	o->word = word;
	o->offset = offset;
	(void)snprintf(o->path, sizeof(o->path), "%s%s%.*s", name, rest != NULL ? "." : "",
		rest != NULL ? (int)strcspn(rest, "=") : 0, rest != NULL ? rest : "");
}

// Take one value; the error points at it. word is an index, offset where the value starts.
static int put(struct reader *r, const struct phx_ctl_param *p, const char *rest, size_t word,
	size_t offset)
{
	const char *value = r->w->items[word] + offset;
	int rc = value_put(r->params, p, rest, value, &r->e->error);

	r->last = (p->type == PHX_CTL_OBJECT || p->type == PHX_CTL_MAP) && rest == NULL &&
				  strchr("{@", value[0]) == NULL
			  ? p
			  : NULL;
	note_origin(r, p->name, rest, word, offset);
	if (rc == 0)
		return 0;
	r->e->word = word;
	r->e->offset = offset;
	if (rc == -ENOMEM)
		return grammar_fail_memory(r->e);
	r->e->local = rc == -EIO;
	phx_ctl_error_add(&r->e->error, "field", json_string(p->name));
	phx_ctl_error_add(&r->e->error, "value", json_string(value));
	return -EINVAL;
}

// A whole object of parameters in JSON.
static int take_json(struct reader *r)
{
	json_error_t error;
	json_t *more = json_loads(r->w->items[r->at], JSON_REJECT_DUPLICATES, &error);

	if (more == NULL) {
		r->e->word = r->at;
		r->e->offset = error.position > 0 ? (size_t)error.position - 1 : 0;
		return phx_ctl_error_set(
			&r->e->error, PHX_INVALID_ARGUMENT, "no valid JSON: %s", error.text);
	}
	const char *key;
	json_t *value;

	json_object_foreach(more, key, value)
	{
		if (json_object_set(r->params, key, value) != 0) {
			json_decref(more);
			return grammar_fail_memory(r->e);
		}
	}
	json_decref(more);
	r->at++;
	r->positional = NULL;
	r->last = NULL;
	return 0;
}

static int take_key(struct reader *r, const struct phx_ctl_param *p)
{
	const char *word = r->w->items[r->at];
	size_t name = key_len(word), equals = strcspn(word, "=");
	char rest[PATH_BYTES], text[PATH_BYTES + 32];
	static const struct names nothing = {.count = 0};
	bool member = word[name] == '.';
	int rc;

	if (member && equals - name >= sizeof(rest))
		return grammar_fail_at(r->e, r->at, "is too long", NULL, &nothing);
	if (member)
		(void)snprintf(
			rest, sizeof(rest), "%.*s", (int)(equals - name - 1), word + name + 1);
	if (word[equals] == '=') {
		rc = put(r, p, member ? rest : NULL, r->at, equals + 1);
		r->at++;
	} else if (r->at + 1 < r->w->count) {
		rc = put(r, p, member ? rest : NULL, r->at + 1, 0);
		r->at += 2;
	} else {
		(void)snprintf(text, sizeof(text), "%s needs a value: %s", p->name, value_hint(p));
		return grammar_fail_at(r->e, r->w->count, text, NULL, &nothing);
	}
	if (p == r->positional)
		r->positional = NULL;
	return rc;
}

// Parameters that may still be given.
static void names_left(struct reader *r, struct names *out)
{
	struct names all;

	names_params(&all, r->m);
	out->count = 0;
	for (size_t i = 0; i < all.count; i++) {
		const struct phx_ctl_param *p = phx_ctl_method_param(r->m, all.items[i]);
		bool grows = p->type == PHX_CTL_ARRAY || p->type == PHX_CTL_OBJECT ||
			     p->type == PHX_CTL_MAP;

		if (grows || json_object_get(r->params, p->name) == NULL)
			names_add(out, p->name, strlen(p->name));
	}
}

static int fail_word(struct reader *r, const struct names *several)
{
	const char *word = r->w->items[r->at];
	struct names left;
	char given[NAMES_BYTES], text[128];

	(void)snprintf(given, sizeof(given), "%.*s", (int)key_len(word), word); // for people
	if (several->count > 1)
		return grammar_fail_ambiguous(r->e, r->at, given, several);
	names_left(r, &left);
	(void)snprintf(text, sizeof(text), "'%s' is no parameter of %s", given, r->m->name);
	return grammar_fail_at(r->e, r->at, text, given, &left);
}

static int take_word(struct reader *r)
{
	const char *word = r->w->items[r->at];
	bool last_word = r->at + 1 == r->w->count;
	bool bare = word[key_len(word)] == '\0';
	struct names several = {.count = 0};
	const struct phx_ctl_param *p = find_key(r->m, word, false, NULL);
	const struct phx_ctl_param *positional = r->positional;

	if (word[0] == '{' && (positional == NULL || (positional->type != PHX_CTL_OBJECT &&
							     positional->type != PHX_CTL_DOCUMENT)))
		return take_json(r);
	// A name at the end with nothing after it can only be the value without a key.
	if (p != NULL && !(positional != NULL && bare && last_word && positional != p))
		return take_key(r, p);
	if (positional != NULL && (p != NULL || strchr(word, '=') == NULL)) {
		r->positional = NULL;
		return put(r, positional, NULL, r->at++, 0);
	}
	if (r->last != NULL && strchr(word, '=') != NULL)
		return put(r, r->last, NULL, r->at++, 0);
	p = find_key(r->m, word, r->abbreviate, &several);
	return p != NULL ? take_key(r, p) : fail_word(r, &several);
}

// Is what was given at o the field that is wrong, or around it; else a part of it?
static bool origin_holds(const struct origin *o, const char *field)
{
	size_t len = strlen(o->path);

	return strncmp(field, o->path, len) == 0 && strchr(".[", field[len]) != NULL;
}

static bool origin_within(const struct origin *o, const char *field)
{
	size_t len = strlen(field);

	return strncmp(o->path, field, len) == 0 && o->path[len] == '.';
}

// Point at the word whose value the validator refused, or at the end for what is missing.
static int fail_validation(struct reader *r)
{
	const char *field = json_string_value(json_object_get(r->e->error.data, "field"));
	const struct origin *found = NULL;

	for (size_t i = 0; field != NULL && i < r->origin_count; i++) {
		const struct origin *o = &r->origins[i];

		if (origin_holds(o, field) &&
			(found == NULL || strlen(o->path) > strlen(found->path)))
			found = o;
	}
	for (size_t i = 0; found == NULL && field != NULL && i < r->origin_count; i++)
		if (origin_within(&r->origins[r->origin_count - 1 - i], field))
			found = &r->origins[r->origin_count - 1 - i];
	r->e->word = found != NULL ? found->word : r->w->count;
	r->e->offset = found != NULL ? found->offset : 0;
	return -EINVAL;
}

int grammar_params(const struct words *w, size_t at, bool abbreviate, struct grammar_command *out,
	struct grammar_error *e)
{
	struct reader r = {
		.w = w,
		.at = at,
		.abbreviate = abbreviate,
		.m = out->method,
		.positional = grammar_positional(out->method),
		.origins = calloc(w->count + 1, sizeof(struct origin)),
		.e = e,
	};
	int rc = 0;

	out->params = r.params = json_object();
	if (r.params == NULL || r.origins == NULL)
		rc = grammar_fail_memory(e);
	while (rc == 0 && r.at < w->count)
		rc = take_word(&r);
	if (rc == 0 && phx_ctl_method_validate(r.m, r.params, &e->error) != 0)
		rc = fail_validation(&r);
	free(r.origins);
	return rc;
}
