// SPDX-License-Identifier: BSD-3-Clause
// What is given back when a table cannot grow, and what needs no memory but that of the pools.
// Linked so that malloc(), calloc() and realloc() come here.
#include "tests/unit/dataplane/frontend/bed_test.h"

#include "lib/base/clock.h"

static bool refuse;

static unsigned callocs;

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

void *__wrap_malloc(size_t size)
{
	return refuse ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
	callocs++;
	return refuse ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *p, size_t size)
{
	return refuse ? NULL : __real_realloc(p, size);
}

// No handle for the block of a reply: the block goes back, and the reply comes later.
static void reply_without_a_handle_holds_no_block(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry c;

	bed_sub(bed, ping(0, 7), zeros, 8);
	now(bed);
	refuse = true;
	assert_true(bed_link_answer(bed, PHX_OK, zeros, 512)); // more than fits the ring
	refuse = false;
	assert_int_equal(bed->session->recv_used, 0);
	for (int i = 0; i < 100 && bed_comp_count(bed) == 0; i++)
		bed_round(bed, bed->worker.now_ns + PHX_NS_PER_MS);
	assert_true(bed_comp(bed, &c));
	assert_int_equal(c.handle, 7);
	assert_int_equal(c.code, PHX_OK);
	assert_int_equal(c.msg_len, 512);
}

static void small_protobuf_forms_come_from_the_pool(void **state)
{
	struct bed *bed = *state;
	struct message message = {.encoded_len = PHX_BLOCK_SMALL};
	uint64_t before = atomic_load(&bed->session->account.bytes);

	refuse = true;
	message.encoded = message_encoded_get(bed->session, PHX_BLOCK_SMALL);
	refuse = false;
	assert_non_null(message.encoded);
	assert_int_equal(atomic_load(&bed->session->account.bytes) - before, PHX_BLOCK_SMALL);
	message_encoded_put(bed->session, &message);
	assert_int_equal(atomic_load(&bed->session->account.bytes), before);
	message.encoded_len = PHX_BLOCK_SMALL + 1;
	message.encoded = message_encoded_get(bed->session, message.encoded_len);
	assert_non_null(message.encoded);
	message_encoded_put(bed->session, &message);
	assert_int_equal(atomic_load(&bed->session->account.bytes), before);
}

// However many there are, one request makes few.
static void table_of_requests_grows_by_a_little(void **state)
{
	struct bed *bed = *state;

	for (uint32_t i = 0; i < 1024; i++) {
		callocs = 0;
		assert_non_null(rcall_create(bed->session, 0, 0));
		assert_true(callocs <= 64);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(reply_without_a_handle_holds_no_block),
		T(small_protobuf_forms_come_from_the_pool),
		T(table_of_requests_grows_by_a_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
