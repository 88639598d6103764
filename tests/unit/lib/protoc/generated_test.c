// SPDX-License-Identifier: BSD-3-Clause
// Tests of generated code: what builders write in memory packs to a canonical image, reads
// back through readers, and means the same as protobuf. The library's three message functions
// are replaced by a plain arena here.
#include "everything.phx.h"
#include "tests/unit/lib/protoc/pipeline.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define HEAP (4u << 20)

struct phx_message {
	uint8_t *heap;
	uint32_t used;
	uint32_t limit;
	const void *root;
	const struct phx_type *type;
};

void *phx_message_alloc(struct phx_message *message, uint32_t size)
{
	uint32_t at = message->used;

	size = (size + 7) & ~7u;
	if (size > message->limit - at)
		return NULL;
	message->used += size;
	return message->heap + at;
}

int phx_message_set_root(struct phx_message *message, void *root, const struct phx_type *type)
{
	if (message->root)
		return -EINVAL;
	message->root = root;
	message->type = type;
	return 0;
}

const void *phx_message_root(const struct phx_message *message, const struct phx_type *type)
{
	return message->type == type ? message->root : NULL;
}

static struct phx_schema *schema;
static struct phx_message msg;

static int setup_group(void **state)
{
	(void)state;
	schema = pipeline_bind(everything_file.table, everything_file.size);
	return 0;
}

static int teardown_group(void **state)
{
	(void)state;
	pipeline_free(schema);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	msg = (struct phx_message){.heap = calloc(1, HEAP), .limit = HEAP};
	return msg.heap ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	free(msg.heap);
	return 0;
}

// What the other side of a call would hold: the canonical image.
static struct test_every_Every *received(const struct test_every_Every *m, size_t *out_size)
{
	uint32_t type = pipeline_message(schema, "test.every.Every");
	int rc;
	uint8_t *image = pipeline_pack(schema, type, msg.heap, HEAP, m, out_size, &rc);

	assert_int_equal(rc, 1);
	assert_int_equal(pipeline_validate(schema, type, image, *out_size), 1);
	return (struct test_every_Every *)(void *)image;
}

static void assert_encodes(const struct test_every_Every *m, const char *want, size_t want_len)
{
	uint32_t type = pipeline_message(schema, "test.every.Every");
	size_t size, len;
	struct test_every_Every *image = received(m, &size);
	int rc;
	uint8_t *out = pipeline_encode(schema, type, image, size, INT64_MAX, SIZE_MAX, &len, &rc);

	assert_int_equal(rc, 1);
	assert_int_equal(len, want_len);
	assert_memory_equal(out, want, want_len);
	free(out);
	free(image);
}

#define ENCODES(m, want) assert_encodes(m, want, sizeof(want) - 1)
#define assert_text(s, want)                                                                       \
	do {                                                                                       \
		struct phx_str text_ = (s);                                                        \
		assert_int_equal(text_.len, strlen(want));                                         \
		assert_memory_equal(text_.data, want, text_.len);                                  \
	} while (0)

static void new_root_is_read_back_by_type(void **state)
{
	struct test_every_Every *m = test_every_Every_new(&msg);

	(void)state;
	assert_non_null(m);
	assert_ptr_equal(test_every_Every_root(&msg), m);
	assert_null(test_every_Empty_root(&msg));
	assert_null(test_every_Every_new(&msg)); // has a root
	assert_string_equal(test_every_Every_phx_type.name, "test.every.Every");
	assert_int_equal(test_every_Every_phx_type.size, sizeof(*m));
	ENCODES(m, "");
}

static void scalars_set_and_read(void **state)
{
	struct test_every_Every *m = test_every_Every_new(&msg), *in;
	size_t size;

	(void)state;
	test_every_Every_set_f_double(m, 1.5);
	test_every_Every_set_f_int32(m, -1);
	test_every_Every_set_f_bool(m, true);
	test_every_Every_set_f_enum(m, test_every_Color_LOW);
	test_every_Every_set_f_sint64(m, -2);
	test_every_Every_set_int_(m, 7); // a C keyword
	in = received(m, &size);
	assert_true(test_every_Every_f_double(in) == 1.5);
	assert_int_equal(test_every_Every_f_int32(in), -1);
	assert_true(test_every_Every_f_bool(in));
	assert_int_equal(test_every_Every_f_enum(in), INT32_MIN);
	assert_int_equal(test_every_Every_f_sint64(in), -2);
	assert_int_equal(test_every_Every_int_(in), 7);
	assert_int_equal(test_every_Every_f_uint64(in), 0);
	free(in);
	ENCODES(m, "\x09\0\0\0\0\0\0\xf8\x3f\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x40\x01"
		   "\x60\x80\x80\x80\x80\xf8\xff\xff\xff\xff\x01\x80\x01\x03\xf0\x06\x07");
	test_every_Every_clear_f_double(m);
	test_every_Every_clear_f_int32(m);
	test_every_Every_clear_f_enum(m);
	ENCODES(m, "\x40\x01\x80\x01\x03\xf0\x06\x07");
}

