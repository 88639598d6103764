// SPDX-License-Identifier: BSD-3-Clause
// Completion for complete.h: words of the table. Names of what exists: complete_live.c.
#include "cli/complete_internal.h"

#include "cli/local.h"
#include "cli/value.h"

#include <stdio.h>
#include <string.h>

void complete_add(struct complete *c, const char *word, const char *hint, const char *help)
{
	if (strncmp(word, c->partial, strlen(c->partial)) == 0)
		choices_add(c->out, word, hint, help);
}

// A noun or verb, whole or abbreviated. NULL when there is none, or several.
static const char *resolve(const struct names *names, const char *word)
{
	int i = names_match(names, word, strlen(word), true, NULL);

	return i >= 0 ? names->items[i] : NULL;
}

static const struct phx_ctl_method *method_named(const char *noun, const char *verb)
{
	char name[NAMES_BYTES * 2];
	const struct phx_ctl_method *m;

	(void)snprintf(name, sizeof(name), "%s.%s", noun, verb);
	m = phx_ctl_method_find(name);
	return m != NULL && grammar_is_command(m) ? m : NULL;
}

// The method that the first words mean, and how many words that took. NULL: none yet.
static const struct phx_ctl_method *method_of(const struct words *w, size_t *out_taken)
{
	static const char *const verbs[] = {"list", "get", "status"};
	const struct phx_ctl_method *m = NULL;
	struct names nouns, names;
	const char *noun, *verb;

	names_nouns(&nouns);
	noun = resolve(&nouns, w->items[0]);
	*out_taken = 1;
	if (noun == NULL) { // a verb of system
		names_verbs(&names, "system");
		verb = resolve(&names, w->items[0]);
		return verb != NULL ? method_named("system", verb) : NULL;
	}
	names_verbs(&names, noun);
	if (w->count > 1) {
		verb = strcmp(w->items[1], "show") == 0 ? "get" : resolve(&names, w->items[1]);
		m = verb != NULL ? method_named(noun, verb) : NULL;
		*out_taken = 2;
	}
	for (size_t i = 0; i < PHX_ARRAY_LEN(verbs) && m == NULL; i++) {
		*out_taken = 1;
		m = method_named(noun, verbs[i]);
	}
	return m;
}

// What the words behind the verb have said already.
struct given {
	struct names names;		     // of parameters, filter.uid too
	bool first;			     // the value that needs no name
	const struct phx_ctl_param *pending; // the last word names it, its value is missing
	bool filter;			     // pending is a member of filter
};

static bool may_repeat(const struct phx_ctl_param *p)
{
	return p->type == PHX_CTL_ARRAY || p->type == PHX_CTL_OBJECT || p->type == PHX_CTL_MAP;
}

// Parameters with the members of objects: filter.uid.
static void add_params(struct complete *c, const struct phx_ctl_param *list, const char *prefix,
	const struct names *given)
{
	char text[NAMES_BYTES];

	for (const struct phx_ctl_param *p = list; p->name != NULL; p++) {
		(void)snprintf(text, sizeof(text), "%s%s", prefix, p->name); // may be cut
		if (p->type == PHX_CTL_OBJECT && p->fields != NULL) {
			(void)snprintf(text, sizeof(text), "%s%s.", prefix, p->name);
			add_params(c, p->fields, text, given);
		} else if (may_repeat(p) ||
			   names_match(given, text, strlen(text), false, NULL) < 0) {
			complete_add(c, text, value_hint(p), p->help);
		}
	}
}

static void add_values(struct complete *c, const struct phx_ctl_param *p)
{
	const char *list = p->type == PHX_CTL_ENUM   ? p->values
			   : p->type == PHX_CTL_BOOL ? "yes|no"
						     : NULL;
	char text[NAMES_BYTES];

	for (const char *v = list; v != NULL; v = strchr(v, '|')) {
		v += *v == '|';
		(void)snprintf(text, sizeof(text), "%.*s", (int)strcspn(v, "|"), v);
		complete_add(c, text, NULL, NULL);
	}
}

// Parameter "name" or "name.member"; *out_filter: the member of a filter.
static const struct phx_ctl_param *find_param(
	const struct phx_ctl_method *m, const char *word, size_t len, bool *out_filter)
{
	char name[NAMES_BYTES];
	const char *dot = memchr(word, '.', len);
	const struct phx_ctl_param *p;

	(void)snprintf(name, sizeof(name), "%.*s", (int)(dot != NULL ? dot - word : (long)len),
		word); // a cut one is not found
	p = phx_ctl_method_param(m, name);
	*out_filter = dot != NULL && strcmp(name, "filter") == 0;
	if (p == NULL || dot == NULL)
		return p;
	(void)snprintf(name, sizeof(name), "%.*s", (int)(len - (size_t)(dot + 1 - word)), dot + 1);
	for (p = p->fields; p != NULL && p->name != NULL; p++)
		if (strcmp(p->name, name) == 0)
			return p;
	return NULL;
}

