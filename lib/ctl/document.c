// SPDX-License-Identifier: BSD-3-Clause
// Parsing of the intent document into plain structures; works with canonical.c.
#include "lib/ctl/document.h"

#include "lib/ctl/canonical.h"
#include "lib/ctl/methods.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t get_id(json_t *object, const char *key)
{
	json_t *value = json_object_get(object, key);

	return value != NULL ? (uint32_t)json_integer_value(value) : PHX_CTL_ID_ANY;
}

static const char *get_string(json_t *object, const char *key, const char *missing)
{
	json_t *value = json_object_get(object, key);

	return value != NULL ? json_string_value(value) : missing;
}

static enum phx_ctl_action_kind get_action(json_t *object)
{
	const char *action = get_string(object, "action", "deny");

	if (strcmp(action, "allow") == 0)
		return PHX_CTL_ALLOW;
	return strcmp(action, "owner") == 0 ? PHX_CTL_OWNER : PHX_CTL_DENY;
}

static enum phx_ctl_placement get_placement(json_t *object)
{
	const char *placement = get_string(object, "placement", "shared");

	if (strcmp(placement, "spread") == 0)
		return PHX_CTL_SPREAD;
	if (strcmp(placement, "packed") == 0)
		return PHX_CTL_PACKED;
	return strcmp(placement, "dedicated") == 0 ? PHX_CTL_DEDICATED : PHX_CTL_SHARED;
}

static int get_worker(json_t *object)
{
	json_t *value = json_object_get(object, "worker");

	return value != NULL ? (int)json_integer_value(value) : -1;
}

// Array of count zeroed elements, NULL only when out of memory.
static void *make_array(size_t count, size_t size)
{
	return calloc(count != 0 ? count : 1, size);
}

static int build_labels(json_t *object, struct phx_ctl_attach_rule *rule)
{
	json_t *map = json_object_get(object, "labels");
	struct phx_ctl_label *labels = make_array(json_object_size(map), sizeof(*labels));
	const char *key;
	json_t *value;

	if (labels == NULL)
		return -ENOMEM;
	rule->labels = labels;
	json_object_foreach(map, key, value)
	{
		labels[rule->label_count++] =
			(struct phx_ctl_label){.key = key, .value = json_string_value(value)};
	}
	return 0;
}

static int build_attach(struct phx_ctl_document *d, json_t *list)
{
	struct phx_ctl_attach_rule *rules = make_array(json_array_size(list), sizeof(*rules));
	json_t *o;
	size_t i;

	if (rules == NULL)
		return -ENOMEM;
	d->attach = rules;
	json_array_foreach(list, i, o)
	{
		rules[i] = (struct phx_ctl_attach_rule){
			.name = get_string(o, "name", NULL),
			.action = get_action(o),
			.uid = get_id(o, "uid"),
			.gid = get_id(o, "gid"),
			.app = get_string(o, "app", NULL),
			.placement = get_placement(o),
			.worker = get_worker(o),
		};
		d->attach_count++;
		if (build_labels(o, &rules[i]) != 0)
			return -ENOMEM;
	}
	return 0;
}

static int build_register(struct phx_ctl_document *d, json_t *list)
{
	struct phx_ctl_register_rule *rules = make_array(json_array_size(list), sizeof(*rules));
	json_t *o;
	size_t i;

	if (rules == NULL)
		return -ENOMEM;
	d->registers = rules;
	json_array_foreach(list, i, o)
	{
		rules[i] = (struct phx_ctl_register_rule){
			.name = get_string(o, "name", NULL),
			.action = get_action(o),
			.service = get_string(o, "service", "*"),
			.group = get_string(o, "group", "*"),
			.uid = get_id(o, "uid"),
			.gid = get_id(o, "gid"),
		};
		d->register_count++;
	}
	return 0;
}

static int build_peers(struct phx_ctl_document *d, json_t *list)
{
	struct phx_ctl_peer_entry *peers = make_array(json_array_size(list), sizeof(*peers));
	json_t *o;
	size_t i;

	if (peers == NULL)
		return -ENOMEM;
	d->peers = peers;
	json_array_foreach(list, i, o)
	{
		peers[i].name = get_string(o, "name", NULL);
		// The validator accepted the text.
		(void)phx_ctl_network_parse(get_string(o, "network", ""), &peers[i].network);
		d->peer_count++;
	}
	return 0;
}

