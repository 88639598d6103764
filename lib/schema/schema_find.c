// SPDX-License-Identifier: BSD-3-Clause
// Look-ups in a bound schema, by index, name and number. Works with schema.c.
#include "lib/schema/schema.h"

#include "lib/schema/schema_priv.h"

#include <errno.h>
#include <string.h>

uint32_t phx_schema_message_count(const struct phx_schema *schema)
{
	return schema->message_count;
}

const struct phx_message *phx_schema_message(const struct phx_schema *schema, uint32_t index)
{
	return phx_schema_at(schema, index);
}

int phx_schema_message_find(const struct phx_schema *schema, const char *name)
{
	uint32_t low = 0, high = schema->message_count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		int order = strcmp(name, schema->messages[schema->message_names[mid]].name);

		if (order == 0)
			return schema->message_names[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -ENOENT;
}

uint32_t phx_schema_service_count(const struct phx_schema *schema)
{
	return schema->service_count;
}

const char *phx_schema_service_name(const struct phx_schema *schema, uint32_t service)
{
	return schema->services[service].name;
}

int phx_schema_service_find(const struct phx_schema *schema, const char *name)
{
	uint32_t low = 0, high = schema->service_count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		int order = strcmp(name, schema->services[schema->service_names[mid]].name);

		if (order == 0)
			return schema->service_names[mid];
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -ENOENT;
}

uint32_t phx_schema_method_count(const struct phx_schema *schema, uint32_t service)
{
	return schema->services[service].method_count;
}

const struct phx_method *phx_schema_method(
	const struct phx_schema *schema, uint32_t service, uint32_t method)
{
	return &schema->methods[schema->services[service].first_method + method];
}

int phx_schema_method_find(const struct phx_schema *schema, uint32_t service, const char *name)
{
	const struct phx_schema_service *s = &schema->services[service];
	uint32_t low = s->first_method, high = s->first_method + s->method_count;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		uint32_t method = schema->method_names[mid];
		int order = strcmp(name, schema->methods[method].name);

		if (order == 0)
			return (int)(method - s->first_method);
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return -ENOENT;
}

uint32_t phx_schema_field_count(const struct phx_schema *schema)
{
	return schema->field_count;
}

const struct phx_field *phx_message_field(const struct phx_message *message, uint32_t number)
{
	uint32_t low = 0, high = message->field_count;

	// Most messages number their fields 1..n.
	if (number - 1 < high && message->fields[number - 1].number == number)
		return &message->fields[number - 1];
	while (low < high) {
		uint32_t mid = (low + high) / 2;

		if (message->fields[mid].number == number)
			return &message->fields[mid];
		if (number < message->fields[mid].number)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

const struct phx_field *phx_message_field_named(const struct phx_message *message, const char *name)
{
	uint32_t low = 0, high = message->field_count;

	while (low < high) {
		uint32_t mid = (low + high) / 2;
		const struct phx_field *f = &message->fields[message->by_name[mid]];
		int order = strcmp(name, f->name);

		if (order == 0)
			return f;
		if (order < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

struct phx_hash128 phx_schema_message_hash(const struct phx_schema *schema, uint32_t message)
{
	return schema->messages[message].hash;
}

struct phx_hash128 phx_schema_service_hash(const struct phx_schema *schema, uint32_t service)
{
	return schema->services[service].hash;
}
