// SPDX-License-Identifier: BSD-3-Clause
// Entries that wait for a connection: they end like calls do, and are none.
#include "tests/unit/dataplane/frontend/bed_test.h"

static struct phx_sub_entry connect_of(uint32_t slot, uint64_t tag, uint64_t timeout_ns)
{
	return (struct phx_sub_entry){
		.kind = PHX_SUB_CONNECT,
		.call = slot,
		.handle = tag,
		.timeout_ns = timeout_ns,
	};
}

static void connect_with_a_connection_ends_at_once(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry c;

	bed_sub(bed, connect_of(3, 33, PHX_TIMEOUT_NONE), NULL, 0);
	c = completion(bed);
	assert_int_equal(c.kind, PHX_COMP_CALL);
	assert_int_equal(c.call, 3);
	assert_int_equal(c.handle, 33);
	assert_int_equal(c.code, PHX_OK);
	assert_int_equal(c.flags & PHX_COMP_HAS_MESSAGE, 0);
	assert_int_equal(c.lent, 0);
}

static void connect_waits_and_calls_do_not_wait_for_it(void **state)
{
	struct bed *bed = *state;

	bed->link.admit = BED_ADMIT_LATER;
	bed_sub(bed, connect_of(0, 1, PHX_TIMEOUT_NONE), NULL, 0);
	now(bed);
	assert_int_equal(bed_comp_count(bed), 0);
	bed->link.admit = BED_ADMIT_FAIL;
	bed_sub(bed, ping(1, 2), zeros, 8);
	assert_int_equal(completion(bed).handle, 2);
	bed_link_admit(bed);
	assert_int_equal(completion(bed).handle, 1);
	assert_int_equal(bed->queue->inflight, 0);
}

static void connect_ends_at_its_deadline(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry c;

	bed->link.admit = BED_ADMIT_LATER;
	bed_sub(bed, connect_of(0, 1, 50000000), NULL, 0);
	now(bed);
	assert_int_equal(bed_comp_count(bed), 0);
	bed_round(bed, bed->worker.now_ns + 60000000);
	c = completion(bed);
	assert_int_equal(c.code, PHX_DEADLINE_EXCEEDED);
	assert_int_equal(c.reason, PHX_REASON_DEADLINE);
	assert_int_equal(c.executed, PHX_EXECUTED_NO);
	assert_true(phx_list_empty(&bed->link.pending));
}

static void connect_ends_by_cancel(void **state)
{
	struct bed *bed = *state;
	const struct phx_ret_entry cancel = {
		.kind = PHX_RET_CANCEL, .count = 1, .call = 5, .handle = {55}};

	bed->link.admit = BED_ADMIT_LATER;
	bed_sub(bed, connect_of(5, 55, PHX_TIMEOUT_NONE), NULL, 0);
	bed_ret(bed, &cancel);
	assert_int_equal(completion(bed).code, PHX_CANCELLED);
	assert_true(phx_list_empty(&bed->link.pending));
}

static void connect_of_no_channel_is_refused(void **state)
{
	struct phx_sub_entry e = connect_of(0, 1, PHX_TIMEOUT_NONE);

	e.channel = 9;
	assert_refused(*state, e, PHX_INVALID_ARGUMENT, PHX_REASON_INVALID);
	e.channel = UINT32_MAX;
	assert_refused(*state, e, PHX_INVALID_ARGUMENT, PHX_REASON_INVALID);
}

static void connect_reads_nothing_but_its_channel(void **state)
{
	struct phx_sub_entry e = connect_of(0, 1, PHX_TIMEOUT_NONE);
	struct bed *bed = *state;

	e.binding = UINT16_MAX;
	e.method = UINT16_MAX;
	e.msg_off = UINT32_MAX;
	e.msg_len = UINT32_MAX;
	e.meta_off = UINT32_MAX;
	e.meta_len = 8;
	bed_sub(bed, e, NULL, 0);
	assert_int_equal(completion(bed).code, PHX_OK);
	bed->link.admit = BED_ADMIT_LATER;
	bed_sub(bed, e, NULL, 0);
	now(bed);
	bed_link_admit(bed);
	assert_int_equal(completion(bed).code, PHX_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			connect_with_a_connection_ends_at_once, setup, teardown),
		cmocka_unit_test_setup_teardown(
			connect_waits_and_calls_do_not_wait_for_it, setup, teardown),
		cmocka_unit_test_setup_teardown(connect_ends_at_its_deadline, setup, teardown),
		cmocka_unit_test_setup_teardown(connect_ends_by_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(connect_of_no_channel_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			connect_reads_nothing_but_its_channel, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