static void strings_set_replace_and_clear(void **state)
{
	static const struct phx_bytes raw = {"\x00\xff", 2};
	struct test_every_Every *m = test_every_Every_new(&msg);

	(void)state;
	assert_text(test_every_Every_f_string(m), "");
	assert_int_equal(test_every_Every_set_f_string(&msg, m, phx_str("first")), 0);
	assert_int_equal(test_every_Every_set_f_string(&msg, m, phx_str("hello")), 0);
	assert_int_equal(test_every_Every_set_f_bytes(&msg, m, raw), 0);
	assert_text(test_every_Every_f_string(m), "hello");
	assert_int_equal(test_every_Every_f_bytes(m).len, 2);
	ENCODES(m, "\x4a\x05hello\x52\x02\x00\xff");
	test_every_Every_clear_f_string(m);
	ENCODES(m, "\x52\x02\x00\xff");
	assert_int_equal(
		test_every_Every_set_f_string(&msg, m, (struct phx_str){NULL, 1}), -EINVAL);
}

static void optional_fields_know_presence(void **state)
{
	struct test_every_Every *m = test_every_Every_new(&msg);

	(void)state;
	assert_false(test_every_Every_has_o_int32(m));
	test_every_Every_set_o_int32(m, 0);
	assert_int_equal(test_every_Every_set_o_string(&msg, m, phx_str("")), 0);
	assert_true(test_every_Every_has_o_int32(m));
	assert_true(test_every_Every_has_o_string(m));
	assert_false(test_every_Every_has_o_bytes(m));
	ENCODES(m, "\xa0\x03\x00\xb2\x03\x00");
	test_every_Every_clear_o_int32(m);
	assert_false(test_every_Every_has_o_int32(m));
	ENCODES(m, "\xb2\x03\x00");
}

static void oneof_keeps_one_member(void **state)
{
	struct test_every_Every *m = test_every_Every_new(&msg);

	(void)state;
	assert_int_equal(test_every_Every_which_choice(m), test_every_Every_choice_NOT_SET);
	test_every_Every_set_c_int32(m, 5);
	assert_int_equal(test_every_Every_which_choice(m), test_every_Every_choice_c_int32);
	assert_int_equal(test_every_Every_set_c_string(&msg, m, phx_str("x")), 0);
	assert_false(test_every_Every_has_c_int32(m));
	assert_int_equal(test_every_Every_c_int32(m), 0);
	ENCODES(m, "\xf2\x03\x01x");
	test_every_Every_Inner_set_a(test_every_Every_mut_c_inner(&msg, m), -1);
	assert_ptr_equal(test_every_Every_mut_c_inner(&msg, m), test_every_Every_c_inner(m));
	ENCODES(m, "\x82\x04\x02\x08\x01");
	test_every_Every_set_c_bool(m, false);
	ENCODES(m, "\x88\x04\x00");
	test_every_Every_clear_c_int32(m); // not the selected one
	assert_true(test_every_Every_has_c_bool(m));
	test_every_Every_clear_choice(m);
	ENCODES(m, "");
	test_every_Every_set_struct_(m, 1);
	assert_int_equal(test_every_Every_which_union_(m), test_every_Every_union_struct);
}

static void nested_messages_are_made_once(void **state)
{
	struct test_every_Every *m = test_every_Every_new(&msg), *in;
	struct test_every_Every_Inner *inner = test_every_Every_mut_f_inner(&msg, m);
	struct test_shared_Leaf *leaf = test_every_Every_mut_f_leaf(&msg, m);
	size_t size;

	(void)state;
	assert_ptr_equal(test_every_Every_mut_f_inner(&msg, m), inner);
	test_every_Every_Inner_set_mode(inner, test_every_Every_Inner_Mode_ON);
	test_shared_Leaf_set_shade(leaf, test_shared_Shade_LIGHT);
	test_shared_Leaf_Deep_set_id(test_shared_Leaf_mut_deep(&msg, leaf), 9);
	assert_non_null(test_every_Every_mut_f_empty(&msg, m));
	in = received(m, &size);
	assert_null(test_every_Every_self(in));
	assert_true(test_every_Every_has_f_empty(in));
	assert_int_equal(
		test_shared_Leaf_Deep_id(test_shared_Leaf_deep(test_every_Every_f_leaf(in))), 9);
	free(in);
	ENCODES(m, "\x8a\x01\x02\x18\x01\x92\x01\x09\x10\x07\x1a\x05\x0d\x09\0\0\0\x9a\x01\x00");
	test_every_Every_clear_f_leaf(m);
	assert_null(test_every_Every_f_leaf(m));
}

