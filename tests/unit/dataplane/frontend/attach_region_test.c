// SPDX-License-Identifier: BSD-3-Clause
// Regions of applications where pages are larger than 4 KiB: sysconf() is played by the test.
#include "dataplane/frontend/attach_region.h"

#include "lib/base/compiler.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <unistd.h>

#include <cmocka.h>

#define QUOTA UINT64_C(0x1000000)
#define QUEUE UINT64_C(0x41000) // of the default sizes

static long page;

// In place of libc's.
long sysconf(int name)
{
	return name == _SC_PAGESIZE ? page : -1;
}

static void regions_are_whole_pages_of_any_size(void **state)
{
	static const long pages[] = {4096, 16384, 65536};

	(void)state;
	for (unsigned i = 0; i < PHX_ARRAY_LEN(pages); i++) {
		struct attach_budget budget = {.limit = QUOTA};
		struct attach_object o;
		struct attach_region *r;

		page = pages[i];
		assert_int_equal(attach_object_init(&o, 0, &budget, QUOTA, QUEUE), 0);
		assert_int_equal(attach_object_queue(&o, QUEUE, 0, &r), 0);
		assert_int_equal(r->size % page, 0);
		assert_true(r->size >= QUEUE && r->size < QUEUE + page);
		assert_int_equal(attach_object_grow(&o, 1, &r), 0);
		assert_int_equal(r->offset % page, 0);
		assert_int_equal(attach_object_grow(&o, 1000001, &r), 0); // more than is next
		assert_int_equal(r->size % page, 0);
		assert_true(r->size >= 1000001);
		attach_object_fini(&o);
		assert_int_equal(budget.used, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(regions_are_whole_pages_of_any_size),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
