// SPDX-License-Identifier: BSD-3-Clause
// Room in rings, time, and ends in the middle of something: what must hold whether the application
// is honest and slow or lies (design.md 12.1, 12.3).
#include "tests/unit/dataplane/frontend/bed_test.h"

#include "dataplane/frontend/lent.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/place.h"
#include "dataplane/frontend/submit.h"
#include "tests/unit/lib/schema/build.h"

static void completions_never_read_disconnect_before_the_ring_overruns(void **state)
{
	struct bed *bed = *state;
	struct phx_sub_entry e = ping(0, 1);

	e.channel = 9; // ends at once
	for (uint32_t i = 0; i < 2 * BED_COMP_SLOTS && bed->failed == PHX_REASON_NONE; i++) {
		bed_sub(bed, e, zeros, 8);
		now(bed);
		assert_true(bed_comp_count(bed) <= BED_COMP_SLOTS);
	}
	assert_failed(bed, PHX_REASON_QUOTA_ABUSE);
}

// An honest application that reads late: requests must leave room for the calls that it may have
// put into the submission ring meanwhile.
static void requests_leave_room_for_calls_not_seen_yet(void **state)
{
	struct bed *bed = *state;

	for (uint32_t i = 0; i < BED_COMP_SLOTS; i++)
		(void)bed_link_request(bed, zeros, 8);
	for (uint32_t i = 0; i < BED_CALL_SLOTS; i++)
		bed_sub(bed, ping(i, i), zeros, 8);
	now(bed);
	now(bed);
	while (bed_link_answer(bed, PHX_OK, zeros, 64))
		;
	for (uint32_t i = 0; i < bed->session->rcall_size; i++) // a notice for each one delivered
		if (bed->session->rcalls[i]->state == RCALL_DELIVERED)
			rcall_cancel(bed->session->rcalls[i], PHX_REASON_CANCELLED);
	now(bed);
	assert_int_equal(bed->failed, PHX_REASON_NONE);
	assert_true(bed_comp_count(bed) <= BED_COMP_SLOTS);
}

// Reading completions is not announced, so who waits for their slots has to look.
static void request_waiting_for_completion_slots_is_delivered_once_they_are_read(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry c;

	for (uint32_t i = 0; i < BED_CALL_SLOTS; i++)
		bed_sub(bed, ping(i, i), zeros, 8);
	now(bed);
	while (bed_link_answer(bed, PHX_OK, zeros, 200)) // four slots each
		;
	assert_non_null(bed_link_request(bed, zeros, 8));
	now(bed);
	assert_int_equal(atomic_load(&bed->session->stats.room_waits), 1);
	while (bed_comp(bed, &c))
		assert_int_equal(c.kind, PHX_COMP_CALL);
	for (int i = 0; i < 100 && bed_comp_count(bed) == 0; i++)
		bed_round(bed, bed->worker.now_ns + PHX_NS_PER_MS);
	assert_true(bed_comp(bed, &c));
	assert_int_equal(c.kind, PHX_COMP_REQUEST);
}

// While the worker drains the submission ring for a cancel, the application fills it again.
static unsigned refills;

static void refill(struct bed *bed)
{
	struct phx_comp_entry c;

	if (refills++ > 10000)
		return; // enough to tell
	bed->queue->dirty = true;
	bed->session->source.ops->flush(&bed->session->source, &bed->worker);
	while (bed_comp(bed, &c))
		;
	while (bed->sub_prod - bed_word(bed->dp, BED_DP_QUEUE + PHX_QD_SUB_CONS) < BED_SLOTS)
		bed_sub(bed, ping(0, refills), zeros, 8);
}

static void cancels_far_ahead_drain_one_ring_a_poll(void **state)
{
	struct bed *bed = *state;
	struct phx_ret_entry e = {.kind = PHX_RET_CANCEL, .count = 1, .position = 1u << 30};

	bed->link.admit = BED_ADMIT_FAIL;
	bed->link.on_admit = refill;
	refills = 0;
	bed_sub(bed, ping(0, 0), zeros, 8);
	for (int i = 0; i < 8; i++)
		bed_ret(bed, &e);
	now(bed);
	assert_int_equal(bed->failed, PHX_REASON_NONE);
	assert_in_range(refills, 1, 2 * BED_SLOTS);
	bed->link.on_admit = NULL;
	for (int i = 0; i < 4; i++)
		now(bed);
	// They stood in their ring until everything before them was taken.
	assert_int_equal(bed_word(bed->dp, BED_DP_QUEUE + PHX_QD_RET_CONS), 8);
}

