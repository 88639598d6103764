// SPDX-License-Identifier: BSD-3-Clause
// Validation of the intent document and its canonical form: members in the order of the
// tables, unordered lists sorted, nothing empty. Works with document.c.
#include "lib/ctl/canonical.h"

#include "lib/base/hash.h"
#include "lib/ctl/methods.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LIST_OF(section, limit, list)                                                              \
	{                                                                                          \
		.name = section, .type = PHX_CTL_ARRAY, .max = limit,                              \
		.fields = (const struct phx_ctl_param[]){                                          \
			{.name = section, .type = PHX_CTL_OBJECT, .fields = list}},                \
	}

static const struct phx_ctl_param document_fields[] = {
	{.name = "version",
		.type = PHX_CTL_INT,
		.required = true,
		.min = PHX_CTL_DOCUMENT_VERSION,
		.max = PHX_CTL_DOCUMENT_VERSION},
	{.name = "generation", .type = PHX_CTL_GENERATION},
	LIST_OF("attach", PHX_LIMIT_RULES_MAX, phx_ctl_attach_rule_fields),
	LIST_OF("register", PHX_LIMIT_RULES_MAX, phx_ctl_register_rule_fields),
	LIST_OF("listeners", PHX_LIMIT_LISTENERS_MAX, phx_ctl_listener_fields),
	LIST_OF("peers", PHX_LIMIT_PEERS_MAX, phx_ctl_peer_fields),
	LIST_OF("clusters", PHX_LIMIT_CLUSTERS_MAX, phx_ctl_cluster_fields),
	{.name = NULL},
};

struct item {
	const char *key;
	json_t *json;
};

static int compare_items(const void *a, const void *b)
{
	const struct item *x = a;
	const struct item *y = b;

	return strcmp(x->key, y->key);
}

// New array with the elements of list in order: strings by themselves, objects by their first
// field, which is required.
static json_t *sorted_list(const struct phx_ctl_param *element, json_t *list)
{
	size_t count = json_array_size(list);
	struct item *items = calloc(count != 0 ? count : 1, sizeof(*items));
	json_t *sorted = json_array();

	if (items == NULL || sorted == NULL) {
		free(items);
		json_decref(sorted);
		return NULL;
	}
	for (size_t i = 0; i < count; i++) {
		json_t *json = json_array_get(list, i);
		json_t *key = element->type == PHX_CTL_OBJECT
				      ? json_object_get(json, element->fields[0].name)
				      : json;

		items[i] = (struct item){json_string_value(key), json};
	}
	qsort(items, count, sizeof(*items), compare_items);
	for (size_t i = 0; i < count; i++)
		(void)json_array_append(sorted, items[i].json); // sizes are checked by the caller
	free(items);
	return sorted;
}

static json_t *sorted_map(json_t *map)
{
	char *text = json_dumps(map, JSON_COMPACT | JSON_SORT_KEYS);
	json_t *sorted = text != NULL ? json_loads(text, 0, NULL) : NULL;

	free(text);
	return sorted;
}

static json_t *ordered_object(const struct phx_ctl_param *fields, json_t *object);

// A list with its elements in canonical form, sorted unless its order is its meaning.
static json_t *ordered_list(const struct phx_ctl_param *element, json_t *list, bool sorted)
{
	json_t *from = sorted ? sorted_list(element, list) : json_incref(list);
	json_t *out = json_array();
	json_t *item;
	size_t i;

	json_array_foreach(from, i, item)
	{
		json_t *ordered = element->type == PHX_CTL_OBJECT
					  ? ordered_object(element->fields, item)
					  : json_incref(item);

		if (ordered == NULL || json_array_append_new(out, ordered) != 0)
			break;
	}
	json_decref(from);
	if (json_array_size(out) == json_array_size(list))
		return out;
	json_decref(out);
	return NULL;
}

// Members of object in the order of fields; empty lists and maps are left out.
static json_t *ordered_object(const struct phx_ctl_param *fields, json_t *object)
{
	json_t *out = json_object();

	for (const struct phx_ctl_param *p = fields; p->name != NULL; p++) {
		json_t *value = json_object_get(object, p->name);

		if (value == NULL || ((json_is_array(value) || json_is_object(value)) &&
					     json_array_size(value) + json_object_size(value) == 0))
			continue;
		if (p->type == PHX_CTL_MAP)
			value = sorted_map(value);
		else if (p->type == PHX_CTL_ARRAY)
			value = ordered_list(&p->fields[0], value, true);
		else
			value = json_copy(value);
		if (value == NULL || json_object_set_new(out, p->name, value) != 0) {
			json_decref(out);
			return NULL;
		}
	}
	return out;
}

static json_t *ordered_section(const struct phx_ctl_param *section, json_t *list)
{
	bool rules = strcmp(section->name, "attach") == 0 || strcmp(section->name, "register") == 0;

	return ordered_list(&section->fields[0], list, !rules);
}

static int check_unique(const char *prefix, const struct phx_ctl_param *section, json_t *list,
	struct phx_ctl_error *e)
{
	json_t *seen = json_object();
	json_t *item;
	size_t i;
	int rc = 0;

