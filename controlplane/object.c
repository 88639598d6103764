// SPDX-License-Identifier: BSD-3-Clause
// Named objects of the intent (listeners, peers): list, add and remove.
#include "controlplane/control.h"
#include "controlplane/section.h"

// Answered from the document: canonical, sorted by name, defaults left out.
void control_object_list(struct control *c, struct phx_ctl_call *call, const char *kind)
{
	const char *section = section_of_noun(kind)->name;
	json_t *rows = json_object_get(c->state.document->json, section);

	phx_ctl_call_rows(call, section, rows != NULL ? json_incref(rows) : json_array(),
		c->state.generation);
}

void control_object_add(struct control *c, struct phx_ctl_call *call, const char *kind)
{
	const char *name = phx_ctl_call_string(call, "name", "");
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	char key[SECTION_KEY_BYTES];
	json_t *changes = json_object();
	struct state_change probe = {.changes = changes, .dry_run = true};
	bool changed = true;
	int rc = 0;

	(void)json_object_set_new(changes, section_key(key, kind, name), control_object_of(call));
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

// False: there is no such object, and the call is answered so.
static bool object_exists(
	struct control *c, struct phx_ctl_call *call, const char *kind, const char *key)
{
	json_t *names, *value;
	const char *have, *other;

	if (json_object_get(c->state.keys, key) != NULL)
		return true;
	names = json_array();
	json_object_foreach(c->state.keys, have, value)
	{
		other = section_key_name(have, kind);
		if (other != NULL)
			(void)json_array_append_new(names, json_string(other));
	}
	control_not_found(call, kind, phx_ctl_call_string(call, "name", ""), names);
	json_decref(names);
	return false;
}

void control_object_get(struct control *c, struct phx_ctl_call *call, const char *kind)
{
	const char *name = phx_ctl_call_string(call, "name", "");
	json_t *rows = json_object_get(c->state.document->json, section_of_noun(kind)->name);
	char key[SECTION_KEY_BYTES];
	int at = section_find(rows, name);

	if (object_exists(c, call, kind, section_key(key, kind, name)))
		phx_ctl_call_reply(call, json_copy(json_array_get(rows, (size_t)at)));
}

void control_object_set(struct control *c, struct phx_ctl_call *call, const char *kind)
{
	const char *name = phx_ctl_call_string(call, "name", "");
	char key[SECTION_KEY_BYTES];
	json_t *changes, *object, *given;

	if (!object_exists(c, call, kind, section_key(key, kind, name)))
		return;
	changes = json_object();
	object = json_copy(json_object_get(c->state.keys, key));
	given = control_object_of(call);
	(void)json_object_update(object, given); // without memory: nothing changes
	(void)json_object_set_new(changes, key, object);
	json_decref(given);
	control_commit(c, call, changes);
}

void control_object_del(struct control *c, struct phx_ctl_call *call, const char *kind)
{
	const char *name = phx_ctl_call_string(call, "name", "");
	char key[SECTION_KEY_BYTES];
	json_t *changes;

	if (!object_exists(c, call, kind, section_key(key, kind, name)))
		return;
	changes = json_object();
	(void)json_object_set_new(changes, key, json_null());
	control_commit(c, call, changes);
}