// A reply of the type t.All with more elements than one step of work visits.
static uint32_t long_message(struct bed *bed)
{
	const struct phx_message *all = phx_schema_message(bed->session->schemas[0], T_ALL);
	uint32_t at = phx_message_field_named(all, "nothings")->offset;
	uint32_t ref[2] = {all->size - at, 2 * PHX_LIMIT_WORK_ELEMENTS - 256};

	memcpy(bed->app + at, ref, sizeof(ref));
	return 0;
}

static void application_gone_while_its_reply_is_packed_ends_the_call(void **state)
{
	struct bed *bed = *state;
	struct rcall *r = bed_link_request(bed, zeros, sizeof(zeros));
	struct phx_comp_entry c = completion(bed);
	struct phx_sub_entry e = reply_to(c.handle);

	r->output = T_ALL;
	e.flags = 0;
	e.msg_len = 0;
	e.msg_off = long_message(bed);
	bed_sub(bed, e, NULL, 0);
	(void)submit_poll(bed->queue); // takes it, and does the first step
	assert_non_null(r->work.pack);
	session_close(bed->session, PHX_REASON_APP_EXIT);
	assert_int_equal(bed->session->rcall_count, 0);
	assert_true(session_is_quiet(bed->session));
}

// A request that a policy has made larger is being copied to where it is delivered.
static void application_gone_while_its_request_is_copied_ends_the_call(void **state)
{
	static const uint8_t large[8192];
	struct bed *bed = *state;
	struct iovec iov = {(void *)(uintptr_t)large, sizeof(large)};
	struct rcall *r = rcall_create(bed->session, 0, 0);
	uint32_t first; // stands where "no room" is said to be

	assert_int_equal(recv_alloc(bed->session, 8, false, &first), 0);
	assert_int_equal(
		message_store(bed->session, &r->message, &iov, 1, sizeof(large), NULL, 0), 0);
	r->state = RCALL_WAITING;
	place_request(r);
	bed->link.hold_replies = true;
	session_close(bed->session, PHX_REASON_APP_EXIT);
	assert_int_equal(bed->link.replied[PHX_EXECUTED_NO], 1);
	now(bed);
	assert_int_equal(r->state, RCALL_REPLYING); // until the link has sent that
	assert_false(r->delivered);
	bed_link_replies(bed);
	assert_true(session_is_quiet(bed->session));
}

static void application_gone_while_its_call_is_packed_ends_the_call(void **state)
{
	struct bed *bed = *state;

	bed_sub(bed, heap_call(0, long_message(bed)), NULL, 0);
	(void)submit_poll(bed->queue);
	assert_int_equal(bed->queue->calls[0].state, CALL_PACK);
	session_close(bed->session, PHX_REASON_APP_EXIT);
	assert_true(session_is_quiet(bed->session));
}

// Requests that waited for room have not been seen, even when the end of others makes room.
static void application_gone_has_not_executed_what_waited(void **state)
{
	struct bed *bed = *state;
	uint32_t seen = 0, waiting = 0;

	for (uint32_t i = 0; i < BED_COMP_SLOTS; i++) {
		struct rcall *r = bed_link_request(bed, zeros, 8);

		seen += r->state == RCALL_DELIVERED;
		waiting += r->state == RCALL_WAITING;
	}
	assert_true(seen != 0 && waiting != 0);
	session_close(bed->session, PHX_REASON_APP_EXIT);
	assert_int_equal(bed->link.replied[PHX_EXECUTED_MAYBE], seen);
	assert_int_equal(bed->link.replied[PHX_EXECUTED_NO], waiting);
}

// ---- the FIFOs of the receive heap ----

struct waiter {
	struct recv_waiter waiter;
	uint32_t offset, answers;
};

static void waiter_served(struct recv_waiter *waiter, uint32_t offset, enum phx_reason reason)
{
	struct waiter *w = phx_container_of(waiter, struct waiter, waiter);

	(void)reason;
	w->offset = offset;
	w->answers++;
}

static int reserve(struct bed *bed, struct waiter *w, uint32_t size, uint64_t deadline_ns)
{
	w->waiter.fn = waiter_served;
	return session_recv_reserve(bed->session, &w->waiter, size, true, deadline_ns, &w->offset);
}

// The one in front wants more than there is; the one behind it would fit.
static void wait_in_line(struct bed *bed, struct waiter w[3], uint64_t deadline_ns)
{
	assert_int_equal(reserve(bed, &w[0], BED_DP_HEAP / 2, UINT64_MAX), 1);
	assert_int_equal(reserve(bed, &w[1], BED_DP_HEAP * 3 / 4, deadline_ns), 0);
	assert_int_equal(reserve(bed, &w[2], BED_DP_HEAP / 8, UINT64_MAX), 0);
}

static void who_stands_behind_one_that_gives_up_is_served(void **state)
{
	struct bed *bed = *state;
	struct waiter w[3] = {0};

	wait_in_line(bed, w, UINT64_MAX);
	session_recv_cancel(&w[1].waiter);
	assert_int_equal(w[1].answers, 0);
	assert_int_equal(w[2].answers, 1);
	assert_int_equal(w[2].waiter.waiting, false);
	session_recv_free(bed->session, w[2].offset);
	session_recv_free(bed->session, w[0].offset);
}

