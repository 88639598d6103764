// SPDX-License-Identifier: BSD-3-Clause
// Which worker a session gets.
#include "dataplane/frontend/attach_place.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static unsigned choose(
	enum rules_placement mode, int worker, const struct place_load *loads, unsigned n, bool met)
{
	const struct rules_attach rule = {.placement = mode, .worker = worker};
	bool is_met;
	unsigned chosen = place_choose(&rule, loads, n, &is_met);

	assert_int_equal(is_met, met);
	assert_true(chosen < n);
	return chosen;
}

static void choose_shared_takes_the_emptiest(void **)
{
	const struct place_load loads[] = {{2, 0, 10, false}, {1, 1, 99, false}, {1, 0, 98, false}};
	bool met;

	assert_int_equal(choose(RULES_SHARED, -1, loads, 3, true), 2);
	assert_int_equal(place_choose(NULL, loads, 3, &met), 2); // rules have changed meanwhile
	assert_true(met);
}

static void choose_spread_keeps_away_from_its_like(void **)
{
	const struct place_load loads[] = {{1, 1, 0, false}, {5, 0, 90, false}, {6, 0, 0, false}};

	assert_int_equal(choose(RULES_SPREAD, -1, loads, 3, true), 1);
}

static void choose_packed_takes_the_first_with_time_left(void **)
{
	const struct place_load some[] = {{9, 0, 85, false}, {9, 9, 79, false}, {0, 0, 0, false}};
	const struct place_load none[] = {{9, 0, 85, false}, {3, 9, 99, false}};

	assert_int_equal(choose(RULES_PACKED, -1, some, 3, true), 1);
	assert_int_equal(choose(RULES_PACKED, -1, none, 2, true), 1);
}

static void choose_dedicated_leaves_one_to_the_others(void **)
{
	const struct place_load two[] = {{0, 0, 0, true}, {4, 0, 0, false}};
	const struct place_load three[] = {{0, 0, 0, true}, {4, 0, 0, false}, {1, 0, 0, false}};
	const struct place_load one[] = {{0, 0, 0, false}};

	assert_int_equal(choose(RULES_DEDICATED, -1, three, 3, true), 2);
	assert_int_equal(choose(RULES_DEDICATED, -1, two, 2, false), 1);
	assert_int_equal(choose(RULES_DEDICATED, -1, one, 1, false), 0);
}

static void choose_keeps_off_dedicated_workers(void **)
{
	const struct place_load loads[] = {{0, 0, 0, true}, {9, 9, 99, false}};

	for (enum rules_placement m = RULES_SHARED; m <= RULES_PACKED; m++)
		assert_int_equal(choose(m, -1, loads, 2, true), 1);
}

static void choose_follows_the_worker_of_the_rule(void **)
{
	const struct place_load loads[] = {{0, 0, 0, true}, {0, 0, 0, false}};

	assert_int_equal(choose(RULES_SHARED, 0, loads, 2, true), 0);
	assert_int_equal(choose(RULES_DEDICATED, 1, loads, 2, true), 1);
	assert_int_equal(choose(RULES_SHARED, 2, loads, 2, false), 1); // there is none
}

// Operators can dedicate every worker by number; somebody has to take the rest.
static void choose_without_a_shared_worker_takes_the_first(void **)
{
	const struct place_load loads[] = {{1, 0, 0, true}, {1, 0, 0, true}};

	for (enum rules_placement m = RULES_SHARED; m <= RULES_PACKED; m++)
		assert_int_equal(choose(m, -1, loads, 2, true), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(choose_shared_takes_the_emptiest),
		cmocka_unit_test(choose_spread_keeps_away_from_its_like),
		cmocka_unit_test(choose_packed_takes_the_first_with_time_left),
		cmocka_unit_test(choose_dedicated_leaves_one_to_the_others),
		cmocka_unit_test(choose_keeps_off_dedicated_workers),
		cmocka_unit_test(choose_follows_the_worker_of_the_rule),
		cmocka_unit_test(choose_without_a_shared_worker_takes_the_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
