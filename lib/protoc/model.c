// SPDX-License-Identifier: BSD-3-Clause
// From a CodeGeneratorRequest to the model: reads every file, nested types flattened behind
// their parents. model_resolve.c then links the types.
#include "lib/protoc/model.h"

#include "lib/protoc/codec.h"
#include "lib/protoc/descriptor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *c_name(struct arena *arena, const char *full)
{
	char *s = arena_printf(arena, "%s", full);

	for (char *p = s; p && *p; p++)
		if (*p == '.')
			*p = '_';
	return s;
}

static const char *join(struct arena *arena, const char *scope, const char *name)
{
	return scope && *scope ? arena_printf(arena, "%s.%s", scope, name) : name;
}

static uint32_t count_messages(struct node n, uint32_t number)
{
	uint32_t total = node_count(n, number), count = total;

	for (uint32_t i = 0; i < count; i++)
		total += count_messages(node_at(n, number, i), MESSAGE_NESTED);
	return total;
}

static uint32_t count_enums(struct node n, uint32_t enums, uint32_t messages)
{
	uint32_t total = node_count(n, enums);

	for (uint32_t i = 0; i < node_count(n, messages); i++)
		total += count_enums(node_at(n, messages, i), MESSAGE_ENUM, MESSAGE_NESTED);
	return total;
}

static void read_enums(
	struct arena *a, struct model_file *file, struct node n, uint32_t number, const char *scope)
{
	for (uint32_t i = 0; i < node_count(n, number); i++) {
		struct node from = node_at(n, number, i);
		struct model_enum *e = arena_alloc(a, sizeof(*e));

		if (!e)
			return;
		e->full = join(a, scope, node_string(a, from, ENUM_NAME));
		e->c = c_name(a, e->full);
		e->value_count = node_count(from, ENUM_VALUE);
		e->value_names = arena_alloc(a, (e->value_count + 1) * sizeof(e->value_names[0]));
		e->values = arena_alloc(a, (e->value_count + 1) * sizeof(e->values[0]));
		if (!e->values || !e->value_names)
			return;
		for (uint32_t k = 0; k < e->value_count; k++) {
			struct node v = node_at(from, ENUM_VALUE, k);

			e->value_names[k] = node_string(a, v, ENUM_VALUE_NAME);
			e->values[k] = (int32_t)node_number(v, ENUM_VALUE_NUMBER);
		}
		file->enums[file->enum_count++] = e;
	}
}

static void read_field(struct arena *a, struct model_field *f, struct node n)
{
	struct node options = node_message(n, FIELD_OPTIONS);
	bool repeated = node_number(n, FIELD_LABEL) == LABEL_REPEATED;

	f->name = node_string(a, n, FIELD_NAME);
	f->number = node_number(n, FIELD_NUMBER);
	f->kind = (uint8_t)node_number(n, FIELD_TYPE);
	f->type = node_string(a, n, FIELD_TYPE_NAME);
	if (f->type && f->type[0] == '.')
		f->type++;
	if (repeated) {
		f->flags |= PHX_FIELD_REPEATED;
		if (f->kind != PHX_KIND_STRING && f->kind != PHX_KIND_BYTES &&
			f->kind != PHX_KIND_MESSAGE &&
			(!node_has(options, FIELD_OPTION_PACKED) ||
				node_number(options, FIELD_OPTION_PACKED)))
			f->flags |= PHX_FIELD_PACKED;
	} else if (node_number(n, FIELD_OPTIONAL)) {
		if (f->kind != PHX_KIND_MESSAGE)
			f->flags |= PHX_FIELD_PRESENCE;
	} else if (node_has(n, FIELD_ONEOF)) {
		f->flags |= PHX_FIELD_ONEOF;
		f->bit = (uint16_t)node_number(n, FIELD_ONEOF);
	}
}

static int by_number(const void *a, const void *b)
{
	const struct model_field *x = a, *y = b;

	return x->number < y->number ? -1 : x->number > y->number;
}

// Only real oneofs count: protoc puts the synthetic ones of `optional` behind them.
static uint32_t real_oneofs(const struct model_message *m)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < m->field_count; i++)
		if (m->fields[i].flags & PHX_FIELD_ONEOF && m->fields[i].bit >= count)
			count = m->fields[i].bit + 1u;
	return count;
}

static void read_messages(
	struct arena *a, struct model_file *file, struct node n, uint32_t number, const char *scope)
{
	for (uint32_t i = 0; i < node_count(n, number); i++) {
		struct node from = node_at(n, number, i);
		struct model_message *m = arena_alloc(a, sizeof(*m));

		if (!m)
			return;
		m->file = file;
		m->full = join(a, scope, node_string(a, from, MESSAGE_NAME));
		m->c = c_name(a, m->full);
		m->map_entry =
			node_number(node_message(from, MESSAGE_OPTIONS), MESSAGE_OPTION_MAP_ENTRY);
		m->field_count = node_count(from, MESSAGE_FIELD);
		m->fields = arena_alloc(a, (m->field_count + 1) * sizeof(m->fields[0]));
		if (!m->fields)
			return;
		for (uint32_t k = 0; k < m->field_count; k++)
			read_field(a, &m->fields[k], node_at(from, MESSAGE_FIELD, k));
		qsort(m->fields, m->field_count, sizeof(m->fields[0]), by_number);
		m->oneof_count = real_oneofs(m);
		m->oneofs = arena_alloc(a, (m->oneof_count + 1) * sizeof(m->oneofs[0]));
		if (!m->oneofs)
			return;
		for (uint32_t k = 0; k < m->oneof_count; k++)
			m->oneofs[k].name =
				node_string(a, node_at(from, MESSAGE_ONEOF, k), ONEOF_NAME);
		file->messages[file->message_count++] = m;
		read_enums(a, file, from, MESSAGE_ENUM, m->full);
		read_messages(a, file, from, MESSAGE_NESTED, m->full);
	}
}

