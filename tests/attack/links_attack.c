// SPDX-License-Identifier: BSD-3-Clause
// What one application may do to the links that all applications share.
#include "tests/attack/raw.h"

#include "lib/base/compiler.h"
#include "lib/base/limits.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum phx_reason channel_open(struct raw *raw, const char *target)
{
	struct phx_attach_channel_open open = {
		.timeout_ns = PHX_TIMEOUT_NONE, .target_len = (uint32_t)strlen(target)};

	return raw_request(raw,
		(struct phx_attach_request){.h = &open.h,
			.size = sizeof(open),
			.tail = target,
			.tail_len = open.target_len,
			.type = PHX_ATTACH_CHANNEL_OPEN,
			.answer_size = sizeof(struct phx_attach_handle_rep)},
		NULL);
}

static enum phx_reason bind_service(struct raw *raw, uint32_t channel)
{
	struct phx_attach_bind bind = {.channel = channel};

	return raw_request(raw,
		(struct phx_attach_request){.h = &bind.h,
			.size = sizeof(bind),
			.type = PHX_ATTACH_BIND,
			.answer_size = sizeof(struct phx_attach_handle_rep)},
		NULL);
}

// Each binding is a subscription at the other end, which keeps so much for a link and no more.
static void bindings_without_end_are_refused(void **state)
{
	enum phx_reason reason = PHX_REASON_NONE;
	struct raw raw;
	uint32_t n = 0;

	(void)state;
	raw_open(&raw, NULL);
	raw_service(&raw, NULL, "local:"); // channel 0
	for (uint32_t channel = 1; reason == PHX_REASON_NONE && n < 40000; channel++) {
		reason = channel_open(&raw, "local:");
		for (uint32_t i = 0; i < PHX_LIMIT_SERVICES_MAX && reason == PHX_REASON_NONE; i++) {
			reason = bind_service(&raw, channel);
			n++;
		}
	}
	assert_int_equal(reason, PHX_REASON_NO_MEMORY);
	assert_true(n > PHX_LIMIT_CHANNELS_MAX);
	raw_close(&raw);
}

static void calls_submit(struct raw *client, uint32_t channels, uint32_t each)
{
	raw_message(client, 0);
	for (uint32_t i = 0; i < channels * each; i++) {
		raw_sub(client,
			(struct phx_sub_entry){.kind = PHX_SUB_CALL,
				.flags = PHX_SUB_WAIT_FOR_READY,
				.call = i,
				.handle = i,
				.channel = i / each,
				.timeout_ns = PHX_TIMEOUT_NONE,
				.msg_off = client->hello.send_heap.offset},
			0);
		if (i % 2048 == 0)
			raw_taken(client);
	}
	raw_taken(client);
}

// Thousands of calls and channels that end at once are as many frames. Servers and clients on both
// workers.
static void calls_abandoned_at_once_leave_the_link(void **state)
{
	enum { CHANNELS = PHX_LIMIT_CHANNELS_MAX, BOUND = 8, EACH = 500 };
	static const struct phx_attach_queue_sizes sizes = {
		.sub_slots = 4096, .ret_slots = 4096, .comp_slots = 32768};
	struct raw server[2], client[2];

	(void)state;
	for (int i = 0; i < 2; i++) {
		raw_open(&server[i], NULL);
		raw_service(&server[i], "attacker", NULL);
	}
	for (int i = 0; i < 2; i++) {
		raw_open(&client[i], &sizes);
		raw_service(&client[i], NULL, "local:attacker"); // channel 0
		for (uint32_t channel = 1; channel < CHANNELS; channel++) {
			assert_int_equal(
				channel_open(&client[i], "local:attacker"), PHX_REASON_NONE);
			if (channel < BOUND)
				assert_int_equal(
					bind_service(&client[i], channel), PHX_REASON_NONE);
		}
	}
	for (int i = 0; i < 2; i++)
		calls_submit(&client[i], BOUND, EACH);
	for (uint64_t until = phx_clock_ns() + 2 * PHX_NS_PER_S; phx_clock_ns() < until;)
		bed_pause(); // they are on their way
	assert_false(raw_over(&client[0]));
	assert_false(raw_over(&client[1]));
	for (int i = 0; i < 2; i++)
		raw_close(&client[i]);
	for (int i = 0; i < 2; i++)
		raw_close(&server[i]);
}

