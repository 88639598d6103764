// SPDX-License-Identifier: BSD-3-Clause
// Binding of good and hostile descriptor tables, look-ups and hashes.
#include "lib/schema/schema.h"

#include "lib/base/bits.h"
#include "lib/base/clock.h"
#include "lib/base/compiler.h"
#include "lib/base/limits.h"
#include "tests/unit/lib/schema/build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define FIELD(n, num, k, ...)                                                                      \
	{                                                                                          \
		.name = n, .number = num, .kind = PHX_KIND_##k, __VA_ARGS__                        \
	}

static struct phx_schema *bind_ok(
	const struct t_message *messages, const struct t_service *services)
{
	struct phx_schema *schema = NULL;
	const char *error = NULL;
	size_t size;
	uint8_t *table = t_table(messages, services, &size);

	if (phx_schema_bind(table, size, &schema, &error) != 0)
		fail_msg("%s", error);
	free(table);
	return schema;
}

static void bind_all_features_gives_lookups(void **state)
{
	struct phx_schema *s = t_all_schema();
	const struct phx_message *m;
	size_t size;

	(void)state;
	assert_int_equal(phx_schema_message_count(s), 8);
	assert_int_equal(phx_schema_message_find(s, "t.Inner"), T_INNER);
	assert_int_equal(phx_schema_message_find(s, "t.Nope"), -ENOENT);
	assert_int_equal(phx_schema_service_count(s), 2);
	assert_int_equal(phx_schema_service_find(s, "t.Other"), 1);
	assert_int_equal(phx_schema_service_find(s, "t"), -ENOENT);
	assert_string_equal(phx_schema_service_name(s, 0), "t.Service");
	assert_int_equal(phx_schema_method_count(s, 0), 2);
	assert_int_equal(phx_schema_method_find(s, 0, "Watch"), 1);
	assert_int_equal(phx_schema_method_find(s, 0, "Ping"), -ENOENT);
	assert_int_equal(phx_schema_method_find(s, 1, "Ping"), 0);
	assert_int_equal(phx_schema_method(s, 0, 1)->output, T_MANY);
	assert_int_equal(phx_schema_method(s, 1, 0)->flags, PHX_METHOD_IDEMPOTENT);
	m = phx_schema_message(s, T_ALL);
	assert_string_equal(phx_message_field(m, 200)->name, "opt_flag");
	assert_null(phx_message_field(m, 199));
	assert_null(phx_message_field(m, 0));
	assert_int_equal(phx_message_field_named(m, "pick_text")->number, 13);
	assert_null(phx_message_field_named(m, "pick"));
	assert_int_equal(phx_schema_message(s, T_EMPTY)->size, 8);
	assert_non_null(phx_schema_table(s, &size));
	assert_true(size % 8 == 0);
	phx_schema_free(s);
	phx_schema_free(NULL);
}

static void bind_empty_table_is_legal(void **state)
{
	static const struct t_message none[] = {{NULL}};
	struct phx_schema *s = bind_ok(none, NULL);

	(void)state;
	assert_int_equal(phx_schema_message_find(s, "a"), -ENOENT);
	phx_schema_free(s);
}

// One way to break the table of t_all_*: a value of width bytes written at p.
static void expect_refused(
	uint8_t *table, size_t size, uint8_t *p, uint32_t value, int width, const char *expected)
{
	struct phx_schema *s = NULL;
	const char *error = NULL;
	uint8_t old[4];
	int rc;

	memcpy(old, p, 4);
	if (width == 1)
		*p = (uint8_t)value;
	else if (width == 2)
		phx_le16_store(p, (uint16_t)value);
	else
		phx_le32_store(p, value);
	rc = phx_schema_bind(table, size, &s, &error);
	memcpy(p, old, 4);
	if (rc != -EPROTO && rc != -E2BIG)
		fail_msg("accepted: %s", expected);
	assert_string_equal(error, expected);
	assert_null(s);
}

