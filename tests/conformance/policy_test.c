// SPDX-License-Identifier: BSD-3-Clause
// Policies on the real path of calls: what they see, and what their verdicts do. The rig's probe
// policy inspects, rewrites, holds and denies; policy_change_test.c attaches and detaches.
#include "tests/conformance/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS UINT64_C(1000000)

static void expect_ok(const struct rig_done *d, const char *reply)
{
	assert_int_equal(d->completions, 1);
	assert_int_equal(d->code, PHX_OK);
	assert_string_equal(d->reply, reply);
}

static void expect_denied(const struct rig_done *d, unsigned code, const char *text)
{
	assert_int_equal(d->completions, 1);
	assert_int_equal(d->code, code);
	assert_int_equal(d->origin, PHX_ORIGIN_POLICY);
	assert_int_equal(d->reason, PHX_REASON_DENIED);
	assert_string_equal(d->text, text);
}

// ---- passing ----

static void chain_without_policies_passes(void **state)
{
	struct rig *rig = *state;

	expect_ok(rig_echo(rig, "hello", 1), "hello");
	assert_int_equal(policyhost_generation(rig->host), 0);
}

static void null_sees_every_message_and_changes_nothing(void **state)
{
	struct rig *rig = *state;
	struct policyhost_stats s;

	rig_attach(rig, "nothing", "null", "");
	for (int i = 0; i < 10; i++)
		expect_ok(rig_echo(rig, "hello", 1), "hello");
	s = rig_stats(rig, "nothing");
	for (int i = 0; i < PHX_POLICY_POINT_COUNT; i++)
		assert_int_equal(s.messages[i], 10);
	assert_int_equal(s.allowed, 40);
	assert_int_equal(s.ended, 20); // the client's calls and the server's
	assert_int_equal(s.live, 0);
	assert_int_equal(s.denied + s.held + s.failed, 0);
}

static void chain_of_sixteen_runs_all_and_takes_no_more(void **state)
{
	struct rig *rig = *state;
	char name[32];

	for (int i = 0; i < PHX_LIMIT_CHAIN_MAX; i++) {
		(void)snprintf(name, sizeof(name), "policy%d", i);
		rig_attach(rig, name, "watch", "");
	}
	assert_int_equal(rig_try_attach(rig, "more", "watch", ""), -ENOSPC);
	expect_ok(rig_echo(rig, "hello", 1), "hello");
	for (int i = 0; i < PHX_LIMIT_CHAIN_MAX; i++) {
		(void)snprintf(name, sizeof(name), "policy%d", i);
		assert_int_equal(rig_stats(rig, name).counters[PROBE_ENDS], 2);
	}
}

// ---- inspect, deny ----

static void deny_ends_the_call_with_policy_and_reason(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "client-acl", "probe", "deny=evil");
	d = rig_echo(rig, "evil", 1);
	expect_denied(d, PHX_PERMISSION_DENIED, "client-acl: forbidden value");
	assert_int_equal(d->executed, PHX_EXECUTED_NO);
	assert_int_equal(rig->server.request_count, 0);
	expect_ok(rig_echo(rig, "good", 1), "good");
	assert_int_equal(rig_stats(rig, "client-acl").denied, 1);
	assert_int_equal(rig_stats(rig, "client-acl").live, 0);
}

static void deny_at_the_server_reaches_the_client(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "server-acl", "probe", "deny=evil");
	d = rig_echo(rig, "evil", 1);
	expect_denied(d, PHX_PERMISSION_DENIED, "server-acl: forbidden value");
	assert_int_equal(d->executed, PHX_EXECUTED_NO);
	assert_int_equal(rig->server.request_count, 0);
	expect_ok(rig_echo(rig, "good", 1), "good");
}

static void deny_by_metadata(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "x", .meta_key = "who", .meta_value = "mallory"};
	struct rig_call other = {.name = "x", .meta_key = "who", .meta_value = "alice"};
	uint32_t a, b;

	rig_attach(rig, "acl", "probe", "meta=who meta_deny=mallory");
	a = rig_submit(rig, &call);
	b = rig_submit(rig, &other);
	rig_settle(rig);
	expect_denied(rig_done(rig, a), PHX_UNAUTHENTICATED, "acl: metadata");
	expect_ok(rig_done(rig, b), "x");
}

