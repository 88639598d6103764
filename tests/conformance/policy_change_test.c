// SPDX-License-Identifier: BSD-3-Clause
// Policies that come, change and go while calls are under way, and the end of calls, exactly once
// however they end. See policy_test.c for what single policies do.
#include "tests/conformance/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

static int setup(void **state)
{
	atomic_store(&probe_ends, 0);
	return rig_setup(state);
}

static void expect_ok(const struct rig_done *d)
{
	assert_int_equal(d->completions, 1);
	assert_int_equal(d->code, PHX_OK);
}

static void expect_code(const struct rig_done *d, unsigned code)
{
	assert_int_equal(d->completions, 1);
	assert_int_equal(d->code, code);
}

// ---- changes around a held call ----

static void detach_lets_held_calls_go(void **state)
{
	struct rig *rig = *state;

	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=1000000000");
	for (unsigned i = 0; i < 100; i++)
		(void)rig_echo(rig, "slow", i % 3);
	assert_int_equal(rig->server.request_count, 0);
	rig_detach(rig, "client-hold");
	rig_pass(rig, MS);
	assert_int_equal(rig->server.request_count, 100);
	assert_int_equal(policyhost_reclaim(rig->host), 0);
	assert_int_equal(atomic_load(&probe_ends), 0); // none had passed it
}

static void reconfigure_asks_held_calls_again(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=1000000000");
	d = rig_echo(rig, "slow", 1);
	rig_reconfigure(rig, "client-hold", "deny=slow");
	rig_pass(rig, MS);
	expect_code(d, PHX_PERMISSION_DENIED);
	assert_int_equal(rig_stats(rig, "client-hold").live, 0);
}

static void attach_during_a_hold_judges_the_held_call_too(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d[2];

	rig_attach(rig, "client-a", "watch", "");
	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=5000000");
	d[0] = rig_echo(rig, "slow", 1);
	d[1] = rig_echo(rig, "slow", 2);
	rig_attach(rig, "client-acl", "probe", "deny=slow");
	rig_pass(rig, 6 * MS);
	expect_code(d[0], PHX_PERMISSION_DENIED);
	expect_code(d[1], PHX_PERMISSION_DENIED);
	// What they had passed before did not see them twice, and gets their end.
	assert_int_equal(rig_stats(rig, "client-a").messages[PHX_POLICY_REQUEST_OUT], 2);
	assert_int_equal(rig_stats(rig, "client-a").counters[PROBE_ENDS], 2);
	assert_int_equal(rig_stats(rig, "client-hold").counters[PROBE_ENDS], 2);
	assert_int_equal(rig_stats(rig, "client-acl").counters[PROBE_ENDS], 0);
}

static void attach_during_a_hold_inspects_what_was_left_in_place(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "slow", .body = 3000000};
	uint32_t slots[3];

	// The body is larger than the threshold and nobody inspects it yet: it stays where it is.
	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=5000000");
	for (unsigned i = 0; i < 3; i++) {
		slots[i] = rig_submit(rig, &call);
		if (i == 1)
			rig->client.app[call.body_at] = 'e';
		rig_settle(rig);
	}
	assert_int_equal(rig_stats(rig, "client-hold").held, 3);
	rig_attach(rig, "client-acl", "probe", "field=body deny=e");
	rig_pass(rig, 6 * MS);
	rig_settle(rig);
	expect_ok(rig_done(rig, slots[0]));
	expect_code(rig_done(rig, slots[1]), PHX_PERMISSION_DENIED);
	expect_ok(rig_done(rig, slots[2]));
	assert_int_equal(rig->server.evil, 0);
	assert_int_equal(rig_stats(rig, "client-acl").failed, 0);
	assert_int_equal(rig->server.requests[1].body_len, 3000000);
}

