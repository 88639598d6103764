// SPDX-License-Identifier: BSD-3-Clause
// Binding the fields of a chain's policies to the message types of a schema, ahead of the messages.
// Control thread, except fields_find(). Works with set.c and ops.c.
#include "dataplane/policyhost/host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

uint32_t field_points(const struct phx_policy *type, const struct phx_policy_field *field)
{
	return field->points != 0 ? field->points & type->points : type->points;
}

bool field_bind(const struct policy *p, uint32_t i, const struct phx_schema *schema,
	uint32_t message, struct bound_field *out)
{
	const struct phx_policy_field *field = &p->type->fields[i];
	int rc;

	out->bound = out->differs = false;
	if (p->paths[i] == NULL)
		return true; // the operator left it out
	if (field->message != NULL &&
		strcmp(field->message, phx_schema_message(schema, message)->name) != 0)
		return true; // it is about another type
	rc = phx_path_compile(schema, message, p->paths[i], &out->path);
	// A whole message is no value.
	if (rc == 0 && out->path.steps[out->path.step_count - 1].kind == (uint8_t)PHX_KIND_MESSAGE)
		rc = -EISDIR;
	out->bound = rc == 0;
	return rc == 0 || (field->flags & PHX_POLICY_FIELD_OPTIONAL) != 0;
}

static int policy_bind(const struct chain *chain, uint32_t k, const struct phx_schema *schema,
	uint32_t message, struct chain_schema *out)
{
	const struct policy *p = chain->policies[k];
	struct chain_type *type = out->types[message];
	struct bound_field *fields;

	if (p->type->field_count == 0)
		return 0;
	fields = calloc(p->type->field_count, sizeof(*fields));
	if (fields == NULL)
		return -ENOMEM;
	type->fields[k] = fields;
	for (uint32_t i = 0; i < p->type->field_count; i++) {
		uint32_t points = field_points(p->type, &p->type->fields[i]);

		if (field_bind(p, i, schema, message, &fields[i])) {
			if (fields[i].bound)
				phx_inspect_add(out->inspect, &fields[i].path);
			continue;
		}
		for (unsigned point = 0; point < PHX_POLICY_POINT_COUNT; point++) {
			if ((points >> point & 1) != 0)
				type->failed[point] |= (uint16_t)(1u << k);
		}
	}
	return 0;
}

// A type that a method takes or returns.
static int type_bind(const struct chain *chain, const struct phx_schema *schema, uint32_t message,
	struct chain_schema *out)
{
	int rc = 0;

	if (out->types[message] != NULL)
		return 0;
	out->types[message] = calloc(1, sizeof(*out->types[message]));
	if (out->types[message] == NULL)
		return -ENOMEM;
	for (uint32_t k = 0; k < chain->count && rc == 0; k++)
		rc = policy_bind(chain, k, schema, message, out);
	return rc;
}

int fields_bind(struct chain *chain, const struct phx_schema *schema, struct chain_schema *out)
{
	int rc = 0;

	out->schema = schema;
	out->inspect = phx_inspect_create(schema);
	out->type_count = phx_schema_message_count(schema);
	out->types = calloc(out->type_count + 1, sizeof(struct chain_type *));
	if (out->inspect == NULL || out->types == NULL)
		return -ENOMEM;
	for (uint32_t s = 0; s < phx_schema_service_count(schema); s++) {
		for (uint32_t m = 0; m < phx_schema_method_count(schema, s) && rc == 0; m++) {
			const struct phx_method *method = phx_schema_method(schema, s, m);

			rc = type_bind(chain, schema, method->input, out);
			if (rc == 0)
				rc = type_bind(chain, schema, method->output, out);
		}
	}
	return rc;
}

void types_free(struct chain_type **types, uint32_t count)
{
	for (uint32_t i = 0; types != NULL && i < count; i++) {
		for (uint32_t k = 0; types[i] != NULL && k < PHX_LIMIT_CHAIN_MAX; k++)
			free(types[i]->fields[k]);
		free(types[i]);
	}
	free(types);
}

void fields_free(struct chain_schema *s)
{
	types_free(s->types, s->type_count);
	phx_inspect_free(s->inspect);
}

const struct chain_type *fields_find(
	const struct chain *chain, const struct phx_schema *schema, uint32_t type)
{
	for (uint32_t i = 0; i < chain->schema_count; i++) {
		if (chain->schemas[i].schema == schema)
			return chain->schemas[i].types[type];
	}
	return NULL;
}
