// SPDX-License-Identifier: BSD-3-Clause
// The server of phoenix-bench: one queue and one instance of the echo service for each thread.
#include "tests/bench/bench.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct server_thread {
	const struct meter_options *options;
	struct phx_context *context;
	struct phx_server *server;
	pthread_t thread;
	char *payload; // of replies; grows to the largest one asked for
	uint32_t payload_size;
	uint64_t sum; // of what was read
	int rc;
};

// Read one word of each line, as an application that looks at its data does.
static uint64_t touch(const struct phx_bytes *b)
{
	const uint8_t *p = b->data;
	uint64_t sum = 0;

	for (size_t i = 0; i + sizeof(uint64_t) <= b->len; i += 64) {
		uint64_t v;

		memcpy(&v, p + i, sizeof(v));
		sum += v;
	}
	return sum;
}

static int grow(struct server_thread *t, uint32_t size)
{
	char *p;

	if (size <= t->payload_size)
		return 0;
	if (size > BENCH_PAYLOAD_MAX)
		return -EINVAL;
	p = calloc(1, size);
	if (p == NULL)
		return -ENOMEM;
	free(t->payload);
	t->payload = p;
	t->payload_size = size;
	return 0;
}

// What a reply function returns means that the session is over; phx_server_run() says so too.
static void on_call(void *arg, struct phx_request *request)
{
	struct server_thread *t = arg;
	struct phx_message *reply;
	struct phx_bytes payload;
	uint32_t reply_size;

	if (bench_request_read(phx_request_message(request), &payload, &reply_size) != 0) {
		(void)phx_reply_status(request, PHX_INVALID_ARGUMENT, "not a request", NULL);
		return;
	}
	t->sum += touch(&payload);
	if (t->options->gap_us > 0)
		meter_sleep_us(t->options->gap_us);
	if (grow(t, reply_size) != 0 ||
		bench_reply_new(t->context, t->payload, reply_size, &reply) != 0) {
		(void)phx_reply_status(request, PHX_RESOURCE_EXHAUSTED, "no memory", NULL);
		return;
	}
	(void)phx_reply(request, reply, NULL);
}

static void *serve(void *arg)
{
	struct server_thread *t = arg;

	t->rc = phx_server_run(t->server);
	if (t->rc != 0)
		(void)kill(getpid(), SIGTERM); // the main thread ends all
	return NULL;
}

// The group of "GROUP", "local:GROUP" or "tcp://HOST:PORT/GROUP".
static const char *group_of(const char *target)
{
	const char *slash = strrchr(target, '/');

	if (strncmp(target, "local:", 6) == 0)
		return target + 6;
	return slash != NULL ? slash + 1 : target;
}

static int start(struct server_thread *t, bool first)
{
	const phx_handler_fn handlers[] = {on_call};
	struct phx_queue *queue = phx_queue_default(t->context);
	struct phx_status status = {0};
	int rc = 0;

	if (!first)
		rc = phx_queue_create(t->context, NULL, &queue);
	if (rc == 0)
		rc = phx_server_create(t->context, queue, &t->server);
	for (unsigned i = 0; rc == 0 && i < t->options->target_count; i++)
		rc = phx_server_add(t->server, group_of(t->options->targets[i]), bench_service(),
			handlers, t, &status);
	if (rc == 0)
		rc = -pthread_create(&t->thread, NULL, serve, t);
	if (rc != 0) {
		bench_print_status("server", rc, &status);
		phx_server_destroy(t->server);
		t->server = NULL;
	}
	return rc;
}

static int stop(struct server_thread *t)
{
	phx_server_stop(t->server);
	(void)pthread_join(t->thread, NULL); // it was created
	phx_server_destroy(t->server);
	free(t->payload);
	return t->rc;
}

int bench_server_main(const struct meter_options *options)
{
	struct server_thread *threads = calloc(options->threads, sizeof(*threads));
	struct phx_context *context;
	unsigned started = 0;
	sigset_t signals;
	int got;
	int rc = 0;

	if (threads == NULL)
		return 1;
	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigaddset(&signals, SIGINT);
	(void)pthread_sigmask(SIG_BLOCK, &signals, NULL); // before any thread exists
	if (bench_attach(options, &context) != 0) {
		free(threads);
		return 1;
	}
	for (; rc == 0 && started < options->threads; started += rc == 0) {
		threads[started].options = options;
		threads[started].context = context;
		rc = start(&threads[started], started == 0);
	}
	if (rc == 0) {
		(void)puts("ready");
		(void)fflush(stdout);
		(void)sigwait(&signals, &got); // cannot fail for these signals
	}
	for (unsigned i = 0; i < started; i++) {
		int one = stop(&threads[i]);

		rc = rc != 0 ? rc : one;
	}
	if (rc != 0)
		(void)fprintf(stderr, "phoenix-bench: %s\n", strerror(-rc));
	phx_detach(context);
	free(threads);
	return rc == 0 ? 0 : 1;
}
