// SPDX-License-Identifier: BSD-3-Clause
// What the cases of the call suite share, see calls.h.
#include "tests/system/calls/calls.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void check_failed(const char *file, int line, const char *condition, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	(void)fprintf(stderr, "%s:%d: %s: ", file, line, condition);
	(void)vfprintf(stderr, format, args);
	(void)fputc('\n', stderr);
	va_end(args);
	_exit(1);
}

void case_skip(const char *why)
{
	(void)printf("skipped: %s\n", why);
	(void)fflush(stdout);
	_exit(77);
}

uint64_t now_ns(void)
{
	return cpu_ns(CLOCK_MONOTONIC);
}

uint64_t cpu_ns(int clock)
{
	struct timespec ts;

	(void)clock_gettime(clock, &ts); // valid clocks only
	return (uint64_t)ts.tv_sec * S + (uint64_t)ts.tv_nsec;
}

bool until(bool (*holds)(void *arg), void *arg, uint64_t timeout_ns)
{
	const struct timespec pause = {0, 1000000};
	uint64_t end = now_ns() + timeout_ns;

	while (!holds(arg)) {
		if (now_ns() > end)
			return false;
		(void)nanosleep(&pause, NULL); // between two looks; the deadline is above
	}
	return true;
}

// ---- servers ----

static void *server_main(void *arg)
{
	struct server *server = arg;

	server->rc = phx_server_run(server->server);
	return NULL;
}

struct server *server_start_as(const char *group, uint32_t id)
{
	struct server *s = calloc(1, sizeof(*s));
	struct phx_status status;
	int rc;

	CHECK(s != NULL, "memory");
	s->context = attach(suite.server_dir, NULL);
	service_init(s, id);
	rc = phx_server_create(s->context, NULL, &s->server);
	CHECK(rc == 0, "server: %s", strerror(-rc));
	rc = phoenix_calls_Suite_register(s->server, group, &s->handlers, &status);
	CHECK(rc == 0, "register %s: %s", group, status.text);
	rc = pthread_create(&s->thread, NULL, server_main, s);
	CHECK(rc == 0, "thread: %s", strerror(rc));
	return s;
}

struct server *server_start(const char *group)
{
	return server_start_as(group, 1);
}

void server_stop(struct server *s)
{
	phx_server_stop(s->server);
	(void)pthread_join(s->thread, NULL); // it was created
	CHECK(s->rc == 0, "server ran into %s", strerror(-s->rc));
	phx_server_destroy(s->server);
	phx_detach(s->context);
	free(s);
}

uint32_t server_held(struct server *s)
{
	uint32_t n;

	(void)pthread_mutex_lock(&s->lock);
	n = s->held_count;
	(void)pthread_mutex_unlock(&s->lock);
	return n;
}

uint64_t server_seen(struct server *s)
{
	uint64_t n;

	(void)pthread_mutex_lock(&s->lock);
	n = s->seen;
	(void)pthread_mutex_unlock(&s->lock);
	return n;
}

struct held_wanted {
	struct server *server;
	uint32_t count;
};

static bool held_enough(void *arg)
{
	const struct held_wanted *w = arg;

	return server_held(w->server) >= w->count;
}

void server_wait_held(struct server *s, uint32_t count)
{
	struct held_wanted w = {s, count};

	CHECK(until(held_enough, &w, PATIENCE), "%u requests of %u came", server_held(s), count);
}

struct held server_take(struct server *s, uint32_t at)
{
	struct held h;

	(void)pthread_mutex_lock(&s->lock);
	CHECK(at < s->held_count, "request %u of %u", at, s->held_count);
	h = s->held[at];
	s->held_count--;
	memmove(s->held + at, s->held + at + 1, (s->held_count - at) * sizeof(h));
	(void)pthread_mutex_unlock(&s->lock);
	return h;
}

bool held_cancelled(void *arg)
{
	return phx_request_is_cancelled(((struct held *)arg)->request);
}

// ---- clients ----

struct phx_context *attach(const char *rundir, const struct phx_attach_options *options)
{
	struct phx_attach_options o = PHX_ATTACH_OPTIONS_INIT;
	struct phx_context *context;
	struct phx_status status;
	int rc;

	if (options != NULL)
		o = *options;
	o.rundir = rundir;
	rc = phx_attach(&o, &context, &status);
	CHECK(rc == 0, "attach: %s: %s", strerror(-rc), status.text);
	return context;
}

struct phx_context *client_attach(void)
{
	return attach(suite.client_dir, NULL);
}

struct phx_channel *channel_to(struct phx_context *context, const char *group)
{
	bool local = strncmp(suite.target, "local:", 6) == 0;
	struct phx_channel *channel;
	struct phx_status status;
	char target[256];
	int rc;

	(void)snprintf(target, sizeof(target), "%s%s%s", suite.target,
		local || group == NULL ? "" : "/", group != NULL ? group : "");
	rc = phx_channel_open(context, target, NULL, &channel, &status);
	CHECK(rc == 0, "%s: %s: %s", target, strerror(-rc), status.text);
	return channel;
}

