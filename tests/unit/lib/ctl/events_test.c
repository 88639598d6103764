// SPDX-License-Identifier: BSD-3-Clause
// The ring of events: numbers without gaps, a bounded past, types by glob.
#include "lib/ctl/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static json_int_t number_of(const struct phx_ctl_events *e, uint64_t seq)
{
	return json_integer_value(json_object_get(phx_ctl_events_at(e, seq), "seq"));
}

static void events_are_numbered_from_one(void **state)
{
	struct phx_ctl_events e;

	(void)state;
	assert_int_equal(phx_ctl_events_init(&e, 4), 0);
	assert_int_equal(phx_ctl_events_first(&e), 1);
	assert_null(phx_ctl_events_at(&e, 1));
	phx_ctl_events_add(&e, 0, "app.attached", "app-1", NULL);
	phx_ctl_events_add(&e, 0, "app.detached", "app-1", json_pack("{s:s}", "reason", "X"));
	assert_int_equal(number_of(&e, 1), 1);
	assert_int_equal(number_of(&e, 2), 2);
	assert_null(phx_ctl_events_at(&e, 0));
	assert_null(phx_ctl_events_at(&e, 3));
	phx_ctl_events_fini(&e);
}

static void the_oldest_events_make_room(void **state)
{
	struct phx_ctl_events e;

	(void)state;
	assert_int_equal(phx_ctl_events_init(&e, 4), 0);
	for (int i = 0; i < 11; i++)
		phx_ctl_events_add(&e, 0, "x", "", NULL);
	assert_int_equal(phx_ctl_events_first(&e), 8);
	assert_null(phx_ctl_events_at(&e, 7));
	for (uint64_t seq = 8; seq <= 11; seq++)
		assert_int_equal(number_of(&e, seq), seq);
	phx_ctl_events_fini(&e);
	phx_ctl_events_fini(&e);
}

// Something that is no text must not become a hole without a number.
static void an_event_that_cannot_be_made_is_missing_at_its_number(void **state)
{
	struct phx_ctl_events e;

	(void)state;
	assert_int_equal(phx_ctl_events_init(&e, 4), 0);
	phx_ctl_events_add(&e, 0, "x", "\xff", NULL);
	phx_ctl_events_add(&e, 0, "x", "", NULL);
	assert_null(phx_ctl_events_at(&e, 1));
	assert_int_equal(number_of(&e, 2), 2);
	phx_ctl_events_fini(&e);
}

static void types_match_by_glob(void **state)
{
	json_t *globs = json_pack("[s, s]", "app.*", "link.lost");
	json_t *none = json_array();

	(void)state;
	assert_true(phx_ctl_events_match(globs, "app.attached"));
	assert_true(phx_ctl_events_match(globs, "link.lost"));
	assert_false(phx_ctl_events_match(globs, "link.up"));
	assert_true(phx_ctl_events_match(NULL, "link.up"));
	assert_true(phx_ctl_events_match(none, "link.up"));
	json_decref(none);
	json_decref(globs);
}

static void times_are_rfc_3339(void **state)
{
	json_t *at = phx_ctl_wall_time(1700000000123456789);

	(void)state;
	assert_string_equal(json_string_value(at), "2023-11-14T22:13:20.123Z");
	json_decref(at);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_numbered_from_one),
		cmocka_unit_test(the_oldest_events_make_room),
		cmocka_unit_test(an_event_that_cannot_be_made_is_missing_at_its_number),
		cmocka_unit_test(types_match_by_glob),
		cmocka_unit_test(times_are_rfc_3339),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
