// SPDX-License-Identifier: BSD-3-Clause
// What becomes of calls when a link is lost, comes back or does not come at all: acceptance, epochs
// and admission (design.md 12.6, 12.7, 12.11), on the rig.
#include "tests/conformance/rig.h"

#include "lib/base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static uint32_t submit(struct rig *rig, const char *name, bool wait)
{
	struct rig_call call = {.name = name, .inlined = true, .wait = wait};

	return rig_submit(rig, &call);
}

static void assert_end(struct rig *rig, uint32_t slot, enum phx_code code, enum phx_reason reason,
	enum phx_executed executed)
{
	const struct rig_done *d = rig_done(rig, slot);

	assert_int_equal(d->completions, 1);
	assert_string_equal(phx_code_name(d->code), phx_code_name(code));
	assert_string_equal(phx_reason_name(d->reason), phx_reason_name(reason));
	assert_int_equal(d->executed, executed);
}

// One call round, so that the service is known and the path open.
static void warm(struct rig *rig)
{
	assert_int_equal(rig_echo(rig, "warm", 0)->code, PHX_OK);
	rig->server.request_count = 0;
}

static void accepted_call_is_maybe_executed_and_its_handler_cancelled(void **state)
{
	struct rig *rig = *state;
	uint32_t slot;

	warm(rig);
	rig->server.quiet = true;
	slot = submit(rig, "one", false);
	rig_settle(rig);
	assert_int_equal(rig->server.request_count, 1);
	rig_lose_link(rig);
	assert_int_equal(rig->server.cancelled, 1);
	assert_false(rig_done(rig, slot)->done); // the new link will tell
	rig_connect(rig);
	rig_settle(rig);
	assert_end(rig, slot, PHX_UNAVAILABLE, PHX_REASON_LINK_LOST, PHX_EXECUTED_MAYBE);
}

static void accepted_call_without_a_new_link_ends_after_100_ms(void **state)
{
	struct rig *rig = *state;
	uint32_t slot;

	warm(rig);
	rig->server.quiet = true;
	slot = submit(rig, "one", true);
	rig_settle(rig);
	rig_lose_link(rig);
	rig_pass(rig, 90 * PHX_NS_PER_MS);
	assert_false(rig_done(rig, slot)->done);
	rig_pass(rig, 20 * PHX_NS_PER_MS);
	assert_end(rig, slot, PHX_UNAVAILABLE, PHX_REASON_LINK_LOST, PHX_EXECUTED_MAYBE);
}

// The server's end was gone when the headers came: the new link says so.
static void call_never_accepted_is_not_executed(void **state)
{
	struct rig *rig = *state;
	uint32_t slot;

	warm(rig);
	rig_lose_server_end(rig);
	slot = submit(rig, "one", false);
	rig_settle(rig);
	assert_int_equal(rig->server.request_count, 0);
	assert_false(rig_done(rig, slot)->done);
	rig_connect(rig);
	rig_settle(rig);
	assert_end(rig, slot, PHX_UNAVAILABLE, PHX_REASON_LINK_LOST, PHX_EXECUTED_NO);
	assert_int_equal(rig->server.request_count, 0);
}

static void call_never_accepted_that_waits_goes_over_the_new_link(void **state)
{
	struct rig *rig = *state;
	uint32_t slot;

	warm(rig);
	rig_lose_server_end(rig);
	slot = submit(rig, "one", true);
	rig_settle(rig);
	rig_connect(rig);
	rig_settle(rig);
	assert_end(rig, slot, PHX_OK, PHX_REASON_NONE, PHX_EXECUTED_YES);
	assert_int_equal(rig->server.request_count, 1);
}

