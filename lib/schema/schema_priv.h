// SPDX-License-Identifier: BSD-3-Clause
// Inside of a bound schema, shared by the files of lib/schema only.
#pragma once

#include "lib/base/compiler.h"
#include "lib/schema/schema.h"

// Everything is written by bind and hash, then constant.
struct phx_schema_service {
	const char *name;
	uint32_t first_method;
	uint32_t method_count;
	struct phx_hash128 hash;
};

struct phx_schema {
	uint8_t *table; // copy of the table; names point into it
	uint32_t size;
	uint32_t message_count;
	uint32_t field_count;
	uint32_t service_count;
	uint32_t method_count;
	uint32_t names_size;
	const uint8_t *raw_messages; // areas of the table
	const uint8_t *raw_fields;
	const uint8_t *raw_services;
	const uint8_t *raw_methods;
	const uint8_t *names;
	struct phx_message *messages;
	struct phx_field *fields;
	struct phx_ref *refs;
	struct phx_guard *guards;
	uint64_t *masks;
	uint16_t *field_names;	 // per message: indices sorted by name
	uint16_t *message_names; // indices sorted by name
	struct phx_schema_service *services;
	uint16_t *service_names;
	struct phx_method *methods;
	uint32_t *method_names; // per service: indices sorted by name
};

// index < message_count.
static PHX_ALWAYS_INLINE const struct phx_message *phx_schema_at(
	const struct phx_schema *schema, uint32_t index)
{
	return &schema->messages[index];
}

// Copy of entry i of an area of the table.
struct phx_table_message phx_schema_raw_message(const struct phx_schema *schema, uint32_t i);
struct phx_table_field phx_schema_raw_field(const struct phx_schema *schema, uint32_t i);
struct phx_table_service phx_schema_raw_service(const struct phx_schema *schema, uint32_t i);
struct phx_table_method phx_schema_raw_method(const struct phx_schema *schema, uint32_t i);

// Bytes of a scalar kind (8, 4, 1); 8 for kinds that are references; 0 for no kind.
uint8_t phx_schema_kind_width(unsigned kind);

// Check everything in the table (areas are set) except the uniqueness of names.
// 0, -EPROTO or -E2BIG with *out_error, -ENOMEM.
int phx_schema_check(const struct phx_schema *schema, const char **out_error);

// Fill in the hashes of messages and services. 0 or -ENOMEM.
int phx_schema_hash(struct phx_schema *schema);

// Name at an offset of the names area, NULL when it is not a name.
const char *phx_schema_name(const struct phx_schema *schema, uint32_t off);