static const struct phx_ctl_peer_entry *find_peer(
	const struct phx_ctl_document *d, const char *name)
{
	for (size_t i = 0; i < d->peer_count; i++)
		if (strcmp(d->peers[i].name, name) == 0)
			return &d->peers[i];
	return NULL;
}

static int build_admitted(struct phx_ctl_document *d, struct phx_ctl_listener_entry *l,
	json_t *names, const char *prefix, struct phx_ctl_error *e)
{
	const struct phx_ctl_peer_entry **peers =
		make_array(json_array_size(names), sizeof(const struct phx_ctl_peer_entry *));
	json_t *name;
	size_t i;

	if (peers == NULL)
		return -ENOMEM;
	l->peers = peers;
	json_array_foreach(names, i, name)
	{
		peers[i] = find_peer(d, json_string_value(name));
		if (peers[i] == NULL) {
			char path[160];

			(void)snprintf(path, sizeof(path), "%slisteners.%s.peers", prefix, l->name);
			(void)phx_ctl_error_set(e, PHX_INVALID_ARGUMENT, "no peer named '%s'",
				json_string_value(name));
			phx_ctl_error_field(e, path, name);
			return -EINVAL;
		}
		l->peer_count++;
	}
	return 0;
}

static int check_addresses(
	const struct phx_ctl_document *d, const char *prefix, struct phx_ctl_error *e)
{
	for (size_t i = 1; i < d->listener_count; i++) {
		const struct phx_ctl_listener_entry *l = &d->listeners[i];

		for (size_t j = 0; j < i; j++) {
			char path[160];

			if (strcmp(d->listeners[j].transport, l->transport) != 0 ||
				memcmp(&d->listeners[j].sockaddr, &l->sockaddr,
					sizeof(l->sockaddr)) != 0)
				continue;
			(void)snprintf(
				path, sizeof(path), "%slisteners.%s.address", prefix, l->name);
			(void)phx_ctl_error_set(e, PHX_INVALID_ARGUMENT,
				"listener '%s' has the address of '%s'", l->name,
				d->listeners[j].name);
			phx_ctl_error_add(e, "field", json_string(path));
			return -EINVAL;
		}
	}
	return 0;
}

static int build_listeners(
	struct phx_ctl_document *d, json_t *list, const char *prefix, struct phx_ctl_error *e)
{
	struct phx_ctl_listener_entry *listeners =
		make_array(json_array_size(list), sizeof(*listeners));
	json_t *o;
	size_t i;
	int rc;

	if (listeners == NULL)
		return -ENOMEM;
	d->listeners = listeners;
	json_array_foreach(list, i, o)
	{
		struct phx_ctl_listener_entry *l = &listeners[i];

		l->name = get_string(o, "name", NULL);
		l->transport = get_string(o, "transport", NULL);
		l->address = get_string(o, "address", NULL);
		// The validator accepted the text.
		(void)phx_ctl_address_parse(l->address, &l->sockaddr);
		d->listener_count++;
		rc = build_admitted(d, l, json_object_get(o, "peers"), prefix, e);
		if (rc != 0)
			return rc;
	}
	return check_addresses(d, prefix, e);
}

static int build_endpoints(
	struct phx_ctl_cluster_entry *c, json_t *list, const char *prefix, struct phx_ctl_error *e)
{
	struct phx_ctl_endpoint *endpoints = make_array(json_array_size(list), sizeof(*endpoints));
	json_t *o;
	size_t i;

	if (endpoints == NULL)
		return -ENOMEM;
	c->endpoints = endpoints;
	json_array_foreach(list, i, o)
	{
		json_t *weight = json_object_get(o, "weight");

		endpoints[i].address = get_string(o, "address", NULL);
		endpoints[i].weight = weight != NULL ? (uint32_t)json_integer_value(weight) : 1;
		c->endpoint_count++;
		// They are sorted: equal ones are neighbours.
		if (i > 0 && strcmp(endpoints[i].address, endpoints[i - 1].address) == 0) {
			char path[160];

			(void)snprintf(
				path, sizeof(path), "%sclusters.%s.endpoints", prefix, c->name);
			(void)phx_ctl_error_set(e, PHX_INVALID_ARGUMENT,
				"cluster '%s' has the endpoint %s twice", c->name,
				endpoints[i].address);
			phx_ctl_error_add(e, "field", json_string(path));
			return -EINVAL;
		}
	}
	return 0;
}

static int build_clusters(
	struct phx_ctl_document *d, json_t *list, const char *prefix, struct phx_ctl_error *e)
{
	struct phx_ctl_cluster_entry *clusters =
		make_array(json_array_size(list), sizeof(*clusters));
	json_t *o;
	size_t i;
	int rc;

