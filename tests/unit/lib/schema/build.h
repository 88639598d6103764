// SPDX-License-Identifier: BSD-3-Clause
// Test helpers: descriptor tables from short C descriptions, the schema with every feature,
// random messages in an arena, a counting block pool. Used by the unit tests and fuzzers.
#pragma once

#include "lib/schema/image.h"
#include "lib/schema/schema.h"

#define T_FIELDS   24
#define T_MESSAGES 12

struct t_field {
	const char *name; // NULL ends the list
	uint32_t number;
	uint8_t kind;
	uint8_t flags;	  // bits of presence are assigned in order
	uint16_t oneof;	  // with PHX_FIELD_ONEOF
	uint16_t message; // index
};

struct t_message {
	const char *name; // NULL ends the list
	uint16_t flags;
	struct t_field fields[T_FIELDS];
};

struct t_method {
	const char *name;
	uint32_t input, output, flags;
};

struct t_service {
	const char *name;
	struct t_method methods[4];
};

// Build a table in malloc'ed memory, laid out by the rules of table.h.
uint8_t *t_table(
	const struct t_message *messages, const struct t_service *services, size_t *out_size);

// Table areas, to break them in tests.
uint8_t *t_raw_message(uint8_t *table, uint32_t i);
uint8_t *t_raw_field(uint8_t *table, uint32_t i);
uint8_t *t_raw_service(uint8_t *table, uint32_t i);
uint8_t *t_raw_method(uint8_t *table, uint32_t i);

// A schema with every kind, label, presence, oneofs, maps and recursion; message 0 is
// "t.All" and refers to all others. Test.T_* below are indices.
enum { T_ALL, T_INNER, T_EMPTY, T_MAP_SI, T_MAP_IM, T_NODE, T_BYTES, T_MANY };
extern const struct t_message t_all_messages[];
extern const struct t_service t_all_services[];
struct phx_schema *t_all_schema(void);

// Pool of malloc'ed blocks that counts; fail_after >= 0: so many gets succeed.
struct t_pool {
	struct phx_block_pool pool;
	long outstanding;
	long gets;
	long fail_after;
};
void t_pool_init(struct t_pool *p);

// A bump allocator that plays the application's send heap: one region [0, size).
struct t_arena {
	uint8_t *base;
	uint32_t size;
	uint32_t used;
	struct phx_source_region region;
	struct phx_source source;
};
void t_arena_init(struct t_arena *a, uint32_t size);
void t_arena_fini(struct t_arena *a);
// Offset of zeroed 8-byte aligned memory; UINT32_MAX when it is full.
uint32_t t_alloc(struct t_arena *a, uint32_t size);
// Point the reference at offset ref to target.
void t_ref(struct t_arena *a, uint32_t ref, uint32_t target, uint32_t count);
// Allocate a leaf and refer to it from offset ref.
uint32_t t_leaf(struct t_arena *a, uint32_t ref, const void *data, uint32_t len);

// splitmix64
uint64_t t_random(uint64_t *state);

// A random message of a type in the arena, its parts in no particular order and with
// garbage in the padding. Returns its offset. big: sometimes leaves up to that size.
uint32_t t_random_message(struct t_arena *a, const struct phx_schema *schema, uint32_t message,
	uint64_t *seed, unsigned depth, uint32_t big);

// Do two messages (each: base address of offset 0, offset) have the same values?
bool t_equal(const struct phx_schema *schema, uint32_t message, const uint8_t *a, uint32_t a_off,
	const uint8_t *b, uint32_t b_off);