void on_outcome(void *arg, struct phx_message *reply, const struct phx_status *status)
{
	struct outcome *o = arg;

	o->done = true;
	o->count++;
	o->status = *status;
	o->reply = reply;
	o->at_ns = now_ns();
}

void await(struct phx_queue *queue, const struct outcome *o)
{
	uint64_t end = now_ns() + PATIENCE;

	while (!o->done) {
		int rc = phx_poll(queue, 0);

		if (rc == 0 && !o->done)
			rc = phx_wait(queue, 50 * MS);
		CHECK(rc >= 0, "poll: %s", strerror(-rc));
		CHECK(now_ns() < end, "a call does not end");
	}
}

void drain(struct phx_queue *queue, uint64_t ns)
{
	uint64_t end = now_ns() + ns, now;

	while ((now = now_ns()) < end) {
		int rc = phx_poll(queue, 0);

		if (rc == 0)
			rc = phx_wait(queue, end - now);
		CHECK(rc >= 0, "poll: %s", strerror(-rc));
	}
}

struct phx_message *nothing(struct phx_context *context)
{
	struct phx_message *m;

	CHECK(phx_message_new(context, &m) == 0, "message");
	CHECK(phoenix_calls_Nothing_new(m) != NULL, "root");
	return m;
}

struct phx_message *hold_request(struct phx_context *context, uint32_t id)
{
	struct phoenix_calls_HoldRequest *root;
	struct phx_message *m;

	CHECK(phx_message_new(context, &m) == 0, "message");
	root = phoenix_calls_HoldRequest_new(m);
	CHECK(root != NULL, "root");
	phoenix_calls_HoldRequest_set_id(root, id);
	return m;
}

void big_fill(void *bytes, uint32_t size, uint32_t seed)
{
	uint32_t *words = bytes, x = seed * 2654435761u + 1;

	for (uint32_t i = 0; i < size / 4; i++) {
		words[i] = x;
		x = x * 1664525u + 1013904223u;
	}
	for (uint32_t i = size & ~3u; i < size; i++)
		((uint8_t *)bytes)[i] = (uint8_t)(seed + i);
}

uint64_t big_sum(const void *bytes, uint32_t size)
{
	const uint8_t *p = bytes;
	uint64_t sum = size;

	for (uint32_t i = 0; i < size; i++)
		sum = sum * 31 + p[i];
	return sum;
}

struct phx_message *big_request(
	struct phx_context *context, uint32_t size, uint32_t reply_size, uint32_t seed)
{
	struct phoenix_calls_BigRequest *root;
	struct phx_message *m;
	void *bytes = malloc(size + 4u);
	int rc;

	CHECK(bytes != NULL, "memory");
	big_fill(bytes, size, seed);
	CHECK(phx_message_new(context, &m) == 0, "message");
	root = phoenix_calls_BigRequest_new(m);
	CHECK(root != NULL, "root");
	rc = phoenix_calls_BigRequest_set_payload(m, root, (struct phx_bytes){bytes, size});
	CHECK(rc == 0, "payload of %u bytes: %s", size, strerror(-rc));
	phoenix_calls_BigRequest_set_reply_size(root, reply_size);
	phoenix_calls_BigRequest_set_seed(root, seed);
	free(bytes);
	return m;
}

struct phx_call *start(struct phx_channel *channel, struct phx_queue *queue, uint32_t method,
	struct phx_message *request, const struct phx_call_options *options,
	struct outcome *outcome)
{
	struct phx_call *call = NULL;
	int rc;

	*outcome = (struct outcome){.done = false};
	rc = phx_call_start(channel, queue, &phoenix_calls_Suite_service, method, request, options,
		on_outcome, outcome, &call);
	CHECK(rc == 0, "start: %s", strerror(-rc));
	return call;
}

uint32_t who(struct phx_context *context, struct phx_channel *channel)
{
	const struct phx_call_options o = {
		.size = sizeof(o), .timeout_ns = PATIENCE, .wait_for_ready = true};
	struct phx_message *reply;
	struct phx_status status;
	uint32_t id;
	int rc;

	rc = phoenix_calls_Suite_Who(channel, hold_request(context, 0), &o, &reply, &status);
	CHECK(rc == 0, "who: %s: %s", strerror(-rc), status.text);
	id = phoenix_calls_HoldReply_server(phoenix_calls_HoldReply_root(reply));
	phx_message_release(reply);
	return id;
}

void check_status(const struct phx_status *s, uint32_t code, uint32_t origin, uint32_t executed,
	uint32_t reason)
{
	CHECK(s->code == code && s->origin == origin && s->executed == executed &&
			s->reason == reason,
		"code %u origin %u executed %u reason %u (\"%s\"), wanted %u %u %u %u", s->code,
		s->origin, s->executed, s->reason, s->text, code, origin, executed, reason);
}
