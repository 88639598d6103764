// SPDX-License-Identifier: BSD-3-Clause
// Short ways to say things to a bed, for tests with cmocka. Works with bed.h.
#pragma once

#include "tests/unit/dataplane/frontend/bed.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t zeros[512];

static inline int setup(void **state)
{
	*state = bed_create(true);
	return 0;
}

static inline int teardown(void **state)
{
	return bed_destroy(*state) ? 0 : -1;
}

// t.Other/Ping with an empty message, inline.
static inline struct phx_sub_entry ping(uint32_t slot, uint64_t tag)
{
	return (struct phx_sub_entry){
		.kind = PHX_SUB_CALL,
		.slots = 1,
		.flags = PHX_SUB_INLINE,
		.call = slot,
		.handle = tag,
		.binding = 1,
		.timeout_ns = PHX_TIMEOUT_NONE,
		.msg_len = 8,
	};
}

// t.Service/Do with the (zero) message at msg_off.
static inline struct phx_sub_entry heap_call(uint32_t slot, uint32_t msg_off)
{
	return (struct phx_sub_entry){
		.kind = PHX_SUB_CALL,
		.slots = 1,
		.call = slot,
		.timeout_ns = PHX_TIMEOUT_NONE,
		.msg_off = msg_off,
	};
}

static inline void now(struct bed *bed)
{
	bed_round(bed, bed->worker.now_ns + 1000);
}

static inline void assert_failed(struct bed *bed, enum phx_reason reason)
{
	now(bed);
	assert_string_equal(phx_reason_name(bed->failed), phx_reason_name(reason));
}

static inline struct phx_comp_entry completion(struct bed *bed)
{
	struct phx_comp_entry e;

	now(bed);
	assert_int_equal(bed->failed, PHX_REASON_NONE);
	assert_true(bed_comp(bed, &e));
	return e;
}

// A call that ends with this code and reason; the application stays.
static inline void assert_refused(
	struct bed *bed, struct phx_sub_entry e, enum phx_code code, enum phx_reason reason)
{
	struct phx_comp_entry c;

	bed_sub(bed, e, NULL, 0);
	c = completion(bed);
	assert_int_equal(c.kind, PHX_COMP_CALL);
	assert_int_equal(c.handle, e.handle);
	assert_string_equal(phx_code_name(c.code), phx_code_name(code));
	assert_string_equal(phx_reason_name(c.reason), phx_reason_name(reason));
	assert_int_equal(c.executed, PHX_EXECUTED_NO);
}

static inline struct phx_comp_entry take_request(struct bed *bed)
{
	struct phx_comp_entry c;

	assert_non_null(bed_link_request(bed, zeros, sizeof(zeros)));
	c = completion(bed);
	assert_int_equal(c.kind, PHX_COMP_REQUEST);
	return c;
}

static inline struct phx_sub_entry reply_to(uint64_t handle)
{
	return (struct phx_sub_entry){
		.kind = PHX_SUB_REPLY,
		.flags = PHX_SUB_INLINE,
		.handle = handle,
		.msg_len = 8,
	};
}
