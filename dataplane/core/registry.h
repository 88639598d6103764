// SPDX-License-Identifier: BSD-3-Clause
// Services of this host by (group, name). Control changes the registry; every change publishes a
// new immutable set, which workers read through one pointer, once per burst. An old set is freed
// when every worker has passed a quiescent point.
#pragma once

#include "lib/base/hash.h"
#include "lib/base/limits.h"
#include "lib/schema/schema.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct session;
struct worker;
struct rte_rcu_qsbr;

struct service_instance {
	struct session *session; // touched by its worker only
	unsigned worker;
	uint32_t handle; // registration in the session
	const struct phx_schema *schema;
	uint32_t service; // index in that schema
	struct phx_hash128 hash;
	uint64_t order; // service_order() of its methods, set by registry_add()
};

// One (group, name). Entries never disappear while the dataplane lives, so that ids stay
// valid; without instances the service is known but down.
struct service_entry {
	char group[PHX_LIMIT_NAME_BYTES + 1];
	char name[PHX_LIMIT_NAME_BYTES + 1];
	uint32_t owner_uid; // who registered the name first
	uint32_t instance_count;
	uint32_t next_up; // the next of this name that has instances, UINT32_MAX = none
	uint64_t pair_hash, name_hash;
	struct service_instance *instances;
};

// What is known of a name, whatever the group.
struct service_name {
	uint32_t entry; // one that has it, + 1; 0 = unused
	int found;	// service_find() without a group
	uint32_t first_up, last_up;
};

struct service_set {
	uint64_t generation;
	uint32_t count;
	struct service_entry *entries; // index = service id
	// Names are the applications' choice, and each change has every subscription look.
	uint8_t key[16];
	uint32_t index_size;	    // a power of two, or 0
	uint32_t *pairs;	    // entry + 1 by pair_hash; open addressing
	struct service_name *names; // by name_hash
};

struct registry;
int registry_create(struct rte_rcu_qsbr *qsbr, struct registry **out_registry);
void registry_destroy(struct registry *registry);
// Where workers find the current set (struct worker.services).
_Atomic(const struct service_set *) *registry_slot(struct registry *registry);
const struct service_set *registry_set(const struct registry *registry);
// Control thread; group is not empty. 0, -ENOMEM, -ENOSPC (too many names). Publishes.
int registry_add(struct registry *registry, const char *group, const char *name, uint32_t uid,
	const struct service_instance *instance);
// Remove the instances of a session (handle UINT32_MAX: all of them). Publishes if any.
void registry_remove(struct registry *registry, const struct session *session, uint32_t handle);
// Let another worker serve the instances of a session; REGISTRY_NOWHERE: none for now. Publishes.
#define REGISTRY_NOWHERE UINT32_MAX
void registry_move(struct registry *registry, const struct session *session, unsigned worker);
// Called after each publication on the control thread (posts to workers).
void registry_on_change(struct registry *registry, void (*fn)(void *arg), void *arg);

// registry_find.c: hashes of an entry; fill the index of a set that is not published yet.
void service_entry_hash(const struct service_set *set, struct service_entry *entry);
void service_index_build(struct service_set *set);

// Worker: find by name. group "" = the one group that offers it: -EEXIST when several do,
// -ENOENT when none is known. Else the id.
int service_find(const struct service_set *set, const char *group, const char *name);

// The groups that offer `name` now, as "one, two, ...", cut to what fits. Returns the length.
size_t service_groups(const struct service_set *set, const char *name, char *out, size_t size);

// Methods go by name between hosts: the number of a name, and of a list of names in its order.
uint64_t service_method_id(const char *name);
uint64_t service_order(const uint64_t *ids, uint32_t count);
// Index of the method with this id, -ENOENT.
int service_method_find(const struct phx_schema *schema, uint32_t service, uint64_t id);
