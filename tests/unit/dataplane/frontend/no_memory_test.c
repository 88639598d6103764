// SPDX-License-Identifier: BSD-3-Clause
// What is given back when a table cannot grow. Linked so that realloc() comes here.
#include "tests/unit/dataplane/frontend/bed_test.h"

#include "lib/base/clock.h"

static bool refuse;

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			reply_without_a_handle_holds_no_block, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
