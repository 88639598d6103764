// SPDX-License-Identifier: BSD-3-Clause
// Binding a descriptor table: builds what the walkers use from a checked table, and the
// look-ups. Works with schema_check.c (checks) and schema_hash.c (hashes).
#include "lib/schema/schema.h"

#include "lib/base/bits.h"
#include "lib/base/limits.h"
#include "lib/schema/schema_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

// At most this many methods in one table: a service is as large as its message types.
#define METHODS_MAX PHX_LIMIT_SCHEMA_FIELDS_MAX

static int read_header(struct phx_schema *schema, const char **out_error)
{
	const uint8_t *p = schema->table;
	uint64_t end = sizeof(struct phx_table_header);

	*out_error = "header";
	if (schema->size < end || phx_le32_load(p) != PHX_TABLE_MAGIC ||
		phx_le16_load(p + 6) != end)
		return -EPROTO;
	*out_error = "layout version";
	if (phx_le16_load(p + 4) != PHX_TABLE_LAYOUT)
		return -EPROTO;
	schema->message_count = phx_le32_load(p + 12);
	schema->field_count = phx_le32_load(p + 16);
	schema->service_count = phx_le32_load(p + 20);
	schema->method_count = phx_le32_load(p + 24);
	schema->names_size = phx_le32_load(p + 28);
	*out_error = "too many messages, fields, services or methods";
	if (schema->message_count > PHX_LIMIT_SCHEMA_MESSAGES_MAX ||
		schema->field_count > PHX_LIMIT_SCHEMA_FIELDS_MAX ||
		schema->service_count > PHX_LIMIT_SERVICES_MAX ||
		schema->method_count > METHODS_MAX)
		return -E2BIG;
	// The counts are bounded, so 64 bits cannot overflow.
	schema->raw_messages = p + end;
	end += (uint64_t)schema->message_count * sizeof(struct phx_table_message);
	schema->raw_fields = p + end;
	end += (uint64_t)schema->field_count * sizeof(struct phx_table_field);
	schema->raw_services = p + end;
	end += (uint64_t)schema->service_count * sizeof(struct phx_table_service);
	schema->raw_methods = p + end;
	end += (uint64_t)schema->method_count * sizeof(struct phx_table_method);
	schema->names = p + end;
	end += schema->names_size;
	*out_error = "size";
	if (phx_le32_load(p + 8) != schema->size || phx_align_up(end, 8) != schema->size)
		return -EPROTO;
	for (; end < schema->size; end++)
		if (p[end] != 0)
			return -EPROTO;
	return 0;
}

static int allocate(struct phx_schema *schema)
{
	uint64_t mask_words = 0;

	for (uint32_t i = 0; i < schema->message_count; i++)
		mask_words += phx_schema_raw_message(schema, i).size / 8 * 2;
	// One spare element each: calloc(0) may return NULL.
	schema->messages = calloc(schema->message_count + 1, sizeof(*schema->messages));
	schema->fields = calloc(schema->field_count + 1, sizeof(*schema->fields));
	schema->refs = calloc(schema->field_count + 1, sizeof(*schema->refs));
	schema->guards = calloc(schema->field_count + 1, sizeof(*schema->guards));
	schema->masks = calloc(mask_words + 1, sizeof(*schema->masks));
	schema->field_names = calloc(schema->field_count + 1, sizeof(*schema->field_names));
	schema->message_names = calloc(schema->message_count + 1, sizeof(*schema->message_names));
	schema->services = calloc(schema->service_count + 1, sizeof(*schema->services));
	schema->service_names = calloc(schema->service_count + 1, sizeof(*schema->service_names));
	schema->methods = calloc(schema->method_count + 1, sizeof(*schema->methods));
	schema->method_names = calloc(schema->method_count + 1, sizeof(*schema->method_names));
	if (schema->messages == NULL || schema->fields == NULL || schema->refs == NULL ||
		schema->guards == NULL || schema->masks == NULL || schema->field_names == NULL ||
		schema->message_names == NULL || schema->services == NULL ||
		schema->service_names == NULL || schema->methods == NULL ||
		schema->method_names == NULL)
		return -ENOMEM;
	return 0;
}

static uint8_t field_shape(const struct phx_table_field *raw)
{
	bool list = raw->flags & PHX_FIELD_REPEATED;

	if (raw->kind == PHX_KIND_MESSAGE)
		return list ? PHX_SHAPE_MESSAGE_LIST : PHX_SHAPE_MESSAGE;
	if (raw->kind == PHX_KIND_STRING || raw->kind == PHX_KIND_BYTES)
		return list ? PHX_SHAPE_LEAF_LIST : PHX_SHAPE_LEAF;
	return list ? PHX_SHAPE_SCALAR_LIST : PHX_SHAPE_SCALAR;
}