static void who_stands_behind_one_that_waited_too_long_is_served(void **state)
{
	struct bed *bed = *state;
	struct waiter w[3] = {0};

	wait_in_line(bed, w, bed->worker.now_ns + PHX_NS_PER_MS);
	bed_round(bed, bed->worker.now_ns + 2 * PHX_NS_PER_MS);
	assert_int_equal(w[1].answers, 1);
	assert_int_equal(w[1].offset, 0);
	assert_int_equal(w[2].answers, 1);
	session_recv_free(bed->session, w[2].offset);
	session_recv_free(bed->session, w[0].offset);
}

// A quarter of the heap is for replies alone, whichever way requests come.
static void requests_leave_a_quarter_of_the_heap_to_replies(void **state)
{
	static const uint8_t large[8192];
	struct bed *bed = *state;
	struct phx_comp_entry c;

	for (uint32_t i = 0; i < BED_DP_HEAP / sizeof(large); i++) {
		const struct iovec iov = {(void *)(uintptr_t)large, sizeof(large)};
		struct rcall *r = rcall_create(bed->session, 0, 0);

		if (i % 2 == 0 && rcall_take_image(r, &iov, 1, sizeof(large)) == 0)
			rcall_deliver(r, NULL, 0, sizeof(large), NULL, 0);
		else
			rcall_deliver(r, &iov, 1, sizeof(large), NULL, 0);
	}
	assert_true(bed->session->recv_used <= BED_DP_HEAP / 4 * 3);
	assert_true(atomic_load(&bed->session->stats.requests) > 1);
	bed_sub(bed, ping(0, 5), zeros, 8);
	now(bed);
	assert_true(bed_link_answer(bed, PHX_OK, large, sizeof(large)));
	now(bed);
	do
		assert_true(bed_comp(bed, &c));
	while (c.kind != PHX_COMP_CALL);
	assert_int_equal(c.msg_len, sizeof(large));
}

static void deadline_in_the_past_ends_the_call(void **state)
{
	struct bed *bed = *state;
	struct phx_sub_entry e = ping(0, 5);
	struct phx_comp_entry c;

	e.timeout_ns = 0;
	bed_sub(bed, e, zeros, 8);
	bed_round(bed, bed->worker.now_ns + 1000);
	bed_round(bed, bed->worker.now_ns + PHX_NS_PER_MS);
	c = completion(bed);
	assert_int_equal(c.code, PHX_DEADLINE_EXCEEDED);
	e.timeout_ns = UINT64_MAX - 1; // adds up beyond the clock: none
	bed_sub(bed, e, zeros, 8);
	bed_round(bed, bed->worker.now_ns + PHX_NS_PER_S);
	assert_int_equal(bed_comp_count(bed), 0);
	assert_true(bed_link_answer(bed, PHX_CANCELLED, NULL, 0));
}

// More than a burst: the worker has not come to them when the channel is closed.
static void closing_a_channel_cancels_calls_that_stand_in_the_ring(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry c;
	uint32_t other;

	bed->link.admit = BED_ADMIT_LATER;
	for (uint32_t i = 0; i < BED_CALL_SLOTS; i++)
		bed_sub(bed, ping(i, i), zeros, 8);
	assert_int_equal(session_channel_close(bed->session, 0), 0);
	assert_int_equal(session_channel_open(bed->session, "", 0, &other), 0);
	assert_int_equal(other, 0); // none of them may go there
	for (uint32_t i = 0; i < BED_CALL_SLOTS; i++) {
		c = completion(bed);
		assert_string_equal(phx_code_name(c.code), "CANCELLED");
	}
	assert_int_equal(bed->queue->inflight, 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(completions_never_read_disconnect_before_the_ring_overruns),
		T(requests_leave_room_for_calls_not_seen_yet),
		T(request_waiting_for_completion_slots_is_delivered_once_they_are_read),
		T(cancels_far_ahead_drain_one_ring_a_poll),
		T(application_gone_while_its_reply_is_packed_ends_the_call),
		T(application_gone_while_its_request_is_copied_ends_the_call),
		T(application_gone_while_its_call_is_packed_ends_the_call),
		T(application_gone_has_not_executed_what_waited),
		T(who_stands_behind_one_that_gives_up_is_served),
		T(who_stands_behind_one_that_waited_too_long_is_served),
		T(requests_leave_a_quarter_of_the_heap_to_replies),
		T(deadline_in_the_past_ends_the_call),
		cmocka_unit_test_setup_teardown(
			closing_a_channel_cancels_calls_that_stand_in_the_ring, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