static void inspect_works_on_inline_messages(void **state)
{
	struct rig *rig = *state;
	struct rig_call evil = {.name = "evil", .inlined = true};
	struct rig_call good = {.name = "good", .inlined = true};
	uint32_t a, b;

	rig_attach(rig, "client-acl", "probe", "deny=evil");
	a = rig_submit(rig, &evil);
	b = rig_submit(rig, &good);
	rig_settle(rig);
	expect_denied(rig_done(rig, a), PHX_PERMISSION_DENIED, "client-acl: forbidden value");
	expect_ok(rig_done(rig, b), "good");
}

static void inspect_reads_large_leaves_and_sends_what_it_read(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "x", .body = 40000};
	uint32_t slot;

	// Above the threshold a leaf stays in the application's memory, unless it is inspected.
	rig_attach(rig, "client-acl", "probe", "field=body deny=e hold=zz");
	slot = rig_submit(rig, &call);
	rig->client.app[call.body_at] = 'e';
	rig_settle(rig);
	expect_denied(rig_done(rig, slot), PHX_PERMISSION_DENIED, "client-acl: forbidden value");
	slot = rig_submit(rig, &call);
	rig_settle(rig);
	expect_ok(rig_done(rig, slot), "x");
	assert_int_equal(rig->server.requests[0].body_len, 40000);
}

static void field_that_cannot_be_bound_follows_on_failure(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "client-acl", "probe", "field=nowhere deny=evil");
	d = rig_echo(rig, "good", 1);
	assert_int_equal(d->code, PHX_FAILED_PRECONDITION);
	assert_int_equal(d->origin, PHX_ORIGIN_POLICY);
	assert_int_equal(rig_stats(rig, "client-acl").failed, 1);
	rig_reconfigure(rig, "client-acl", "deny=evil");
	expect_ok(rig_echo(rig, "good", 1), "good");
}

// ---- rewrite ----

static void rewrite_at_the_client_reaches_the_server_canonical(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "short", .body = 1000, .amount = 7};
	uint32_t slot;

	rig_attach(rig, "client-mutate", "probe", "rewrite=a_longer_text set_amount=55");
	slot = rig_submit(rig, &call);
	rig_settle(rig);
	expect_ok(rig_done(rig, slot), "a longer text");
	assert_string_equal(rig->server.requests[0].name, "a longer text");
	assert_int_equal(rig->server.requests[0].amount, 55);
	assert_int_equal(rig->server.requests[0].body_len, 1000); // request_note() checks the rest
	assert_int_equal(rig->server.requests[0].body_last, 'b');
}

static void rewrite_at_the_server_reaches_the_application(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "short", .body = 1000, .inlined = false};
	uint32_t slot;

	rig_attach(
		rig, "server-mutate", "probe", "rewrite=a_longer_text reply_rewrite=other_words");
	slot = rig_submit(rig, &call);
	rig_settle(rig);
	expect_ok(rig_done(rig, slot), "other words");
	assert_string_equal(rig->server.requests[0].name, "a longer text");
	assert_int_equal(rig->server.requests[0].body_len, 1000);
}

static void rewrite_of_a_large_message_goes_on_in_steps(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "short", .body = 1000000};
	uint32_t slot;

	// The body is inspected by the second policy, so all of it is in the snapshot.
	rig_attach(rig, "client-mutate", "probe", "rewrite=a_longer_text");
	rig_attach(rig, "client-look", "probe", "field=body");
	slot = rig_submit(rig, &call);
	rig_settle(rig);
	expect_ok(rig_done(rig, slot), "a longer text");
	assert_int_equal(rig->server.requests[0].body_len, 1000000);
	assert_int_equal(rig->server.requests[0].body_last, 'b');
}

// ---- replies ----

static void reply_is_denied_at_the_server(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "server-acl", "probe", "reply_deny=secret");
	d = rig_echo(rig, "secret", 1);
	expect_denied(d, PHX_PERMISSION_DENIED, "server-acl: forbidden reply");
	assert_int_equal(d->executed, PHX_EXECUTED_YES);
	assert_string_equal(d->reply, "");
	assert_int_equal(rig->server.released, 1);
}

static void reply_is_denied_at_the_client(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "client-acl", "probe", "reply_deny=secret");
	d = rig_echo(rig, "secret", 1);
	expect_denied(d, PHX_PERMISSION_DENIED, "client-acl: forbidden reply");
	assert_int_equal(d->executed, PHX_EXECUTED_YES);
	assert_string_equal(d->reply, "");
}