static void bind_field(const struct phx_schema *schema, uint32_t index, struct phx_field *f)
{
	struct phx_table_field raw = phx_schema_raw_field(schema, index);

	f->name = phx_schema_name(schema, raw.name_off);
	f->number = raw.number;
	f->offset = raw.offset;
	f->index = index;
	f->message = (uint16_t)raw.message;
	f->bit = raw.bit;
	f->kind = raw.kind;
	f->flags = raw.flags;
	f->shape = field_shape(&raw);
	f->width = phx_schema_kind_width(raw.kind);
}

static void bind_ref(const struct phx_schema *schema, const struct phx_field *f, struct phx_ref *r)
{
	r->offset = f->offset;
	r->index = f->index;
	r->message = f->message;
	r->shape = f->shape;
	r->text = f->kind == PHX_KIND_STRING;
	r->boolean = f->kind == PHX_KIND_BOOL;
	switch ((enum phx_shape)f->shape) {
	case PHX_SHAPE_LEAF:
		r->size = 1;
		break;
	case PHX_SHAPE_MESSAGE:
	case PHX_SHAPE_MESSAGE_LIST:
		r->size = phx_schema_raw_message(schema, f->message).size;
		break;
	case PHX_SHAPE_SCALAR:
	case PHX_SHAPE_SCALAR_LIST:
	case PHX_SHAPE_LEAF_LIST:
		r->size = f->width;
		break;
	}
}

// Both masks of a message, in the byte order of the image.
static void bind_masks(struct phx_message *m, uint64_t *masks)
{
	uint8_t *value = (uint8_t *)masks, *legal = (uint8_t *)(masks + m->size / 8);
	bool full = true;

	memset(value, 0xff, 4u * (m->presence_words + m->oneof_count));
	memset(legal + 4u * m->presence_words, 0xff, 4u * m->oneof_count);
	for (uint32_t i = 0; i < m->field_count; i++) {
		const struct phx_field *f = &m->fields[i];
		uint32_t width = f->shape == PHX_SHAPE_SCALAR ? f->width : 8;

		memset(value + f->offset, 0xff, width);
		memset(legal + f->offset, width == 1 ? 1 : 0xff, width);
		if ((f->flags & PHX_FIELD_PRESENCE) != 0)
			legal[f->bit / 8] |= (uint8_t)(1u << (f->bit % 8));
	}
	for (uint32_t i = 0; full && i < m->size; i++)
		full = legal[i] == 0xff;
	m->value_mask = full ? NULL : masks;
	m->legal_mask = full ? NULL : masks + m->size / 8;
}

static void bind_message(
	struct phx_schema *schema, uint32_t index, uint32_t *ref, uint32_t *guard, uint64_t **masks)
{
	struct phx_table_message raw = phx_schema_raw_message(schema, index);
	struct phx_message *m = &schema->messages[index];

	m->name = phx_schema_name(schema, raw.name_off);
	m->fields = &schema->fields[raw.first_field];
	m->refs = &schema->refs[*ref];
	m->guards = &schema->guards[*guard];
	m->by_name = &schema->field_names[raw.first_field];
	m->size = raw.size;
	m->field_count = raw.field_count;
	m->oneof_count = raw.oneof_count;
	m->presence_words = raw.presence_words;
	m->map_entry = raw.flags & PHX_MSG_MAP_ENTRY;
	for (uint32_t i = 0; i < raw.field_count; i++) {
		struct phx_field *f = &schema->fields[raw.first_field + i];

		bind_field(schema, raw.first_field + i, f);
		if (f->shape != PHX_SHAPE_SCALAR) {
			bind_ref(schema, f, &schema->refs[(*ref)++]);
			m->ref_count++;
		}
		if ((f->flags & (PHX_FIELD_PRESENCE | PHX_FIELD_ONEOF)) != 0) {
			schema->guards[(*guard)++] = (struct phx_guard){
				.offset = f->offset,
				.number = f->number,
				.bit = f->bit,
				.width = f->shape == PHX_SHAPE_SCALAR ? f->width : 8,
				.oneof = f->flags & PHX_FIELD_ONEOF,
				.message = f->kind == PHX_KIND_MESSAGE,
			};
			m->guard_count++;
		}
	}
	bind_masks(m, *masks);
	*masks += m->size / 8 * 2;
}

static void bind_services(struct phx_schema *schema)
{
	for (uint32_t i = 0; i < schema->service_count; i++) {
		struct phx_table_service raw = phx_schema_raw_service(schema, i);

		schema->services[i].name = phx_schema_name(schema, raw.name_off);
		schema->services[i].first_method = raw.first_method;
		schema->services[i].method_count = raw.method_count;
	}
	for (uint32_t i = 0; i < schema->method_count; i++) {
		struct phx_table_method raw = phx_schema_raw_method(schema, i);

		schema->methods[i] = (struct phx_method){
			.name = phx_schema_name(schema, raw.name_off),
			.input = raw.input,
			.output = raw.output,
			.flags = raw.flags,
		};
	}
}