	if (clusters == NULL)
		return -ENOMEM;
	d->clusters = clusters;
	json_array_foreach(list, i, o)
	{
		clusters[i].name = get_string(o, "name", NULL);
		clusters[i].least_request =
			strcmp(get_string(o, "balancing", ""), "least_request") == 0;
		d->cluster_count++;
		rc = build_endpoints(&clusters[i], json_object_get(o, "endpoints"), prefix, e);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int build_all(struct phx_ctl_document *d, const char *prefix, struct phx_ctl_error *e)
{
	int rc = build_attach(d, json_object_get(d->json, "attach"));

	if (rc == 0)
		rc = build_register(d, json_object_get(d->json, "register"));
	if (rc == 0)
		rc = build_peers(d, json_object_get(d->json, "peers"));
	if (rc == 0)
		rc = build_listeners(d, json_object_get(d->json, "listeners"), prefix, e);
	if (rc == 0)
		rc = build_clusters(d, json_object_get(d->json, "clusters"), prefix, e);
	if (rc == 0)
		rc = phx_ctl_canonical_digest(d->json, d->digest);
	if (rc == -ENOMEM)
		(void)phx_ctl_error_set(e, PHX_INTERNAL, "out of memory");
	return rc;
}

int phx_ctl_document_parse(json_t *json, const char *prefix, struct phx_ctl_document **out_document,
	struct phx_ctl_error *e)
{
	struct phx_ctl_document *d = calloc(1, sizeof(*d));
	int rc = -ENOMEM;

	if (d == NULL) {
		(void)phx_ctl_error_set(e, PHX_INTERNAL, "out of memory");
		return -ENOMEM;
	}
	rc = phx_ctl_canonical_make(json, prefix, &d->json, e);
	if (rc == 0) {
		d->generation = strtoull(get_string(d->json, "generation", "0"), NULL, 10);
		rc = build_all(d, prefix, e);
	}
	if (rc != 0) {
		phx_ctl_document_destroy(d);
		return rc;
	}
	*out_document = d;
	return 0;
}

void phx_ctl_document_destroy(struct phx_ctl_document *d)
{
	if (d == NULL)
		return;
	for (size_t i = 0; i < d->attach_count; i++)
		free((void *)d->attach[i].labels);
	for (size_t i = 0; i < d->listener_count; i++)
		free((void *)d->listeners[i].peers);
	for (size_t i = 0; i < d->cluster_count; i++)
		free((void *)d->clusters[i].endpoints);
	free((void *)d->clusters);
	free((void *)d->attach);
	free((void *)d->registers);
	free((void *)d->listeners);
	free((void *)d->peers);
	json_decref(d->json);
	free(d);
}

static bool id_matches(uint32_t want, uint32_t have)
{
	return want == PHX_CTL_ID_ANY || want == have;
}

const struct phx_ctl_attach_rule *phx_ctl_attach_find(
	const struct phx_ctl_document *d, uint32_t uid, uint32_t gid)
{
	for (size_t i = 0; i < d->attach_count; i++)
		if (id_matches(d->attach[i].uid, uid) && id_matches(d->attach[i].gid, gid))
			return &d->attach[i];
	return NULL;
}

const struct phx_ctl_register_rule *phx_ctl_register_find(const struct phx_ctl_document *d,
	const char *service, const char *group, uint32_t uid, uint32_t gid)
{
	for (size_t i = 0; i < d->register_count; i++) {
		const struct phx_ctl_register_rule *r = &d->registers[i];

		if (id_matches(r->uid, uid) && id_matches(r->gid, gid) &&
			fnmatch(r->service, service, 0) == 0 && fnmatch(r->group, group, 0) == 0)
			return r;
	}
	return NULL;
}

bool phx_ctl_listener_admits(const struct phx_ctl_listener_entry *l, const struct sockaddr *address)
{
	static const struct phx_ctl_network loopback[] = {
		{.family = AF_INET, .bytes = {127}, .prefix = 8},
		{.family = AF_INET6, .bytes = {[15] = 1}, .prefix = 128},
	};

	if (l->peer_count == 0)
		return phx_ctl_network_has(&loopback[0], address) ||
		       phx_ctl_network_has(&loopback[1], address);
	for (size_t i = 0; i < l->peer_count; i++)
		if (phx_ctl_network_has(&l->peers[i]->network, address))
			return true;
	return false;
}
