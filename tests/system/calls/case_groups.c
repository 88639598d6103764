// SPDX-License-Identifier: BSD-3-Clause
// Which server gets a call, and what happens when there is none.
#include "tests/system/calls/calls.h"

#include <errno.h>
#include <string.h>

static const struct phx_call_options fail_fast = {
	.size = sizeof(fail_fast), .timeout_ns = PATIENCE};

static uint64_t fails(struct phx_context *context, struct phx_channel *channel, uint32_t code,
	uint32_t reason, struct phx_status *out_status)
{
	struct phx_message *reply;
	uint64_t begin = now_ns(), took;
	int rc;

	rc = phoenix_calls_Suite_Who(
		channel, hold_request(context, 0), &fail_fast, &reply, out_status);
	took = now_ns() - begin;
	CHECK(rc == -EREMOTEIO, "%s", strerror(-rc));
	CHECK(out_status->code == code && out_status->reason == reason &&
			out_status->executed == PHX_EXECUTED_NO,
		"code %u reason %u executed %u (%s)", out_status->code, out_status->reason,
		out_status->executed, out_status->text);
	return took;
}

// No instance was ever there; the service and the group are named.
static void unknown_service(void)
{
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "nobody-offers-this");
	struct phx_status status;

	(void)fails(context, channel, PHX_UNIMPLEMENTED, PHX_REASON_NO_SERVICE, &status);
	CHECK(strstr(status.text, "phoenix.calls.Suite") != NULL &&
			strstr(status.text, "nobody-offers-this") != NULL,
		"text \"%s\"", status.text);
	phx_channel_close(channel);
	phx_detach(context);
}

// Known, but its last instance has gone: refused within 100 ms. It comes back: goes on.
static void known_but_down(void)
{
	struct server *s = server_start("known_but_down");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "known_but_down");
	struct phx_status status;
	uint64_t took;

	(void)who(context, channel);
	server_stop(s);
	for (;;) { // until the news of its end has come
		struct phx_message *reply;
		int rc = phoenix_calls_Suite_Who(
			channel, hold_request(context, 0), &fail_fast, &reply, &status);

		if (rc != 0)
			break;
		phx_message_release(reply);
	}
	took = fails(context, channel, PHX_UNAVAILABLE, PHX_REASON_SERVICE_DOWN, &status);
	CHECK(took < 100 * MS, "took %llu ns", (unsigned long long)took);
	CHECK(strstr(status.text, "phoenix.calls.Suite") != NULL, "text \"%s\"", status.text);
	s = server_start_as("known_but_down", 7);
	CHECK(who(context, channel) == 7, "the new instance");
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// A call that may wait is started before its server.
static void client_before_server(void)
{
	const struct phx_call_options o = {
		.size = sizeof(o), .timeout_ns = PATIENCE, .wait_for_ready = true};
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "client_before_server");
	struct phx_queue *queue = phx_queue_default(context);
	struct outcome out;
	struct server *s;

	start(channel, queue, phoenix_calls_Suite_method_Who, hold_request(context, 1), &o, &out);
	drain(queue, 50 * MS);
	CHECK(!out.done, "ended without a server: %s", out.status.text);
	s = server_start("client_before_server");
	await(queue, &out);
	CHECK(out.status.code == PHX_OK, "%s", out.status.text);
	phx_message_release(out.reply);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// Two groups offer the service: a client that names none learns which.
static void ambiguous_group(void)
{
	struct server *a = server_start_as("ambiguous-one", 1);
	struct server *b = server_start_as("ambiguous-two", 2);
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, NULL);
	struct phx_status status;

	(void)fails(context, channel, PHX_FAILED_PRECONDITION, PHX_REASON_AMBIGUOUS_GROUP, &status);
	CHECK(strstr(status.text, "ambiguous-one") != NULL &&
			strstr(status.text, "ambiguous-two") != NULL,
		"the text lists the groups: \"%s\"", status.text);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(a);
	server_stop(b);
}

// Groups never share; instances of one group share all calls.
static void groups_and_instances(void)
{
	struct server *a1 = server_start_as("groups-a", 1), *a2 = server_start_as("groups-a", 2);
	struct server *b = server_start_as("groups-b", 3);
	struct phx_context *context = client_attach();
	struct phx_channel *to_a = channel_to(context, "groups-a");
	struct phx_channel *to_b = channel_to(context, "groups-b");
	uint32_t got[4] = {0};

	for (int i = 0; i < 200; i++) {
		got[who(context, to_a)]++;
		CHECK(who(context, to_b) == 3, "group b");
	}
	CHECK(got[1] >= 50 && got[2] >= 50 && got[3] == 0, "shares %u %u %u", got[1], got[2],
		got[3]);
	server_stop(a1);
	for (int i = 0; i < 20; i++)
		CHECK(who(context, to_a) == 2, "the instance that stayed");
	phx_channel_close(to_a);
	phx_channel_close(to_b);
	phx_detach(context);
	server_stop(a2);
	server_stop(b);
}

const struct test_case cases_groups[] = {
	{"unknown_service", unknown_service},
	{"known_but_down", known_but_down},
	{"client_before_server", client_before_server},
	{"ambiguous_group", ambiguous_group},
	{"groups_and_instances", groups_and_instances},
	{NULL, NULL},
};