static enum phx_reason register_service(struct raw *raw, const char *group, uint32_t *out_handle)
{
	struct phx_attach_register reg = {.group_len = (uint32_t)strlen(group)};
	struct phx_attach_answer answer;
	enum phx_reason reason = raw_request(raw,
		(struct phx_attach_request){.h = &reg.h,
			.size = sizeof(reg),
			.tail = group,
			.tail_len = reg.group_len,
			.type = PHX_ATTACH_REGISTER,
			.answer_size = sizeof(struct phx_attach_handle_rep)},
		&answer);

	if (reason == PHX_REASON_NONE)
		*out_handle =
			((const struct phx_attach_handle_rep *)(const void *)answer.h)->handle;
	return reason;
}

static void unregister_service(struct raw *raw, uint32_t handle)
{
	struct phx_attach_handle_req req = {.handle = handle};

	assert_int_equal(raw_request(raw,
				 (struct phx_attach_request){.h = &req.h,
					 .size = sizeof(req),
					 .type = PHX_ATTACH_UNREGISTER,
					 .answer_size = sizeof(struct phx_attach_header)},
				 NULL),
		PHX_REASON_NONE);
}

// Names that are remembered, times channels that wait for one that is not there: each change of the
// services is looked at by every worker.
static void services_that_come_and_go_hold_no_worker(void **state)
{
	enum { SESSIONS = 12, CHANGES = 40, LIMIT_US = 300000 };
	struct raw raw, names;
	uint32_t handle;
	uint64_t begin, us;
	char group[64];

	(void)state;
	for (unsigned i = 0; i < SESSIONS; i++) {
		raw_open(&names, NULL);
		raw_service(&names, NULL, NULL);
		for (unsigned k = 0; k < PHX_LIMIT_SERVICES_MAX; k++) {
			(void)snprintf(group, sizeof(group), "squatter-%u-%u", i, k);
			if (register_service(&names, group, &handle) != PHX_REASON_NONE)
				break; // as many as there may be
		}
		raw_close(&names);
	}
	raw_open(&raw, NULL);
	raw_service(&raw, NULL, "local:nowhere"); // channel 0
	for (uint32_t channel = 1; channel <= 20; channel++) {
		assert_int_equal(channel_open(&raw, "local:nowhere"), PHX_REASON_NONE);
		for (uint32_t i = 0; i < PHX_LIMIT_SERVICES_MAX; i++)
			assert_int_equal(bind_service(&raw, channel), PHX_REASON_NONE);
	}
	begin = phx_clock_ns();
	for (unsigned i = 0; i < CHANGES / 2; i++) {
		assert_int_equal(register_service(&raw, "squatter-0-0", &handle), PHX_REASON_NONE);
		unregister_service(&raw, handle);
	}
	// 1.4 s each where all names are compared with all subscriptions.
	us = (phx_clock_ns() - begin) / CHANGES / 1000;
	if (us > LIMIT_US)
		fail_msg("%llu us a change", (unsigned long long)us);
	raw_close(&raw);
}

static int setup(void **state)
{
	static const char *const options[] = {"--standalone", "default", "--workers", "2", NULL};

	(void)state;
	bed_start(options);
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		BED_TEST(bindings_without_end_are_refused),
		BED_TEST(calls_abandoned_at_once_leave_the_link),
		BED_TEST(services_that_come_and_go_hold_no_worker),
	};

	return bed_main_with(argc, argv, "links", tests, PHX_ARRAY_LEN(tests), setup, bed_teardown);
}
