// SPDX-License-Identifier: BSD-3-Clause
// Many calls at once: limits and back-pressure, order, blocks that are kept, queues and threads.
#include "tests/system/calls/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MANY	    10000
#define MANY_QUEUES 3

struct crowd {
	uint32_t done, errors, order[MANY];
	bool seen[MANY];
};
struct one {
	struct crowd *crowd;
	uint32_t id;
};

static void on_crowd(void *arg, struct phx_message *reply, const struct phx_status *status)
{
	struct one *one = arg;
	struct crowd *c = one->crowd;

	if (status->code != PHX_OK) {
		if (c->errors++ == 0)
			(void)fprintf(stderr, "call %u: %s\n", one->id, status->text);
	} else {
		CHECK(phoenix_calls_HoldReply_id(phoenix_calls_HoldReply_root(reply)) == one->id,
			"call %u got another's reply", one->id);
	}
	CHECK(!c->seen[one->id], "call %u ended twice", one->id);
	c->seen[one->id] = true;
	c->order[c->done++] = one->id;
	phx_message_release(reply);
}

// Ten thousand outstanding from one thread, all in their handlers at once; the replies in an
// order of the server's own, from another thread than the one that runs the handlers.
static void ten_thousand(void)
{
	const struct phx_attach_options options = {
		.size = sizeof(options), .sub_slots = 4096, .ret_slots = 4096, .comp_slots = 32768};
	const struct phx_queue_options qo = {
		.size = sizeof(qo), .sub_slots = 4096, .ret_slots = 4096, .comp_slots = 32768};
	struct server *s = server_start("ten_thousand");
	struct phx_context *context = attach(suite.client_dir, &options);
	struct phx_channel *channel = channel_to(context, "ten_thousand");
	struct phx_queue *queues[MANY_QUEUES] = {phx_queue_default(context)};
	struct one *ones = calloc(MANY, sizeof(*ones));
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	uint32_t started = 0, q = 0;
	uint64_t end = now_ns() + 3 * PATIENCE;

	CHECK(ones != NULL && crowd != NULL, "memory");
	for (int i = 1; i < MANY_QUEUES; i++)
		CHECK(phx_queue_create(context, &qo, &queues[i]) == 0, "queue");
	(void)who(context, channel);
	while (started < MANY) {
		struct phx_message *m = hold_request(context, started);
		int rc;

		ones[started] = (struct one){crowd, started};
		rc = phx_call_start(channel, queues[q], &phoenix_calls_Suite_service,
			phoenix_calls_Suite_method_Hold, m, NULL, on_crowd, &ones[started], NULL);
		if (rc == 0) {
			started++;
			continue;
		}
		CHECK(rc == -EAGAIN, "call %u: %s", started, strerror(-rc));
		phx_message_release(m);
		for (int i = 0; i < MANY_QUEUES; i++)
			CHECK(phx_poll(queues[i], 0) >= 0, "poll");
		q = (q + 1) % MANY_QUEUES;
		CHECK(now_ns() < end, "stuck after %u calls", started);
	}
	CHECK(crowd->done == 0, "%u ended already", crowd->done);
	// The server can have half of its rings' room at once; replies make room for the rest.
	for (uint32_t replied = 0; replied < MANY;) {
		uint32_t held = server_held(s);

		CHECK(now_ns() < end, "stuck after %u replies", replied);
		for (int i = 0; i < MANY_QUEUES; i++)
			CHECK(phx_poll(queues[i], 0) >= 0, "poll");
		if (held == 0)
			continue;
		held_reply(server_take(s, replied * 7919 % held));
		replied++;
	}
	while (crowd->done < MANY) {
		CHECK(now_ns() < end, "%u of %u ended", crowd->done, MANY);
		for (int i = 0; i < MANY_QUEUES; i++)
			CHECK(phx_poll(queues[i], 0) >= 0, "poll");
	}
	CHECK(crowd->errors == 0, "%u errors", crowd->errors);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
	free(ones);
	free(crowd);
}

// One queue has so much room and no more; a message that was not taken stays the caller's.
static void in_flight_limit(void)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct server *s = server_start("in_flight_limit");
	struct phx_context *context;
	struct phx_channel *channel;
	struct phx_queue *queue;
	struct one ones[128];
	struct crowd *crowd = calloc(1, sizeof(*crowd));
	uint32_t n = 0;
	int rc = 0;

	options.sub_slots = options.ret_slots = 64;
	options.comp_slots = 128;
	context = attach(suite.client_dir, &options);
	channel = channel_to(context, "in_flight_limit");
	queue = phx_queue_default(context);
	(void)who(context, channel);
	for (uint64_t end = now_ns() + 100 * MS; now_ns() < end && n < 128;) {
		struct phx_message *m = hold_request(context, n);

		ones[n] = (struct one){crowd, n};
		rc = phx_call_start(channel, queue, &phoenix_calls_Suite_service,
			phoenix_calls_Suite_method_Hold, m, NULL, on_crowd, &ones[n], NULL);
		if (rc != 0) {
			CHECK(rc == -EAGAIN, "%s", strerror(-rc));
			phx_message_release(m);
			CHECK(phx_poll(queue, 0) >= 0, "poll");
			continue;
		}
		n++;
	}
	CHECK(rc == -EAGAIN && n >= 32 && n <= 64, "%u calls in flight", n);
	server_wait_held(s, n);
	held_reply(server_take(s, n - 1));
	while (crowd->done == 0)
		drain(queue, 1 * MS);
	CHECK(crowd->order[0] == n - 1, "call %u ended", crowd->order[0]);
	ones[n] = (struct one){crowd, n}; // room again
	rc = phx_call_start(channel, queue, &phoenix_calls_Suite_service,
		phoenix_calls_Suite_method_Hold, hold_request(context, n), NULL, on_crowd, &ones[n],
		NULL);
	CHECK(rc == 0, "%s", strerror(-rc));
	server_wait_held(s, n);
	for (uint32_t i = 0; i < n; i++)
		held_reply(server_take(s, 0));
	for (uint64_t end = now_ns() + PATIENCE; crowd->done < n + 1 && now_ns() < end;)
		drain(queue, 1 * MS);
	CHECK(crowd->done == n + 1 && crowd->errors == 0, "%u of %u", crowd->done, n + 1);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
	free(crowd);
}