static void cancel_while_a_held_call_is_filled(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "slow", .body = 3000000};
	uint32_t slot;

	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=5000000");
	slot = rig_submit(rig, &call);
	rig_settle(rig);
	rig_attach(rig, "client-acl", "probe", "field=body deny=e");
	while (rig->client.session->queues[0]->calls[slot].work.pack == NULL) {
		rig->now += TIMER_TICK_NS;
		(void)rig_round(rig);
	}
	rig_cancel(rig, slot);
	rig_settle(rig);
	expect_code(rig_done(rig, slot), PHX_CANCELLED);
}

// ---- configurations ----

static void passed_policy_that_changes_does_not_judge_again(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "client-acl", "probe", "");
	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=5000000");
	d = rig_echo(rig, "slow", 1);
	rig_reconfigure(rig, "client-acl", "deny=slow reply_deny=slow");
	rig_pass(rig, 6 * MS);
	expect_ok(d); // at the reply too: by the configuration that it had passed
	assert_int_equal(rig_stats(rig, "client-acl").counters[PROBE_CHANGED], 0);
	assert_int_equal(rig_stats(rig, "client-acl").counters[PROBE_ENDS], 1);
	expect_code(rig_echo(rig, "slow", 1), PHX_PERMISSION_DENIED);
}

static void passed_policy_that_rechecks_judges_again(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d[2];

	rig_attach(rig, "client-acl", "probe-again", "");
	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=5000000");
	d[0] = rig_echo(rig, "slow", 1);
	d[1] = rig_echo(rig, "slow", 1);
	rig_reconfigure(rig, "client-acl", "deny=slow");
	rig_pass(rig, 6 * MS);
	expect_code(d[0], PHX_PERMISSION_DENIED);
	expect_code(d[1], PHX_PERMISSION_DENIED);
	assert_int_equal(rig_stats(rig, "client-acl").counters[PROBE_CHANGED], 2);
	// They had passed it once: it gets their end, once.
	assert_int_equal(rig_stats(rig, "client-acl").counters[PROBE_ENDS], 2);
	assert_int_equal(rig_stats(rig, "client-acl").counters[PROBE_STATE_BAD], 0);
}

static void reply_is_judged_by_a_policy_that_rechecks(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig->server.quiet = true;
	rig_attach(rig, "client-acl", "probe-again", "");
	d = rig_echo(rig, "slow", 1);
	rig_reconfigure(rig, "client-acl", "reply_deny=slow");
	rig_answer(rig, 0, "slow", 0);
	rig_settle(rig);
	expect_code(d, PHX_PERMISSION_DENIED);
	assert_int_equal(rig_stats(rig, "client-acl").counters[PROBE_STATE_BAD], 0);
}

static void reply_is_judged_by_a_policy_that_came_after_the_request(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig->server.quiet = true;
	d = rig_echo(rig, "hello", 1);
	rig_attach(rig, "client-acl", "probe", "reply_deny=secret");
	rig_answer(rig, 0, "secret", 0);
	rig_settle(rig);
	expect_code(d, PHX_PERMISSION_DENIED);
	// It has not let the request pass, so the end is not its business.
	assert_int_equal(rig_stats(rig, "client-acl").counters[PROBE_ENDS], 0);
	assert_int_equal(rig_stats(rig, "client-acl").live, 0);
}

static void detached_policy_gets_the_end_and_lives_until_then(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig->server.quiet = true;
	rig_attach(rig, "client-acl", "probe", "reply_deny=secret");
	d = rig_echo(rig, "hello", 1);
	rig_detach(rig, "client-acl");
	rig_settle(rig);
	assert_int_equal(policyhost_reclaim(rig->host), 1);
	rig_answer(rig, 0, "secret", 0);
	rig_settle(rig);
	expect_ok(d); // it has gone: it judges no more
	assert_int_equal(atomic_load(&probe_ends), 1);
	assert_int_equal(policyhost_reclaim(rig->host), 0);
}

