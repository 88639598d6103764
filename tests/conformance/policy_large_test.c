// SPDX-License-Identifier: BSD-3-Clause
// Announced messages under policies: they land in private memory, are judged there, and reach the
// application's memory afterwards or never. See policy_test.c.
#include "tests/conformance/rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MS   UINT64_C(1000000)
#define BODY 300000

static struct rig_done *large(struct rig *rig, char first)
{
	struct rig_call call = {.name = "large", .amount = 3, .body = BODY};
	uint32_t slot = rig_submit(rig, &call);

	rig->client.app[call.body_at] = (uint8_t)first;
	rig_settle(rig);
	return rig_done(rig, slot);
}

static void expect_large(struct rig *rig, const char *name)
{
	const struct rig_request *r = &rig->server.requests[rig->server.request_count - 1];

	assert_string_equal(r->name, name);
	assert_int_equal(r->amount, 3);
	assert_int_equal(r->body_len, BODY);
	assert_int_equal(r->body_last, 'b');
}

static void expect_ok(const struct rig_done *d, const char *reply)
{
	assert_int_equal(d->completions, 1);
	assert_int_equal(d->code, PHX_OK);
	assert_string_equal(d->reply, reply);
}

// ---- requests ----

static void request_is_judged_before_the_server_can_read_it(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "server-acl", "probe", "field=body deny=e");
	d = large(rig, 'e');
	assert_int_equal(d->code, PHX_PERMISSION_DENIED);
	assert_string_equal(d->text, "server-acl: forbidden value");
	assert_int_equal(rig->server.request_count, 0);
	assert_false(rig_can_read(&rig->server, 'b'));
	expect_ok(large(rig, 'g'), "large");
	expect_large(rig, "large");
	assert_true(rig_can_read(&rig->server, 'b'));
}

static void request_is_judged_by_its_metadata(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {.name = "large", .amount = 3, .body = BODY, .meta_key = "who"};
	uint32_t slots[2];

	rig_attach(rig, "server-acl", "probe", "meta=who meta_deny=mallory");
	call.meta_value = "mallory";
	slots[0] = rig_submit(rig, &call);
	call.meta_value = "alice";
	slots[1] = rig_submit(rig, &call);
	rig_settle(rig);
	assert_int_equal(rig_done(rig, slots[0])->code, PHX_UNAUTHENTICATED);
	expect_ok(rig_done(rig, slots[1]), "large");
	expect_large(rig, "large");
	assert_string_equal(rig->server.requests[0].meta, "alice");
}

static void request_passes_onlookers_without_a_copy(void **state)
{
	struct rig *rig = *state;

	rig_attach(rig, "server-watch", "watch", "");
	expect_ok(large(rig, 'g'), "large");
	expect_large(rig, "large");
	assert_int_equal(rig_stats(rig, "server-watch").counters[PROBE_STATE_BAD], 0);
}

static void request_is_held_and_delivered_later(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "server-hold", "probe", "hold=large hold_ns=5000000");
	d = large(rig, 'g');
	assert_false(rig_can_read(&rig->server, 'b'));
	rig_pass(rig, 4 * MS);
	assert_false(d->done);
	rig_pass(rig, 2 * MS);
	expect_ok(d, "large");
	expect_large(rig, "large");
}

static void request_is_rewritten(void **state)
{
	struct rig *rig = *state;

	rig_attach(rig, "server-mutate", "probe", "rewrite=a_name_that_is_longer");
	expect_ok(large(rig, 'g'), "a name that is longer");
	expect_large(rig, "a name that is longer");
	rig_reconfigure(rig, "server-mutate", "rewrite=short");
	expect_ok(large(rig, 'g'), "short");
	expect_large(rig, "short");
}

static void request_passes_when_its_policy_has_gone_meanwhile(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig_attach(rig, "server-hold", "probe", "hold=large hold_ns=5000000");
	d = large(rig, 'g');
	rig_detach(rig, "server-hold");
	rig_pass(rig, MS);
	expect_ok(d, "large");
	expect_large(rig, "large");
}

static void request_ends_by_cancel_at_every_step(void **state)
{
	struct rig *rig = *state;

	rig_attach(rig, "server-mutate", "probe",
		"rewrite=other hold=large hold_ns=200000 reply_rewrite=another");
	for (unsigned rounds = 0; rounds < 40; rounds++) {
		struct rig_call call = {.name = "large", .body = BODY};
		uint32_t slot = rig_submit(rig, &call);

		rig_rounds(rig, rounds);
		rig_cancel(rig, slot);
		rig_pass(rig, MS);
		assert_int_equal(rig_done(rig, slot)->completions, 1);
	}
	assert_int_equal(rig_stats(rig, "server-mutate").live, 0);
}