static void lists_of_scalars_grow_shrink_and_zero(void **state)
{
	struct test_every_Every *m = test_every_Every_new(&msg);

	(void)state;
	for (int32_t i = 0; i < 10000; i++)
		assert_int_equal(test_every_Every_add_r_int32(&msg, m, i), 0);
	assert_int_equal(test_every_Every_r_int32_count(m), 10000);
	for (int32_t i = 0; i < 10000; i++)
		assert_int_equal(test_every_Every_r_int32(m, (uint32_t)i), i);
	assert_int_equal(test_every_Every_resize_r_int32(&msg, m, 2), 0);
	assert_int_equal(test_every_Every_resize_r_int32(&msg, m, 4), 0);
	*test_every_Every_r_int32_mut(m, 3) = 5;
	assert_int_equal(test_every_Every_r_int32_data(m)[2], 0); // not what was there before
	assert_int_equal(test_every_Every_add_r_bool(&msg, m, true), 0);
	ENCODES(m, "\xca\x01\x04\x00\x01\x00\x05\xe2\x01\x01\x01");
	test_every_Every_clear_r_int32(m);
	assert_int_equal(test_every_Every_resize_r_bool(&msg, m, 0), 0);
	ENCODES(m, "");
}

static void lists_of_strings_and_messages_survive_moving(void **state)
{
	struct test_every_Every *m = test_every_Every_new(&msg), *in;
	char name[16];
	size_t size;

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		struct test_every_Every_Inner *e = test_every_Every_add_r_inner(&msg, m);

		(void)snprintf(name, sizeof(name), "name %u", i);
		assert_non_null(e);
		assert_int_equal(test_every_Every_Inner_set_b(&msg, e, phx_str(name)), 0);
		assert_int_equal(
			test_every_Every_Inner_add_modes(&msg, e, (test_every_Every_Inner_Mode)i),
			0);
		assert_int_equal(test_every_Every_add_r_string(&msg, m, phx_str(name)), 0);
	}
	assert_int_equal(test_every_Every_add_r_string(&msg, m, phx_str("")), 0);
	assert_int_equal(test_every_Every_set_r_string(&msg, m, 7, phx_str("seven")), 0);
	in = received(m, &size);
	assert_int_equal(test_every_Every_r_string_count(in), 301);
	for (uint32_t i = 0; i < 300; i++) {
		const struct test_every_Every_Inner *e = test_every_Every_r_inner(in, i);

		(void)snprintf(name, sizeof(name), "name %u", i);
		assert_text(test_every_Every_Inner_b(e), name);
		assert_int_equal(test_every_Every_Inner_modes(e, 0), i);
		assert_text(test_every_Every_r_string(in, i), i == 7 ? "seven" : name);
	}
	assert_text(test_every_Every_r_string(in, 300), "");
	free(in);
}

static void maps_put_find_and_replace(void **state)
{
	struct test_every_Every *m = test_every_Every_new(&msg), *in;
	const struct test_every_Every_MFixed32Entry *e;
	size_t size;

	(void)state;
	assert_null(test_every_Every_find_m_int32(m, 1));
	assert_int_equal(test_every_Every_put_m_int32(&msg, m, 1, 10), 0);
	assert_int_equal(test_every_Every_put_m_int32(&msg, m, -2, 20), 0);
	assert_int_equal(test_every_Every_put_m_int32(&msg, m, 1, 11), 0);
	assert_int_equal(test_every_Every_m_int32_count(m), 2);
	assert_int_equal(test_every_Every_put_default_(&msg, m, phx_str("k"), phx_str("v")), 0);
	assert_int_equal(test_every_Every_put_default_(&msg, m, phx_str(""), phx_str("w")), 0);
	test_every_Every_Inner_set_a(test_every_Every_put_m_fixed32(&msg, m, 5), 3);
	assert_int_equal(test_every_Every_put_m_bool(&msg, m, true, 8), 0);
	in = received(m, &size);
	assert_int_equal(
		test_every_Every_MInt32Entry_value(test_every_Every_find_m_int32(in, 1)), 11);
	assert_text(test_every_Every_DefaultEntry_value(
			    test_every_Every_find_default_(in, phx_str("k"))),
		"v");
	assert_text(test_every_Every_DefaultEntry_value(
			    test_every_Every_find_default_(in, phx_str(""))),
		"w");
	assert_null(test_every_Every_find_default_(in, phx_str("kk")));
	e = test_every_Every_find_m_fixed32(in, 5);
	assert_int_equal(test_every_Every_Inner_a(test_every_Every_MFixed32Entry_value(e)), 3);
	assert_int_equal(test_every_Every_MBoolEntry_value(test_every_Every_m_bool(in, 0)), 8);
	free(in);
}