static void read_method(struct arena *a, struct model_method *m, struct node n)
{
	m->name = node_string(a, n, METHOD_NAME);
	m->input_type = node_string(a, n, METHOD_INPUT);
	m->output_type = node_string(a, n, METHOD_OUTPUT);
	if (node_number(n, METHOD_CLIENT_STREAM))
		m->flags |= PHX_METHOD_CLIENT_STREAM;
	if (node_number(n, METHOD_SERVER_STREAM))
		m->flags |= PHX_METHOD_SERVER_STREAM;
	if (node_number(node_message(n, METHOD_OPTIONS), METHOD_OPTION_IDEMPOTENCY))
		m->flags |= PHX_METHOD_IDEMPOTENT;
}

static void read_services(struct arena *a, struct model_file *file, struct node n)
{
	uint32_t count = node_count(n, FILE_SERVICE);

	file->services = arena_alloc(a, (count + 1) * sizeof(file->services[0]));
	if (!file->services)
		return;
	for (uint32_t i = 0; i < count; i++) {
		struct node from = node_at(n, FILE_SERVICE, i);
		struct model_service *s = &file->services[i];

		s->name = node_string(a, from, SERVICE_NAME);
		s->full = join(a, file->package, s->name);
		s->c = c_name(a, s->full);
		s->method_count = node_count(from, SERVICE_METHOD);
		s->methods = arena_alloc(a, (s->method_count + 1) * sizeof(s->methods[0]));
		if (!s->methods)
			return;
		for (uint32_t k = 0; k < s->method_count; k++)
			read_method(a, &s->methods[k], node_at(from, SERVICE_METHOD, k));
		file->service_count++;
	}
}

// "dir/x-y.proto" -> "dir_x_y"
static const char *file_c_name(struct arena *a, const char *name)
{
	size_t len = name ? strlen(name) : 0;
	char *s;

	if (len > 6 && strcmp(name + len - 6, ".proto") == 0)
		len -= 6;
	s = arena_printf(a, "%s%.*s", len && name[0] >= '0' && name[0] <= '9' ? "_" : "", (int)len,
		name ? name : "");
	for (char *p = s; p && *p; p++)
		if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			    (*p >= '0' && *p <= '9')))
			*p = '_';
	return s;
}

static void read_file(struct arena *a, struct model_file *file, struct node n)
{
	file->name = node_string(a, n, FILE_NAME);
	file->package = node_string(a, n, FILE_PACKAGE);
	file->syntax = node_string(a, n, FILE_SYNTAX);
	file->c = file_c_name(a, file->name);
	file->proto3 = file->syntax && strcmp(file->syntax, "proto3") == 0;
	file->import_count = node_count(n, FILE_IMPORT);
	file->imports = arena_alloc(a, (file->import_count + 1) * sizeof(file->imports[0]));
	file->messages =
		arena_alloc(a, (count_messages(n, FILE_MESSAGE) + 1) * sizeof(file->messages[0]));
	file->enums = arena_alloc(
		a, (count_enums(n, FILE_ENUM, FILE_MESSAGE) + 1) * sizeof(file->enums[0]));
	if (!file->imports || !file->messages || !file->enums)
		return;
	for (uint32_t i = 0; i < file->import_count; i++)
		file->imports[i] = node_string_at(a, n, FILE_IMPORT, i);
	read_enums(a, file, n, FILE_ENUM, file->package);
	read_messages(a, file, n, FILE_MESSAGE, file->package);
	read_services(a, file, n);
}

const char *model_read(struct model *model, struct arena *arena, const void *request, size_t size)
{
	struct phx_schema *schema = NULL;
	const char *error = descriptor_bind(arena, &schema);
	struct node n;

	*model = (struct model){.arena = arena};
	if (error)
		return error;
	error = codec_decode(arena, schema, DESC_REQUEST, request, size, &n);
	if (error)
		goto free_schema;
	error = "out of memory";
	model->parameter = node_string(arena, n, REQUEST_PARAMETER);
	model->generate_count = node_count(n, REQUEST_GENERATE);
	model->generate =
		arena_alloc(arena, (model->generate_count + 1) * sizeof(model->generate[0]));
	model->file_count = node_count(n, REQUEST_FILE);
	model->files = arena_alloc(arena, (model->file_count + 1) * sizeof(model->files[0]));
	if (!model->generate || !model->files)
		goto free_schema;
	for (uint32_t i = 0; i < model->generate_count; i++)
		model->generate[i] = node_string_at(arena, n, REQUEST_GENERATE, i);
	for (uint32_t i = 0; i < model->file_count; i++)
		read_file(arena, &model->files[i], node_at(n, REQUEST_FILE, i));
	if (!arena->failed)
		error = NULL;
free_schema:
	phx_schema_free(schema);
	return error;
}

struct model_file *model_file_find(const struct model *model, const char *name)
{
	for (uint32_t i = 0; i < model->file_count; i++)
		if (strcmp(model->files[i].name, name) == 0)
			return &model->files[i];
	return NULL;
}
