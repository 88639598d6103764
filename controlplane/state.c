// SPDX-License-Identifier: BSD-3-Clause
// Transactions over the intent; called by the noun files and by reconcile.c.
#include "controlplane/state.h"

#include "controlplane/section.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static json_t *generation_json(uint64_t generation)
{
	return json_sprintf("%llu", (unsigned long long)generation);
}

// The document of keys. New reference; NULL without memory.
static json_t *make_document(json_t *keys, uint64_t generation)
{
	json_t *document = json_pack("{s:i, s:o}", "version", PHX_CTL_DOCUMENT_VERSION,
		"generation", generation_json(generation));
	json_t *rest = sections_document(keys);
	int rc = document != NULL && rest != NULL ? json_object_update(document, rest) : -1;

	json_decref(rest);
	if (rc == 0)
		return document;
	json_decref(document);
	return NULL;
}

static int parse_keys(json_t *keys, uint64_t generation, struct phx_ctl_document **out_document,
	struct phx_ctl_error *e)
{
	// No keys: there was no memory for them.
	json_t *json = keys != NULL ? make_document(keys, generation) : NULL;
	int rc;

	if (json == NULL) {
		(void)phx_ctl_error_set(e, PHX_INTERNAL, "out of memory");
		return -ENOMEM;
	}
	rc = phx_ctl_document_parse(json, "", out_document, e);
	json_decref(json);
	return rc;
}

// The same for a document that is to be taken over: it must reach the dataplane, and the file of
// config save, in one piece. What the store has is not refused any more.
static int parse_new(json_t *keys, uint64_t generation, struct phx_ctl_document **out_document,
	struct phx_ctl_error *e)
{
	int rc = parse_keys(keys, generation, out_document, e);

	if (rc != 0)
		return rc;
	rc = phx_ctl_document_fits((*out_document)->json, e);
	if (rc != 0) {
		phx_ctl_document_destroy(*out_document);
		*out_document = NULL;
	}
	return rc;
}

// Whole, or NULL without memory; json_copy() leaves out what finds no room.
static json_t *copy_keys(json_t *keys)
{
	json_t *out = json_object();

	if (json_object_update(out, keys) == 0)
		return out;
	json_decref(out);
	return NULL;
}

// NULL: no memory.
static json_t *changed_keys(json_t *keys, json_t *changes)
{
	json_t *out = copy_keys(keys);
	const char *key;
	json_t *value;

	json_object_foreach(changes, key, value)
	{
		int rc = 0;

		if (json_is_null(value))
			(void)json_object_del(out, key); // absent already is fine
		else
			rc = json_object_set(out, key, value);
		if (rc != 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

static void store_error(int rc, struct phx_ctl_error *e)
{
	if (rc == -ENOSPC || rc == -EDQUOT)
		(void)phx_ctl_error_set(
			e, PHX_RESOURCE_EXHAUSTED, "no space for the journal; nothing has changed");
	else
		(void)phx_ctl_error_set(e, PHX_INTERNAL,
			"the journal cannot be written (%s); nothing has changed", strerror(-rc));
}

// Store and switch to keys and document, which it takes, also on failure.
static int switch_to(struct state *s, json_t *changes, json_t *take_keys,
	struct phx_ctl_document *take_document, struct phx_ctl_error *e)
{
	int rc = s->store->ops->commit(s->store, changes, take_keys, take_document->generation);

	if (rc != 0) {
		store_error(rc, e);
		json_decref(take_keys);
		phx_ctl_document_destroy(take_document);
		return -EINVAL;
	}
	json_decref(s->keys);
	phx_ctl_document_destroy(s->document);
	s->keys = take_keys;
	s->document = take_document;
	s->generation = take_document->generation;
	return 0;
}

// An empty store: take the document of the file, or the default one.
static int store_first(struct state *s, const char *path, struct phx_ctl_error *e)
{
	json_t *first = path == NULL ? phx_ctl_document_open_default() : NULL;
	json_t *changes = NULL;
	struct phx_ctl_document *document;
	int rc;

	// Whatever is wrong with the file is wrong with what the operator wrote.
	if (path != NULL && phx_ctl_document_read(path, &first, e) != 0)
		return -EINVAL;
	rc = phx_ctl_document_check(first, "", e);
	if (rc == 0) {
		changes = sections_keys(first);
		rc = parse_new(changes, 1, &document, e);
	}
	if (rc == 0)
		rc = switch_to(s, changes, json_incref(changes), document, e);
	json_decref(changes);
	json_decref(first);
	return rc;
}

int state_open(struct state *s, struct store *take_store, const char *first_path, char *why,
	size_t why_size)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	const char *what = "stored intent";
	int rc;

	*s = (struct state){.store = take_store};
	rc = take_store->ops->load(take_store, &s->keys, &s->generation, why, why_size);
	if (rc != 0) {
		state_close(s);
		return rc;
	}
	if (s->generation == 0) {
		what = first_path != NULL ? first_path : "first intent";
		rc = store_first(s, first_path, &e);
	} else {
		rc = parse_keys(s->keys, s->generation, &s->document, &e);
	}
	if (rc != 0) {
		(void)snprintf(why, why_size, "%s: %s", what, e.text);
		state_close(s);
	}
	phx_ctl_error_fini(&e);
	return rc;
}

void state_close(struct state *s)
{
	json_decref(s->keys);
	phx_ctl_document_destroy(s->document);
	if (s->store != NULL)
		s->store->ops->close(s->store);
	*s = (struct state){0};
}

static int check_generation(
	const struct state *s, const char *if_generation, struct phx_ctl_error *e)
{
	if (if_generation == NULL || strtoull(if_generation, NULL, 10) == s->generation)
		return 0;
	(void)phx_ctl_error_set(e, PHX_ABORTED, "the generation is %llu, not %s",
		(unsigned long long)s->generation, if_generation);
	phx_ctl_error_add(e, "field", json_string("if_generation"));
	phx_ctl_error_add(e, "generation", generation_json(s->generation));
	return -EINVAL;
}

int state_commit(struct state *s, const struct state_change *change, bool *out_changed,
	struct phx_ctl_error *e)
{
	struct phx_ctl_document *document;
	json_t *keys;
	int rc = check_generation(s, change->if_generation, e);

	if (rc != 0)
		return rc;
	keys = changed_keys(s->keys, change->changes);
	rc = parse_new(keys, s->generation + 1, &document, e);
	if (rc != 0) {
		json_decref(keys);
		return rc;
	}
	bool changed = strcmp(document->digest, s->document->digest) != 0;

	if (changed && !change->dry_run) {
		rc = switch_to(s, change->changes, keys, document, e);
	} else {
		json_decref(keys);
		phx_ctl_document_destroy(document);
	}
	if (rc == 0)
		*out_changed = changed;
	return rc;
}

int state_check(const struct state *s, json_t *changes, struct phx_ctl_document **out_document,
	struct phx_ctl_error *e)
{
	json_t *keys = changed_keys(s->keys, changes);
	int rc = parse_new(keys, s->generation + 1, out_document, e);

	json_decref(keys);
	return rc;
}

int state_raise(struct state *s, uint64_t above, struct phx_ctl_error *e)
{
	struct phx_ctl_document *document;
	json_t *nothing = json_object();
	int rc = parse_keys(s->keys, above + 1, &document, e);

	if (rc == 0)
		rc = switch_to(s, nothing, json_incref(s->keys), document, e);
	json_decref(nothing);
	return rc;
}