static void bind_hostile_header_is_refused(void **state)
{
	size_t size;
	uint8_t *t = t_table(t_all_messages, t_all_services, &size);

	(void)state;
	expect_refused(t, size, t, 1, 4, "header");
	expect_refused(t, size, t + 4, 2, 2, "layout version");
	expect_refused(t, size, t + 6, 31, 2, "header");
	expect_refused(t, size, t + 8, (uint32_t)size + 8, 4, "size");
	for (int i = 12; i < 28; i += 4) {
		expect_refused(t, size, t + i, UINT32_MAX, 4,
			"too many messages, fields, services or methods");
		expect_refused(t, size, t + i, phx_le32_load(t + i) + 1, 4, "size");
	}
	expect_refused(t, size, t + 28, UINT32_MAX, 4, "size");
	expect_refused(t, size, t + 28, 0, 4, "size");
	free(t);
}

static void bind_hostile_message_is_refused(void **state)
{
	size_t size;
	uint8_t *t = t_table(t_all_messages, t_all_services, &size);
	uint8_t *m = t_raw_message(t, T_INNER);

	(void)state;
	expect_refused(t, size, m, UINT32_MAX, 4, "message name");
	expect_refused(t, size, m, 1, 4, "message name");
	expect_refused(t, size, m, phx_le32_load(t_raw_message(t, T_ALL)), 4, "name used twice");
	expect_refused(t, size, m + 4, 0, 4, "fields of a message");
	expect_refused(t, size, m + 8, UINT16_MAX, 2, "fields of a message");
	expect_refused(t, size, m + 10, 1, 2, "oneof without a member");
	expect_refused(t, size, m + 10, UINT16_MAX, 2, "oneof count");
	expect_refused(t, size, m + 12, 1, 2, "presence words");
	expect_refused(t, size, m + 14, 2, 2, "message flags");
	expect_refused(t, size, m + 14, PHX_MSG_MAP_ENTRY, 2, "map entry outside a map");
	expect_refused(t, size, m + 16, 8, 4, "message size");
	expect_refused(t, size, m + 16, UINT32_MAX, 4, "message size");
	expect_refused(t, size, m + 20, 1, 4, "message flags");
	m = t_raw_message(t, T_EMPTY);
	expect_refused(t, size, m + 16, 0, 4, "message size");
	free(t);
}

static void bind_hostile_field_is_refused(void **state)
{
	size_t size;
	uint8_t *t = t_table(t_all_messages, t_all_services, &size);
	uint8_t *f = t_raw_field(t, 1); // All.name

	(void)state;
	expect_refused(t, size, f, 1u << 31, 4, "field name");
	expect_refused(t, size, f, phx_le32_load(t_raw_field(t, 0)), 4, "name used twice");
	expect_refused(t, size, f + 4, 0, 4, "field number");
	expect_refused(t, size, f + 4, 1u << 29, 4, "field number");
	expect_refused(t, size, f + 4, 1, 4, "order of fields");
	expect_refused(t, size, f + 4, 3, 4, "order of fields");
	expect_refused(t, size, f + 8, 4, 4, "field offset");
	expect_refused(t, size, f + 8, phx_le32_load(t_raw_field(t, 2) + 8), 4, "field offset");
	expect_refused(t, size, f + 8, UINT32_MAX - 7, 4, "field offset");
	expect_refused(t, size, f + 12, 1, 4, "nested type of a scalar");
	expect_refused(t, size, t_raw_field(t, 3) + 12, 8, 4, "nested type");
	expect_refused(t, size, t_raw_field(t, 3) + 12, T_MAP_SI, 4, "map entry outside a map");
	expect_refused(t, size, f + 16, 0, 1, "field kind");
	expect_refused(t, size, f + 16, PHX_KIND_GROUP_UNUSED, 1, "field kind");
	expect_refused(t, size, f + 16, 19, 1, "field kind");
	expect_refused(t, size, f + 17, 16, 1, "field flags");
	expect_refused(t, size, f + 17, PHX_FIELD_PACKED, 1, "packed field");
	expect_refused(
		t, size, f + 17, PHX_FIELD_REPEATED | PHX_FIELD_PRESENCE, 1, "list with presence");
	expect_refused(t, size, f + 17, PHX_FIELD_ONEOF | PHX_FIELD_PRESENCE, 1, "presence bit");
	expect_refused(t, size, t_raw_field(t, 3) + 17, PHX_FIELD_PRESENCE, 1, "presence bit");
	expect_refused(t, size, t_raw_field(t, 9) + 18, 1, 2, "presence bit used twice");
	expect_refused(t, size, t_raw_field(t, 9) + 18, 32, 2, "presence bit");
	expect_refused(t, size, t_raw_field(t, 9) + 18, UINT16_MAX, 2, "presence bit");
	expect_refused(t, size, t_raw_field(t, 11) + 18, 2, 2, "oneof number");
	expect_refused(t, size, f + 18, 1, 2, "field bit");
	expect_refused(t, size, f + 20, 1, 4, "field flags");
	free(t);
}

