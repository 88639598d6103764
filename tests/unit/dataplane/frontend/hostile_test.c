// SPDX-License-Identifier: BSD-3-Clause
// A session and an application that lies: every entry that no library writes disconnects with its
// reason, what an honest one may get wrong ends that call only, and nothing is left behind
// (reliability.md groups R, D, H).
#include "tests/unit/dataplane/frontend/bed_test.h"

static void call_and_answer_completes_once(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry c;

	bed_sub(bed, ping(3, 77), zeros, 8);
	now(bed);
	assert_true(bed_link_answer(bed, PHX_OK, zeros, 8));
	c = completion(bed);
	assert_int_equal(c.kind, PHX_COMP_CALL);
	assert_int_equal(c.call, 3);
	assert_int_equal(c.handle, 77);
	assert_int_equal(c.code, PHX_OK);
	assert_int_equal(bed_comp_count(bed), 0);
}

// ---- R ----

static void index_of_each_ring_impossible_disconnects(void **state)
{
	static const uint32_t words[] = {PHX_QA_SUB_PROD, PHX_QA_RET_PROD, PHX_QA_COMP_CONS};
	static const uint32_t values[] = {BED_COMP_SLOTS + 1, UINT32_MAX, 1u << 31};

	(void)state;
	for (size_t w = 0; w < PHX_ARRAY_LEN(words); w++) {
		for (size_t v = 0; v < PHX_ARRAY_LEN(values); v++) {
			struct bed *bed = bed_create(false);

			bed_word_set(bed->app, BED_APP_QUEUE + words[w], values[v]);
			// The completion index is read when room is needed.
			for (uint32_t i = 0; i < BED_COMP_SLOTS && bed->failed == PHX_REASON_NONE;
				i++) {
				struct phx_sub_entry e = ping(0, i);

				e.channel = 9;
				if (words[w] != PHX_QA_SUB_PROD)
					bed_sub(bed, e, zeros, 8);
				now(bed);
			}
			assert_string_equal(phx_reason_name(bed->failed), "RING_INDEX");
			assert_true(bed_destroy(bed));
		}
	}
}

static void slot_count_impossible_disconnects(void **state)
{
	static const uint8_t counts[] = {0, 5, 255, 2}; // the last: one was published

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(counts); i++) {
		struct bed *bed = bed_create(false);

		*bed_sub_slot(bed, 0) = ping(0, 1);
		bed_sub_slot(bed, 0)->slots = counts[i];
		bed_sub_publish(bed, 1);
		assert_failed(bed, PHX_REASON_DESC_COUNT);
		assert_true(bed_destroy(bed));
	}
}

