// SPDX-License-Identifier: BSD-3-Clause
// Handlers of the noun config: the whole intent as a document that is shown, kept in a file,
// compared and taken over. Works with plan.c and savefile.c.
#include "controlplane/control.h"
#include "controlplane/plan.h"
#include "controlplane/savefile.h"
#include "controlplane/section.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX	   "config."
#define ERRORS_MAX 64

// What operators keep: the document without the generation. New reference.
static json_t *intent_of(const struct phx_ctl_document *d)
{
	json_t *intent = json_copy(d->json);

	if (intent != NULL)
		(void)json_object_del(intent, "generation"); // it has one
	return intent;
}

static void fail(struct phx_ctl_call *call, struct phx_ctl_error *e)
{
	phx_ctl_call_fail(call, e);
	phx_ctl_error_fini(e);
}

// ---- config.get ----

static json_t *one_section(json_t *intent, const char *name)
{
	json_t *section = json_object_get(intent, name);
	json_t *one = json_pack("{s:O}", "version", json_object_get(intent, "version"));

	if (one != NULL && section != NULL && strcmp(name, "version") != 0)
		(void)json_object_set(one, name, section);
	return one;
}

static bool section_known(const char *name)
{
	for (const struct section *s = sections; s->name != NULL; s++)
		if (strcmp(s->name, name) == 0)
			return true;
	return false;
}

void noun_config_get(void *arg, struct phx_ctl_call *call)
{
	const struct control *c = arg;
	const char *section = phx_ctl_call_string(call, "section", NULL);
	json_t *intent = intent_of(c->state.document);

	if (section != NULL && !section_known(section)) {
		json_t *names = json_array();

		for (const struct section *s = sections; s->name != NULL; s++)
			(void)json_array_append_new(names, json_string(s->name));
		phx_ctl_call_not_found(call, "section", "section", section, names, NULL);
		json_decref(names);
		json_decref(intent);
		return;
	}
	if (section != NULL) {
		json_t *one = one_section(intent, section);

		json_decref(intent);
		intent = one;
	}
	phx_ctl_call_reply(
		call, json_pack("{s:o, s:o, s:s}", "config", intent, "generation",
			      json_sprintf("%llu", (unsigned long long)c->state.generation),
			      "digest", c->state.document->digest));
}

// ---- config.save ----

// The text of a saved file. malloc()ed, NULL without memory.
static char *file_text(const struct phx_ctl_document *d, size_t *out_len)
{
	json_t *intent = intent_of(d);
	size_t len = json_dumpb(intent, NULL, 0, JSON_INDENT(2));
	char *text = len != 0 ? malloc(len + 1) : NULL;

	if (text != NULL) {
		(void)json_dumpb(intent, text, len, JSON_INDENT(2)); // same text, same length
		text[len] = '\n';
		*out_len = len + 1;
	}
	json_decref(intent);
	return text;
}

void noun_config_save(void *arg, struct phx_ctl_call *call)
{
	const struct control *c = arg;
	const char *path = phx_ctl_call_string(call, "path", NULL);
	const struct phx_ctl_peer *peer = phx_ctl_call_peer(call);
	const struct savefile_rights rights = {
		peer->uid, peer->gid, peer->groups, peer->group_count};
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *value;
	size_t len = 0;
	char *text = file_text(c->state.document, &len);
	int rc = -ENOMEM;

	// A path of the caller's is written with the caller's rights.
	if (text != NULL)
		rc = savefile_write(path != NULL ? path : c->config_path, text, len,
			path != NULL ? &rights : NULL);
	free(text);
	path = path != NULL ? path : c->config_path;
	if (rc == 0) {
		phx_ctl_call_reply(call,
			json_pack("{s:s, s:I, s:s, s:o}", "path", path, "bytes", (json_int_t)len,
				"digest", c->state.document->digest, "generation",
				json_sprintf("%llu", (unsigned long long)c->state.generation)));
		return;
	}
	value = json_string(path);
	(void)phx_ctl_error_set(&e,
		rc == -ENOSPC || rc == -EDQUOT ? PHX_RESOURCE_EXHAUSTED : PHX_FAILED_PRECONDITION,
		"%s cannot be written (%s); it is as it was", path,
		rc == -EEXIST ? "it is no regular file" : strerror(-rc));
	phx_ctl_error_field(&e, "path", value);
	json_decref(value);
	fail(call, &e);
}

// ---- a document that was given ----

// The document of the call, or the saved one. New reference; NULL with e set.
static json_t *given(const struct control *c, struct phx_ctl_call *call, struct phx_ctl_error *e)
{
	json_t *config = json_object_get(phx_ctl_call_params(call), "config");
	char text[PHX_CTL_ERROR_TEXT];

	if (config != NULL)
		return json_incref(config);
	if (phx_ctl_document_read(c->config_path, &config, e) == 0)
		return config;
	(void)snprintf(text, sizeof(text), "%s", e->text);
	(void)phx_ctl_error_set(e, e->code == PHX_CTL_PARSE ? PHX_INVALID_ARGUMENT : e->code,
		"%s: %s", c->config_path, text);
	phx_ctl_error_add(e, "hint", json_string("give a document, or phoenix-cli config save"));
	return NULL;
}

// Elements of list onto a copy of old: replaced where the name is, else behind. New reference.
static json_t *merged_list(json_t *old, json_t *list)
{
	json_t *merged = old != NULL ? json_copy(old) : json_array();
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		int at = section_find(merged, json_string_value(json_object_get(item, "name")));

		if (at >= 0)
			(void)json_array_set(merged, (size_t)at, item);
		else
			(void)json_array_append(merged, item);
	}
	return merged;
}