	json_array_foreach(list, i, item)
	{
		const char *name = json_string_value(json_object_get(item, "name"));

		if (json_object_get(seen, name) != NULL) {
			char path[160];

			(void)snprintf(
				path, sizeof(path), "%s%s[%zu].name", prefix, section->name, i);
			(void)phx_ctl_error_set(
				e, PHX_INVALID_ARGUMENT, "%s: '%s' is there twice", path, name);
			phx_ctl_error_field(e, path, json_object_get(item, "name"));
			rc = -EINVAL;
			break;
		}
		if (json_object_set_new(seen, name, json_true()) != 0) {
			rc = -ENOMEM;
			break;
		}
	}
	json_decref(seen);
	return rc;
}

int phx_ctl_canonical_make(
	json_t *json, const char *prefix, json_t **out_canonical, struct phx_ctl_error *e)
{
	int rc = phx_ctl_params_validate(document_fields, NULL, prefix, json, e);
	json_t *out;

	if (rc != 0)
		return rc;
	out = json_object();
	for (const struct phx_ctl_param *p = document_fields; p->name != NULL; p++) {
		json_t *value = json_object_get(json, p->name);

		if (value == NULL || (json_is_array(value) && json_array_size(value) == 0))
			continue;
		if (p->type == PHX_CTL_ARRAY) {
			rc = check_unique(prefix, p, value, e);
			value = rc == 0 ? ordered_section(p, value) : NULL;
		} else {
			value = json_copy(value);
		}
		if (rc == 0 && (value == NULL || json_object_set_new(out, p->name, value) != 0))
			rc = -ENOMEM;
		if (rc != 0) {
			json_decref(out);
			return rc;
		}
	}
	*out_canonical = out;
	return 0;
}

int phx_ctl_document_check(json_t *json, const char *prefix, struct phx_ctl_error *e)
{
	json_t *canonical = NULL;
	int rc = phx_ctl_canonical_make(json, prefix, &canonical, e);

	json_decref(canonical);
	return rc;
}

int phx_ctl_document_check_element(const char *section, size_t index, json_t *element,
	const char *prefix, struct phx_ctl_error *e)
{
	char path[160];

	for (const struct phx_ctl_param *p = document_fields; p->name != NULL; p++) {
		if (p->type != PHX_CTL_ARRAY || strcmp(p->name, section) != 0)
			continue;
		(void)snprintf(path, sizeof(path), "%s%s[%zu]", prefix, section, index);
		return phx_ctl_param_validate(&p->fields[0], path, element, e);
	}
	return 0;
}

size_t phx_ctl_document_sections(void)
{
	size_t count = 0;

	for (const struct phx_ctl_param *p = document_fields; p->name != NULL; p++)
		count += p->type == PHX_CTL_ARRAY;
	return count;
}

int phx_ctl_canonical_digest(json_t *canonical, char out_digest[PHX_CTL_DIGEST_BYTES])
{
	static const uint8_t key[16] = "phoenix-document"; // a checksum, no secret
	json_t *rest = json_copy(canonical);
	char *text = NULL;

	if (rest != NULL) {
		(void)json_object_del(rest, "generation"); // it may have none
		text = json_dumps(rest, JSON_COMPACT);
	}
	json_decref(rest);
	if (text == NULL)
		return -ENOMEM;

	struct phx_hash128 h = phx_siphash128(key, text, strlen(text));

	free(text);
	(void)snprintf(out_digest, PHX_CTL_DIGEST_BYTES, "%016llx%016llx", (unsigned long long)h.hi,
		(unsigned long long)h.lo);
	return 0;
}

char *phx_ctl_document_text(const struct phx_ctl_document *d)
{
	size_t len = json_dumpb(d->json, NULL, 0, JSON_COMPACT);
	char *text = len != 0 ? malloc(len + 2) : NULL;

	if (text == NULL)
		return NULL;
	// Again: it needs memory of its own, and stops in the middle without.
	if (json_dumpb(d->json, text, len, JSON_COMPACT) != len) {
		free(text);
		return NULL;
	}
	text[len] = '\n';
	text[len + 1] = '\0';
	return text;
}

json_t *phx_ctl_document_open_default(void)
{
	return json_pack("{s:i, s:s, s:[{s:s, s:s}], s:[{s:s, s:s}]}", "version",
		PHX_CTL_DOCUMENT_VERSION, "generation", "0", "attach", "name", "local", "action",
		"allow", "register", "name", "first", "action", "owner");
}

json_t *phx_ctl_document_self_default(uint32_t uid)
{
	return json_pack("{s:i, s:s, s:[{s:s, s:s, s:I}, {s:s, s:s, s:I}],"
			 " s:[{s:s, s:s, s:I}, {s:s, s:s, s:I}]}",
		"version", PHX_CTL_DOCUMENT_VERSION, "generation", "0", "attach", "name", "self",
		"action", "allow", "uid", (json_int_t)uid, "name", "root", "action", "allow", "uid",
		(json_int_t)0, "register", "name", "self", "action", "allow", "uid",
		(json_int_t)uid, "name", "root", "action", "allow", "uid", (json_int_t)0);
}