// Calls of the old epoch and of the new one: the late reply of a handler reaches neither.
static void reply_after_the_loss_reaches_nobody(void **state)
{
	struct rig *rig = *state;
	uint32_t old, fresh;

	warm(rig);
	rig->server.quiet = true;
	old = submit(rig, "old", false);
	rig_settle(rig);
	rig_lose_link(rig);
	rig_connect(rig);
	rig_settle(rig);
	assert_end(rig, old, PHX_UNAVAILABLE, PHX_REASON_LINK_LOST, PHX_EXECUTED_MAYBE);
	fresh = submit(rig, "fresh", false);
	rig_settle(rig);
	assert_int_equal(rig->server.request_count, 2);
	rig_answer(rig, 0, "late", 0);
	rig_settle(rig);
	assert_false(rig_done(rig, fresh)->done);
	rig_answer(rig, 1, "right", 0);
	rig_settle(rig);
	assert_end(rig, fresh, PHX_OK, PHX_REASON_NONE, PHX_EXECUTED_YES);
	assert_string_equal(rig_done(rig, fresh)->reply, "right");
	assert_int_equal(rig_done(rig, old)->completions, 1);
}

// ---- admission ----

static void fail_fast_waits_while_connecting(void **state)
{
	struct rig *rig = *state;
	uint32_t slot;

	warm(rig);
	rig_lose_link(rig);
	slot = submit(rig, "one", false);
	rig_settle(rig);
	assert_false(rig_done(rig, slot)->done);
	rig_connect(rig);
	rig_settle(rig);
	assert_end(rig, slot, PHX_OK, PHX_REASON_NONE, PHX_EXECUTED_YES);
}

static void fail_fast_ends_in_back_off_with_the_cause(void **state)
{
	struct rig *rig = *state;
	uint32_t waiting, late;

	warm(rig);
	rig_lose_link(rig);
	waiting = submit(rig, "one", false);
	rig_settle(rig);
	assert_int_equal(peer_set_state(rig->worker, 0, PEER_BACKOFF, "connection refused"), 0);
	late = submit(rig, "two", false);
	rig_settle(rig);
	assert_end(rig, waiting, PHX_UNAVAILABLE, PHX_REASON_LINK_DOWN, PHX_EXECUTED_NO);
	assert_end(rig, late, PHX_UNAVAILABLE, PHX_REASON_LINK_DOWN, PHX_EXECUTED_NO);
	assert_non_null(strstr(rig_done(rig, late)->text, "connection refused"));
}

static void wait_for_ready_waits_in_back_off(void **state)
{
	struct rig *rig = *state;
	uint32_t slot;

	warm(rig);
	rig_lose_link(rig);
	assert_int_equal(peer_set_state(rig->worker, 0, PEER_BACKOFF, "connection refused"), 0);
	slot = submit(rig, "one", true);
	rig_pass(rig, 3 * PHX_NS_PER_S);
	assert_false(rig_done(rig, slot)->done);
	rig_connect(rig);
	rig_settle(rig);
	assert_end(rig, slot, PHX_OK, PHX_REASON_NONE, PHX_EXECUTED_YES);
}

static void wait_for_ready_ends_at_its_deadline(void **state)
{
	struct rig *rig = *state;
	struct rig_call call = {
		.name = "one", .inlined = true, .wait = true, .timeout_ns = 50 * PHX_NS_PER_MS};
	uint32_t slot;

	warm(rig);
	rig_lose_link(rig);
	slot = rig_submit(rig, &call);
	rig_pass(rig, 60 * PHX_NS_PER_MS);
	assert_end(rig, slot, PHX_DEADLINE_EXCEEDED, PHX_REASON_DEADLINE, PHX_EXECUTED_NO);
}

// A large message on its way when the link is lost: both ends give everything back (rig_destroy()
// looks), at every round of it.
static void large_message_is_lost_with_its_link_at_every_step(void **state)
{
	for (unsigned rounds = 0; rounds < 60; rounds++) {
		struct rig *rig = rounds == 0 ? *state : rig_create();
		struct rig_call call = {.name = "big", .body = 1 << 20};
		uint32_t slot;

		rig->server.answer_body = 1 << 20;
		slot = rig_submit(rig, &call);
		for (unsigned i = 0; i < rounds; i++)
			(void)rig_round(rig);
		rig_lose_link(rig);
		rig_connect(rig);
		rig_settle(rig);
		assert_int_equal(rig_done(rig, slot)->completions, 1);
		assert_int_equal(rig_echo(rig, "after", 0)->code, PHX_OK);
		if (rounds != 0)
			rig_destroy(rig);
	}
}

