// SPDX-License-Identifier: BSD-3-Clause
// Sessions as the policy host knows them: who they are and what schemas they use. Control thread.
// Works with set.c; the functions are declared in core/chain.h.
#include "dataplane/policyhost/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int labels_copy(struct host_session *s, const struct chain_session *from)
{
	s->labels = calloc(from->label_count + 1, sizeof(*s->labels));
	if (s->labels == NULL)
		return -ENOMEM;
	s->identity.labels = s->labels;
	for (uint32_t i = 0; i < from->label_count; i++) {
		s->identity.label_count = i + 1;
		s->labels[i].key = strdup(from->labels[i].key);
		s->labels[i].value = strdup(from->labels[i].value);
		if (s->labels[i].key == NULL || s->labels[i].value == NULL)
			return -ENOMEM;
	}
	return 0;
}

static struct host_session *session_make(struct chain_host *host, const struct chain_session *from)
{
	struct host_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	s->name = strdup(from->name != NULL ? from->name : "");
	s->identity.app = from->app;
	s->identity.uid = from->uid;
	s->identity.gid = from->gid;
	s->identity.name = s->name;
	if (s->name == NULL || labels_copy(s, from) != 0) {
		session_free(host, s);
		return NULL;
	}
	return s;
}

static int slot_get(struct chain_host *host, uint32_t *out_slot)
{
	uint32_t size = host->session_size;
	struct host_session **t;

	for (uint32_t i = 0; i < size; i++) {
		if (host->sessions[i] == NULL) {
			*out_slot = i;
			return 0;
		}
	}
	if (size >= 2 * PHX_LIMIT_APPS_MAX)
		return -ENOSPC;
	t = realloc(host->sessions, (size + 1) * sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t[size] = NULL;
	host->sessions = t;
	host->session_size = size + 1;
	*out_slot = size;
	return 0;
}

int chain_session_add(
	struct chain_host *host, const struct chain_session *session, uint32_t *out_slot)
{
	struct host_session *s;
	uint32_t slot;
	int rc = slot_get(host, &slot);

	(void)policyhost_reclaim(host);
	if (rc != 0)
		return rc;
	s = session_make(host, session);
	if (s == NULL)
		return -ENOMEM;
	host->sessions[slot] = s;
	rc = phx_list_empty(&host->order) ? 0 : set_publish(host, NULL);
	if (rc != 0) {
		host->sessions[slot] = NULL;
		session_free(host, s);
		return rc;
	}
	*out_slot = slot;
	return 0;
}

int chain_session_schema(struct chain_host *host, uint32_t slot, const struct phx_schema *schema)
{
	struct host_session *s = host->sessions[slot];
	int rc;

	if (s->schema_count >= PHX_LIMIT_SCHEMAS_MAX)
		return -ENOSPC;
	s->schemas[s->schema_count++] = schema;
	rc = phx_list_empty(&host->order) ? 0 : set_publish(host, NULL);
	if (rc != 0)
		s->schema_count--;
	return rc;
}

void chain_session_remove(struct chain_host *host, uint32_t slot)
{
	struct host_session *s;
	const struct chain_set *set;

	if (slot == CHAIN_SLOT_NONE)
		return;
	s = host->sessions[slot];
	set = host_set(host);
	if (slot >= set->count || set->chains[slot] == NULL) {
		host->sessions[slot] = NULL; // no burst of a quiet session is under way
		session_free(host, s);
		return;
	}
	s->gone = true;
	if (set_publish(host, s) == 0)
		host->sessions[slot] = NULL;
	// Else the slot is lost until the host ends: better than a set that names what is gone.
	(void)policyhost_reclaim(host);
}
