// SPDX-License-Identifier: BSD-3-Clause
// The table of section.h, and documents to keys and back.
#include "controlplane/section.h"

#include <stdio.h>
#include <string.h>

const struct section sections[] = {
	{"attach", NULL, "app_rule"},
	{"register", NULL, "service_rule"},
	{"listeners", "listener", "listener"},
	{"peers", "peer", "peer"},
	{"clusters", "cluster", "cluster"},
	{NULL, NULL, NULL},
};

const struct section *section_of_noun(const char *noun)
{
	for (const struct section *s = sections; s->name != NULL; s++)
		if (s->noun != NULL && strcmp(s->noun, noun) == 0)
			return s;
	return NULL;
}

const char *section_key(char key[SECTION_KEY_BYTES], const char *noun, const char *name)
{
	(void)snprintf(key, SECTION_KEY_BYTES, "%s/%s", noun, name); // names are short
	return key;
}

const char *section_key_name(const char *key, const char *noun)
{
	size_t len = strlen(noun);

	return strncmp(key, noun, len) == 0 && key[len] == '/' ? key + len + 1 : NULL;
}

// New array of the objects of one noun.
static json_t *objects_of(json_t *keys, const char *noun)
{
	json_t *list = json_array();
	const char *key;
	json_t *value;

	json_object_foreach(keys, key, value)
	{
		if (section_key_name(key, noun) != NULL && json_array_append(list, value) != 0) {
			json_decref(list);
			return NULL;
		}
	}
	return list;
}

json_t *sections_document(json_t *keys)
{
	json_t *document = json_object();

	for (const struct section *s = sections; s->name != NULL; s++) {
		json_t *list = s->noun != NULL ? objects_of(keys, s->noun)
					       : json_incref(json_object_get(keys, s->name));

		if (list == NULL && s->noun == NULL)
			continue;
		if (json_object_set_new(document, s->name, list) != 0) {
			json_decref(document);
			return NULL;
		}
	}
	return document;
}

static int put_objects(json_t *keys, const char *noun, json_t *list)
{
	char key[SECTION_KEY_BYTES];
	json_t *object;
	size_t i;

	json_array_foreach(list, i, object)
	{
		const char *name = json_string_value(json_object_get(object, "name"));

		if (name != NULL &&
			json_object_set(keys, section_key(key, noun, name), object) != 0)
			return -1;
	}
	return 0;
}

json_t *sections_keys(json_t *document)
{
	json_t *keys = json_object();

	for (const struct section *s = sections; s->name != NULL; s++) {
		json_t *list = json_object_get(document, s->name);
		int rc = 0;

		if (s->noun != NULL)
			rc = put_objects(keys, s->noun, list);
		else if (json_array_size(list) != 0)
			rc = json_object_set(keys, s->name, list);
		if (rc != 0) {
			json_decref(keys);
			return NULL;
		}
	}
	return keys;
}

int section_find(json_t *list, const char *name)
{
	json_t *object;
	size_t i;

	json_array_foreach(list, i, object)
	{
		const char *have = json_string_value(json_object_get(object, "name"));

		if (have != NULL && strcmp(have, name) == 0)
			return (int)i;
	}
	return -1;
}