static void bind_hostile_name_is_refused(void **state)
{
	size_t size;
	uint8_t *t = t_table(t_all_messages, t_all_services, &size);
	uint8_t *name = t_raw_method(t, 3); // the names follow the last method

	(void)state;
	expect_refused(t, size, name, 0, 2, "message name");
	expect_refused(t, size, name, PHX_LIMIT_NAME_BYTES + 1, 2, "message name");
	expect_refused(t, size, name, UINT16_MAX, 2, "message name");
	expect_refused(t, size, name, 4, 2, "message name"); // no NUL there
	expect_refused(t, size, name + 2, '/', 1, "message name");
	expect_refused(t, size, name + 2, 0xc3, 1, "message name");
	free(t);
}

static void bind_hostile_map_and_service_are_refused(void **state)
{
	size_t size;
	uint8_t *t = t_table(t_all_messages, t_all_services, &size);
	uint32_t entry = phx_le32_load(t_raw_message(t, T_MAP_SI) + 4);

	(void)state;
	expect_refused(t, size, t_raw_field(t, entry) + 16, PHX_KIND_BYTES, 1, "map key kind");
	expect_refused(t, size, t_raw_field(t, entry) + 4, 0, 4, "field number");
	expect_refused(t, size, t_raw_field(t, entry + 1) + 4, 3, 4, "map entry fields");
	expect_refused(t, size, t_raw_service(t, 0), UINT32_MAX, 4, "service name");
	expect_refused(t, size, t_raw_service(t, 0), phx_le32_load(t_raw_service(t, 1)), 4,
		"name used twice");
	expect_refused(t, size, t_raw_service(t, 0) + 4, 1, 4, "methods of a service");
	expect_refused(t, size, t_raw_service(t, 1) + 8, 2, 4, "methods of a service");
	expect_refused(t, size, t_raw_service(t, 1) + 8, 0, 4, "method of no service");
	expect_refused(t, size, t_raw_method(t, 0) + 4, 8, 4, "method type");
	expect_refused(t, size, t_raw_method(t, 0) + 4, T_MAP_SI, 4, "map entry outside a map");
	expect_refused(t, size, t_raw_method(t, 0) + 8, UINT32_MAX, 4, "method type");
	expect_refused(t, size, t_raw_method(t, 0) + 12, 8, 4, "method flags");
	expect_refused(t, size, t_raw_method(t, 0), phx_le32_load(t_raw_method(t, 1)), 4,
		"name used twice");
	free(t);
}

static void bind_truncated_table_is_refused(void **state)
{
	struct phx_schema *s = NULL;
	size_t size;
	uint8_t *t = t_table(t_all_messages, t_all_services, &size);

	(void)state;
	for (size_t n = 0; n < size; n++) {
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, t, n);
		assert_int_equal(phx_schema_bind(copy, n, &s, NULL), -EPROTO);
		if (n >= 12)
			phx_le32_store(copy + 8, (uint32_t)n);
		assert_int_equal(phx_schema_bind(copy, n, &s, NULL), -EPROTO);
		free(copy);
	}
	free(t);
}