static void reply_is_rewritten_at_the_client(void **state)
{
	struct rig *rig = *state;

	rig->server.answer_body = 500;
	rig_attach(rig, "client-mutate", "probe", "reply_rewrite=other_words");
	expect_ok(rig_echo(rig, "hello", 1), "other words");
	rig->server.answer_body = 0;
	expect_ok(rig_echo(rig, "hello", 1), "other words");
}

static void reply_is_held_at_the_client_and_delivered_later(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "client-slow", "probe", "reply_hold=hello hold_ns=5000000");
	d = rig_echo(rig, "hello", 1);
	assert_false(d->done);
	rig_pass(rig, 4 * MS);
	assert_false(d->done);
	rig_pass(rig, 2 * MS);
	expect_ok(d, "hello");
	assert_int_equal(rig_stats(rig, "client-slow").counters[PROBE_ENDS], 1);
}

static void reply_is_held_at_the_server_and_sent_later(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "server-slow", "probe", "reply_hold=hello hold_ns=5000000");
	d = rig_echo(rig, "hello", 1);
	rig_pass(rig, 4 * MS);
	assert_false(d->done);
	rig_pass(rig, 2 * MS);
	expect_ok(d, "hello");
}

static void bare_status_passes_the_reply_points(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig->server.quiet = true;
	rig_attach(rig, "probe", "probe", "reply_deny=secret");
	d = rig_echo(rig, "hello", 1);
	rig_answer(rig, 0, "", PHX_NOT_FOUND);
	rig_settle(rig);
	assert_int_equal(d->code, PHX_NOT_FOUND);
	assert_int_equal(d->origin, PHX_ORIGIN_APP);
	assert_int_equal(rig_stats(rig, "probe").messages[PHX_POLICY_REPLY_IN], 1);
}

// ---- hold ----

static void hold_keeps_order_within_a_key_and_none_between_keys(void **state)
{
	struct rig *rig = *state;
	uint64_t order[7];

	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=10000000");
	for (unsigned i = 0; i < 6; i++) {
		(void)rig_echo(rig, "slow", i % 2); // keys 0 and 1
		rig_pass(rig, MS);
	}
	(void)rig_echo(rig, "fast", 7);
	assert_int_equal(rig->server.request_count, 1); // what is not held does not wait
	rig_pass(rig, 30 * MS);
	assert_int_equal(rig->server.request_count, 7);
	for (unsigned i = 1; i < 7; i++)
		order[i] = rig->server.requests[i].amount;
	for (unsigned i = 1; i < 7; i++)
		assert_int_equal(order[i], (i - 1) % 2); // by time, here also by key
	assert_int_equal(rig_stats(rig, "client-hold").counters[PROBE_REASKED], 6);
	assert_int_equal(rig_stats(rig, "client-hold").counters[PROBE_ENDS], 7);
	for (unsigned i = 0; i < 6; i++)
		assert_true(rig->client.calls[i].done);
}

static void hold_asks_only_the_first_of_a_key(void **state)
{
	struct rig *rig = *state;
	struct policyhost_stats s;

	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=10000000");
	for (unsigned i = 0; i < 20; i++)
		(void)rig_echo(rig, "slow", 1);
	s = rig_stats(rig, "client-hold");
	assert_int_equal(s.held, 20);
	rig_pass(rig, 9 * MS);
	s = rig_stats(rig, "client-hold");
	assert_int_equal(s.counters[PROBE_REASKED], 0);
	rig_pass(rig, 2 * MS);
	s = rig_stats(rig, "client-hold");
	assert_int_equal(s.counters[PROBE_REASKED], 20); // each once, as it became the first
	assert_int_equal(rig->server.request_count, 20);
}

static void hold_ends_at_the_deadline(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "slow", .timeout_ns = 5 * MS, .amount = 1};
	struct rig_call next = {.name = "slow", .amount = 1};
	uint32_t slot, later;

	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=20000000");
	slot = rig_submit(rig, &call);
	later = rig_submit(rig, &next);
	rig_pass(rig, 6 * MS);
	assert_int_equal(rig_done(rig, slot)->completions, 1);
	assert_int_equal(rig_done(rig, slot)->code, PHX_DEADLINE_EXCEEDED);
	assert_int_equal(rig_done(rig, slot)->executed, PHX_EXECUTED_NO);
	assert_false(rig_done(rig, later)->done);
	rig_pass(rig, 20 * MS);
	expect_ok(rig_done(rig, later), "slow");
	// The one that never passed has no end; nothing of it is left.
	assert_int_equal(rig_stats(rig, "client-hold").counters[PROBE_ENDS], 1);
	assert_int_equal(rig_stats(rig, "client-hold").live, 0);
}