static void request_ends_with_the_server_at_every_step(void **state)
{
	(void)state;
	for (unsigned rounds = 0; rounds < 30; rounds++) {
		struct rig *rig = rig_create();
		struct rig_call call = {.name = "large", .body = BODY};
		uint32_t slot;

		rig_attach(
			rig, "server-mutate", "probe", "rewrite=other hold=large hold_ns=200000");
		slot = rig_submit(rig, &call);
		rig_rounds(rig, rounds);
		rig_close(&rig->server);
		rig_pass(rig, MS);
		assert_int_equal(rig_done(rig, slot)->completions, 1);
		rig_destroy(rig);
	}
}

// ---- replies ----

static void reply_is_judged_before_the_client_can_read_it(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig->server.answer_body = BODY;
	rig_attach(rig, "client-acl", "probe", "reply=body reply_deny=r");
	d = large(rig, 'g');
	assert_int_equal(d->completions, 1);
	assert_int_equal(d->code, PHX_PERMISSION_DENIED);
	assert_string_equal(d->text, "client-acl: forbidden reply");
	assert_int_equal(d->executed, PHX_EXECUTED_YES);
	assert_false(rig_can_read(&rig->client, 'r'));
	rig_reconfigure(rig, "client-acl", "reply=body reply_deny=z");
	d = large(rig, 'g');
	expect_ok(d, "large");
	assert_int_equal(d->reply_body, BODY);
	assert_true(rig_can_read(&rig->client, 'r'));
}

static void reply_passes_onlookers_without_a_copy(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig->server.answer_body = BODY;
	rig_attach(rig, "watch", "watch", "");
	d = large(rig, 'g');
	expect_ok(d, "large");
	assert_int_equal(d->reply_body, BODY);
}

static void reply_is_held_and_delivered_later(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig->server.answer_body = BODY;
	rig_attach(rig, "client-hold", "probe", "reply_hold=large hold_ns=5000000");
	d = large(rig, 'g');
	rig_pass(rig, 4 * MS);
	assert_false(d->done);
	assert_false(rig_can_read(&rig->client, 'r'));
	rig_pass(rig, 2 * MS);
	expect_ok(d, "large");
	assert_int_equal(d->reply_body, BODY);
}

static void reply_is_rewritten(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig->server.answer_body = BODY;
	rig_attach(rig, "client-mutate", "probe", "reply_rewrite=words_that_are_longer");
	d = large(rig, 'g');
	expect_ok(d, "words that are longer");
	assert_int_equal(d->reply_body, BODY);
}

// Just below the size that is announced: the rewrite makes it larger than one block.
static void reply_grows_beyond_a_block(void **state)
{
	struct rig *rig = *state;
	struct rig_done *d;

	rig->server.answer_body = 65500;
	rig_attach(rig, "client-mutate", "probe",
		"reply_rewrite=words_that_are_longer_and_longer_and_longer_and_longer");
	d = large(rig, 'g');
	expect_ok(d, "words that are longer and longer and longer and longer");
	assert_int_equal(d->reply_body, 65500);
}

static void reply_ends_by_cancel_at_every_step(void **state)
{
	struct rig *rig = *state;

	rig->server.answer_body = BODY;
	rig_attach(rig, "client-mutate", "probe",
		"reply_hold=large hold_ns=200000 reply_rewrite=another");
	for (unsigned rounds = 0; rounds < 60; rounds++) {
		struct rig_call call = {.name = "large", .body = 10};
		uint32_t slot = rig_submit(rig, &call);

		rig_rounds(rig, rounds);
		rig_cancel(rig, slot);
		rig_pass(rig, MS);
		assert_int_equal(rig_done(rig, slot)->completions, 1);
	}
	assert_int_equal(rig_stats(rig, "client-mutate").live, 0);
}

static void reply_ends_with_the_client_at_every_step(void **state)
{
	(void)state;
	for (unsigned rounds = 0; rounds < 40; rounds++) {
		struct rig *rig = rig_create();
		struct rig_call call = {.name = "large", .body = 10};

		rig->server.answer_body = BODY;
		rig_attach(rig, "client-mutate", "probe",
			"reply_hold=large hold_ns=200000 reply_rewrite=another");
		(void)rig_submit(rig, &call);
		rig_rounds(rig, rounds);
		rig_close(&rig->client);
		rig_pass(rig, MS);
		rig_destroy(rig);
	}
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)
	const struct CMUnitTest tests[] = {
		T(request_is_judged_before_the_server_can_read_it),
		T(request_is_judged_by_its_metadata),
		T(request_passes_onlookers_without_a_copy),
		T(request_is_held_and_delivered_later),
		T(request_is_rewritten),
		T(request_passes_when_its_policy_has_gone_meanwhile),
		T(request_ends_by_cancel_at_every_step),
		cmocka_unit_test(request_ends_with_the_server_at_every_step),
		T(reply_is_judged_before_the_client_can_read_it),
		T(reply_passes_onlookers_without_a_copy),
		T(reply_is_held_and_delivered_later),
		T(reply_is_rewritten),
		T(reply_grows_beyond_a_block),
		T(reply_ends_by_cancel_at_every_step),
		cmocka_unit_test(reply_ends_with_the_client_at_every_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
