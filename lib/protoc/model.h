// SPDX-License-Identifier: BSD-3-Clause
// The .proto files of one request as the plug-in sees them: types resolved, laid out for the
// image, with their C names. Everything stands in one arena. Single thread.
#pragma once

#include "lib/protoc/text.h"
#include "lib/schema/table.h"

struct model_message;
struct model_file;

struct model_enum {
	const char *full; // "pkg.Color"
	const char *c;	  // "pkg_Color"
	uint32_t value_count;
	const char **value_names;
	int32_t *values;
};

struct model_field {
	const char *name;
	const char *c; // name, with '_' behind it where C, C++ or the generated code owns the word
	const char *type; // full name of the nested type or enum
	uint32_t number;
	uint8_t kind;
	uint8_t flags; // PHX_FIELD_*
	uint16_t bit;
	uint32_t width; // in the fixed part
	uint32_t offset;
	struct model_message *message; // nested type
	struct model_enum *enumeration;
};

struct model_oneof {
	const char *name;
	const char *c;
};

struct model_message {
	const char *full;
	const char *c;
	struct model_file *file;
	struct model_field *fields; // by number
	struct model_oneof *oneofs;
	uint32_t field_count;
	uint32_t oneof_count;
	uint32_t presence_words;
	uint32_t size;
	uint32_t index; // in the table being made
	uint32_t mark;	// of the table being made
	bool map_entry;
	bool seen; // declared already in the header being written
};

struct model_method {
	const char *name;
	const char *input_type;
	const char *output_type;
	struct model_message *input;
	struct model_message *output;
	uint32_t flags; // PHX_METHOD_*
};

struct model_service {
	const char *name; // "Greeter"
	const char *full;
	const char *c;
	struct model_method *methods;
	uint32_t method_count;
};

struct model_file {
	const char *name; // "dir/x.proto"
	const char *package;
	const char *c; // "dir_x"
	const char *syntax;
	const char **imports;
	struct model_message **messages; // nested ones behind their parent
	struct model_enum **enums;
	struct model_service *services;
	uint32_t import_count;
	uint32_t message_count;
	uint32_t enum_count;
	uint32_t service_count;
	bool proto3;
};

struct model {
	struct arena *arena;
	struct model_file *files;
	uint32_t file_count;
	const char **generate; // names of the files to generate
	uint32_t generate_count;
	const char *parameter;
};

// Decode a CodeGeneratorRequest. NULL, or what is wrong (in the arena).
const char *model_read(struct model *model, struct arena *arena, const void *request, size_t size);

// Resolve type names, sort fields, compute layouts and C names. NULL, or what is wrong.
const char *model_resolve(struct model *model);

// Image layout of one message (table.h): kinds, flags and bits of its fields are set.
void model_layout(struct model_message *m);

// The table of these messages (index = position; nested types must be among them) and services.
void model_table(struct text *out, struct model_message *const *messages, uint32_t message_count,
	const struct model_service *services, uint32_t service_count);

struct model_file *model_file_find(const struct model *model, const char *name);
