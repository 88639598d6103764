// SPDX-License-Identifier: BSD-3-Clause
// The hand-written table of descriptor.proto and plugin.proto; numbers and types as in
// protobuf 3.21. These messages are proto2, which is the same on the wire.
#include "lib/protoc/descriptor.h"

#include "lib/protoc/model.h"

struct spec {
	uint8_t message;
	uint8_t kind;
	uint8_t flags;
	uint8_t nested;
	uint16_t number;
	const char *name;
};

#define STRING	    PHX_KIND_STRING, 0, 0
#define STRINGS	    PHX_KIND_STRING, PHX_FIELD_REPEATED, 0
#define INT32	    PHX_KIND_INT32, 0, 0
#define ENUM	    PHX_KIND_ENUM, 0, 0
#define BOOL	    PHX_KIND_BOOL, 0, 0
#define MESSAGE(m)  PHX_KIND_MESSAGE, 0, m
#define MESSAGES(m) PHX_KIND_MESSAGE, PHX_FIELD_REPEATED, m
#define OPTIONAL(k) k, PHX_FIELD_PRESENCE, 0

static const char *const names[DESC_COUNT] = {
	[DESC_SET] = "google.protobuf.FileDescriptorSet",
	[DESC_REQUEST] = "google.protobuf.compiler.CodeGeneratorRequest",
	[DESC_RESPONSE] = "google.protobuf.compiler.CodeGeneratorResponse",
	[DESC_RESPONSE_FILE] = "google.protobuf.compiler.CodeGeneratorResponse.File",
	[DESC_FILE] = "google.protobuf.FileDescriptorProto",
	[DESC_MESSAGE] = "google.protobuf.DescriptorProto",
	[DESC_MESSAGE_OPTIONS] = "google.protobuf.MessageOptions",
	[DESC_FIELD] = "google.protobuf.FieldDescriptorProto",
	[DESC_FIELD_OPTIONS] = "google.protobuf.FieldOptions",
	[DESC_ONEOF] = "google.protobuf.OneofDescriptorProto",
	[DESC_ENUM] = "google.protobuf.EnumDescriptorProto",
	[DESC_ENUM_VALUE] = "google.protobuf.EnumValueDescriptorProto",
	[DESC_SERVICE] = "google.protobuf.ServiceDescriptorProto",
	[DESC_METHOD] = "google.protobuf.MethodDescriptorProto",
	[DESC_METHOD_OPTIONS] = "google.protobuf.MethodOptions",
};

