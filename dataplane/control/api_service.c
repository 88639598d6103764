// SPDX-License-Identifier: BSD-3-Clause
// The noun service: what is registered on this host. Works with core/registry.
#include "dataplane/control/api.h"

#include "dataplane/frontend/session.h"

#include <stdio.h>

static json_t *hash_json(struct phx_hash128 hash)
{
	return json_sprintf(
		"%016llx%016llx", (unsigned long long)hash.hi, (unsigned long long)hash.lo);
}

static const char *kind_name(uint32_t flags)
{
	bool client = (flags & PHX_METHOD_CLIENT_STREAM) != 0;
	bool server = (flags & PHX_METHOD_SERVER_STREAM) != 0;

	if (client)
		return server ? "bidi" : "client_stream";
	return server ? "server_stream" : "unary";
}

static json_t *methods_json(const struct service_instance *in)
{
	json_t *methods = json_array();
	uint32_t i;

	for (i = 0; i < phx_schema_method_count(in->schema, in->service); i++) {
		const struct phx_method *m = phx_schema_method(in->schema, in->service, i);

		(void)json_array_append_new(
			methods, json_pack("{s:o, s:s}", "name", api_text(m->name), "kind",
					 kind_name(m->flags)));
	}
	return methods;
}

// Distinct schemas, those of the instances in order; one where all agree.
static json_t *schemas_json(const struct service_entry *e)
{
	json_t *schemas = json_array();
	uint32_t i, k;

	for (i = 0; i < e->instance_count; i++) {
		for (k = 0; k < i; k++) {
			if (e->instances[k].hash.lo == e->instances[i].hash.lo &&
				e->instances[k].hash.hi == e->instances[i].hash.hi)
				break;
		}
		if (k == i)
			(void)json_array_append_new(schemas, hash_json(e->instances[i].hash));
	}
	return schemas;
}

static json_t *service_row(const struct service_entry *e)
{
	bool up = e->instance_count != 0;
	json_t *apps = json_array(), *schemas = schemas_json(e);
	json_t *row = json_pack("{s:o, s:o, s:s, s:i, s:I}", "service", api_text(e->name), "group",
		api_text(e->group), "state", up ? "up" : "down", "instances",
		(int)e->instance_count, "owner_uid", (json_int_t)e->owner_uid);
	uint32_t i;

	for (i = 0; i < e->instance_count; i++)
		(void)json_array_append_new(
			apps, api_id_json("app", e->instances[i].session->config.id));
	(void)json_object_set_new(row, "apps", apps);
	(void)json_object_set(row, "schema", up ? json_array_get(schemas, 0) : json_null());
	(void)json_object_set_new(row, "schemas", schemas);
	(void)json_object_set_new(
		row, "methods", up ? methods_json(&e->instances[0]) : json_array());
	return row;
}

void api_service_list(void *arg, struct phx_ctl_call *call)
{
	struct api *api = arg;
	const struct service_set *set = registry_set(api->config.registry);
	json_t *rows = json_array();
	uint32_t i;

	for (i = 0; i < set->count; i++)
		(void)json_array_append_new(rows, service_row(&set->entries[i]));
	api_rows(api, call, rows);
}
