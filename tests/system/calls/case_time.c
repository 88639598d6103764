// SPDX-License-Identifier: BSD-3-Clause
// Deadlines and cancellation, wherever the call is.
#include "tests/system/calls/calls.h"

#include <string.h>

static struct phx_call_options within(uint64_t ns)
{
	return (struct phx_call_options){
		.size = sizeof(struct phx_call_options), .timeout_ns = ns, .wait_for_ready = true};
}

// 50 ms against a handler that does not answer: the caller hears at once, the handler too.
static void deadline_in_handler(void)
{
	struct server *s = server_start("deadline_in_handler");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "deadline_in_handler");
	struct phx_queue *queue = phx_queue_default(context);
	struct phx_call_options o = within(50 * MS);
	const struct phoenix_calls_HoldRequest *in;
	struct outcome out;
	struct held h;
	uint64_t begin;

	(void)who(context, channel);
	begin = now_ns();
	start(channel, queue, phoenix_calls_Suite_method_Hold, hold_request(context, 9), &o, &out);
	await(queue, &out);
	CHECK(out.at_ns - begin >= 50 * MS && out.at_ns - begin < 500 * MS, "ended after %llu ns",
		(unsigned long long)(out.at_ns - begin));
	CHECK(out.status.code == PHX_DEADLINE_EXCEEDED &&
			out.status.reason == PHX_REASON_DEADLINE &&
			out.status.executed == PHX_EXECUTED_MAYBE,
		"code %u reason %u executed %u", out.status.code, out.status.reason,
		out.status.executed);
	CHECK(strcmp(out.status.text, "no reply in time") == 0, "text '%s'", out.status.text);
	server_wait_held(s, 1);
	h = server_take(s, 0);
	UNTIL(held_cancelled, &h, "the handler learns of the deadline");
	in = phoenix_calls_HoldRequest_root(phx_request_message(h.request));
	CHECK(in != NULL && phoenix_calls_HoldRequest_id(in) == 9, "the request stays readable");
	held_reply(h); // unheard
	drain(queue, 20 * MS);
	CHECK(out.count == 1, "%u callbacks", out.count);
	CHECK(who(context, channel) == 1, "all goes on");
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// The handler sees what is left of the budget.
static void remaining_budget(void)
{
	struct server *s = server_start("remaining_budget");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "remaining_budget");
	struct phx_queue *queue = phx_queue_default(context);
	struct phx_call_options o = within(5 * S);
	const struct phoenix_calls_HoldReply *r;
	struct outcome out;

	start(channel, queue, phoenix_calls_Suite_method_Who, hold_request(context, 1), &o, &out);
	await(queue, &out);
	CHECK(out.status.code == PHX_OK, "%s", out.status.text);
	r = phoenix_calls_HoldReply_root(out.reply);
	CHECK(phoenix_calls_HoldReply_remaining_ns(r) <= 5 * S &&
			phoenix_calls_HoldReply_remaining_ns(r) > 3 * S,
		"remaining %llu", (unsigned long long)phoenix_calls_HoldReply_remaining_ns(r));
	phx_message_release(out.reply);
	start(channel, queue, phoenix_calls_Suite_method_Who, hold_request(context, 1), NULL, &out);
	await(queue, &out);
	r = phoenix_calls_HoldReply_root(out.reply);
	CHECK(phoenix_calls_HoldReply_remaining_ns(r) == PHX_NO_TIMEOUT, "no deadline");
	phx_message_release(out.reply);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// It waits for a server that never comes; then one comes and must not get the call.
static void expired_while_queued(void)
{
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "expired_while_queued");
	struct phx_queue *queue = phx_queue_default(context);
	struct phx_call_options o = within(50 * MS);
	struct outcome out[20];
	struct server *s;

	for (int i = 0; i < 20; i++)
		start(channel, queue, phoenix_calls_Suite_method_Who, hold_request(context, 1), &o,
			&out[i]);
	for (int i = 0; i < 20; i++) {
		await(queue, &out[i]);
		CHECK(out[i].status.code == PHX_DEADLINE_EXCEEDED &&
				out[i].status.executed == PHX_EXECUTED_NO,
			"code %u executed %u", out[i].status.code, out[i].status.executed);
		CHECK(strstr(out[i].status.text, "phoenix.calls.Suite") != NULL ||
				strstr(out[i].status.text, "waited for the peer") != NULL,
			"what it waited for: '%s'", out[i].status.text);
	}
	s = server_start("expired_while_queued");
	(void)who(context, channel);
	CHECK(server_seen(s) == 1, "the server saw %llu calls", (unsigned long long)server_seen(s));
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// As good as no time: whoever is told that a call was not executed can rely on it.
static void no_time_at_all(void)
{
	struct server *s = server_start("no_time_at_all");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "no_time_at_all");
	struct phx_queue *queue = phx_queue_default(context);
	struct phx_call_options o = within(1);
	uint64_t before, maybe = 0;
	struct outcome out;

	(void)who(context, channel);
	before = server_seen(s);
	for (int i = 0; i < 50; i++) {
		start(channel, queue, phoenix_calls_Suite_method_Hold, hold_request(context, 1), &o,
			&out);
		await(queue, &out);
		CHECK(out.status.code == PHX_DEADLINE_EXCEEDED, "code %u", out.status.code);
		maybe += out.status.executed != PHX_EXECUTED_NO;
	}
	(void)who(context, channel);
	CHECK(server_seen(s) <= before + 1 + maybe, "%llu calls were executed, %llu maybe",
		(unsigned long long)(server_seen(s) - before - 1), (unsigned long long)maybe);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// ---- cancel ----

