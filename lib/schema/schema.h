// SPDX-License-Identifier: BSD-3-Clause
// A bound descriptor table: the checked, private, immutable form of the block in table.h
// that all codecs walk. Works with table.h; pack, validate, proto and path read it.
// Immutable after bind: any thread may read it, one owner frees it.
#pragma once

#include "lib/base/hash.h"
#include "lib/schema/table.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// What the storage of a field is, in one word for switches.
enum phx_shape {
	PHX_SHAPE_SCALAR,	// 8, 4 or 1 bytes in the fixed part
	PHX_SHAPE_LEAF,		// reference to string or bytes
	PHX_SHAPE_MESSAGE,	// reference to one fixed part
	PHX_SHAPE_SCALAR_LIST,	// reference to packed scalars
	PHX_SHAPE_LEAF_LIST,	// reference to an array of references to string or bytes
	PHX_SHAPE_MESSAGE_LIST, // reference to an array of fixed parts (maps too)
};

struct phx_field {
	const char *name;
	uint32_t number;
	uint32_t offset;  // in the fixed part
	uint32_t index;	  // of the field in the whole table: bit number in an inspect mask
	uint16_t message; // index of the nested type (PHX_KIND_MESSAGE), else 0
	uint16_t bit;	  // presence bit or oneof number
	uint8_t kind;	  // enum phx_kind
	uint8_t flags;	  // PHX_FIELD_*
	uint8_t shape;	  // enum phx_shape
	uint8_t width;	  // bytes of one scalar (8, 4, 1); 8 for references
};

// A reference field, in the compact form that the walkers use. In number order.
struct phx_ref {
	uint32_t offset;
	uint32_t size;	  // bytes of one element: scalar, reference (8), fixed part; 1 for leaves
	uint32_t index;	  // as in phx_field
	uint16_t message; // nested type
	uint8_t shape;
	bool text;    // string: must be UTF-8
	bool boolean; // list of bool: bytes are 0 or 1
};

// A field whose value depends on a presence bit or a case word.
struct phx_guard {
	uint32_t offset;
	uint32_t number;
	uint16_t bit;
	uint8_t width;
	bool oneof;
	bool message; // selected by the case word, so its reference must not be null
};

struct phx_message {
	const char *name;
	const struct phx_field *fields; // sorted by number
	const struct phx_ref *refs;
	const struct phx_guard *guards;
	// One word per 8 bytes of the fixed part: bits that carry values (padding is 0) and
	// bits that may be 1 in a valid message (a bool is 0x01). NULL when all are.
	const uint64_t *value_mask;
	const uint64_t *legal_mask;
	const uint16_t *by_name; // field indices sorted by name
	uint32_t size;		 // of the fixed part
	uint16_t field_count;
	uint16_t ref_count;
	uint16_t guard_count;
	uint16_t oneof_count;
	uint16_t presence_words;
	bool map_entry;
	struct phx_hash128 hash; // see phx_schema_message_hash
};

struct phx_method {
	const char *name;
	uint32_t input; // message index
	uint32_t output;
	uint32_t flags; // PHX_METHOD_*
};

struct phx_schema; // opaque

// Check a table and bind it. table is a private copy that nobody changes during the call
// (its content is hostile); bind keeps a copy of its own, so the caller may free it.
// Bounded work: limits SCHEMA_*; 1,000 fields take less than 1 ms. Control thread.
// 0; -EPROTO: *out_error (if not NULL) is a static string that says what is wrong;
// -E2BIG: over a limit, *out_error names it; -ENOMEM.
int phx_schema_bind(
	const void *table, size_t size, struct phx_schema **out, const char **out_error);

// NULL is legal. No walker may still use the schema.
void phx_schema_free(struct phx_schema *schema);

// The table it was bound from (same bytes), for sending it on. Valid until free.
const void *phx_schema_table(const struct phx_schema *schema, size_t *out_size);

uint32_t phx_schema_message_count(const struct phx_schema *schema);
// index < message_count. Valid until free; never NULL.
const struct phx_message *phx_schema_message(const struct phx_schema *schema, uint32_t index);
// Index of the message with this full name, or -ENOENT.
int phx_schema_message_find(const struct phx_schema *schema, const char *name);

uint32_t phx_schema_service_count(const struct phx_schema *schema);
// Full name of service index < service_count.
const char *phx_schema_service_name(const struct phx_schema *schema, uint32_t service);
// Index of the service with this full name, or -ENOENT.
int phx_schema_service_find(const struct phx_schema *schema, const char *name);

uint32_t phx_schema_method_count(const struct phx_schema *schema, uint32_t service);
// method < method_count of the service. Valid until free.
const struct phx_method *phx_schema_method(
	const struct phx_schema *schema, uint32_t service, uint32_t method);
// Index of the method in its service, or -ENOENT.
int phx_schema_method_find(const struct phx_schema *schema, uint32_t service, const char *name);

// Number of fields of all messages: bits of an inspect mask.
uint32_t phx_schema_field_count(const struct phx_schema *schema);

// Field of a message by number or name, or NULL.
const struct phx_field *phx_message_field(const struct phx_message *message, uint32_t number);
const struct phx_field *phx_message_field_named(
	const struct phx_message *message, const char *name);

// 128-bit hash of a message: PHX_TABLE_LAYOUT and the names, numbers, kinds, labels,
// presence and oneofs of everything reachable from it. Does not depend on where messages
// stand in the table, nor on what is not reachable. Equal hash = equal image ABI.
struct phx_hash128 phx_schema_message_hash(const struct phx_schema *schema, uint32_t message);

// The same for a service: its name, and names, flags, inputs and outputs of its methods.
// Does not depend on the order of the methods.
struct phx_hash128 phx_schema_service_hash(const struct phx_schema *schema, uint32_t service);