static size_t complete_value(struct complete *c, const struct phx_ctl_method *m,
	const struct phx_ctl_param *p, bool filter, size_t start)
{
	const char *comma = p->type == PHX_CTL_ARRAY ? strrchr(c->partial, ',') : NULL;

	if (comma != NULL) {
		start += (size_t)(comma + 1 - c->partial);
		c->partial = comma + 1;
	}
	add_values(c, p);
	complete_live(c, m, p, filter);
	return start;
}

static void read_given(
	const struct words *w, size_t at, const struct phx_ctl_method *m, struct given *out)
{
	const struct phx_ctl_param *positional = grammar_positional(m), *p;

	*out = (struct given){.first = positional == NULL};
	for (size_t i = at; i < w->count; i++) {
		const char *word = w->items[i];
		size_t len = strcspn(word, "=");
		bool filter;

		p = find_param(m, word, len, &filter);
		if (p == NULL && !out->first) {
			out->first = true;
			names_add(&out->names, positional->name, strlen(positional->name));
			continue;
		}
		if (p == NULL)
			continue;
		names_add(&out->names, word, len);
		out->first = out->first || p == positional;
		if (word[len] == '\0' && ++i == w->count) {
			out->pending = p;
			out->filter = filter;
		}
	}
}

// Words from index at on belong to m.
static size_t complete_params(
	struct complete *c, const struct words *w, size_t at, const struct phx_ctl_method *m)
{
	const char *equals = strchr(c->partial, '=');
	const struct phx_ctl_param *positional = grammar_positional(m), *p;
	struct given given;
	bool filter;

	if (equals != NULL) {
		size_t start = (size_t)(equals + 1 - c->partial);

		p = find_param(m, c->partial, start - 1, &filter);
		c->partial += start;
		return p != NULL ? complete_value(c, m, p, filter, start) : start;
	}
	read_given(w, at, m, &given);
	if (given.pending != NULL)
		return complete_value(c, m, given.pending, given.filter, 0);
	if (!given.first) {
		add_values(c, positional);
		complete_live(c, m, positional, false);
	}
	add_params(c, m->params, "", &given.names);
	add_params(c, phx_ctl_method_common(m), "", &given.names);
	return 0;
}

static const char *summary_of(const char *noun, const char *verb)
{
	const struct phx_ctl_method *m = method_named(noun, verb);

	return m != NULL ? m->summary : NULL;
}

// What a noun is about: the summary of what it does without a verb.
static void add_first(struct complete *c)
{
	struct names nouns, verbs;
	struct words w = WORDS_INIT;

	names_nouns(&nouns);
	for (size_t i = 0; i < nouns.count; i++) {
		char *noun = nouns.text[i];
		const struct phx_ctl_method *m;
		size_t taken;

		w = (struct words){&noun, 1};
		m = method_of(&w, &taken);
		complete_add(c, noun, NULL, m != NULL ? m->summary : NULL);
	}
	names_verbs(&verbs, "system");
	for (size_t i = 0; i < verbs.count; i++)
		complete_add(c, verbs.items[i], NULL, summary_of("system", verbs.items[i]));
	for (size_t i = 0; i < local_count(); i++)
		complete_add(c, local_at(i)->name, NULL, local_at(i)->summary);
}

static void add_second(struct complete *c, const char *word)
{
	struct names nouns, verbs;
	const char *noun;

	names_nouns(&nouns);
	noun = resolve(&nouns, word);
	if (noun == NULL)
		return;
	names_verbs(&verbs, noun);
	for (size_t i = 0; i < verbs.count; i++)
		complete_add(c, verbs.items[i], NULL, summary_of(noun, verbs.items[i]));
	for (size_t i = 0; strcmp(noun, "rpc") == 0 && i < phx_ctl_method_count(); i++) {
		const struct phx_ctl_method *m = phx_ctl_method_at(i);

		if (grammar_is_command(m) && strchr(c->partial, '.') != NULL)
			complete_add(c, m->name, NULL, m->summary);
	}
}

size_t complete_words(const struct words *w, const char *partial, complete_rows_fn rows, void *arg,
	struct choices *out)
{
	struct complete c = {.partial = partial, .rows = rows, .arg = arg, .out = out};
	const struct phx_ctl_method *m;
	size_t taken;

	if (w->count == 0) {
		add_first(&c);
		return 0;
	}
	if (local_find(w->items[0]) != NULL)
		return 0;
	if (w->count == 1)
		add_second(&c, w->items[0]);
	m = method_of(w, &taken);
	return m != NULL ? complete_params(&c, w, taken, m) : 0;
}