static void cancel_before_send(void)
{
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "cancel_before_send");
	struct phx_queue *queue = phx_queue_default(context);
	struct phx_call_options o = within(PATIENCE);
	struct phx_call *call;
	struct outcome out;
	struct server *s;

	call = start(
		channel, queue, phoenix_calls_Suite_method_Who, hold_request(context, 1), &o, &out);
	phx_call_cancel(call);
	await(queue, &out);
	CHECK(out.status.code == PHX_CANCELLED && out.status.executed == PHX_EXECUTED_NO,
		"code %u executed %u", out.status.code, out.status.executed);
	s = server_start("cancel_before_send");
	(void)who(context, channel);
	CHECK(server_seen(s) == 1, "a cancelled call was sent");
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// The handler has it: caller and handler hear of the end, a late reply reaches nobody, least of all
// the call that has taken over the slot.
static void cancel_in_flight(void)
{
	struct server *s = server_start("cancel_in_flight");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "cancel_in_flight");
	struct phx_queue *queue = phx_queue_default(context);
	struct phx_call_options o = within(PATIENCE);

	(void)who(context, channel);
	for (uint32_t round = 1; round <= 50; round++) {
		struct outcome first, second;
		struct phx_call *call;
		struct held h1, h2;

		call = start(channel, queue, phoenix_calls_Suite_method_Hold,
			hold_request(context, 2 * round), &o, &first);
		server_wait_held(s, 1);
		h1 = server_take(s, 0);
		phx_call_cancel(call);
		phx_call_cancel(call); // again: nothing more
		await(queue, &first);
		CHECK(first.status.code == PHX_CANCELLED &&
				first.status.reason == PHX_REASON_CANCELLED,
			"code %u", first.status.code);
		UNTIL(held_cancelled, &h1, "the handler learns of the cancel");
		start(channel, queue, phoenix_calls_Suite_method_Hold,
			hold_request(context, 2 * round + 1), &o, &second);
		server_wait_held(s, 1);
		h2 = server_take(s, 0);
		held_reply(h1); // late
		(void)who(context, channel);
		CHECK(!second.done, "round %u: somebody else's reply", round);
		held_reply(h2);
		await(queue, &second);
		CHECK(second.status.code == PHX_OK, "%s", second.status.text);
		CHECK(phoenix_calls_HoldReply_id(phoenix_calls_HoldReply_root(second.reply)) ==
				2 * round + 1,
			"round %u: the wrong reply", round);
		phx_message_release(second.reply);
		CHECK(first.count == 1 && second.count == 1, "callbacks");
	}
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// The cancel crosses the reply: one of the two, once.
static void cancel_after_completion(void)
{
	struct server *s = server_start("cancel_after_completion");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "cancel_after_completion");
	struct phx_queue *queue = phx_queue_default(context);
	struct phx_call_options o = within(PATIENCE);
	unsigned cancelled = 0;

	(void)who(context, channel);
	for (int i = 0; i < 500; i++) {
		struct phx_call *call;
		struct outcome out;

		call = start(channel, queue, phoenix_calls_Suite_method_Who,
			hold_request(context, 1), &o, &out);
		if (i % 2 == 1) // the reply is in the ring, not taken yet
			CHECK(phx_wait(queue, PATIENCE) == 1, "no reply");
		phx_call_cancel(call);
		await(queue, &out);
		CHECK(out.status.code == PHX_OK || out.status.code == PHX_CANCELLED, "code %u",
			out.status.code);
		CHECK(i % 2 == 0 || out.status.code == PHX_OK, "a complete call was cancelled");
		cancelled += out.status.code == PHX_CANCELLED;
		phx_message_release(out.reply);
		CHECK(out.count == 1, "%u callbacks", out.count);
	}
	(void)printf("  %u of 250 cancelled in time\n", cancelled);
	(void)who(context, channel);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// Large messages end early too, at any point of their way, and leave no room taken.
static void cancel_big(void)
{
	struct server *s = server_start("cancel_big");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "cancel_big");
	struct phx_queue *queue = phx_queue_default(context);
	struct phx_call_options o = within(PATIENCE);
	uint32_t ok = 0;

	(void)who(context, channel);
	for (uint32_t i = 0; i < 60; i++) {
		struct phx_call *call;
		struct outcome out;

		call = start(channel, queue, phoenix_calls_Suite_method_Big,
			big_request(context, 6 << 20, 6 << 20, i), &o, &out);
		drain(queue, i * 200000); // 0 to 12 ms
		if (!out.done)
			phx_call_cancel(call);
		await(queue, &out);
		CHECK(out.status.code == PHX_OK || out.status.code == PHX_CANCELLED, "code %u: %s",
			out.status.code, out.status.text);
		ok += out.status.code == PHX_OK;
		phx_message_release(out.reply);
	}
	(void)printf("  %u of 60 came through\n", ok);
	for (uint32_t i = 0; i < 4; i++) { // as much as there is room for
		struct outcome out;

		start(channel, queue, phoenix_calls_Suite_method_Big,
			big_request(context, 60 << 20, 8, i), &o, &out);
		await(queue, &out);
		CHECK(out.status.code == PHX_OK, "%s", out.status.text);
		phx_message_release(out.reply);
	}
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

const struct test_case cases_time[] = {
	{"deadline_in_handler", deadline_in_handler},
	{"remaining_budget", remaining_budget},
	{"expired_while_queued", expired_while_queued},
	{"no_time_at_all", no_time_at_all},
	{"cancel_before_send", cancel_before_send},
	{"cancel_in_flight", cancel_in_flight},
	{"cancel_after_completion", cancel_after_completion},
	{"cancel_big", cancel_big},
	{NULL, NULL},
};
