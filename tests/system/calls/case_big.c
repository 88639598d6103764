// SPDX-License-Identifier: BSD-3-Clause
// Large messages: both ways, at the limits and over them, and small calls beside them.
#include "tests/system/calls/calls.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define KIB 1024u
#define MIB (1024u * KIB)

static void big_check(struct outcome *out, uint32_t size, uint32_t reply_size, uint32_t seed)
{
	const struct phoenix_calls_BigReply *r;
	uint32_t most = size > reply_size ? size : reply_size;
	uint8_t *want = malloc(most + 4u);
	struct phx_bytes b;

	CHECK(want != NULL, "memory");
	CHECK(out->status.code == PHX_OK, "%u bytes there, %u back: code %u %s", size, reply_size,
		out->status.code, out->status.text);
	r = phoenix_calls_BigReply_root(out->reply);
	CHECK(r != NULL && phoenix_calls_BigReply_size(r) == size, "size");
	big_fill(want, size, seed);
	CHECK(phoenix_calls_BigReply_sum(r) == big_sum(want, size), "request of %u bytes changed",
		size);
	b = phoenix_calls_BigReply_payload(r);
	big_fill(want, reply_size, seed);
	CHECK(b.len == reply_size && (b.len == 0 || memcmp(b.data, want, b.len) == 0),
		"reply of %u bytes changed", reply_size);
	free(want);
	phx_message_release(out->reply);
}

static void big_call(struct phx_context *context, struct phx_channel *channel, uint32_t size,
	uint32_t reply_size)
{
	struct outcome out;

	start(channel, phx_queue_default(context), phoenix_calls_Suite_method_Big,
		big_request(context, size, reply_size, size + 3), NULL, &out);
	await(phx_queue_default(context), &out);
	big_check(&out, size, reply_size, size + 3);
}

// Every way of travelling: inline, one block, gathered in one frame, announced, grown heaps.
static void sizes_both_ways(void)
{
	static const uint32_t sizes[] = {0, 1, 7, 8, 63, 100, 192, 200, 208, 250, 1000, 1023, 1024,
		4000, 4095, 4096, 4097, 8192, 16384, 32768, 65000, 65500, 65510, 65512, 65520,
		65535, 65536, 65537, 100000, 131072, 1000000, 3 * MIB + 1};
	struct server *s = server_start("sizes_both_ways");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "sizes_both_ways");

	(void)who(context, channel);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		big_call(context, channel, sizes[i], 8);
		big_call(context, channel, 8, sizes[i]);
		big_call(context, channel, sizes[i], sizes[i]);
	}
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// Metadata travels in front of a message, in one frame with it or announcing it.
static void metadata_beside_messages(void)
{
	static const uint32_t sizes[] = {8, 1000, 60000, 65537, 300000, MIB};
	struct server *s = server_start("metadata_beside_messages");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "metadata_beside_messages");
	struct phx_queue *queue = phx_queue_default(context);
	struct phx_call_options o = {.size = sizeof(o)};
	struct phx_metadata *meta;
	struct phx_bytes value;
	struct outcome out;

	CHECK(phx_metadata_create(&meta) == 0, "memory");
	CHECK(phx_metadata_append(meta, "tenant", "blue", 4) == 0, "pair");
	CHECK(phx_metadata_append(meta, "raw-bin", "\0\1\2", 3) == 0, "pair");
	o.metadata = meta;
	(void)who(context, channel);
	for (size_t i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint32_t there = sizes[i / 2], back = i % 2 == 0 ? there : 8;

		start(channel, queue, phoenix_calls_Suite_method_Big,
			big_request(context, there, back, 5), &o, &out);
		await(queue, &out);
		CHECK(out.reply != NULL, "%u bytes: %s", there, out.status.text);
		CHECK(phx_metadata_find(phx_reply_metadata(out.reply), "tenant", &value) &&
				value.len == 4 && memcmp(value.data, "blue", 4) == 0,
			"%u bytes there, %u back: the tenant is lost", there, back);
		CHECK(phx_metadata_find(phx_reply_metadata(out.reply), "raw-bin", &value) &&
				value.len == 3 && memcmp(value.data, "\0\1\2", 3) == 0,
			"%u bytes there, %u back: the raw bytes are lost", there, back);
		big_check(&out, there, back, 5);
	}
	phx_metadata_destroy(meta);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