static void submission_no_library_writes_disconnects(void **state)
{
	const struct {
		struct phx_sub_entry e;
		enum phx_reason reason;
	} rows[] = {
		{{.kind = 0}, PHX_REASON_DESC_KIND},
		{{.kind = 4}, PHX_REASON_DESC_KIND},
		{{.kind = 255}, PHX_REASON_DESC_KIND},
		{{.kind = PHX_SUB_CONNECT, .flags = PHX_SUB_INLINE}, PHX_REASON_DESC_FLAGS},
		{{.kind = PHX_SUB_CONNECT, .flags = PHX_SUB_WAIT_FOR_READY}, PHX_REASON_DESC_FLAGS},
		{{.kind = PHX_SUB_CONNECT, .call = BED_CALL_SLOTS}, PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_CALL, .flags = 1 << 3}, PHX_REASON_DESC_FLAGS},
		{{.kind = PHX_SUB_CALL, .flags = 1 << 15}, PHX_REASON_DESC_FLAGS},
		{{.kind = PHX_SUB_CALL, .flags = PHX_SUB_NO_MESSAGE}, PHX_REASON_DESC_FLAGS},
		{{.kind = PHX_SUB_REPLY, .flags = PHX_SUB_WAIT_FOR_READY}, PHX_REASON_DESC_FLAGS},
		{{.kind = PHX_SUB_CALL, .flags = PHX_SUB_INLINE}, PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_CALL, .flags = PHX_SUB_INLINE, .msg_len = 7},
			PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_CALL, .flags = PHX_SUB_INLINE, .msg_len = 24},
			PHX_REASON_DESC_RANGE}, // one slot holds 16
		{{.kind = PHX_SUB_CALL, .flags = PHX_SUB_INLINE, .msg_len = UINT32_MAX - 7},
			PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_CALL, .meta_len = PHX_LIMIT_METADATA_BYTES + 1},
			PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_REPLY, .text_len = PHX_LIMIT_STATUS_TEXT_BYTES + 1},
			PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_CALL, .call = BED_CALL_SLOTS}, PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_CALL, .call = UINT32_MAX}, PHX_REASON_DESC_RANGE},
		{{.kind = PHX_SUB_REPLY, .handle = 0}, PHX_REASON_STALE_HANDLE},
		{{.kind = PHX_SUB_REPLY, .handle = UINT64_MAX}, PHX_REASON_STALE_HANDLE},
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		struct bed *bed = bed_create(false);

		bed_sub(bed, rows[i].e, NULL, 0);
		assert_failed(bed, rows[i].reason);
		assert_int_equal(bed_comp_count(bed), 0);
		assert_true(bed_destroy(bed));
	}
}

static void return_entry_no_library_writes_disconnects(void **state)
{
	const struct {
		struct phx_ret_entry e;
		enum phx_reason reason;
	} rows[] = {
		{{.kind = 0}, PHX_REASON_DESC_KIND},
		{{.kind = 3}, PHX_REASON_DESC_KIND},
		{{.kind = PHX_RET_RETURN, .count = 0}, PHX_REASON_DESC_COUNT},
		{{.kind = PHX_RET_RETURN, .count = 7}, PHX_REASON_DESC_COUNT},
		{{.kind = PHX_RET_RETURN, .count = 255}, PHX_REASON_DESC_COUNT},
		{{.kind = PHX_RET_RETURN, .count = 1, .handle = {0}}, PHX_REASON_BAD_FREE},
		{{.kind = PHX_RET_RETURN, .count = 1, .handle = {UINT64_MAX}}, PHX_REASON_BAD_FREE},
		{{.kind = PHX_RET_RETURN, .count = 1, .reserved = 1}, PHX_REASON_DESC_FLAGS},
		{{.kind = PHX_RET_CANCEL, .count = 1, .queue = 1}, PHX_REASON_DESC_KIND},
		{{.kind = PHX_RET_CANCEL, .count = 1, .queue = UINT16_MAX}, PHX_REASON_DESC_KIND},
		{{.kind = PHX_RET_CANCEL, .count = 1, .call = BED_CALL_SLOTS},
			PHX_REASON_DESC_RANGE},
		{{.kind = PHX_RET_CANCEL, .count = 1, .call = UINT32_MAX}, PHX_REASON_DESC_RANGE},
		{{.kind = PHX_RET_CANCEL, .count = 2}, PHX_REASON_DESC_COUNT},
		{{.kind = PHX_RET_CANCEL, .count = 1, .reserved = 1u << 31}, PHX_REASON_DESC_FLAGS},
	};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(rows); i++) {
		struct bed *bed = bed_create(false);

		bed_ret(bed, &rows[i].e);
		assert_failed(bed, rows[i].reason);
		assert_true(bed_destroy(bed));
	}
}

// ---- D ----

