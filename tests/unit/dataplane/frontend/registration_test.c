// SPDX-License-Identifier: BSD-3-Clause
// Places of registrations: used again, but never while a request or a handle still names one.
#include "tests/unit/dataplane/frontend/bed_test.h"

#include <errno.h>

static uint32_t add(struct bed *bed)
{
	uint32_t handle = UINT32_MAX;

	assert_int_equal(session_register(bed->session, 0, 0, 0, &handle), 0);
	return handle;
}

static void registering_again_and_again_finds_a_place(void **state)
{
	struct bed *bed = *state;
	uint32_t last = 0, handle;

	for (uint32_t i = 0; i < 4 * PHX_LIMIT_SERVICES_MAX; i++) {
		handle = add(bed);
		assert_int_not_equal(handle, last);
		session_unregister(bed->session, handle);
		last = handle;
	}
}

static void no_more_than_the_limit_at_once(void **state)
{
	struct bed *bed = *state;
	uint32_t handle = 0;

	for (uint32_t i = 1; i < PHX_LIMIT_SERVICES_MAX; i++) // the bed has one
		handle = add(bed);
	assert_int_equal(session_register(bed->session, 0, 0, 0, &handle), -ENOSPC);
	session_unregister(bed->session, handle);
	(void)add(bed);
	assert_int_equal(session_register(bed->session, 0, 0, 0, &handle), -ENOSPC);
}

static void handle_of_the_one_before_reaches_nobody(void **state)
{
	struct bed *bed = *state;
	uint32_t before = 0;

	for (uint32_t i = 1; i < PHX_LIMIT_SERVICES_MAX; i++)
		before = add(bed);
	session_unregister(bed->session, before);
	assert_null(rcall_create(bed->session, before, 0));
	assert_int_not_equal(add(bed), before);
	assert_null(rcall_create(bed->session, before, 0));
	session_unregister(bed->session, before); // of nobody
	assert_int_equal(session_register(bed->session, 0, 0, 0, &before), -ENOSPC);
}

// The request says which service it is for, and its statistics too.
static void place_is_kept_while_a_request_names_it(void **state)
{
	struct bed *bed = *state;
	struct rcall *r;
	uint32_t handle = 0, more;

	for (uint32_t i = 1; i < PHX_LIMIT_SERVICES_MAX; i++)
		handle = add(bed);
	r = rcall_create(bed->session, handle, 0);
	assert_non_null(r);
	session_unregister(bed->session, handle);
	assert_int_equal(session_register(bed->session, 0, 0, 0, &more), -ENOSPC);
	rcall_cancel(r, PHX_REASON_CANCELLED);
	assert_int_not_equal(add(bed), handle);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(registering_again_and_again_finds_a_place),
		T(no_more_than_the_limit_at_once),
		T(handle_of_the_one_before_reaches_nobody),
		T(place_is_kept_while_a_request_names_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