// By message, then number.
static const struct spec specs[] = {
	{DESC_SET, MESSAGES(DESC_FILE), SET_FILE, "file"},
	{DESC_REQUEST, STRINGS, REQUEST_GENERATE, "file_to_generate"},
	{DESC_REQUEST, STRING, REQUEST_PARAMETER, "parameter"},
	{DESC_REQUEST, MESSAGES(DESC_FILE), REQUEST_FILE, "proto_file"},
	{DESC_RESPONSE, OPTIONAL(PHX_KIND_STRING), RESPONSE_ERROR, "error"},
	{DESC_RESPONSE, OPTIONAL(PHX_KIND_UINT64), RESPONSE_FEATURES, "supported_features"},
	{DESC_RESPONSE, MESSAGES(DESC_RESPONSE_FILE), RESPONSE_FILE, "file"},
	{DESC_RESPONSE_FILE, STRING, RESPONSE_FILE_NAME, "name"},
	{DESC_RESPONSE_FILE, STRING, RESPONSE_FILE_CONTENT, "content"},
	{DESC_FILE, STRING, FILE_NAME, "name"},
	{DESC_FILE, STRING, FILE_PACKAGE, "package"},
	{DESC_FILE, STRINGS, FILE_IMPORT, "dependency"},
	{DESC_FILE, MESSAGES(DESC_MESSAGE), FILE_MESSAGE, "message_type"},
	{DESC_FILE, MESSAGES(DESC_ENUM), FILE_ENUM, "enum_type"},
	{DESC_FILE, MESSAGES(DESC_SERVICE), FILE_SERVICE, "service"},
	{DESC_FILE, STRING, FILE_SYNTAX, "syntax"},
	{DESC_MESSAGE, STRING, MESSAGE_NAME, "name"},
	{DESC_MESSAGE, MESSAGES(DESC_FIELD), MESSAGE_FIELD, "field"},
	{DESC_MESSAGE, MESSAGES(DESC_MESSAGE), MESSAGE_NESTED, "nested_type"},
	{DESC_MESSAGE, MESSAGES(DESC_ENUM), MESSAGE_ENUM, "enum_type"},
	{DESC_MESSAGE, MESSAGE(DESC_MESSAGE_OPTIONS), MESSAGE_OPTIONS, "options"},
	{DESC_MESSAGE, MESSAGES(DESC_ONEOF), MESSAGE_ONEOF, "oneof_decl"},
	{DESC_MESSAGE_OPTIONS, BOOL, MESSAGE_OPTION_MAP_ENTRY, "map_entry"},
	{DESC_FIELD, STRING, FIELD_NAME, "name"},
	{DESC_FIELD, INT32, FIELD_NUMBER, "number"},
	{DESC_FIELD, ENUM, FIELD_LABEL, "label"},
	{DESC_FIELD, ENUM, FIELD_TYPE, "type"},
	{DESC_FIELD, STRING, FIELD_TYPE_NAME, "type_name"},
	{DESC_FIELD, MESSAGE(DESC_FIELD_OPTIONS), FIELD_OPTIONS, "options"},
	{DESC_FIELD, OPTIONAL(PHX_KIND_INT32), FIELD_ONEOF, "oneof_index"},
	{DESC_FIELD, BOOL, FIELD_OPTIONAL, "proto3_optional"},
	{DESC_FIELD_OPTIONS, OPTIONAL(PHX_KIND_BOOL), FIELD_OPTION_PACKED, "packed"},
	{DESC_ONEOF, STRING, ONEOF_NAME, "name"},
	{DESC_ENUM, STRING, ENUM_NAME, "name"},
	{DESC_ENUM, MESSAGES(DESC_ENUM_VALUE), ENUM_VALUE, "value"},
	{DESC_ENUM_VALUE, STRING, ENUM_VALUE_NAME, "name"},
	{DESC_ENUM_VALUE, INT32, ENUM_VALUE_NUMBER, "number"},
	{DESC_SERVICE, STRING, SERVICE_NAME, "name"},
	{DESC_SERVICE, MESSAGES(DESC_METHOD), SERVICE_METHOD, "method"},
	{DESC_METHOD, STRING, METHOD_NAME, "name"},
	{DESC_METHOD, STRING, METHOD_INPUT, "input_type"},
	{DESC_METHOD, STRING, METHOD_OUTPUT, "output_type"},
	{DESC_METHOD, MESSAGE(DESC_METHOD_OPTIONS), METHOD_OPTIONS, "options"},
	{DESC_METHOD, BOOL, METHOD_CLIENT_STREAM, "client_streaming"},
	{DESC_METHOD, BOOL, METHOD_SERVER_STREAM, "server_streaming"},
	{DESC_METHOD_OPTIONS, ENUM, METHOD_OPTION_IDEMPOTENCY, "idempotency_level"},
};

const char *descriptor_bind(struct arena *arena, struct phx_schema **out)
{
	struct model_message *messages = arena_alloc(arena, DESC_COUNT * sizeof(*messages));
	struct model_field *fields = arena_alloc(arena, PHX_ARRAY_LEN(specs) * sizeof(*fields));
	struct model_message *list[DESC_COUNT];
	const char *error = "out of memory";
	struct text table = {0};

	if (!messages || !fields)
		return error;
	for (uint32_t i = 0; i < DESC_COUNT; i++) {
		list[i] = &messages[i];
		messages[i].full = names[i];
		messages[i].index = i;
	}
	for (size_t i = 0; i < PHX_ARRAY_LEN(specs); i++) {
		struct model_message *m = &messages[specs[i].message];

		if (m->field_count++ == 0)
			m->fields = &fields[i];
		fields[i].name = specs[i].name;
		fields[i].number = specs[i].number;
		fields[i].kind = specs[i].kind;
		fields[i].flags = specs[i].flags;
		if (specs[i].kind == PHX_KIND_MESSAGE)
			fields[i].message = &messages[specs[i].nested];
	}
	for (uint32_t i = 0; i < DESC_COUNT; i++)
		model_layout(&messages[i]);
	model_table(&table, list, DESC_COUNT, NULL, 0);
	if (!table.failed && phx_schema_bind(table.data, table.len, out, &error) == 0)
		error = NULL;
	text_fini(&table);
	return error;
}