// Between two workers a channel is in nobody's list, and the order to all of them misses it.
static void channel_on_the_move_heeds_what_the_host_was_told(void **state)
{
	struct rig *rig = *state;
	struct channel *channel = rig->client.session->channels[0];

	warm(rig);
	for (int stop = 1; stop >= 0; stop--) {
		const struct rig_done *d;

		channel_freeze(channel, true);
		channel_leave(channel);
		link_stop_channels(rig->worker, stop);
		assert_int_equal(channel_join(channel, rig->worker), 0);
		d = rig_echo(rig, "after", 0);
		assert_int_equal(d->completions, 1);
		assert_int_equal(d->code, stop ? PHX_UNAVAILABLE : PHX_OK);
	}
}

// Calls and connects say the same of a channel that is stopped.
static void stopped_channel_says_why(void **state)
{
	struct rig *rig = *state;
	struct channel *channel = rig->client.session->channels[0];
	struct rig_done *d;

	warm(rig);
	channel_drain(channel);
	d = rig_echo(rig, "after", 0);
	assert_int_equal(d->code, PHX_UNAVAILABLE);
	assert_string_equal(d->text, "the operator is closing the channel");
	assert_string_equal(d->text, channel_stopped_why(channel));
	channel_resume(channel, CHANNEL_STOPPED_DRAIN);
	channel_stop(channel, CHANNEL_STOPPED_HOST);
	assert_string_equal("the host is being taken out of service", channel_stopped_why(channel));
	channel_stop(channel, CHANNEL_STOPPED_ADMIN);
	assert_string_equal("the operator has closed the channel", channel_stopped_why(channel));
}

static unsigned peers_count(const struct rig *rig)
{
	const struct phx_list *n;
	unsigned count = 0;

	phx_list_for_each (n, &link_table(rig->worker)->peers) {
		count++;
	}
	return count;
}

// Ids are not used again: what stays of each would stay for ever.
static void peer_without_channels_leaves_nothing(void **state)
{
	struct rig *rig = *state;
	unsigned before = peers_count(rig);

	for (uint64_t peer = 7; peer < 9; peer++) {
		struct link_config config = {.id = peer, .local = true, .peer_name = "far"};
		struct link *ends[2];
		struct conn *conns[2];

		assert_int_equal(local_conn_pair(PHX_LANE_SMALL, conns), 0);
		for (int i = 0; i < 2; i++) {
			config.client = i == 0;
			config.peer = i == 0 ? peer : 0;
			config.lane[0] = config.lane[1] = conns[i];
			assert_int_equal(link_open(rig->worker, &config, &ends[i]), 0);
		}
		rig_settle(rig);
		assert_int_equal(peers_count(rig), before + 1);
		assert_int_equal(peer_retire(rig->worker, peer), 0);
		rig_settle(rig);
		assert_int_equal(peers_count(rig), before);
		// Nor does one that never had a link.
		assert_int_equal(peer_set_state(rig->worker, peer, PEER_BACKOFF, "no"), 0);
		assert_int_equal(peer_retire(rig->worker, peer), 0);
		assert_int_equal(peers_count(rig), before);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(accepted_call_is_maybe_executed_and_its_handler_cancelled),
		T(accepted_call_without_a_new_link_ends_after_100_ms),
		T(call_never_accepted_is_not_executed),
		T(call_never_accepted_that_waits_goes_over_the_new_link),
		T(reply_after_the_loss_reaches_nobody),
		T(fail_fast_waits_while_connecting),
		T(fail_fast_ends_in_back_off_with_the_cause),
		T(wait_for_ready_waits_in_back_off),
		T(wait_for_ready_ends_at_its_deadline),
		T(channel_on_the_move_heeds_what_the_host_was_told),
		T(large_message_is_lost_with_its_link_at_every_step),
		T(stopped_channel_says_why),
		T(peer_without_channels_leaves_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