static void megabytes(void)
{
	struct server *s = server_start("megabytes");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "megabytes");

	(void)who(context, channel);
	big_call(context, channel, 8 * MIB, 8 * MIB);
	big_call(context, channel, 64 * MIB - 64, 8);
	big_call(context, channel, 8, 64 * MIB - 64);
	big_call(context, channel, 64 * MIB - 64, 64 * MIB - 64);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// Much more than any window, eight at a time.
static void stream_of_megabytes(void)
{
	struct server *s = server_start("stream_of_megabytes");
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "stream_of_megabytes");
	struct phx_queue *queue = phx_queue_default(context);
	struct outcome out[8];

	(void)who(context, channel);
	for (uint32_t i = 0; i < 96; i++) {
		struct outcome *o = &out[i % 8];

		if (i >= 8) {
			await(queue, o);
			big_check(o, MIB, MIB / 2, i - 8);
		}
		start(channel, queue, phoenix_calls_Suite_method_Big,
			big_request(context, MIB, MIB / 2, i), NULL, o);
	}
	for (uint32_t i = 96; i < 104; i++) {
		await(queue, &out[i % 8]);
		big_check(&out[i % 8], MIB, MIB / 2, i - 8);
	}
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

static void refused(struct phx_context *context, struct phx_channel *channel, uint32_t size,
	uint32_t reply_size, uint32_t origin, uint32_t executed, const char *word)
{
	uint64_t begin = now_ns();
	struct outcome out;

	start(channel, phx_queue_default(context), phoenix_calls_Suite_method_Big,
		big_request(context, size, reply_size, 5), NULL, &out);
	begin = now_ns();
	await(phx_queue_default(context), &out);
	check_status(&out.status, PHX_RESOURCE_EXHAUSTED, origin, executed, PHX_REASON_TOO_LARGE);
	CHECK(strstr(out.status.text, word) != NULL, "the text says \"%s\": \"%s\"", word,
		out.status.text);
	CHECK(out.at_ns - begin < 900 * MS, "refused after %llu ns",
		(unsigned long long)(out.at_ns - begin));
}

static void *server_thread(void *arg)
{
	struct server *s = arg;

	s->rc = phx_server_run(s->server);
	return NULL;
}

// Over what can be sent, and over what the receiver may hold: at once, and with the numbers.
static void over_the_limits(void)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct server *s = calloc(1, sizeof(*s));
	struct phx_context *context;
	struct phx_channel *channel;
	struct phx_status status;

	CHECK(s != NULL, "memory");
	options.recv_quota = 8 * MIB;
	s->context = attach(suite.server_dir, &options);
	service_init(s, 1);
	CHECK(phx_server_create(s->context, NULL, &s->server) == 0, "server");
	CHECK(phoenix_calls_Suite_register(s->server, "over_the_limits", &s->handlers, &status) ==
			0,
		"%s", status.text);
	CHECK(pthread_create(&s->thread, NULL, server_thread, s) == 0, "thread");
	options.recv_quota = 4 * MIB;
	context = attach(suite.client_dir, &options);
	channel = channel_to(context, "over_the_limits");
	(void)who(context, channel);
	big_call(context, channel, 5 * MIB, 8);
	refused(context, channel, 7 * MIB, 8, PHX_ORIGIN_REMOTE_DATAPLANE, PHX_EXECUTED_NO,
		"6291456");
	refused(context, channel, 9 * MIB, 8, PHX_ORIGIN_REMOTE_DATAPLANE, PHX_EXECUTED_NO,
		"6291456");
	refused(context, channel, 65 * MIB, 8, PHX_ORIGIN_LOCAL_DATAPLANE, PHX_EXECUTED_NO,
		"67108864");
	big_call(context, channel, 8, 3 * MIB);
	refused(context, channel, 8, 5 * MIB, PHX_ORIGIN_LOCAL_DATAPLANE, PHX_EXECUTED_YES,
		"4194304");
	refused(context, channel, 8, 65 * MIB, PHX_ORIGIN_REMOTE_DATAPLANE, PHX_EXECUTED_YES,
		"67108864");
	big_call(context, channel, 5 * MIB, 8); // nothing of it took room
	phx_channel_close(channel);
	phx_detach(context);
	phx_server_stop(s->server);
	(void)pthread_join(s->thread, NULL); // it was created
	phx_server_destroy(s->server);
	phx_detach(s->context);
	free(s);
}