static void move_changes_the_order_and_nothing_else(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "client-one", "probe", "rewrite=one");
	rig_attach(rig, "client-two", "probe", "rewrite=two");
	rig_attach(rig, "client-hold", "probe", "hold=two hold_ns=5000000");
	d = rig_echo(rig, "x", 1);
	assert_int_equal(policyhost_move(rig->host, "client-hold", 0), 0);
	assert_int_equal(policyhost_move(rig->host, "client-two", 0), 0);
	rig_pass(rig, 6 * MS);
	expect_ok(d);
	assert_string_equal(d->reply, "two");
	d = rig_echo(rig, "x", 1); // two, hold, one
	assert_false(d->done);
	rig_pass(rig, 6 * MS);
	expect_ok(d);
	assert_string_equal(d->reply, "one");
	assert_int_equal(policyhost_move(rig->host, "nobody", 0), -ENOENT);
}

static void failed_changes_leave_everything_as_it_was(void **state)
{
	struct rig *rig = *state;
	struct policyhost_error error;
	const struct policyhost_param bad = {"hold_ns", "1000000001"};
	uint64_t generation;

	rig_attach(rig, "acl", "probe", "deny=evil");
	generation = policyhost_generation(rig->host);
	assert_int_equal(rig_try_attach(rig, "acl", "null", ""), -EEXIST);
	assert_int_equal(rig_try_attach(rig, "b", "nonsense", ""), -ENOENT);
	assert_int_equal(rig_try_attach(rig, "b", "probe", "nonsense=1"), -EINVAL);
	assert_int_equal(rig_try_attach(rig, "b", "probe", "deny=1 deny=2"), -EINVAL);
	assert_int_equal(rig_try_attach(rig, "b", "probe", "hold_ns=-1"), -EINVAL);
	assert_int_equal(rig_try_attach(rig, "b", "probe", "hold_ns=1x"), -EINVAL);
	assert_int_equal(
		rig_try_attach(rig, "b", "probe", "hold_ns=99999999999999999999"), -EINVAL);
	assert_int_equal(rig_try_attach(rig, "b", "probe", "set_amount=-6"), -EINVAL);
	assert_int_equal(rig_try_attach(rig, "b", "probe", "deny=refuse_me"), -EDOM);
	assert_int_equal(policyhost_reconfigure(rig->host, "acl", &bad, 1, &error), -EINVAL);
	assert_non_null(strstr(error.text, "hold_ns"));
	assert_int_equal(policyhost_detach(rig->host, "b"), -ENOENT);
	assert_int_equal(policyhost_generation(rig->host), generation);
	expect_code(rig_echo(rig, "evil", 1), PHX_PERMISSION_DENIED);
}

static void types_that_break_the_interface_are_refused(void **state)
{
	struct rig *rig = *state;
	struct phx_policy type = watch_policy;

	type.name = "other";
	type.hello.magic++;
	assert_int_equal(policyhost_type_add(rig->host, &type), -EPROTO);
	type.hello = watch_policy.hello;
	type.hello.min = PHX_POLICY_ABI_MAX + 1;
	assert_int_equal(policyhost_type_add(rig->host, &type), -EPROTO);
	type.hello = watch_policy.hello;
	type.hello.size = 16;
	assert_int_equal(policyhost_type_add(rig->host, &type), -EPROTO);
	type.hello = watch_policy.hello;
	type.judges = 1u << 5;
	assert_int_equal(policyhost_type_add(rig->host, &type), -EINVAL);
	type.judges = 0;
	type.state_size = PHX_POLICY_STATE_SIZE + 1;
	assert_int_equal(policyhost_type_add(rig->host, &type), -EINVAL);
	type.state_size = 0;
	type.name = "null";
	assert_int_equal(policyhost_type_add(rig->host, &type), -EEXIST);
}

// ---- ends ----

struct ends {
	struct rig *rig;
	uint64_t client, server; // so far
};

