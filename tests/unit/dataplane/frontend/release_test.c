// SPDX-License-Identifier: BSD-3-Clause
// Who owns a message when: cancels behind their calls, exactly one release of each message, and
// returns that always fit (design.md 12.1 to 12.3).
#include "tests/unit/dataplane/frontend/bed_test.h"

static struct phx_ret_entry cancel_of(uint32_t slot, uint64_t tag, uint32_t position)
{
	return (struct phx_ret_entry){.kind = PHX_RET_CANCEL,
		.count = 1,
		.call = slot,
		.position = position,
		.handle = {tag}};
}

// No completion but the ones taken.
static void assert_no_more(struct bed *bed)
{
	struct phx_comp_entry c;

	now(bed);
	now(bed);
	assert_int_equal(bed->failed, PHX_REASON_NONE);
	assert_false(bed_comp(bed, &c));
}

// Both rings are published before the worker looks: the cancel is read first and must find its
// call, not the next one to take the slot.
static void cancel_published_with_its_call_ends_it(void **state)
{
	struct bed *bed = *state;
	uint32_t position = bed->sub_prod;
	struct phx_ret_entry cancel;
	struct phx_comp_entry c;

	bed->link.admit = BED_ADMIT_LATER;
	bed_sub(bed, ping(3, 77), zeros, 8);
	cancel = cancel_of(3, 77, position);
	bed_ret(bed, &cancel);
	c = completion(bed);
	assert_int_equal(c.kind, PHX_COMP_CALL);
	assert_int_equal(c.handle, 77);
	assert_int_equal(c.code, PHX_CANCELLED);
	assert_int_equal(c.executed, PHX_EXECUTED_NO);
	bed_link_admit(bed);
	assert_false(bed_link_answer(bed, PHX_OK, zeros, 8)); // nothing was sent
	assert_no_more(bed);
}

// Only what stands in front of the call, and the call, is drained for a cancel.
static void cancel_drains_up_to_its_call(void **state)
{
	struct bed *bed = *state;
	struct phx_ret_entry cancel;
	uint32_t position = 0;

	for (uint32_t i = 0; i < BED_CALL_SLOTS; i++) {
		if (i == 5)
			position = bed->sub_prod;
		bed_sub(bed, ping(i, 100 + i), zeros, 8);
	}
	cancel = cancel_of(5, 105, position);
	bed_ret(bed, &cancel);
	for (uint32_t i = 0; i < BED_CALL_SLOTS; i++) {
		struct phx_comp_entry c;

		if (i == 0) {
			c = completion(bed);
			assert_int_equal(c.handle, 105);
			assert_int_equal(c.code, PHX_CANCELLED);
			now(bed);
			while (bed_link_answer(bed, PHX_OK, zeros, 8))
				;
			continue;
		}
		c = completion(bed);
		assert_int_equal(c.code, c.handle == 105 ? PHX_CANCELLED : PHX_OK);
	}
	assert_no_more(bed);
}

// A client's message is released by its completion, and that waits for whoever reads it in place.
static void completion_waits_for_the_transport(void **state)
{
	struct bed *bed = *state;
	struct phx_ret_entry cancel;
	struct phx_comp_entry c;
	uint32_t position = bed->sub_prod;

	bed->link.pin = true;
	bed_sub(bed, ping(0, 9), zeros, 8);
	now(bed);
	cancel = cancel_of(0, 9, position);
	bed_ret(bed, &cancel);
	assert_no_more(bed);
	bed_link_unpin(bed);
	c = completion(bed);
	assert_int_equal(c.handle, 9);
	assert_int_equal(c.code, PHX_CANCELLED);
	assert_no_more(bed);
}

static struct phx_sub_entry heap_reply_to(uint64_t handle)
{
	return (struct phx_sub_entry){
		.kind = PHX_SUB_REPLY,
		.handle = handle,
		.msg_off = 64, // zeroes: an empty message
	};
}

static void reply_from_the_heap_is_released_once(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry request = take_request(bed), c;

	bed->link.hold_replies = true;
	bed_sub(bed, heap_reply_to(request.handle), NULL, 0);
	assert_no_more(bed);
	bed_link_replies(bed);
	c = completion(bed);
	assert_int_equal(c.kind, PHX_COMP_RELEASED);
	assert_int_equal(c.handle, request.handle);
	assert_no_more(bed);
}

static void inline_reply_needs_no_release(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry request = take_request(bed);

	bed_sub(bed, reply_to(request.handle), zeros, 8);
	assert_no_more(bed);
}

