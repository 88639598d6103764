// SPDX-License-Identifier: BSD-3-Clause
// Converts documents to rules and reads them from files; works with lib/ctl/document and
// frontend/rules.
#include "dataplane/control/rules_file.h"

#include "lib/base/log.h"

#include <errno.h>
#include <string.h>

// strdup of text or NULL; *ok turns false when out of memory.
static char *copy(const char *text, bool *ok)
{
	char *s;

	if (text == NULL)
		return NULL;
	s = strdup(text);
	if (s == NULL)
		*ok = false;
	return s;
}

static enum rules_action action_of(enum phx_ctl_action_kind action)
{
	switch (action) {
	case PHX_CTL_ALLOW:
		return RULES_ALLOW;
	case PHX_CTL_OWNER:
		return RULES_OWNER;
	case PHX_CTL_DENY:
		break;
	}
	return RULES_DENY;
}

static enum rules_placement placement_of(enum phx_ctl_placement placement)
{
	switch (placement) {
	case PHX_CTL_SPREAD:
		return RULES_SPREAD;
	case PHX_CTL_PACKED:
		return RULES_PACKED;
	case PHX_CTL_DEDICATED:
		return RULES_DEDICATED;
	case PHX_CTL_SHARED:
		break;
	}
	return RULES_SHARED;
}

static void copy_attach(const struct phx_ctl_attach_rule *from, struct rules_attach *to, bool *ok)
{
	size_t i;

	to->name = copy(from->name, ok);
	to->action = action_of(from->action);
	to->uid = from->uid;
	to->gid = from->gid;
	to->app = copy(from->app, ok);
	to->placement = placement_of(from->placement);
	to->worker = from->worker;
	to->labels = calloc(from->label_count + 1, sizeof(*to->labels));
	if (to->labels == NULL) {
		*ok = false;
		return;
	}
	to->label_count = from->label_count;
	for (i = 0; i < from->label_count; i++) {
		to->labels[i].key = copy(from->labels[i].key, ok);
		to->labels[i].value = copy(from->labels[i].value, ok);
	}
}

int rules_set_from_document(const struct phx_ctl_document *document, struct rules_set **out_set)
{
	struct rules_set *set = rules_set_create(document->attach_count, document->register_count);
	bool ok = set != NULL;
	size_t i;

	if (set == NULL)
		return -ENOMEM;
	set->generation = document->generation;
	for (i = 0; i < document->attach_count; i++)
		copy_attach(&document->attach[i], &set->attach[i], &ok);
	for (i = 0; i < document->register_count; i++) {
		const struct phx_ctl_register_rule *from = &document->registers[i];

		set->registers[i] = (struct rules_register){
			.name = copy(from->name, &ok),
			.action = action_of(from->action),
			.service = copy(from->service, &ok),
			.group = copy(from->group, &ok),
			.uid = from->uid,
			.gid = from->gid,
		};
	}
	if (!ok) {
		rules_set_destroy(set);
		return -ENOMEM;
	}
	*out_set = set;
	return 0;
}

int rules_file_load(const char *name, uint32_t uid, struct phx_ctl_document **out_document)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *json = NULL;
	int rc;

	if (strcmp(name, "default") == 0) {
		json = phx_ctl_document_self_default(uid);
		rc = json == NULL ? -ENOMEM : 0;
	} else {
		rc = phx_ctl_document_read(name, &json, &e);
	}
	if (rc == 0)
		rc = phx_ctl_document_parse(json, "", out_document, &e);
	if (rc != 0)
		phx_log_err("rules", "%s: %s", name, e.code != 0 ? e.text : strerrorname_np(-rc));
	json_decref(json);
	phx_ctl_error_fini(&e);
	return rc;
}