static void message_where_no_heap_is_ends_the_call(void **state)
{
	static const uint32_t offsets[] = {
		BED_APP_REGION - 8,		 // runs out of its region
		BED_APP_REGION,			 // the hole
		BED_APP_SECOND - 8,		 // from the hole into a region
		BED_APP_QUEUE,			 // the rings
		BED_APP_SECOND + BED_APP_REGION, // behind the last
		UINT32_MAX - 7,			 // wraps
	};
	struct bed *bed = *state;

	for (size_t i = 0; i < PHX_ARRAY_LEN(offsets); i++)
		assert_refused(
			bed, heap_call(0, offsets[i]), PHX_INVALID_ARGUMENT, PHX_REASON_INVALID);
	// Misaligned, D-04.
	assert_refused(bed, heap_call(0, 4), PHX_INVALID_ARGUMENT, PHX_REASON_INVALID);
}

static void metadata_wrong_ends_the_call(void **state)
{
	struct bed *bed = *state;
	struct phx_sub_entry e = heap_call(0, 0);

	e.meta_off = BED_APP_REGION - 4;
	e.meta_len = 8;
	assert_refused(bed, e, PHX_INVALID_ARGUMENT, PHX_REASON_INVALID);
	e.meta_off = UINT32_MAX - 3;
	assert_refused(bed, e, PHX_INVALID_ARGUMENT, PHX_REASON_INVALID);
	e.meta_off = 4096; // zeros are no canonical block
	e.meta_len = PHX_LIMIT_METADATA_BYTES;
	assert_refused(bed, e, PHX_INVALID_ARGUMENT, PHX_REASON_INVALID);
}

static void names_of_nothing_end_the_call(void **state)
{
	struct bed *bed = *state;
	struct phx_sub_entry e = heap_call(0, 0);

	e.channel = 1;
	assert_refused(bed, e, PHX_INVALID_ARGUMENT, PHX_REASON_INVALID);
	e.channel = UINT32_MAX;
	assert_refused(bed, e, PHX_INVALID_ARGUMENT, PHX_REASON_INVALID);
	e.channel = 0;
	e.method = 2;
	assert_refused(bed, e, PHX_UNIMPLEMENTED, PHX_REASON_UNIMPLEMENTED);
	e.method = UINT16_MAX;
	assert_refused(bed, e, PHX_UNIMPLEMENTED, PHX_REASON_UNIMPLEMENTED);
	e.method = 0;
	e.binding = UINT16_MAX;
	assert_refused(bed, e, PHX_UNIMPLEMENTED, PHX_REASON_UNIMPLEMENTED);
}

static void call_slot_in_use_disconnects(void **state)
{
	struct bed *bed = *state;

	bed_sub(bed, ping(0, 1), zeros, 8);
	bed_sub(bed, ping(0, 2), zeros, 8);
	assert_failed(bed, PHX_REASON_DESC_KIND);
}

static void call_slot_not_yet_released_disconnects(void **state)
{
	struct bed *bed = *state;

	bed->link.pin = true;
	bed_sub(bed, ping(0, 1), zeros, 8);
	now(bed);
	assert_true(bed_link_answer(bed, PHX_OK, zeros, 8));
	now(bed);
	assert_int_equal(bed_comp_count(bed), 0); // it still is read in place
	bed_sub(bed, ping(0, 2), zeros, 8);
	now(bed);
	assert_true(bed->failed == PHX_REASON_DESC_KIND || bed->failed == PHX_REASON_STALE_HANDLE);
}

static void cancel_of_a_foreign_tag_changes_nothing(void **state)
{
	struct bed *bed = *state;
	struct phx_ret_entry e = {.kind = PHX_RET_CANCEL, .count = 1, .call = 2, .handle = {9}};
	struct phx_comp_entry c;

	bed_sub(bed, ping(2, 8), zeros, 8);
	bed_ret(bed, &e);
	now(bed);
	assert_int_equal(bed_comp_count(bed), 0);
	e.handle[0] = 8;
	bed_ret(bed, &e);
	c = completion(bed);
	assert_int_equal(c.code, PHX_CANCELLED);
	bed_ret(bed, &e); // it has ended
	now(bed);
	assert_int_equal(bed_comp_count(bed), 0);
	assert_int_equal(bed->failed, PHX_REASON_NONE);
}