// Cancelled while the reply is on its way: the reply ends as it would have.
static void cancel_behind_the_reply_changes_nothing(void **state)
{
	struct bed *bed = *state;
	struct rcall *r = bed_link_request(bed, zeros, sizeof(zeros));
	struct phx_comp_entry request = completion(bed), c;

	bed->link.hold_replies = true;
	bed_sub(bed, heap_reply_to(request.handle), NULL, 0);
	now(bed);
	rcall_cancel(r, PHX_REASON_CANCELLED);
	assert_no_more(bed);
	bed_link_replies(bed);
	c = completion(bed);
	assert_int_equal(c.kind, PHX_COMP_RELEASED);
	assert_no_more(bed);
}

// Cancelled first: CANCELLED takes the place of RELEASED, also for a reply that comes late.
static void cancelled_request_is_released_by_its_notice(void **state)
{
	struct bed *bed = *state;
	struct rcall *r = bed_link_request(bed, zeros, sizeof(zeros));
	struct phx_comp_entry request = completion(bed), c;

	rcall_cancel(r, PHX_REASON_CANCELLED);
	c = completion(bed);
	assert_int_equal(c.kind, PHX_COMP_CANCELLED);
	assert_int_equal(c.handle, request.handle);
	bed_sub(bed, heap_reply_to(request.handle), NULL, 0);
	assert_no_more(bed);
}

// The lent request stays the application's after cancel and reply, until it gives it back.
static void lent_block_outlives_its_call(void **state)
{
	struct bed *bed = *state;
	struct rcall *r = bed_link_request(bed, zeros, sizeof(zeros));
	struct phx_comp_entry request = completion(bed);
	struct phx_ret_entry e = {.kind = PHX_RET_RETURN, .count = 1, .handle = {request.lent}};

	assert_int_not_equal(request.lent, 0);
	rcall_cancel(r, PHX_REASON_CANCELLED);
	now(bed);
	assert_int_equal(atomic_load(&bed->session->stats.lent_blocks), 1);
	bed_ret(bed, &e);
	now(bed);
	assert_int_equal(bed->failed, PHX_REASON_NONE);
	assert_int_equal(atomic_load(&bed->session->stats.lent_blocks), 0);
}

// However many requests come and however few blocks are returned: calls and blocks together never
// exceed the return ring, so that giving back never fails.
static void lent_blocks_and_calls_fit_the_return_ring(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry c;
	uint64_t lent[2 * BED_SLOTS];
	uint32_t count = 0, total = 0;

	bed->link.admit = BED_ADMIT_LATER;
	for (uint32_t i = 0; i < BED_CALL_SLOTS / 2; i++)
		bed_sub(bed, ping(i, i), zeros, 8);
	for (uint32_t round = 0; round < 20; round++) {
		for (uint32_t i = 0; i < 20; i++)
			(void)bed_link_request(bed, zeros, sizeof(zeros));
		now(bed);
		assert_true(bed->queue->lent + bed->queue->inflight <= BED_SLOTS);
		while (bed_comp(bed, &c)) {
			assert_int_equal(c.kind, PHX_COMP_REQUEST);
			assert_int_not_equal(c.lent, 0);
			lent[count++] = c.lent;
			total++;
			bed_sub(bed, reply_to(c.handle), zeros, 8);
			if (bed->sub_prod % 16 == 0)
				now(bed);
		}
		now(bed);
		if (round % 2 == 0)
			continue;
		for (uint32_t i = 0; i < count; i++) { // all of them, one an entry
			struct phx_ret_entry e = {
				.kind = PHX_RET_RETURN, .count = 1, .handle = {lent[i]}};

			bed_ret(bed, &e);
		}
		assert_true(count <= BED_SLOTS - BED_CALL_SLOTS / 2);
		count = 0;
		now(bed);
		now(bed);
		assert_int_equal(bed->failed, PHX_REASON_NONE);
	}
	assert_true(total > 2 * BED_SLOTS);
}

#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(cancel_published_with_its_call_ends_it),
		T(cancel_drains_up_to_its_call),
		T(completion_waits_for_the_transport),
		T(reply_from_the_heap_is_released_once),
		T(inline_reply_needs_no_release),
		T(cancel_behind_the_reply_changes_nothing),
		T(cancelled_request_is_released_by_its_notice),
		T(lent_block_outlives_its_call),
		T(lent_blocks_and_calls_fit_the_return_ring),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
