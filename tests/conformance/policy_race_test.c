// SPDX-License-Identifier: BSD-3-Clause
// A second thread of the application rewrites its buffers while calls go out: what the policy
// forbids never arrives, whatever the moment (design.md 4, reliability.md T-02). The number of
// attempts is the first argument.
#include "lib/base/clock.h"
#include "tests/conformance/rig.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define BURST	    16
#define PATIENCE_NS (60 * PHX_NS_PER_S)

static uint64_t attempts = 40000;

struct flipper {
	uint8_t *at; // 4 bytes, aligned
	uint32_t words[2];
	_Atomic bool stop;
	_Atomic uint64_t flips;
	pthread_t thread;
};

static void *flip(void *arg)
{
	struct flipper *f = arg;
	_Atomic uint32_t *word = (_Atomic uint32_t *)f->at;
	uint64_t n = 0;

	while (!atomic_load_explicit(&f->stop, memory_order_relaxed)) {
		atomic_store_explicit(word, f->words[n++ & 1], memory_order_relaxed);
		atomic_store_explicit(&f->flips, n, memory_order_relaxed);
	}
	return NULL;
}

static void flipper_start(struct flipper *f, uint8_t *at, const char *good, const char *evil)
{
	*f = (struct flipper){.at = at};
	assert_int_equal((uintptr_t)at % 4, 0);
	memcpy(&f->words[0], good, 4);
	memcpy(&f->words[1], evil, 4);
	assert_int_equal(pthread_create(&f->thread, NULL, flip, f), 0);
}

static void flipper_stop(struct flipper *f)
{
	atomic_store(&f->stop, true);
	assert_int_equal(pthread_join(f->thread, NULL), 0);
}

// Calls with the message at call->at until both outcomes were seen often enough.
static void race(struct rig *rig, struct rig_call *call, struct flipper *f)
{
	uint64_t ok = 0, denied = 0, until = phx_clock_ns() + PATIENCE_NS;
	uint32_t slots[BURST];

	call->again = true;
	while (ok + denied < attempts || ok < 10 || denied < 10) {
		for (unsigned i = 0; i < BURST; i++)
			slots[i] = rig_submit(rig, call);
		rig_pass(rig, 3 * TIMER_TICK_NS);
		for (unsigned i = 0; i < BURST; i++) {
			const struct rig_done *d = rig_done(rig, slots[i]);

			assert_int_equal(d->completions, 1);
			assert_true(d->code == PHX_OK || d->code == PHX_PERMISSION_DENIED);
			ok += d->code == PHX_OK;
			denied += d->code == PHX_PERMISSION_DENIED;
		}
		assert_int_equal(rig->server.evil, 0);
		if (phx_clock_ns() > until)
			fail_msg("only %lu passed and %lu denied", ok, denied);
	}
	print_message("%lu attempts: %lu passed, %lu denied, %lu flips, 0 forbidden\n", ok + denied,
		ok, denied, atomic_load(&f->flips));
}

static void run(const char *policy, uint32_t body, const char *good, const char *evil)
{
	struct rig *rig = rig_create();
	struct rig_call call = {.name = "good", .body = body};
	struct flipper f;
	uint32_t slot;

	rig_attach(rig, "client-acl", "probe", policy);
	slot = rig_submit(rig, &call); // builds the message
	rig_pass(rig, 3 * TIMER_TICK_NS);
	assert_int_equal(rig_done(rig, slot)->code, PHX_OK);
	flipper_start(&f, rig->client.app + (body != 0 ? call.body_at : call.name_at), good, evil);
	race(rig, &call, &f);
	flipper_stop(&f);
	rig_destroy(rig);
}

static void inspected_text_that_flips_never_arrives(void **state)
{
	(void)state;
	run("deny=evil", 0, "good", "evil");
}

// Larger than what is copied anyway: inspection takes it into the snapshot.
static void inspected_large_leaf_that_flips_never_arrives(void **state)
{
	(void)state;
	run("field=body deny=e", 8192, "bbbb", "eeee");
}

// Held calls keep their snapshot: the policy is asked twice about the same bytes.
static void held_text_that_flips_never_arrives(void **state)
{
	(void)state;
	run("deny=evil hold=good hold_ns=1", 0, "good", "evil");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(inspected_text_that_flips_never_arrives),
		cmocka_unit_test(inspected_large_leaf_that_flips_never_arrives),
		cmocka_unit_test(held_text_that_flips_never_arrives),
	};

	if (argc > 1)
		attempts = strtoull(argv[1], NULL, 10);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
