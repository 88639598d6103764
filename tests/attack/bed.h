// SPDX-License-Identifier: BSD-3-Clause
// A dataplane under attack, with a bystander that must notice nothing, and what the kernel says
// about the dataplane's resources. Works with raw.h, the attackers.
#pragma once

#include "lib/base/clock.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define BED_DEADLINE_NS (20 * PHX_NS_PER_S)

// Counted in /proc.
struct bed_gauges {
	unsigned fds;	  // descriptors
	unsigned objects; // mappings of shared memory
	uint64_t bytes;	  // of them
};

struct bed {
	char rundir[64];
	char app_socket[96];
	pid_t dataplane;
	pid_t bystander;
	int bystander_in; // closing it ends the bystander
	int bystander_out;
	char log[96];		 // what the dataplane says
	bool may_grow;		 // the bystander's receive heap may, when it is attacked itself
	struct bed_gauges quiet; // with the bystander alone
};

extern struct bed bed;
// Ends what a failed test left open.
extern void (*bed_cleanup)(void);

// Start a dataplane with these further arguments (NULL ends them) and the bystander. Programs are
// found by bed_main().
void bed_start(const char *const *options);
// End both: the bystander says that no call failed, the dataplane's books are empty, it exits 0.
void bed_stop(void);
// Group fixtures: default options.
int bed_setup(void **state);
int bed_teardown(void **state);

struct bed_gauges bed_gauges(void);
void bed_show_log(void);
// Resident memory of the dataplane, bytes.
uint64_t bed_resident(void);
// Wait until everything that attackers had is given back.
void bed_assert_quiet(void);
// Test fixture: the dataplane lives and everything is back.
int bed_after(void **state);

// main(): finds the programs in argv, runs the tests between setup and teardown.
int bed_main(
	int argc, char **argv, const char *group, const struct CMUnitTest *tests, size_t count);

int bed_main_with(int argc, char **argv, const char *group, const struct CMUnitTest *tests,
	size_t count, CMFixtureFunction setup, CMFixtureFunction teardown);

#define BED_TEST(name) cmocka_unit_test_teardown(name, bed_after)

// Rounds of something: fewer where code runs several times slower than built.
unsigned bed_rounds(unsigned full);
// Wait a moment for the other side; callers loop with a deadline.
void bed_pause(void);