// Since the last time: calls that ended, once each, at the client's and the server's policy.
static void expect_ends(struct ends *e, uint64_t client, uint64_t server)
{
	struct policyhost_stats c = rig_stats(e->rig, "client-watch");
	struct policyhost_stats s = rig_stats(e->rig, "server-watch");

	assert_int_equal(c.counters[PROBE_ENDS] - e->client, client);
	assert_int_equal(s.counters[PROBE_ENDS] - e->server, server);
	assert_int_equal(c.live + s.live, 0);
	assert_int_equal(c.counters[PROBE_STATE_BAD] + s.counters[PROBE_STATE_BAD], 0);
	e->client = c.counters[PROBE_ENDS];
	e->server = s.counters[PROBE_ENDS];
}

static void call_end_runs_once_however_it_ends(void **state)
{
	struct rig *rig = *state;
	struct ends e = {.rig = rig};
	struct rig_call call = {.name = "x", .timeout_ns = 5 * MS};
	uint32_t slot;

	rig_attach(rig, "client-watch", "watch", "");
	rig_attach(rig, "server-watch", "watch", "");
	rig_attach(rig, "client-acl", "probe", "deny=evil reply_deny=secret");
	rig_attach(rig, "server-acl", "probe", "deny=bad");
	rig->server.quiet = true;

	(void)rig_echo(rig, "x", 1);
	rig_answer(rig, rig->server.request_count - 1, "fine", 0);
	rig_settle(rig);
	expect_ends(&e, 1, 1);
	assert_int_equal(rig_stats(rig, "client-watch").counters[PROBE_ENDS_OK], 1);

	(void)rig_echo(rig, "x", 1);
	rig_answer(rig, rig->server.request_count - 1, "", PHX_ABORTED);
	rig_settle(rig);
	expect_ends(&e, 1, 1);
	(void)rig_echo(rig, "evil", 1); // denied behind it
	expect_ends(&e, 1, 0);
	(void)rig_echo(rig, "bad", 1);
	expect_ends(&e, 1, 1);
	(void)rig_echo(rig, "x", 1);
	rig_answer(rig, rig->server.request_count - 1, "secret", 0);
	rig_settle(rig);
	expect_ends(&e, 1, 1);

	slot = rig_submit(rig, &call); // nobody answers
	rig_pass(rig, 6 * MS);
	expect_code(rig_done(rig, slot), PHX_DEADLINE_EXCEEDED);
	expect_ends(&e, 1, 1);
	call.timeout_ns = 0;
	slot = rig_submit(rig, &call);
	rig_settle(rig);
	rig_cancel(rig, slot);
	rig_settle(rig);
	expect_code(rig_done(rig, slot), PHX_CANCELLED);
	expect_ends(&e, 1, 1);
	assert_int_equal(rig->server.cancelled, 2);

	for (unsigned i = 0; i < 5; i++)
		slot = rig_submit(rig, &call);
	rig_settle(rig);
	rig_lose_link(rig);
	rig_pass(rig, 200 * MS);
	expect_code(rig_done(rig, slot), PHX_UNAVAILABLE);
	assert_int_equal(rig_done(rig, slot)->executed, PHX_EXECUTED_MAYBE);
	expect_ends(&e, 5, 5);
}

static void call_end_runs_once_when_the_client_dies(void **state)
{
	struct rig *rig = *state;
	struct ends e = {.rig = rig};

	rig_attach(rig, "client-watch", "watch", "");
	rig_attach(rig, "server-watch", "watch", "");
	rig->server.quiet = true;
	for (unsigned i = 0; i < 10; i++)
		(void)rig_echo(rig, "x", 1);
	rig_close(&rig->client);
	expect_ends(&e, 10, 10);
}

static void call_end_runs_once_when_the_server_dies(void **state)
{
	struct rig *rig = *state;
	struct ends e = {.rig = rig};
	struct rig_done *d = NULL;

	rig_attach(rig, "client-watch", "watch", "");
	rig_attach(rig, "server-watch", "watch", "");
	rig->server.quiet = true;
	for (unsigned i = 0; i < 10; i++)
		d = rig_echo(rig, "x", 1);
	rig_close(&rig->server);
	expect_code(d, PHX_UNAVAILABLE);
	expect_ends(&e, 10, 10);
}

// ---- many changes ----