// More than the receiver has room for at a time: they wait for each other, and all come through.
static void room_is_waited_for(void)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct server *s = server_start("room_is_waited_for");
	struct phx_context *context;
	struct phx_channel *channel;
	struct phx_queue *queue;
	struct outcome out[8];

	options.recv_quota = 4 * MIB;
	context = attach(suite.client_dir, &options);
	channel = channel_to(context, "room_is_waited_for");
	queue = phx_queue_default(context);
	(void)who(context, channel);
	for (uint32_t round = 0; round < 5; round++) {
		for (uint32_t i = 0; i < 8; i++)
			start(channel, queue, phoenix_calls_Suite_method_Big,
				big_request(context, 8, MIB, i), NULL, &out[i]);
		for (uint32_t n = 0; n < 8;) { // give each back as it comes
			CHECK(phx_wait(queue, PATIENCE) == 1 && phx_poll(queue, 0) >= 0, "stuck");
			for (uint32_t i = 0; i < 8; i++) {
				if (!out[i].done || out[i].count == 0)
					continue;
				big_check(&out[i], 8, MIB, i);
				out[i].count = 0;
				n++;
			}
		}
	}
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// What waits longer than a second for room that nobody gives back is refused with a reason.
static void room_that_never_comes(void)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct server *s = server_start("room_that_never_comes");
	struct phx_context *context;
	struct phx_channel *channel;
	struct phx_queue *queue;
	struct outcome kept, out;
	uint64_t begin;

	options.recv_quota = 4 * MIB;
	context = attach(suite.client_dir, &options);
	channel = channel_to(context, "room_that_never_comes");
	queue = phx_queue_default(context);
	(void)who(context, channel);
	start(channel, queue, phoenix_calls_Suite_method_Big, big_request(context, 8, 3 * MIB, 1),
		NULL, &kept);
	await(queue, &kept);
	begin = now_ns();
	start(channel, queue, phoenix_calls_Suite_method_Big, big_request(context, 8, 2 * MIB, 2),
		NULL, &out);
	await(queue, &out);
	check_status(&out.status, PHX_RESOURCE_EXHAUSTED, PHX_ORIGIN_LOCAL_DATAPLANE,
		PHX_EXECUTED_YES, PHX_REASON_RECV_QUOTA);
	CHECK(out.at_ns - begin > 800 * MS && out.at_ns - begin < 3 * S, "after %llu ns",
		(unsigned long long)(out.at_ns - begin));
	big_check(&kept, 8, 3 * MIB, 1); // untouched; releases it
	big_call(context, channel, 8, 2 * MIB);
	phx_channel_close(channel);
	phx_detach(context);
	server_stop(s);
}

// ---- beside large messages ----

struct stream {
	struct phx_context *context;
	struct phx_channel *channel;
	uint32_t messages;
	pthread_t thread;
	_Atomic bool stop;
};

static void *stream_main(void *arg)
{
	struct stream *st = arg;
	struct phx_queue *queue = phx_queue_default(st->context);
	struct outcome out[2] = {{.done = true}, {.done = true}};

	for (uint32_t i = 0; !st->stop || st->messages < 4; i++) {
		struct outcome *o = &out[i % 2];

		await(queue, o);
		if (o->count != 0)
			big_check(o, 16 * MIB, 16 * MIB, 7);
		st->messages = i;
		start(st->channel, queue, phoenix_calls_Suite_method_Big,
			big_request(st->context, 16 * MIB, 16 * MIB, 7), NULL, o);
	}
	for (int i = 0; i < 2; i++) {
		await(queue, &out[i]);
		phx_message_release(out[i].reply);
	}
	return NULL;
}

