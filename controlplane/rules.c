// SPDX-License-Identifier: BSD-3-Clause
// Edits of the ordered rule lists; used by noun_app.c and noun_service.c.
#include "controlplane/rules.h"

#include "controlplane/section.h"

#include <string.h>

static void fail_no_rule(struct phx_ctl_call *call, json_t *rules, const char *name)
{
	json_t *names = json_array();
	json_t *rule;
	size_t i;

	json_array_foreach(rules, i, rule)
	{
		(void)json_array_append(names, json_object_get(rule, "name"));
	}
	control_not_found(call, "rule", name, names);
	json_decref(names);
}

void rules_list(struct control *c, struct phx_ctl_call *call, const char *key)
{
	json_t *rows = json_object_get(c->state.document->json, key);

	phx_ctl_call_rows(call, "rules", rows != NULL ? json_incref(rows) : json_array(),
		c->state.generation);
}

// A copy of the list under key; empty when there is none. New reference.
static json_t *copy_rules(const struct control *c, const char *key)
{
	json_t *rules = json_object_get(c->state.keys, key);

	return rules != NULL ? json_copy(rules) : json_array();
}

static void commit_rules(
	struct control *c, struct phx_ctl_call *call, const char *key, json_t *take_rules)
{
	json_t *changes = json_object();

	(void)json_object_set_new(changes, key, take_rules);
	control_commit(c, call, changes);
}

void rules_set(struct control *c, struct phx_ctl_call *call, const char *key)
{
	const char *name = phx_ctl_call_string(call, "name", "");
	const char *before = phx_ctl_call_string(call, "before", NULL);
	json_t *rules = copy_rules(c, key);
	int at = (int)json_array_size(rules), index = section_find(rules, name);
	bool exists = index >= 0;

	if (before != NULL)
		at = strcmp(before, name) != 0 ? section_find(rules, before) : -1;
	if (at < 0) {
		fail_no_rule(call, rules, before);
		json_decref(rules);
		return;
	}
	if (exists && before == NULL) {
		(void)json_array_set_new(rules, (size_t)index, control_object_of(call));
	} else {
		if (exists)
			(void)json_array_remove(rules, (size_t)index);
		if (exists && index < at)
			at--;
		(void)json_array_insert_new(rules, (size_t)at, control_object_of(call));
	}
	commit_rules(c, call, key, rules);
}

void rules_del(struct control *c, struct phx_ctl_call *call, const char *key)
{
	const char *name = phx_ctl_call_string(call, "name", "");
	json_t *rules = copy_rules(c, key);
	int index = section_find(rules, name);

	if (index < 0) {
		fail_no_rule(call, rules, name);
		json_decref(rules);
		return;
	}
	(void)json_array_remove(rules, (size_t)index);
	commit_rules(c, call, key, rules);
}
