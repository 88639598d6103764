// SPDX-License-Identifier: BSD-3-Clause
// Decides by the rules in force; works with identity.c and attach_server.c.
#include "dataplane/frontend/rules.h"

#include "lib/base/hash.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OWNER_BUCKETS 1024

struct owner {
	struct owner *next;
	uint32_t uid;
	char name[]; // "group\nservice": names hold no control characters
};

struct rules {
	struct rules_set *set;
	struct owner *owners[OWNER_BUCKETS];
	size_t owner_count;
};

struct rules_set *rules_set_create(size_t attach_count, size_t register_count)
{
	struct rules_set *set = calloc(1, sizeof(*set));

	if (set == NULL)
		return NULL;
	set->attach = calloc(attach_count + 1, sizeof(*set->attach));
	set->registers = calloc(register_count + 1, sizeof(*set->registers));
	if (set->attach == NULL || set->registers == NULL) {
		rules_set_destroy(set);
		return NULL;
	}
	set->attach_count = attach_count;
	set->register_count = register_count;
	return set;
}

static void attach_rule_fini(struct rules_attach *rule)
{
	size_t i;

	for (i = 0; i < rule->label_count; i++) {
		free(rule->labels[i].key);
		free(rule->labels[i].value);
	}
	free(rule->labels);
	free(rule->name);
	free(rule->app);
}

void rules_set_destroy(struct rules_set *set)
{
	size_t i;

	if (set == NULL)
		return;
	for (i = 0; i < set->attach_count; i++)
		attach_rule_fini(&set->attach[i]);
	for (i = 0; i < set->register_count; i++) {
		free(set->registers[i].name);
		free(set->registers[i].service);
		free(set->registers[i].group);
	}
	free(set->attach);
	free(set->registers);
	free(set);
}

int rules_create(struct rules **out_rules)
{
	struct rules *rules = calloc(1, sizeof(*rules));

	if (rules == NULL)
		return -ENOMEM;
	*out_rules = rules;
	return 0;
}

void rules_destroy(struct rules *rules)
{
	size_t i;

	if (rules == NULL)
		return;
	rules_set_destroy(rules->set);
	for (i = 0; i < OWNER_BUCKETS; i++) {
		struct owner *owner = rules->owners[i];

		while (owner != NULL) {
			struct owner *next = owner->next;

			free(owner);
			owner = next;
		}
	}
	free(rules);
}

void rules_take_set(struct rules *rules, struct rules_set *set)
{
	rules_set_destroy(rules->set);
	rules->set = set;
}

const struct rules_set *rules_current(const struct rules *rules)
{
	return rules->set;
}

static bool id_matches(uint32_t rule, uint32_t measured)
{
	return rule == RULES_ID_ANY || rule == measured;
}

enum rules_verdict rules_attach_decide(const struct rules *rules, const struct identity *identity,
	const struct rules_attach **out_rule)
{
	const struct rules_attach *found = NULL;
	size_t i;

	for (i = 0; rules->set != NULL && found == NULL && i < rules->set->attach_count; i++) {
		const struct rules_attach *rule = &rules->set->attach[i];

		if (id_matches(rule->uid, identity->uid) && id_matches(rule->gid, identity->gid))
			found = rule;
	}
	if (out_rule != NULL)
		*out_rule = found;
	if (rules->set == NULL)
		return RULES_VERDICT_NONE;
	return found != NULL && found->action == RULES_ALLOW ? RULES_VERDICT_ALLOW
							     : RULES_VERDICT_DENY;
}

// Is uid the owner of the name, or its first?
static bool owner_claim(struct rules *rules, uint32_t uid, const char *group, const char *service)
{
	static const uint8_t key[16] = {0}; // the names of one uid are bounded
	char name[2 * (PHX_LIMIT_NAME_BYTES + 1)];
	int len = snprintf(name, sizeof(name), "%s\n%s", group, service);
	struct owner **at, *owner;
	size_t mine = 0, i;

	if (len < 0 || (size_t)len >= sizeof(name))
		return false;
	at = &rules->owners[phx_siphash128(key, name, (size_t)len).lo % OWNER_BUCKETS];
	for (owner = *at; owner != NULL; owner = owner->next) {
		if (strcmp(owner->name, name) == 0)
			return owner->uid == uid;
	}
	for (i = 0; i < OWNER_BUCKETS; i++) {
		for (owner = rules->owners[i]; owner != NULL; owner = owner->next)
			mine += owner->uid == uid;
	}
	if (rules->owner_count == RULES_OWNERS_MAX || mine == RULES_OWNERS_UID)
		return false;
	owner = malloc(sizeof(*owner) + (size_t)len + 1);
	if (owner == NULL)
		return false;
	owner->uid = uid;
	memcpy(owner->name, name, (size_t)len + 1);
	owner->next = *at;
	*at = owner;
	rules->owner_count++;
	return true;
}

enum rules_verdict rules_register_decide(struct rules *rules, const struct identity *identity,
	const char *group, const char *service, const struct rules_register **out_rule)
{
	const struct rules_register *found = NULL;
	size_t i;

	for (i = 0; rules->set != NULL && found == NULL && i < rules->set->register_count; i++) {
		const struct rules_register *rule = &rules->set->registers[i];

		if (id_matches(rule->uid, identity->uid) && id_matches(rule->gid, identity->gid) &&
			fnmatch(rule->service, service, 0) == 0 &&
			fnmatch(rule->group, group, 0) == 0)
			found = rule;
	}
	if (out_rule != NULL)
		*out_rule = found;
	if (rules->set == NULL)
		return RULES_VERDICT_NONE;
	if (found == NULL || found->action == RULES_DENY)
		return RULES_VERDICT_DENY;
	if (found->action == RULES_OWNER && !owner_claim(rules, identity->uid, group, service))
		return RULES_VERDICT_DENY;
	return RULES_VERDICT_ALLOW;
}
