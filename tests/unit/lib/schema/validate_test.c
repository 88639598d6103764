// SPDX-License-Identifier: BSD-3-Clause
// The canonical check: what is not the one encoding of a value is refused by name.
#include "lib/schema/validate.h"

#include "lib/base/bits.h"
#include "tests/unit/lib/schema/build.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct phx_schema *schema;
static struct phx_validate v;
static _Alignas(8) uint8_t buf[4096];

static int setup(void **state)
{
	(void)state;
	schema = t_all_schema();
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	phx_schema_free(schema);
	return 0;
}

static int validate(uint32_t message, uint32_t size, uint32_t max_elements)
{
	struct phx_validate_limits lim = {max_elements};
	struct phx_work work = {INT64_MAX, INT64_MAX};

	phx_validate_start(&v, schema, message, buf, size, &lim);
	return phx_validate_run(&v, &work);
}

static void expect(uint32_t message, uint32_t size, int rc, const char *error)
{
	int got = validate(message, size, 1000);

	if (got != rc || (rc < 0 && strcmp(v.error, error) != 0))
		fail_msg("%d %s instead of %d %s", got, v.error == NULL ? "" : v.error, rc, error);
}

static void put_ref(uint32_t at, int32_t off, uint32_t count)
{
	phx_le32_store(buf + at, (uint32_t)off);
	phx_le32_store(buf + at + 4, count);
}

static void run_bytes_message_boundaries(void **state)
{
	(void)state;
	memset(buf, 0, sizeof(buf));
	expect(T_BYTES, 8, 1, NULL);
	expect(T_BYTES, 0, -EPROTO, "size");
	expect(T_BYTES, 7, -EPROTO, "size");
	expect(T_BYTES, 12, -EPROTO, "size");
	expect(T_BYTES, 16, -EPROTO, "bytes behind the message");
	put_ref(0, 8, 5);
	expect(T_BYTES, 16, 1, NULL);
	expect(T_BYTES, 8, -EPROTO, "reference outside");
	expect(T_BYTES, 24, -EPROTO, "bytes behind the message");
	for (int i = 5; i < 8; i++) {
		buf[8 + i] = 1;
		expect(T_BYTES, 16, -EPROTO, "padding not zero");
		buf[8 + i] = 0;
	}
	put_ref(0, 8, 0);
	expect(T_BYTES, 16, -EPROTO, "reference not canonical"); // empty must be null
	put_ref(0, 0, 8);
	expect(T_BYTES, 16, -EPROTO, "reference not canonical");
	put_ref(0, 16, 8);
	expect(T_BYTES, 24, -EPROTO, "reference not canonical");
	put_ref(0, -8, 8);
	expect(T_BYTES, 16, -EPROTO, "reference not canonical");
	put_ref(0, 8, UINT32_MAX);
	expect(T_BYTES, 16, -EPROTO, "reference outside");
	put_ref(0, 8, 9);
	expect(T_BYTES, 16, -EPROTO, "reference outside");
}

static void run_two_strings_have_one_order(void **state)
{
	const struct phx_message *m = phx_schema_message(schema, T_MANY);
	uint32_t f = m->refs[0].offset, g = m->refs[1].offset;

	(void)state;
	memset(buf, 0, sizeof(buf));
	put_ref(f, (int32_t)(m->size - f), 2);
	put_ref(g, (int32_t)(m->size + 8 - g), 2);
	expect(T_MANY, m->size + 16, 1, NULL);
	put_ref(f, (int32_t)(m->size + 8 - f), 2);
	put_ref(g, (int32_t)(m->size - g), 2);
	expect(T_MANY, m->size + 16, -EPROTO, "reference not canonical");
	put_ref(f, (int32_t)(m->size - f), 2); // both the same part
	expect(T_MANY, m->size + 8, -EPROTO, "reference not canonical");
	put_ref(g, 0, 0);
	buf[m->size] = 0xc0;
	expect(T_MANY, m->size + 8, -EILSEQ, "utf-8");
}

static void run_guards_and_masks_are_checked(void **state)
{
	const struct phx_message *m = phx_schema_message(schema, T_ALL);

	(void)state;
	memset(buf, 0, sizeof(buf));
	expect(T_ALL, m->size, 1, NULL);
	for (uint32_t i = 0; i < m->size; i++) {
		buf[i] = 0x80; // no single bit 7 is a legal message here, but in real and opt_*
		if (validate(T_ALL, m->size, 1000) == 1)
			assert_true(phx_message_field_named(m, "real")->offset / 8 == i / 8);
		buf[i] = 0;
	}
	buf[0] = 1; // opt_int present and zero
	expect(T_ALL, m->size, 1, NULL);
	phx_le32_store(buf + phx_message_field_named(m, "opt_int")->offset, 77);
	expect(T_ALL, m->size, 1, NULL);
	buf[0] = 2;
	expect(T_ALL, m->size, -EPROTO, "value without its presence bit");
	buf[0] = 8;
	expect(T_ALL, m->size, -EPROTO, "padding not zero, bool not 0/1 or unknown presence bit");
}

static void run_element_limit_is_exact(void **state)
{
	const struct phx_message *m = phx_schema_message(schema, T_ALL);
	uint32_t at = phx_message_field_named(m, "nothings")->offset;

	(void)state;
	memset(buf, 0, sizeof(buf));
	put_ref(at, (int32_t)(m->size - at), 100);
	assert_int_equal(validate(T_ALL, m->size + 800, 101), 1);
	assert_int_equal(validate(T_ALL, m->size + 800, 100), -E2BIG);
	assert_int_equal(validate(T_ALL, m->size + 800, 0), -E2BIG);
	put_ref(at, (int32_t)(m->size - at), UINT32_MAX);
	assert_int_equal(validate(T_ALL, m->size + 800, UINT32_MAX), -E2BIG);
	put_ref(at, (int32_t)(m->size - at), UINT32_MAX - 1);
	assert_int_equal(validate(T_ALL, m->size + 800, UINT32_MAX), -EPROTO);
}

static void run_nesting_limit_is_exact(void **state)
{
	const struct phx_message *m = phx_schema_message(schema, T_NODE);
	uint32_t left = phx_message_field_named(m, "left")->offset;
	uint32_t n = PHX_LIMIT_NESTING_MAX;

	(void)state;
	memset(buf, 0, sizeof(buf));
	for (uint32_t i = 0; i + 1 < n; i++)
		put_ref(i * m->size + left, (int32_t)(m->size - left), 1);
	expect(T_NODE, n * m->size, 1, NULL);
	put_ref((n - 1) * m->size + left, (int32_t)(m->size - left), 1);
	expect(T_NODE, (n + 1) * m->size, -EPROTO, "nesting");
}

static void run_message_reference_counts_one(void **state)
{
	const struct phx_message *m = phx_schema_message(schema, T_NODE);
	uint32_t left = phx_message_field_named(m, "left")->offset;

	(void)state;
	memset(buf, 0, sizeof(buf));
	put_ref(left, (int32_t)(m->size - left), 2);
	expect(T_NODE, m->size * 3, -EPROTO, "reference to more than one message");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_bytes_message_boundaries),
		cmocka_unit_test(run_two_strings_have_one_order),
		cmocka_unit_test(run_guards_and_masks_are_checked),
		cmocka_unit_test(run_element_limit_is_exact),
		cmocka_unit_test(run_nesting_limit_is_exact),
		cmocka_unit_test(run_message_reference_counts_one),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
