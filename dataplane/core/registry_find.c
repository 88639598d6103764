// SPDX-License-Identifier: BSD-3-Clause
// Finding services by name in a set. The index is built with the set, by the control thread;
// workers look. See registry.h.
#include "dataplane/core/registry.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NONE UINT32_MAX

static uint64_t name_hash(const struct service_set *set, const char *name)
{
	return phx_siphash128(set->key, name, strlen(name)).lo;
}

static uint64_t pair_hash(const struct service_set *set, const char *group, const char *name)
{
	size_t group_len = strlen(group) + 1, name_len = strlen(name);
	char pair[2 * (PHX_LIMIT_NAME_BYTES + 1)];

	memcpy(pair, group, group_len);
	memcpy(pair + group_len, name, name_len);
	return phx_siphash128(set->key, pair, group_len + name_len).lo;
}

void service_entry_hash(const struct service_set *set, struct service_entry *entry)
{
	entry->name_hash = name_hash(set, entry->name);
	entry->pair_hash = pair_hash(set, entry->group, entry->name);
}

// The place of the name, or the empty one where it would stand; NULL: the set is empty.
static struct service_name *name_place(
	const struct service_set *set, const char *name, uint64_t hash)
{
	if (set->index_size == 0)
		return NULL;
	for (uint32_t at = (uint32_t)hash;; at++) {
		struct service_name *n = &set->names[at & (set->index_size - 1)];
		const struct service_entry *e;

		if (n->entry == 0)
			return n;
		e = &set->entries[n->entry - 1];
		if (e->name_hash == hash && strcmp(e->name, name) == 0)
			return n;
	}
}

static void name_add(struct service_set *set, uint32_t i)
{
	struct service_entry *e = &set->entries[i];
	struct service_name *n = name_place(set, e->name, e->name_hash);

	if (n->entry == 0)
		*n = (struct service_name){i + 1, (int)i, NONE, NONE};
	e->next_up = NONE;
	// A group that has instances wins over one that is only known, the last of those else.
	if (e->instance_count == 0) {
		if (n->first_up == NONE)
			n->found = (int)i;
		return;
	}
	n->found = n->first_up == NONE ? (int)i : -EEXIST;
	if (n->first_up == NONE)
		n->first_up = i;
	else
		set->entries[n->last_up].next_up = i;
	n->last_up = i;
}

void service_index_build(struct service_set *set)
{
	uint32_t mask = set->index_size - 1;

	if (set->index_size == 0)
		return; // the first of all
	memset(set->pairs, 0, set->index_size * sizeof(*set->pairs));
	memset(set->names, 0, set->index_size * sizeof(*set->names));
	for (uint32_t i = 0; i < set->count; i++) {
		uint32_t at = (uint32_t)set->entries[i].pair_hash;

		while (set->pairs[at & mask] != 0)
			at++;
		set->pairs[at & mask] = i + 1;
		name_add(set, i);
	}
}

static int pair_find(const struct service_set *set, const char *group, const char *name)
{
	uint64_t hash = pair_hash(set, group, name);
	uint32_t mask = set->index_size - 1, at, i;

	if (set->index_size == 0)
		return -ENOENT;
	for (at = (uint32_t)hash; (i = set->pairs[at & mask]) != 0; at++) {
		const struct service_entry *e = &set->entries[i - 1];

		if (e->pair_hash == hash && strcmp(e->name, name) == 0 &&
			strcmp(e->group, group) == 0)
			return (int)(i - 1);
	}
	return -ENOENT;
}

int service_find(const struct service_set *set, const char *group, const char *name)
{
	const struct service_name *n;

	if (group[0] != '\0')
		return pair_find(set, group, name);
	n = name_place(set, name, name_hash(set, name));
	return n != NULL && n->entry != 0 ? n->found : -ENOENT;
}

size_t service_groups(const struct service_set *set, const char *name, char *out, size_t size)
{
	const struct service_name *label = name_place(set, name, name_hash(set, name));
	uint32_t i = label != NULL && label->entry != 0 ? label->first_up : NONE;
	size_t len = 0;

	out[0] = 0;
	for (; i != NONE; i = set->entries[i].next_up) {
		int n = snprintf(
			out + len, size - len, "%s%s", len != 0 ? ", " : "", set->entries[i].group);

		if (n < 0 || (size_t)n >= size - len) {
			out[len] = 0;
			break;
		}
		len += (size_t)n;
	}
	return len;
}