// ---- replies and lent blocks ----

static void reply_twice_disconnects(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry c = take_request(bed);

	bed_sub(bed, reply_to(c.handle), zeros, 8);
	now(bed);
	assert_int_equal(bed->failed, PHX_REASON_NONE);
	bed_sub(bed, reply_to(c.handle), zeros, 8);
	assert_failed(bed, PHX_REASON_STALE_HANDLE);
}

static void reply_while_replying_disconnects(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry c = take_request(bed);

	bed->link.hold_replies = true;
	bed_sub(bed, reply_to(c.handle), zeros, 8);
	bed_sub(bed, reply_to(c.handle), zeros, 8);
	assert_failed(bed, PHX_REASON_STALE_HANDLE);
}

static void reply_to_a_cancelled_call_is_dropped(void **state)
{
	struct bed *bed = *state;
	struct rcall *r = bed_link_request(bed, zeros, sizeof(zeros));
	struct phx_comp_entry c = completion(bed);

	rcall_cancel(r, PHX_REASON_CANCELLED);
	bed_sub(bed, reply_to(c.handle), zeros, 8);
	now(bed);
	assert_int_equal(bed->failed, PHX_REASON_NONE);
	assert_int_equal(atomic_load(&bed->session->stats.dropped_replies), 1);
}

static void reply_with_status_out_of_range_disconnects(void **state)
{
	static const uint32_t codes[] = {PHX_CODE_COUNT, UINT32_MAX, PHX_CANCELLED};

	(void)state;
	for (size_t i = 0; i < PHX_ARRAY_LEN(codes); i++) {
		struct bed *bed = bed_create(true);
		struct phx_comp_entry c = take_request(bed);
		struct phx_sub_entry e = reply_to(c.handle);

		e.channel = codes[i]; // the last one: a failure with a message
		bed_sub(bed, e, zeros, 8);
		assert_failed(bed, PHX_REASON_DESC_KIND);
		assert_true(bed_destroy(bed));
	}
}

static void block_returned_twice_or_late_disconnects(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry c = take_request(bed);
	struct phx_ret_entry e = {.kind = PHX_RET_RETURN, .count = 1};

	assert_int_not_equal(c.lent, 0);
	e.handle[0] = c.lent;
	bed_ret(bed, &e);
	now(bed);
	assert_int_equal(bed->failed, PHX_REASON_NONE);
	bed_ret(bed, &e);
	assert_failed(bed, PHX_REASON_DOUBLE_FREE);
}

static void block_of_an_old_generation_disconnects(void **state)
{
	struct bed *bed = *state;
	struct phx_comp_entry c = take_request(bed);
	struct phx_ret_entry e = {.kind = PHX_RET_RETURN, .count = 1};

	e.handle[0] = c.lent + (UINT64_C(5) << 32);
	bed_ret(bed, &e);
	assert_failed(bed, PHX_REASON_STALE_HANDLE);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(call_and_answer_completes_once),
		T(index_of_each_ring_impossible_disconnects),
		T(slot_count_impossible_disconnects),
		T(submission_no_library_writes_disconnects),
		T(return_entry_no_library_writes_disconnects),
		T(message_where_no_heap_is_ends_the_call),
		T(metadata_wrong_ends_the_call),
		T(names_of_nothing_end_the_call),
		T(call_slot_in_use_disconnects),
		T(call_slot_not_yet_released_disconnects),
		T(cancel_of_a_foreign_tag_changes_nothing),
		T(reply_twice_disconnects),
		T(reply_while_replying_disconnects),
		T(reply_to_a_cancelled_call_is_dropped),
		T(reply_with_status_out_of_range_disconnects),
		T(block_returned_twice_or_late_disconnects),
		T(block_of_an_old_generation_disconnects),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