static int compare_fields(const void *a, const void *b, void *arg)
{
	const struct phx_field *fields = arg;

	return strcmp(fields[*(const uint16_t *)a].name, fields[*(const uint16_t *)b].name);
}

static int compare_messages(const void *a, const void *b, void *arg)
{
	const struct phx_message *messages = arg;

	return strcmp(messages[*(const uint16_t *)a].name, messages[*(const uint16_t *)b].name);
}

static int compare_services(const void *a, const void *b, void *arg)
{
	const struct phx_schema_service *services = arg;

	return strcmp(services[*(const uint16_t *)a].name, services[*(const uint16_t *)b].name);
}

static int compare_methods(const void *a, const void *b, void *arg)
{
	const struct phx_method *methods = arg;

	return strcmp(methods[*(const uint32_t *)a].name, methods[*(const uint32_t *)b].name);
}

// Fill order with 0..count-1 sorted by name. False when two names are equal.
static bool sort_names(uint16_t *order, uint32_t count,
	int (*compare)(const void *, const void *, void *), void *arg)
{
	for (uint32_t i = 0; i < count; i++)
		order[i] = (uint16_t)i;
	qsort_r(order, count, sizeof(*order), compare, arg);
	for (uint32_t i = 1; i < count; i++)
		if (compare(&order[i - 1], &order[i], arg) == 0)
			return false;
	return true;
}

static bool sort_methods(struct phx_schema *schema, const struct phx_schema_service *service)
{
	uint32_t *order = &schema->method_names[service->first_method];

	for (uint32_t i = 0; i < service->method_count; i++)
		order[i] = service->first_method + i;
	qsort_r(order, service->method_count, sizeof(*order), compare_methods, schema->methods);
	for (uint32_t i = 1; i < service->method_count; i++)
		if (compare_methods(&order[i - 1], &order[i], schema->methods) == 0)
			return false;
	return true;
}

static int sort_all(struct phx_schema *schema, const char **out_error)
{
	*out_error = "name used twice";
	for (uint32_t i = 0; i < schema->message_count; i++) {
		struct phx_message *m = &schema->messages[i];
		uint32_t first = (uint32_t)(m->fields - schema->fields);

		if (!sort_names(&schema->field_names[first], m->field_count, compare_fields,
			    &schema->fields[first]))
			return -EPROTO;
	}
	if (!sort_names(schema->message_names, schema->message_count, compare_messages,
		    schema->messages) ||
		!sort_names(schema->service_names, schema->service_count, compare_services,
			schema->services))
		return -EPROTO;
	for (uint32_t i = 0; i < schema->service_count; i++)
		if (!sort_methods(schema, &schema->services[i]))
			return -EPROTO;
	return 0;
}

static int bind_table(struct phx_schema *schema, const char **out_error)
{
	uint32_t ref = 0, guard = 0;
	uint64_t *masks;
	int rc;

	rc = read_header(schema, out_error);
	if (rc == 0)
		rc = phx_schema_check(schema, out_error);
	if (rc == 0)
		rc = allocate(schema);
	if (rc != 0)
		return rc;
	masks = schema->masks;
	for (uint32_t i = 0; i < schema->message_count; i++)
		bind_message(schema, i, &ref, &guard, &masks);
	bind_services(schema);
	rc = sort_all(schema, out_error);
	if (rc == 0)
		rc = phx_schema_hash(schema);
	return rc;
}

int phx_schema_bind(const void *table, size_t size, struct phx_schema **out, const char **out_error)
{
	const char *error = "out of memory";
	struct phx_schema *schema = NULL;
	int rc = -E2BIG;

	if (size > PHX_LIMIT_SCHEMA_BYTES_MAX) {
		error = "table too large";
		goto fail;
	}
	rc = -ENOMEM;
	schema = calloc(1, sizeof(*schema));
	if (schema == NULL)
		goto fail;
	schema->size = (uint32_t)size;
	schema->table = malloc(size + 1);
	if (schema->table == NULL)
		goto fail;
	if (size != 0)
		memcpy(schema->table, table, size);
	rc = bind_table(schema, &error);
	if (rc != 0)
		goto fail;
	*out = schema;
	return 0;
fail:
	phx_schema_free(schema);
	if (out_error != NULL)
		*out_error = rc == -ENOMEM ? "out of memory" : error;
	return rc;
}

void phx_schema_free(struct phx_schema *schema)
{
	if (schema == NULL)
		return;
	free(schema->table);
	free(schema->messages);
	free(schema->fields);
	free(schema->refs);
	free(schema->guards);
	free(schema->masks);
	free(schema->field_names);
	free(schema->message_names);
	free(schema->services);
	free(schema->service_names);
	free(schema->methods);
	free(schema->method_names);
	free(schema);
}

const void *phx_schema_table(const struct phx_schema *schema, size_t *out_size)
{
	*out_size = schema->size;
	return schema->table;
}