static void bind_oversized_table_is_refused(void **state)
{
	struct phx_schema *s = NULL;
	const char *error;
	uint8_t *t = calloc(1, PHX_LIMIT_SCHEMA_BYTES_MAX + 8);

	(void)state;
	assert_int_equal(phx_schema_bind(t, PHX_LIMIT_SCHEMA_BYTES_MAX + 8, &s, &error), -E2BIG);
	free(t);
}

// A table of messages with `fields` int64 fields each, message i refers to i + 1 (mod n).
static uint8_t *large_table(uint32_t messages, uint32_t fields, size_t *out_size)
{
	uint32_t n = messages * (fields + 1);
	uint32_t names = (messages + fields + 1) * 12;
	size_t size = phx_align_up(32 + messages * 24u + n * 24u + names, 8);
	uint8_t *t = calloc(1, size), *name;

	memcpy(t,
		&(struct phx_table_header){PHX_TABLE_MAGIC, PHX_TABLE_LAYOUT, 32, (uint32_t)size,
			messages, n, 0, 0, names},
		32);
	name = t_raw_method(t, 0);
	for (uint32_t i = 0; i < messages + fields + 1; i++, name += 12) {
		phx_le16_store(name, 9);
		(void)snprintf((char *)name + 2, 10, "name%05u", i % 100000);
	}
	for (uint32_t m = 0; m < messages; m++) {
		struct phx_table_message tm = {.name_off = m * 12,
			.first_field = m * (fields + 1),
			.field_count = (uint16_t)(fields + 1),
			.size = (fields + 1) * 8};

		memcpy(t_raw_message(t, m), &tm, sizeof(tm));
		for (uint32_t f = 0; f <= fields; f++) {
			struct phx_table_field tf = {.name_off = (messages + f) * 12,
				.number = f + 1,
				.offset = f * 8,
				.kind = PHX_KIND_INT64};

			if (f == fields) {
				tf.kind = PHX_KIND_MESSAGE;
				tf.message = (m + 1) % messages;
			}
			memcpy(t_raw_field(t, tm.first_field + f), &tf, sizeof(tf));
		}
	}
	*out_size = size;
	return t;
}

static uint64_t bind_ns(uint32_t messages, uint32_t fields, int rounds)
{
	struct phx_schema *s;
	uint64_t best = UINT64_MAX;
	size_t size;
	uint8_t *t = large_table(messages, fields, &size);

	for (int i = 0; i < rounds; i++) {
		uint64_t start = phx_clock_ns();

		assert_int_equal(phx_schema_bind(t, size, &s, NULL), 0);
		best = phx_min(best, phx_clock_ns() - start);
		phx_schema_free(s);
	}
	free(t);
	return best;
}

static void bind_thousand_fields_is_fast(void **state)
{
	uint64_t one = bind_ns(1, 999, 5), many = bind_ns(100, 9, 5), most = bind_ns(4096, 7, 1);

	(void)state;
	print_message(
		"bind 1,000 fields: %.3f ms in 1 message, %.3f ms in 100; 32,768 fields: %.1f ms\n",
		(double)one / 1e6, (double)many / 1e6, (double)most / 1e6);
#ifdef __OPTIMIZE__
	if (getenv("PHX_TEST_SLOW") == NULL) // set under sanitizers and emulators
		assert_true(one < 1000000 && many < 1000000);
#endif
	assert_true(most < 2000000000);
}

