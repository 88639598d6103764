// SPDX-License-Identifier: BSD-3-Clause
// Named objects of the intent (listeners, peers): list, add and remove.
#include "controlplane/control.h"

#include "lib/base/compiler.h"

#include <stdio.h>
#include <string.h>

#define KEY_BYTES 96

static bool key_name(const char *key, const char *kind, const char **out_name)
{
	size_t len = strlen(kind);

	if (strncmp(key, kind, len) != 0 || key[len] != '/')
		return false;
	*out_name = key + len + 1;
	return true;
}

// Answered from the document: canonical, sorted by name, defaults left out.
void control_object_list(struct control *c, struct phx_ctl_call *call, const char *kind)
{
	char section[16];
	json_t *rows;

	(void)snprintf(section, sizeof(section), "%ss", kind);
	rows = json_object_get(c->state.document->json, section);
	phx_ctl_call_rows(call, section, rows != NULL ? json_incref(rows) : json_array(),
		c->state.generation);
}

void control_object_add(struct control *c, struct phx_ctl_call *call, const char *kind)
{
	const char *name = phx_ctl_call_string(call, "name", "");
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	char key[KEY_BYTES];
	json_t *changes = json_object();
	struct state_change probe = {.changes = changes, .dry_run = true};
	bool changed = true;
	int rc = 0;

	(void)snprintf(key, sizeof(key), "%s/%s", kind, name);
	(void)json_object_set_new(changes, key, control_object_of(call));
	// Saying the same again is success, saying something else is not.
	if (json_object_get(c->state.keys, key) != NULL)
		rc = state_commit(&c->state, &probe, &changed, &e);
	if (rc != 0 || (changed && json_object_get(c->state.keys, key) != NULL)) {
		if (rc == 0) {
			json_t *value = json_string(name);

			(void)phx_ctl_error_set(&e, PHX_ALREADY_EXISTS,
				"%s '%s' exists and is different", kind, name);
			phx_ctl_error_field(&e, "name", value);
			json_decref(value);
		}
		phx_ctl_call_fail(call, &e);
		phx_ctl_error_fini(&e);
		json_decref(changes);
		return;
	}
	control_commit(c, call, changes);
}

void control_object_del(struct control *c, struct phx_ctl_call *call, const char *kind)
{
	const char *name = phx_ctl_call_string(call, "name", "");
	char key[KEY_BYTES];
	json_t *changes, *value;
	const char *have, *other;

	(void)snprintf(key, sizeof(key), "%s/%s", kind, name);
	if (json_object_get(c->state.keys, key) == NULL) {
		json_t *names = json_array();

		json_object_foreach(c->state.keys, have, value)
		{
			if (key_name(have, kind, &other))
				(void)json_array_append_new(names, json_string(other));
		}
		control_not_found(call, kind, name, names);
		json_decref(names);
		return;
	}
	changes = json_object();
	(void)json_object_set_new(changes, key, json_null());
	control_commit(c, call, changes);
}
