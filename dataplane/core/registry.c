// SPDX-License-Identifier: BSD-3-Clause
// Building and publishing service sets, see registry.h.
#include "dataplane/core/registry.h"

#include <errno.h>
#include <rte_rcu_qsbr.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REGISTRY_SERVICES_MAX 65536

struct registry {
	_Atomic(const struct service_set *) current; // [ctl>worker]
	// As many entries and instances as the current one has, so that a change that adds nothing
	// needs no memory: a set that still names a dead session must not stay.
	struct service_set *reserve; // [ctl]
	struct rte_rcu_qsbr *qsbr;   // [const]
	void (*changed)(void *arg);  // [ctl]
	void *changed_arg;
};

static void set_free(struct service_set *set)
{
	if (set == NULL)
		return;
	for (uint32_t i = 0; i < set->count; i++)
		free(set->entries[i].instances);
	free(set->pairs);
	free(set->names);
	free(set->entries);
	free(set);
}

// At most half full.
static int index_alloc(struct service_set *set, uint32_t entries)
{
	set->index_size = 2;
	while (set->index_size < 2 * entries)
		set->index_size *= 2;
	set->pairs = calloc(set->index_size, sizeof(*set->pairs));
	set->names = calloc(set->index_size, sizeof(*set->names));
	return set->pairs != NULL && set->names != NULL ? 0 : -ENOMEM;
}

// A copy with room for `entries` entries, and for one more instance in each.
static struct service_set *set_copy(const struct service_set *old, uint32_t entries)
{
	struct service_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->generation = old->generation + 1;
	memcpy(set->key, old->key, sizeof(set->key));
	set->entries = calloc(entries == 0 ? 1 : entries, sizeof(*set->entries));
	if (set->entries == NULL || index_alloc(set, entries) != 0) {
		set_free(set);
		return NULL;
	}
	for (uint32_t i = 0; i < old->count; i++) {
		struct service_entry *e = &set->entries[i];
		size_t n = old->entries[i].instance_count;

		*e = old->entries[i];
		e->instances = calloc(n + 1, sizeof(*e->instances));
		if (e->instances == NULL) {
			set_free(set);
			return NULL;
		}
		if (n != 0)
			memcpy(e->instances, old->entries[i].instances, n * sizeof(*e->instances));
		set->count = i + 1;
	}
	return set;
}

// The reserve, filled as the current set is.
static struct service_set *reserve_fill(struct registry *registry)
{
	const struct service_set *from = registry_set(registry);
	struct service_set *set = registry->reserve;

	set->generation = from->generation + 1;
	for (uint32_t i = 0; i < from->count; i++) {
		struct service_instance *instances = set->entries[i].instances;

		memcpy(instances, from->entries[i].instances,
			from->entries[i].instance_count * sizeof(*instances));
		set->entries[i] = from->entries[i];
		set->entries[i].instances = instances;
	}
	return set;
}

int registry_create(struct rte_rcu_qsbr *qsbr, struct registry **out_registry)
{
	struct registry *r = calloc(1, sizeof(*r));
	struct service_set *empty = calloc(1, sizeof(*empty));
	struct service_set *reserve = calloc(1, sizeof(*reserve));

	if (r == NULL || empty == NULL || reserve == NULL) {
		free(r);
		free(empty);
		free(reserve);
		return -ENOMEM;
	}
	if (phx_random_bytes(empty->key, sizeof(empty->key)) != 0)
		memset(empty->key, 0, sizeof(empty->key)); // then only as good as the hash
	r->reserve = reserve;
	r->qsbr = qsbr;
	atomic_init(&r->current, empty);
	*out_registry = r;
	return 0;
}

void registry_destroy(struct registry *registry)
{
	if (registry == NULL)
		return;
	set_free((struct service_set *)(uintptr_t)registry_set(registry));
	set_free(registry->reserve);
	free(registry);
}

_Atomic(const struct service_set *) *registry_slot(struct registry *registry)
{
	return &registry->current;
}

const struct service_set *registry_set(const struct registry *registry)
{
	return atomic_load_explicit(&registry->current, memory_order_acquire);
}

void registry_on_change(struct registry *registry, void (*fn)(void *arg), void *arg)
{
	registry->changed = fn;
	registry->changed_arg = arg;
}