static void random_change(struct rig *rig, uint64_t r, bool attached[4])
{
	static const char *const names[4] = {"client-0", "server-1", "both-2", "client-3"};
	static const char *const types[4] = {"watch", "probe", "probe-again", "null"};
	static const char *const params[3] = {"", "hold=slow hold_ns=300000", "rewrite=other"};
	unsigned i = r % 4, t = (unsigned)(r >> 8) % 4;

	if (!attached[i]) {
		rig_attach(rig, names[i], types[t], t == 1 || t == 2 ? params[(r >> 16) % 3] : "");
		attached[i] = true;
	} else if ((r >> 24) % 3 == 0) {
		assert_int_equal(policyhost_move(rig->host, names[i], (r >> 32) % 5), 0);
	} else if ((r >> 24) % 3 == 1) {
		struct policyhost_error error;

		assert_int_equal(policyhost_reconfigure(rig->host, names[i], NULL, 0, &error), 0);
	} else {
		rig_detach(rig, names[i]);
		attached[i] = false;
	}
}

static void changes_while_calls_flow_lose_nothing(void **state)
{
	static const char *const names[] = {"good", "slow", "evil"};
	struct rig *rig = *state;
	uint64_t seed = 42, calls = 0, denied = 0, ok = 0;
	uint32_t slots[8];
	bool attached[4] = {false};

	rig_attach(rig, "client-sentinel", "probe", "deny=evil");
	for (unsigned step = 0; step < 3000; step++) {
		for (unsigned i = 0; i < 8; i++) {
			struct rig_call call = {
				.name = names[(step + i) % 3],
				.amount = i,
				.body = i == 7 ? 9000 : 10,
				.timeout_ns = i == 6 ? 200000 : 0,
				.inlined = i % 2 == 0,
			};

			slots[i] = rig_submit(rig, &call);
			(void)rig_round(rig);
		}
		if (step % 3 == 0) {
			seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
			random_change(rig, seed >> 16, attached);
		}
		if (step % 5 == 0)
			rig_cancel(rig, slots[3]);
		rig_pass(rig, 3 * MS);
		for (unsigned i = 0; i < 8; i++) {
			const struct rig_done *d = rig_done(rig, slots[i]);

			assert_int_equal(d->completions, 1); // none lost, none twice
			calls++;
			ok += d->code == PHX_OK;
			denied += d->code == PHX_PERMISSION_DENIED;
			assert_true(d->code == PHX_OK || d->code == PHX_PERMISSION_DENIED ||
				    d->code == PHX_DEADLINE_EXCEEDED || d->code == PHX_CANCELLED);
		}
	}
	// One that was renamed by a policy in front of the sentinel may pass, under its new name.
	assert_int_equal(rig->server.evil, 0);
	assert_true(ok > calls / 2);
	assert_in_range(denied, calls / 10, calls / 3 + 1);
	assert_int_equal(rig_stats(rig, "client-sentinel").counters[PROBE_STATE_BAD], 0);
	assert_int_equal(policyhost_reclaim(rig->host), 0); // every configuration has been freed
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(detach_lets_held_calls_go),
		T(reconfigure_asks_held_calls_again),
		T(attach_during_a_hold_judges_the_held_call_too),
		T(attach_during_a_hold_inspects_what_was_left_in_place),
		T(cancel_while_a_held_call_is_filled),
		T(passed_policy_that_changes_does_not_judge_again),
		T(passed_policy_that_rechecks_judges_again),
		T(reply_is_judged_by_a_policy_that_rechecks),
		T(reply_is_judged_by_a_policy_that_came_after_the_request),
		T(detached_policy_gets_the_end_and_lives_until_then),
		T(move_changes_the_order_and_nothing_else),
		T(failed_changes_leave_everything_as_it_was),
		T(types_that_break_the_interface_are_refused),
		T(call_end_runs_once_however_it_ends),
		T(call_end_runs_once_when_the_client_dies),
		T(call_end_runs_once_when_the_server_dies),
		T(changes_while_calls_flow_lose_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