// Changes of the store that take the (checked) document over. New reference.
static json_t *changes_of(const struct control *c, json_t *document, bool replace)
{
	json_t *changes = sections_keys(document);
	const char *key;
	json_t *value;

	json_object_foreach(c->state.keys, key, value)
	{
		json_t *wanted = json_object_get(changes, key);

		if (wanted == NULL && replace)
			(void)json_object_set_new(changes, key, json_null());
		else if (wanted != NULL && !replace && json_is_array(wanted))
			(void)json_object_set_new(changes, key, merged_list(value, wanted));
	}
	return changes;
}

// Check the document of the call and find out what it would do. 0, *out_changes and *out_plan
// (new references); -EINVAL with e set.
static int prepare(const struct control *c, struct phx_ctl_call *call, bool replace,
	json_t **out_changes, json_t **out_plan, struct phx_ctl_error *e)
{
	struct phx_ctl_document *wanted;
	json_t *document = given(c, call, e);
	json_t *changes, *plan;
	int rc;

	if (document == NULL)
		return -EINVAL;
	rc = phx_ctl_document_check(document, PREFIX, e);
	changes = rc == 0 ? changes_of(c, document, replace) : NULL;
	json_decref(document);
	if (rc == 0)
		rc = state_check(&c->state, changes, &wanted, e);
	if (rc != 0) {
		json_decref(changes);
		return rc;
	}
	plan = plan_make(c->state.document->json, wanted->json);
	phx_ctl_document_destroy(wanted);
	*out_changes = changes;
	*out_plan = plan;
	return 0;
}

void noun_config_load(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;
	bool replace = strcmp(phx_ctl_call_string(call, "mode", "merge"), "replace") == 0;
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *changes, *plan;

	if (prepare(c, call, replace, &changes, &plan, &e) != 0)
		fail(call, &e);
	else
		control_commit_with(c, call, changes, json_pack("{s:o}", "plan", plan));
}

void noun_config_diff(void *arg, struct phx_ctl_call *call)
{
	const struct control *c = arg;
	bool replace = strcmp(phx_ctl_call_string(call, "mode", "replace"), "replace") == 0;
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *changes, *plan;

	if (prepare(c, call, replace, &changes, &plan, &e) != 0) {
		fail(call, &e);
		return;
	}
	json_decref(changes);
	phx_ctl_call_rows(call, "plan", plan, c->state.generation);
}

// ---- config.validate ----

// "config.peers[3].name" as a JSON pointer: "/peers/3/name".
static void pointer_of(const char *field, char *out, size_t size)
{
	size_t n = 0;

	if (strncmp(field, PREFIX, strlen(PREFIX)) == 0)
		field += strlen(PREFIX);
	for (out[n++] = '/'; *field != '\0' && n + 2 < size; field++) {
		if (*field == '.' || *field == '[')
			out[n++] = '/';
		else if (*field == '~' || *field == '/') {
			out[n++] = '~';
			out[n++] = *field == '~' ? '0' : '1';
		} else if (*field != ']')
			out[n++] = *field;
	}
	out[n] = '\0';
}

static void add_error(json_t *errors, struct phx_ctl_error *e)
{
	const char *field = json_string_value(json_object_get(e->data, "field"));
	const char *hint = json_string_value(json_object_get(e->data, "hint"));
	json_t *near = json_array_get(json_object_get(e->data, "candidates"), 0);
	char pointer[256] = "";
	json_t *row;

	if (field != NULL)
		pointer_of(field, pointer, sizeof(pointer));
	row = json_pack("{s:s, s:s}", "pointer", pointer, "text", e->text);
	if (near != NULL)
		(void)json_object_set_new(
			row, "hint", json_sprintf("did you mean %s", json_string_value(near)));
	else if (hint != NULL)
		(void)json_object_set_new(row, "hint", json_string(hint));
	(void)json_array_append_new(errors, row);
	phx_ctl_error_fini(e);
}

// The members of the document without their elements.
static void check_members(json_t *errors, json_t *document)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *hull = json_object(), *value;
	const char *key;

	json_object_foreach(document, key, value)
	{
		if (json_is_array(value))
			(void)json_object_set_new(hull, key, json_array());
		else
			(void)json_object_set(hull, key, value);
	}
	if (phx_ctl_document_check(hull, PREFIX, &e) != 0)
		add_error(errors, &e);
	json_decref(hull);
}

static void check_elements(json_t *errors, json_t *document)
{
	for (const struct section *s = sections; s->name != NULL; s++) {
		json_t *list = json_object_get(document, s->name);
		json_t *item;
		size_t i;

		json_array_foreach(list, i, item)
		{
			struct phx_ctl_error e = PHX_CTL_ERROR_INIT;

			if (json_array_size(errors) < ERRORS_MAX &&
				phx_ctl_document_check_element(s->name, i, item, PREFIX, &e) != 0)
				add_error(errors, &e);
		}
	}
}

void noun_config_validate(void *arg, struct phx_ctl_call *call)
{
	struct control *c = arg;
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *document = given(c, call, &e);
	json_t *errors = json_array();
	struct phx_ctl_document *d = NULL;

	if (document == NULL) {
		json_decref(errors);
		fail(call, &e);
		return;
	}
	check_members(errors, document);
	check_elements(errors, document);
	// Names that are there twice or refer to nothing, once everything can be read.
	if (json_array_size(errors) == 0 &&
		(phx_ctl_document_parse(document, PREFIX, &d, &e) != 0 ||
			phx_ctl_document_fits(d->json, &e) != 0))
		add_error(errors, &e);
	phx_ctl_document_destroy(d);
	json_decref(document);
	phx_ctl_call_rows(call, "errors", errors, c->state.generation);
}