static void hash_ignores_message_order_and_strangers(void **state)
{
	static const struct t_message a[] = {
		{"A", 0, {FIELD("b", 1, MESSAGE, .message = 1), FIELD("x", 2, INT64)}},
		{"B", 0,
			{FIELD("a", 1, MESSAGE, .message = 0),
				FIELD("c", 2, MESSAGE, .message = 2)}},
		{"C", 0, {FIELD("s", 1, STRING)}},
		{NULL},
	};
	static const struct t_message b[] = {
		{"Stranger", 0, {FIELD("a", 1, MESSAGE, .message = 3)}},
		{"C", 0, {FIELD("s", 1, STRING)}},
		{"B", 0,
			{FIELD("a", 1, MESSAGE, .message = 3),
				FIELD("c", 2, MESSAGE, .message = 1)}},
		{"A", 0, {FIELD("b", 1, MESSAGE, .message = 2), FIELD("x", 2, INT64)}},
		{NULL},
	};
	static const struct t_service sa[] = {{"S", {{"M", 0, 1, 0}, {"N", 2, 2, 0}}}, {NULL}};
	static const struct t_service sb[] = {{"S", {{"N", 1, 1, 0}, {"M", 3, 2, 0}}}, {NULL}};
	struct phx_schema *x = bind_ok(a, sa), *y = bind_ok(b, sb);
	struct phx_hash128 hx, hy;

	(void)state;
	for (uint32_t i = 0; i < 3; i++) {
		const char *name = phx_schema_message(x, i)->name;

		hx = phx_schema_message_hash(x, i);
		hy = phx_schema_message_hash(y, (uint32_t)phx_schema_message_find(y, name));
		assert_memory_equal(&hx, &hy, sizeof(hx));
	}
	hx = phx_schema_service_hash(x, 0);
	hy = phx_schema_service_hash(y, 0);
	assert_memory_equal(&hx, &hy, sizeof(hx));
	phx_schema_free(x);
	phx_schema_free(y);
}

static void hash_sees_each_reachable_change(void **state)
{
	static const struct t_message base[] = {
		{"A", 0, {FIELD("b", 1, MESSAGE, .message = 1)}},
		{"B", 0,
			{FIELD("c", 1, MESSAGE, .message = 2),
				FIELD("a", 2, MESSAGE, .message = 0)}},
		{"C", 0, {FIELD("s", 1, INT32), FIELD("t", 2, INT32)}},
		{NULL},
	};
	struct t_message m[4];
	struct phx_schema *x = bind_ok(base, NULL), *y;
	struct phx_hash128 hx = phx_schema_message_hash(x, 0), hy;

	(void)state;
	for (int change = 0; change < 8; change++) {
		memcpy(m, base, sizeof(m));
		switch (change) {
		case 0:
			m[2].fields[0].name = "r";
			break;
		case 1:
			m[2].fields[1].number = 3;
			break;
		case 2:
			m[2].fields[0].kind = PHX_KIND_SINT32;
			break;
		case 3:
			m[2].fields[0].flags = PHX_FIELD_REPEATED;
			break;
		case 4:
			m[2].fields[0].flags = PHX_FIELD_PRESENCE;
			break;
		case 5:
			m[2].fields[0].flags = PHX_FIELD_ONEOF;
			break;
		case 6:
			m[2].name = "D";
			break;
		case 7:
			m[1].fields[0].message = 0;
			break;
		}
		y = bind_ok(m, NULL);
		hy = phx_schema_message_hash(y, 0);
		assert_memory_not_equal(&hx, &hy, sizeof(hx));
		phx_schema_free(y);
	}
	phx_schema_free(x);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bind_all_features_gives_lookups),
		cmocka_unit_test(bind_empty_table_is_legal),
		cmocka_unit_test(bind_hostile_header_is_refused),
		cmocka_unit_test(bind_hostile_message_is_refused),
		cmocka_unit_test(bind_hostile_field_is_refused),
		cmocka_unit_test(bind_hostile_name_is_refused),
		cmocka_unit_test(bind_hostile_map_and_service_are_refused),
		cmocka_unit_test(bind_truncated_table_is_refused),
		cmocka_unit_test(bind_oversized_table_is_refused),
		cmocka_unit_test(bind_thousand_fields_is_fast),
		cmocka_unit_test(hash_ignores_message_order_and_strangers),
		cmocka_unit_test(hash_sees_each_reachable_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