static void hold_ends_by_cancel(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "slow", .amount = 1};
	uint32_t slots[3];

	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=20000000");
	for (unsigned i = 0; i < 3; i++)
		slots[i] = rig_submit(rig, &call);
	rig_settle(rig);
	rig_cancel(rig, slots[1]);
	rig_cancel(rig, slots[0]);
	rig_settle(rig);
	assert_int_equal(rig_done(rig, slots[0])->code, PHX_CANCELLED);
	assert_int_equal(rig_done(rig, slots[1])->code, PHX_CANCELLED);
	rig_pass(rig, 21 * MS);
	expect_ok(rig_done(rig, slots[2]), "slow");
}

static void hold_ends_with_the_session(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "slow", .amount = 1, .body = 3000};

	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=20000000");
	rig_attach(rig, "server-hold", "probe", "hold=slow2 reply_hold=slow3 hold_ns=20000000");
	for (unsigned i = 0; i < 40; i++)
		(void)rig_submit(rig, &call);
	call.name = "slow2";
	(void)rig_submit(rig, &call);
	call.name = "slow3";
	(void)rig_submit(rig, &call);
	rig_settle(rig);
	assert_int_equal(rig_stats(rig, "client-hold").held, 40);
	assert_int_equal(rig_stats(rig, "server-hold").held, 2);
	rig_close(&rig->client);
	rig_close(&rig->server); // rig_destroy() checks that nothing is left
	assert_int_equal(rig_stats(rig, "client-hold").live, 0);
	assert_int_equal(rig_stats(rig, "server-hold").live, 0);
}

static void hold_over_the_snapshot_cap_is_refused(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "slow", .amount = 1};
	struct rig_done *d;

	rig->client.session->account.quota = 64 * 1024;
	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=20000000");
	for (unsigned i = 0; i < 200; i++)
		(void)rig_submit(rig, &call);
	rig_settle(rig);
	assert_in_range(rig_stats(rig, "client-hold").held, 10, 64);
	d = rig_done(rig, 199);
	assert_int_equal(d->code, PHX_RESOURCE_EXHAUSTED);
	assert_int_equal(rig_stats(rig, "client-hold").live, rig_stats(rig, "client-hold").held);
	rig_pass(rig, 21 * MS);
	assert_int_equal(rig->server.request_count, rig_stats(rig, "client-hold").held);
}

static void hold_gives_its_credit_back(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "slow", .amount = 1};

	// As many as the window of a path has: were they counted, nothing else could go.
	rig_attach(rig, "client-hold", "probe", "hold=slow hold_ns=20000000");
	for (unsigned i = 0; i < RIG_CALLS - 1; i++) {
		(void)rig_submit(rig, &call);
		rig_settle(rig);
	}
	assert_int_equal(rig_stats(rig, "client-hold").held, RIG_CALLS - 1);
	expect_ok(rig_echo(rig, "fast", 1), "fast");
	rig_pass(rig, 30 * MS);
	assert_int_equal(rig->server.request_count, RIG_CALLS);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(chain_without_policies_passes),
		T(null_sees_every_message_and_changes_nothing),
		T(chain_of_sixteen_runs_all_and_takes_no_more),
		T(deny_ends_the_call_with_policy_and_reason),
		T(deny_at_the_server_reaches_the_client),
		T(deny_by_metadata),
		T(inspect_works_on_inline_messages),
		T(inspect_reads_large_leaves_and_sends_what_it_read),
		T(field_that_cannot_be_bound_follows_on_failure),
		T(rewrite_at_the_client_reaches_the_server_canonical),
		T(rewrite_at_the_server_reaches_the_application),
		T(rewrite_of_a_large_message_goes_on_in_steps),
		T(reply_is_denied_at_the_server),
		T(reply_is_denied_at_the_client),
		T(reply_is_rewritten_at_the_client),
		T(reply_is_held_at_the_client_and_delivered_later),
		T(reply_is_held_at_the_server_and_sent_later),
		T(bare_status_passes_the_reply_points),
		T(hold_keeps_order_within_a_key_and_none_between_keys),
		T(hold_asks_only_the_first_of_a_key),
		T(hold_ends_at_the_deadline),
		T(hold_ends_by_cancel),
		T(hold_ends_with_the_session),
		T(hold_over_the_snapshot_cap_is_refused),
		T(hold_gives_its_credit_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
