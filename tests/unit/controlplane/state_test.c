// SPDX-License-Identifier: BSD-3-Clause
// Transactions when memory is short: each allocation of JSON fails once, and memory and journal say
// the same all the same.
#include "controlplane/state.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define PEERS	5
#define NOTHING UINT32_MAX

static uint32_t fail_at = NOTHING; // allocations until one fails

static void *count_malloc(size_t size)
{
	if (fail_at != NOTHING && fail_at-- == 0) {
		fail_at = NOTHING;
		return NULL;
	}
	return malloc(size);
}

struct rig {
	char dir[64];
	struct state state;
};

static int open_state(const struct rig *r, struct state *s)
{
	struct store *store;
	char why[256];
	int rc = store_file_open(r->dir, &store, why, sizeof(why));

	return rc != 0 ? rc : state_open(s, store, NULL, why, sizeof(why));
}

// Add a peer, or remove it. 0 or what state_commit() said; allocation number `fail` of it fails.
static int commit(struct rig *r, unsigned peer, bool add, uint32_t fail)
{
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	struct state_change change = {0};
	char text[128];
	bool changed;
	int rc;

	if (add)
		(void)snprintf(text, sizeof(text),
			"{\"peer/p%u\": {\"name\": \"p%u\", \"network\": \"10.0.%u.0/24\"}}", peer,
			peer, peer);
	else
		(void)snprintf(text, sizeof(text), "{\"peer/p%u\": null}", peer);
	change.changes = json_loads(text, 0, NULL);
	assert_non_null(change.changes);
	fail_at = fail;
	rc = state_commit(&r->state, &change, &changed, &e);
	json_decref(change.changes);
	phx_ctl_error_fini(&e);
	return rc;
}

static bool is_there(const struct rig *r, const char *name)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "%s/%s", r->dir, name);
	return access(path, F_OK) == 0;
}

static void assert_stored(const struct rig *r)
{
	struct state stored;

	assert_int_equal(open_state(r, &stored), 0);
	assert_true(json_equal(stored.keys, r->state.keys));
	assert_int_equal(stored.generation, r->state.generation);
	state_close(&stored);
}

static int setup(void **state)
{
	struct rig *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	(void)snprintf(r->dir, sizeof(r->dir), "/tmp/phx-state.XXXXXX");
	assert_non_null(mkdtemp(r->dir));
	assert_int_equal(open_state(r, &r->state), 0);
	for (unsigned i = 0; i < PEERS; i++)
		assert_int_equal(commit(r, i, true, NOTHING), 0);
	*state = r;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"intent.journal", "intent.journal.bad"};
	struct rig *r = *state;

	state_close(&r->state);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "%s/%s", r->dir, names[i]);
		(void)unlink(path); // one is not there
	}
	assert_int_equal(rmdir(r->dir), 0);
	free(r);
	return 0;
}

static void commit_without_memory_changes_all_or_nothing(void **state)
{
	struct rig *r = *state;
	bool failed = true;

	for (uint32_t n = 0; failed; n++) {
		size_t before = json_object_size(r->state.keys);
		int rc = commit(r, PEERS, true, n);

		failed = fail_at == NOTHING;
		fail_at = NOTHING;
		assert_true(failed || rc == 0);
		assert_int_equal(json_object_size(r->state.keys), before + (rc == 0));
		assert_stored(r);
		if (rc == 0)
			assert_int_equal(commit(r, PEERS, false, NOTHING), 0);
	}
}

static void journal_is_whole_after_an_opening_without_memory(void **state)
{
	struct rig *r = *state;
	bool failed = true;

	for (uint32_t n = 0; failed; n++) {
		struct state s;
		int rc;

		fail_at = n;
		rc = open_state(r, &s);
		failed = fail_at == NOTHING;
		fail_at = NOTHING;
		assert_true(failed || rc == 0);
		if (rc == 0)
			state_close(&s);
		assert_false(is_there(r, "intent.journal.bad"));
		assert_stored(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			commit_without_memory_changes_all_or_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(
			journal_is_whole_after_an_opening_without_memory, setup, teardown),
	};

	json_set_alloc_funcs(count_malloc, free);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
