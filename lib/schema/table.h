// SPDX-License-Identifier: BSD-3-Clause
// The descriptor table: one contiguous, position-independent, little-endian block of
// data that protoc-gen-phoenix writes into generated code and an application uploads.
// It is data, never code; whoever receives it binds it with phx_schema_bind(), which
// trusts nothing in it.
//
// Layout: header, messages[], fields[], services[], methods[], names. All `*_off`
// of names are byte offsets into the names area; each name there is
// {uint16 length, bytes, NUL}, 1..255 bytes of [A-Za-z0-9_.]; equal names may share an
// entry. `first_field` and `first_method` run without gaps in table order. The block ends
// with zeros up to a multiple of 8. Names of messages, services, the methods of a service
// and the fields of a message are unique. Fields of one message are contiguous and sorted by
// number. Every number below is part of the image ABI (PHX_TABLE_LAYOUT).
//
// Image ABI (what `offset` and `size` mean), computed by the generator:
// * A message's fixed part is `size` bytes, a multiple of 8, placed at an 8-byte
//   aligned position. It starts with `presence_words` 32-bit words of presence bits (for
//   `optional` scalars, strings and bytes only; message fields are present when their
//   reference is not null), then one 32-bit case word per oneof (the field number
//   that is set, 0 = none), then the fields: all 8-byte ones first, in number order,
//   then 4-byte, then 1-byte ones. The first 8-byte field starts at the next multiple of
//   8. Members of a oneof have storage of their own (no overlap); those not selected are
//   zero. Padding is zero. A message without fields has size 8 (zeros), never 0. These rules
//   give every offset and size exactly; a table that says otherwise is refused.
// * presence_words is the number of PHX_FIELD_PRESENCE fields / 32, rounded up; their
//   `bit`s are distinct. Every oneof number below oneof_count has a member. A oneof whose
//   case word selects a message member has a non-null reference there.
// * double, int64, uint64, sint64, fixed64, sfixed64: 8 bytes. float, 32-bit
//   integers, enums (open, int32): 4. bool: 1 byte, 0 or 1.
// * string, bytes, nested message, repeated, map: a reference of 8 bytes, 8-aligned:
//   {int32 offset from the reference itself, uint32 count}. string/bytes: count
//   bytes. message: count 1. repeated: count elements. The null reference is {0, 0};
//   an empty string or list is the null reference too. offset is a multiple of 8.
// * The elements of repeated scalars stand packed at their own size, of repeated
//   strings/bytes/references as an array of references, of repeated messages as an
//   array of fixed parts. A map is a repeated message whose two fields are key
//   (number 1) and value (number 2), flag PHX_MSG_MAP_ENTRY.
// * Every part is padded with zeros to a multiple of 8.
// * Canonical form: parts in depth-first field order (table order = number order); the
//   root fixed part at position 0; each part directly behind the one before; a
//   reference's position plus offset equals the running cursor. For an array of
//   messages or references: the whole array first, then the parts of element 0, of
//   element 1, ... So exactly one encoding exists for given values.
#pragma once

#include <stdint.h>

#define PHX_TABLE_MAGIC	 UINT32_C(0x54584850) // "PHXT"
#define PHX_TABLE_LAYOUT 1

enum phx_kind {
	PHX_KIND_DOUBLE = 1,
	PHX_KIND_FLOAT,
	PHX_KIND_INT64,
	PHX_KIND_UINT64,
	PHX_KIND_INT32,
	PHX_KIND_FIXED64,
	PHX_KIND_FIXED32,
	PHX_KIND_BOOL,
	PHX_KIND_STRING,
	PHX_KIND_GROUP_UNUSED, // keeps the numbers of descriptor.proto's Type
	PHX_KIND_MESSAGE,
	PHX_KIND_BYTES,
	PHX_KIND_UINT32,
	PHX_KIND_ENUM,
	PHX_KIND_SFIXED32,
	PHX_KIND_SFIXED64,
	PHX_KIND_SINT32,
	PHX_KIND_SINT64,
};

enum {
	PHX_FIELD_REPEATED = 1 << 0, // list or map
	PHX_FIELD_PACKED = 1 << 1,   // how protobuf encodes the list; both are accepted
	PHX_FIELD_PRESENCE = 1 << 2, // has a presence bit (`optional`, not a message)
	PHX_FIELD_ONEOF = 1 << 3,    // member of oneof number `bit`
};

enum {
	PHX_MSG_MAP_ENTRY = 1 << 0,
};

enum {
	PHX_METHOD_CLIENT_STREAM = 1 << 0,
	PHX_METHOD_SERVER_STREAM = 1 << 1,
	PHX_METHOD_IDEMPOTENT = 1 << 2, // idempotency_level IDEMPOTENT or NO_SIDE_EFFECTS
};

struct phx_table_header {
	uint32_t magic;
	uint16_t layout;
	uint16_t header_size; // sizeof(struct phx_table_header)
	uint32_t size;	      // whole block, a multiple of 8
	uint32_t message_count;
	uint32_t field_count;
	uint32_t service_count;
	uint32_t method_count;
	uint32_t names_size;
};

struct phx_table_message {
	uint32_t name_off; // full name, "helloworld.HelloRequest"
	uint32_t first_field;
	uint16_t field_count;
	uint16_t oneof_count;
	uint16_t presence_words;
	uint16_t flags;
	uint32_t size;
	uint32_t reserved; // 0
};

struct phx_table_field {
	uint32_t name_off; // short name, "customer_name"
	uint32_t number;   // 1..2^29-1
	uint32_t offset;   // in the fixed part
	uint32_t message;  // index of the nested message type; 0 otherwise
	uint8_t kind;	   // enum phx_kind
	uint8_t flags;
	uint16_t bit;	   // presence bit or oneof number
	uint32_t reserved; // 0
};

struct phx_table_service {
	uint32_t name_off; // full name, "helloworld.Greeter"
	uint32_t first_method;
	uint32_t method_count;
	uint32_t reserved; // 0
};

struct phx_table_method {
	uint32_t name_off; // "SayHello"
	uint32_t input;	   // message index
	uint32_t output;   // message index
	uint32_t flags;
};

_Static_assert(sizeof(struct phx_table_header) == 32, "table ABI");
_Static_assert(sizeof(struct phx_table_message) == 24, "table ABI");
_Static_assert(sizeof(struct phx_table_field) == 24, "table ABI");
_Static_assert(sizeof(struct phx_table_service) == 16, "table ABI");
_Static_assert(sizeof(struct phx_table_method) == 16, "table ABI");
