// SPDX-License-Identifier: BSD-3-Clause
// Comparison of documents for plan.h. Works with section.c.
#include "controlplane/plan.h"

#include "controlplane/section.h"

#include <stdio.h>
#include <string.h>

// Would links close? A new listener or peer closes none; rules are asked when somebody comes.
static bool disruptive(const struct section *s, json_t *from)
{
	return from != NULL && (strcmp(s->kind, "listener") == 0 || strcmp(s->kind, "peer") == 0);
}

static int add_entry(json_t *plan, const struct section *s, json_t *from, json_t *to)
{
	const char *op = from == NULL ? "add" : to == NULL ? "remove" : "change";
	json_t *entry = json_pack("{s:s, s:s, s:O}", "op", op, "kind", s->kind, "name",
		json_object_get(to != NULL ? to : from, "name"));

	if (entry == NULL || (from != NULL && json_object_set(entry, "from", from) != 0) ||
		(to != NULL && json_object_set(entry, "to", to) != 0) ||
		json_object_set_new(entry, "disruptive", json_boolean(disruptive(s, from))) != 0) {
		json_decref(entry);
		return -1;
	}
	return json_array_append_new(plan, entry);
}

static json_t *named(json_t *list, json_t *like)
{
	int i = section_find(list, json_string_value(json_object_get(like, "name")));

	return i >= 0 ? json_array_get(list, (size_t)i) : NULL;
}

// Names of the elements of list that other has too, in the order of list. New reference.
static json_t *common_names(json_t *list, json_t *other)
{
	json_t *names = json_array();
	json_t *item;
	size_t i;

	json_array_foreach(list, i, item)
	{
		if (named(other, item) != NULL)
			(void)json_array_append(names, json_object_get(item, "name"));
	}
	return names;
}

// The order is compared over all names when both have the same, else over the common ones.
static int add_order(json_t *plan, const struct section *s, json_t *from, json_t *to)
{
	json_t *before = common_names(from, to), *after = common_names(to, from);
	char kind[64];
	int rc = 0;

	(void)snprintf(kind, sizeof(kind), "%s_order", s->kind);
	if (!json_equal(before, after))
		rc = json_array_append_new(plan,
			json_pack("{s:s, s:s, s:s, s:O, s:O, s:b}", "op", "change", "kind", kind,
				"name", s->name, "from", before, "to", after, "disruptive", 0));
	json_decref(before);
	json_decref(after);
	return rc;
}

static int compare(json_t *plan, const struct section *s, json_t *from, json_t *to)
{
	json_t *item;
	size_t i;

	json_array_foreach(from, i, item)
	{
		if (named(to, item) == NULL && add_entry(plan, s, item, NULL) != 0)
			return -1;
	}
	json_array_foreach(to, i, item)
	{
		json_t *old = named(from, item);

		if ((old == NULL || !json_equal(old, item)) && add_entry(plan, s, old, item) != 0)
			return -1;
	}
	return s->noun == NULL ? add_order(plan, s, from, to) : 0;
}

json_t *plan_make(json_t *from, json_t *to)
{
	json_t *plan = json_array();

	for (const struct section *s = sections; plan != NULL && s->name != NULL; s++) {
		if (compare(plan, s, json_object_get(from, s->name),
			    json_object_get(to, s->name)) == 0)
			continue;
		json_decref(plan);
		plan = NULL;
	}
	return plan;
}