// Received messages are the application's until it gives them back; then the room is there again.
static void kept_replies(void)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct server *s = server_start("kept_replies");
	struct phx_context *context;
	struct phx_channel *channel;
	struct phx_queue *queue;

	options.sub_slots = options.ret_slots = 64;
	options.comp_slots = 256;
	options.recv_quota = 4 << 20;
	context = attach(suite.client_dir, &options);
	channel = channel_to(context, "kept_replies");
	queue = phx_queue_default(context);
	for (uint32_t round = 0; round < 20; round++) {
		struct phx_message *kept[64];
		uint32_t n = 0;

		for (; n < 64; n++) {
			struct phx_message *m = big_request(context, 8, 3000, n);
			struct outcome out = {.done = false};
			int rc = phx_call_start(channel, queue, &phoenix_calls_Suite_service,
				phoenix_calls_Suite_method_Big, m, NULL, on_outcome, &out, NULL);

			if (rc == -EAGAIN) {
				phx_message_release(m);
				break;
			}
			CHECK(rc == 0, "%s", strerror(-rc));
			await(queue, &out);
			CHECK(out.status.code == PHX_OK, "round %u, %u kept: %s", round, n,
				out.status.text);
			kept[n] = out.reply;
		}
		CHECK(n >= 32, "only %u replies can be kept", n);
		for (uint32_t i = 0; i < n; i++) {
			const struct phoenix_calls_BigReply *r =
				phoenix_calls_BigReply_root(kept[i]);
			struct phx_bytes b = phoenix_calls_BigReply_payload(r);
			uint8_t want[3000];

			big_fill(want, sizeof(want), i);
			CHECK(b.len == sizeof(want) && memcmp(b.data, want, b.len) == 0,
				"reply %u changed", i);
			phx_message_release(kept[i]);
		}
	}
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// ---- threads ----

struct worker {
	struct phx_context *context;
	struct phx_channel *channel;
	struct phx_queue *queue;
	uint32_t first, calls;
	pthread_t thread;
};

static void *thread_calls(void *arg)
{
	struct worker *w = arg;

	for (uint32_t i = 0; i < w->calls; i++) {
		struct outcome out;

		start(w->channel, w->queue, phoenix_calls_Suite_method_Who,
			hold_request(w->context, w->first + i), NULL, &out);
		await(w->queue, &out);
		CHECK(out.status.code == PHX_OK, "%s", out.status.text);
		CHECK(phoenix_calls_HoldReply_id(phoenix_calls_HoldReply_root(out.reply)) ==
				w->first + i,
			"another's reply");
		phx_message_release(out.reply);
	}
	return NULL;
}

static void threads_run(const char *group, bool shared)
{
	struct server *s = server_start(group);
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, group);
	struct worker w[4];

	(void)who(context, channel);
	for (uint32_t i = 0; i < 4; i++) {
		w[i] = (struct worker){
			.context = context,
			.channel = channel,
			.queue = phx_queue_default(context),
			.first = i * 100000,
			.calls = 500,
		};
		if (!shared && i != 0)
			CHECK(phx_queue_create(context, NULL, &w[i].queue) == 0, "queue");
		CHECK(pthread_create(&w[i].thread, NULL, thread_calls, &w[i]) == 0, "thread");
	}
	for (uint32_t i = 0; i < 4; i++)
		(void)pthread_join(w[i].thread, NULL); // it was created
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

static void queue_per_thread(void)
{
	threads_run("queue_per_thread", false);
}

static void queue_shared(void)
{
	threads_run("queue_shared", true);
}

static void *thread_sync(void *arg)
{
	struct worker *w = arg;

	for (uint32_t i = 0; i < w->calls; i++)
		CHECK(who(w->context, w->channel) == 1, "server");
	return NULL;
}

// Blocking calls of several threads share the default queue.
static void sync_threads(void)
{
	struct server *s = server_start("sync_threads");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "sync_threads");
	struct worker w[4];

	for (uint32_t i = 0; i < 4; i++) {
		w[i] = (struct worker){.context = context, .channel = channel, .calls = 300};
		CHECK(pthread_create(&w[i].thread, NULL, thread_sync, &w[i]) == 0, "thread");
	}
	for (uint32_t i = 0; i < 4; i++)
		(void)pthread_join(w[i].thread, NULL); // it was created
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

const struct test_case cases_load[] = {
	{"ten_thousand", ten_thousand},
	{"in_flight_limit", in_flight_limit},
	{"kept_replies", kept_replies},
	{"queue_per_thread", queue_per_thread},
	{"queue_shared", queue_shared},
	{"sync_threads", sync_threads},
	{NULL, NULL},
};