// A stream of large messages in both directions: small calls of others on the same channel's
// service go on; scripts/bench measures how fast.
static void small_beside_large(void)
{
	struct server *big = server_start_as("small_beside_large-big", 1);
	struct server *small = server_start_as("small_beside_large", 2);
	struct stream st = {.context = client_attach()};
	struct phx_context *context = client_attach();
	struct phx_channel *channel = channel_to(context, "small_beside_large");
	uint64_t worst = 0, end;
	uint32_t n = 0;

	st.channel = channel_to(st.context, "small_beside_large-big");
	(void)who(st.context, st.channel);
	(void)who(context, channel);
	CHECK(pthread_create(&st.thread, NULL, stream_main, &st) == 0, "thread");
	end = now_ns() + S;
	for (; n < 500 || now_ns() < end; n++) {
		uint64_t begin = now_ns(), took;

		(void)who(context, channel);
		took = now_ns() - begin;
		worst = took > worst ? took : worst;
	}
	st.stop = true;
	(void)pthread_join(st.thread, NULL); // it was created
	(void)printf("  %u small calls, worst %llu us, beside %u large ones\n", n,
		(unsigned long long)worst / 1000, st.messages);
	CHECK(worst < S, "a small call took %llu ns", (unsigned long long)worst);
	phx_channel_close(channel);
	phx_channel_close(st.channel);
	phx_detach(context);
	phx_detach(st.context);
	server_stop(big);
	server_stop(small);
}

// An application that does not take its requests stops itself; everybody else goes on, also on the
// same channel.
static void one_stops_receiving(void)
{
	struct server *good = server_start_as("receiving", 1);
	struct server *bad = calloc(1, sizeof(*bad));
	struct phx_context *context = client_attach(), *other = client_attach();
	struct phx_channel *to_bad = channel_to(context, "not_receiving");
	struct phx_channel *to_good = channel_to(context, "receiving");
	struct phx_channel *also_good = channel_to(other, "receiving");
	struct phx_queue *queue;
	struct phx_status status;
	struct outcome *out = calloc(512, sizeof(*out));
	uint32_t n = 0;

	CHECK(bad != NULL && out != NULL, "memory");
	bad->context = attach(suite.server_dir, NULL);
	service_init(bad, 2);
	CHECK(phx_server_create(bad->context, NULL, &bad->server) == 0, "server");
	CHECK(phoenix_calls_Suite_register(bad->server, "not_receiving", &bad->handlers, &status) ==
			0,
		"%s", status.text);
	CHECK(phx_queue_create(context, NULL, &queue) == 0, "queue");
	(void)who(context, to_good);
	(void)who(other, also_good);
	for (; n < 512; n++)
		start(to_bad, queue,
			n % 64 == 0 ? phoenix_calls_Suite_method_Big
				    : phoenix_calls_Suite_method_Who,
			n % 64 == 0 ? big_request(context, 8 * MIB, 8, n)
				    : hold_request(context, n),
			NULL, &out[n]);
	for (int i = 0; i < 300; i++) {
		CHECK(who(context, to_good) == 1, "the same application");
		CHECK(who(other, also_good) == 1, "another application");
		CHECK(phx_poll(queue, 0) >= 0, "poll");
	}
	phx_channel_close(to_bad);
	for (uint32_t i = 0; i < n; i++) {
		await(queue, &out[i]);
		CHECK(out[i].status.code != PHX_OK, "call %u was answered", i);
	}
	phx_channel_close(to_good);
	phx_channel_close(also_good);
	phx_detach(context);
	phx_detach(other);
	phx_server_destroy(bad->server);
	phx_detach(bad->context);
	free(bad);
	free(out);
	server_stop(good);
}

const struct test_case cases_big[] = {
	{"sizes_both_ways", sizes_both_ways},
	{"metadata_beside_messages", metadata_beside_messages},
	{"megabytes", megabytes},
	{"stream_of_megabytes", stream_of_megabytes},
	{"over_the_limits", over_the_limits},
	{"room_is_waited_for", room_is_waited_for},
	{"room_that_never_comes", room_that_never_comes},
	{"small_beside_large", small_beside_large},
	{"one_stops_receiving", one_stops_receiving},
	{NULL, NULL},
};