// Publish and wait until no worker can hold the old set. Control may wait: workers pass a
// quiescent point every few rounds or are offline. reserve: the next one, NULL: the old set.
static void set_publish(
	struct registry *registry, struct service_set *set, struct service_set *reserve)
{
	struct service_set *old = (struct service_set *)(uintptr_t)registry_set(registry);

	service_index_build(set);
	// Pairs with the acquire load of the worker's burst.
	atomic_store_explicit(&registry->current, set, memory_order_release);
	if (registry->qsbr != NULL)
		rte_rcu_qsbr_synchronize(registry->qsbr, RTE_QSBR_THRID_INVALID);
	if (reserve != NULL) {
		set_free(registry->reserve);
		set_free(old);
	}
	registry->reserve = reserve != NULL ? reserve : old;
	if (registry->changed != NULL)
		registry->changed(registry->changed_arg);
}

static int instance_order(const struct service_instance *in, uint64_t *out_order)
{
	uint32_t n = phx_schema_method_count(in->schema, in->service);
	uint64_t *ids = malloc((n != 0 ? n : 1) * sizeof(*ids));

	if (ids == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		ids[i] = service_method_id(phx_schema_method(in->schema, in->service, i)->name);
	*out_order = service_order(ids, n);
	free(ids);
	return 0;
}

int registry_add(struct registry *registry, const char *group, const char *name, uint32_t uid,
	const struct service_instance *instance)
{
	const struct service_set *old = registry_set(registry);
	int at = service_find(old, group, name);
	struct service_set *set, *reserve;
	struct service_entry *e;
	uint64_t order;

	if (at < 0 && old->count >= REGISTRY_SERVICES_MAX)
		return -ENOSPC;
	if (instance_order(instance, &order) != 0)
		return -ENOMEM;
	set = set_copy(old, old->count + 1);
	if (set == NULL)
		return -ENOMEM;
	if (at < 0) {
		at = (int)set->count;
		e = &set->entries[at];
		e->instances = calloc(1, sizeof(*e->instances));
		if (e->instances == NULL) {
			set_free(set);
			return -ENOMEM;
		}
		(void)strncpy(e->group, group, sizeof(e->group) - 1);
		(void)strncpy(e->name, name, sizeof(e->name) - 1);
		e->owner_uid = uid;
		service_entry_hash(set, e);
		set->count++;
	}
	e = &set->entries[at];
	e->instances[e->instance_count] = *instance;
	e->instances[e->instance_count++].order = order;
	reserve = set_copy(set, set->count);
	if (reserve == NULL) {
		set_free(set);
		return -ENOMEM;
	}
	set_publish(registry, set, reserve);
	return 0;
}

void registry_remove(struct registry *registry, const struct session *session, uint32_t handle)
{
	struct service_set *set = reserve_fill(registry);
	bool any = false;

	for (uint32_t i = 0; i < set->count; i++) {
		struct service_entry *e = &set->entries[i];
		uint32_t kept = 0;

		for (uint32_t k = 0; k < e->instance_count; k++) {
			const struct service_instance *in = &e->instances[k];

			if (in->session == session &&
				(handle == UINT32_MAX || in->handle == handle))
				any = true;
			else
				e->instances[kept++] = *in;
		}
		e->instance_count = kept;
	}
	if (any)
		set_publish(registry, set, NULL);
}

void registry_move(struct registry *registry, const struct session *session, unsigned worker)
{
	struct service_set *set = reserve_fill(registry);

	for (uint32_t i = 0; i < set->count; i++) {
		struct service_entry *e = &set->entries[i];

		for (uint32_t k = 0; k < e->instance_count; k++) {
			if (e->instances[k].session == session)
				e->instances[k].worker = worker;
		}
	}
	set_publish(registry, set, NULL);
}

// ---- methods by name ----

static uint64_t digest(const void *bytes, size_t len)
{
	// The same on every host; names are not secrets, and a collision only within one service
	// would matter.
	static const uint8_t key[16] = "phoenix.methods";

	return phx_siphash128(key, bytes, len).lo;
}

uint64_t service_method_id(const char *name)
{
	return digest(name, strlen(name));
}

uint64_t service_order(const uint64_t *ids, uint32_t count)
{
	return digest(ids, count * sizeof(*ids));
}

int service_method_find(const struct phx_schema *schema, uint32_t service, uint64_t id)
{
	for (uint32_t i = 0; i < phx_schema_method_count(schema, service); i++) {
		if (service_method_id(phx_schema_method(schema, service, i)->name) == id)
			return (int)i;
	}
	return -ENOENT;
}