static void builders_without_memory_leave_the_message(void **state)
{
	struct test_every_Every *m = test_every_Every_new(&msg);

	(void)state;
	test_every_Every_set_c_int32(m, 5);
	assert_int_equal(test_every_Every_put_m_int64(&msg, m, 1, phx_str("one")), 0);
	msg.limit = msg.used;
	assert_int_equal(test_every_Every_set_c_string(&msg, m, phx_str("x")), -ENOMEM);
	assert_int_equal(test_every_Every_which_choice(m), test_every_Every_choice_c_int32);
	assert_null(test_every_Every_mut_c_inner(&msg, m));
	assert_null(test_every_Every_mut_self(&msg, m));
	assert_int_equal(test_every_Every_add_r_string(&msg, m, phx_str("x")), -ENOMEM);
	assert_int_equal(test_every_Every_add_r_int32(&msg, m, 1), -ENOMEM);
	assert_null(test_every_Every_add_r_inner(&msg, m));
	assert_int_equal(test_every_Every_put_m_int64(&msg, m, 2, phx_str("two")), -ENOMEM);
	assert_int_equal(test_every_Every_put_m_int64(&msg, m, 1, phx_str("uno")), -ENOMEM);
	ENCODES(m, "\xe8\x03\x05\x92\x05\x07\x08\x01\x12\x03one");
	msg.limit += 16; // enough for the list, not for the string behind it
	assert_int_equal(test_every_Every_add_r_string(&msg, m, phx_str("longer than 8")), -ENOMEM);
	assert_int_equal(test_every_Every_r_string_count(m), 0);
	ENCODES(m, "\xe8\x03\x05\x92\x05\x07\x08\x01\x12\x03one");
}

static void list_room_grows_with_count_and_wastes_little(void **state)
{
	(void)state;
	for (uint32_t n = 1; n < 3000000; n += n < 20000 ? 1 : 997) {
		uint64_t room = phx_list_room(n);

		assert_true(room >= n && phx_list_room(n - 1) <= room);
		assert_int_equal(phx_list_room((uint32_t)room), room);
		assert_true(n <= 4096 || room * 4 <= 5ull * n + 4);
	}
}

static void services_carry_their_tables(void **state)
{
	(void)state;
	assert_string_equal(test_every_First_service.name, "test.every.First");
	assert_int_equal(test_every_First_service.index, 0);
	assert_int_equal(test_every_First_service.method_count, 3);
	assert_string_equal(test_every_First_service.method_names[1], "Get");
	assert_ptr_equal(test_every_First_service.inputs[1], &test_shared_Leaf_phx_type);
	assert_ptr_equal(test_every_First_service.outputs[1], &test_every_Every_phx_type);
	assert_int_equal(test_every_First_method_Watch, 2);
	assert_int_equal(test_every_Second_service.index, 1);
	assert_ptr_equal(test_every_Second_service.outputs[0], &test_every_Every_Inner_phx_type);
	assert_int_equal(test_every_None_service.method_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
		T(new_root_is_read_back_by_type),
		T(scalars_set_and_read),
		T(strings_set_replace_and_clear),
		T(optional_fields_know_presence),
		T(oneof_keeps_one_member),
		T(nested_messages_are_made_once),
		T(lists_of_scalars_grow_shrink_and_zero),
		T(lists_of_strings_and_messages_survive_moving),
		T(maps_put_find_and_replace),
		T(builders_without_memory_leave_the_message),
		T(list_room_grows_with_count_and_wastes_little),
		T(services_carry_their_tables),
#undef T
	};

	return cmocka_run_group_tests(tests, setup_group, teardown_group);
}
