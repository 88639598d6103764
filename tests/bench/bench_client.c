// SPDX-License-Identifier: BSD-3-Clause
// The client of phoenix-bench: attaches, connects, runs one loop a thread and prints the sum.
#include "tests/bench/bench_loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CONNECT_NS UINT64_C(10000000000)
#define IDLE_CALLS 1000

struct client {
	const struct meter_options *options;
	struct phx_context *context;
	struct phx_channel *channel;
	char *payload;
	struct bench_loop *loops;
	pthread_t *threads;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	unsigned running; // threads, under lock
};

struct thread_arg {
	struct client *client;
	struct bench_loop *loop;
};

// A blocking call: connects, and shows what is wrong before the load begins.
static int one_call(struct client *c)
{
	const struct phx_call_options options = {
		.size = sizeof(options), .timeout_ns = CONNECT_NS, .wait_for_ready = true};
	const struct meter_options *o = c->options;
	struct phx_status status = {0};
	struct phx_message *request;
	struct phx_message *reply;
	int rc;

	rc = bench_request_new(c->context, c->payload, o->size, o->reply, &request);
	if (rc == 0)
		rc = phx_call(c->channel, bench_service(), bench_method(), request, &options,
			&reply, &status);
	if (rc == 0)
		phx_message_release(reply);
	else
		bench_print_status("call", rc, &status);
	return rc;
}

static void *thread_main(void *arg)
{
	struct thread_arg *a = arg;
	struct client *c = a->client;

	bench_loop_run(a->loop);
	(void)pthread_mutex_lock(&c->lock);
	c->running--;
	(void)pthread_cond_signal(&c->ended);
	(void)pthread_mutex_unlock(&c->lock);
	return NULL;
}

// Sleep until a time, or until no thread runs any more.
static void wait_until(struct client *c, uint64_t ns)
{
	struct timespec ts = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};

	(void)pthread_mutex_lock(&c->lock);
	while (c->running > 0 && pthread_cond_timedwait(&c->ended, &c->lock, &ts) == 0)
		continue;
	(void)pthread_mutex_unlock(&c->lock);
}

static int init_loops(struct client *c)
{
	const struct meter_options *o = c->options;
	uint64_t start = meter_now_ns();
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < o->threads; i++) {
		struct bench_loop *l = &c->loops[i];

		*l = (struct bench_loop){.options = o,
			.context = c->context,
			.channel = c->channel,
			.payload = c->payload,
			.queue = phx_queue_default(c->context),
			.start_ns = start,
			.begin_ns = start + (uint64_t)(o->warm_s * 1e9),
			.call_limit = (o->calls + o->threads - 1) / o->threads,
			.interval_ns = o->rate > 0 ? 1e9 * o->threads / o->rate : 0};
		l->end_ns = l->begin_ns + (uint64_t)(o->seconds * 1e9);
		if (i > 0)
			rc = phx_queue_create(c->context, NULL, &l->queue);
		if (rc == 0)
			rc = bench_loop_init(l);
	}
	return rc;
}

// The threads, with CPU time read at both edges of the window.
static int run_threads(struct client *c, struct meter_result *result)
{
	const struct meter_options *o = c->options;
	struct thread_arg *args = calloc(o->threads, sizeof(*args));
	unsigned created = 0;
	int rc = args == NULL ? -ENOMEM : 0;

	c->running = o->threads;
	for (; rc == 0 && created < o->threads; created += rc == 0) {
		args[created] = (struct thread_arg){c, &c->loops[created]};
		rc = -pthread_create(&c->threads[created], NULL, thread_main, &args[created]);
	}
	if (rc == 0) {
		wait_until(c, c->loops[0].begin_ns);
		meter_cpu_read(o, &result->begin);
		wait_until(c, c->loops[0].end_ns);
		meter_cpu_read(o, &result->end);
	}
	for (unsigned i = 0; i < created; i++) {
		(void)pthread_join(c->threads[i], NULL); // it was created
		if (rc == 0)
			rc = c->loops[i].rc;
	}
	free(args);
	return rc;
}

static int measure(struct client *c)
{
	const struct meter_options *o = c->options;
	struct meter_result *result = calloc(1, sizeof(*result));
	int rc = result == NULL ? -ENOMEM : 0;

	if (rc == 0)
		rc = init_loops(c);
	if (rc == 0)
		rc = run_threads(c, result);
	for (unsigned i = 0; rc == 0 && i < o->threads; i++) {
		const struct meter_result *r = c->loops[i].result;

		result->calls += r->calls;
		meter_hist_merge(&result->hist, &r->hist);
		for (unsigned k = 0; k < METER_CODES; k++)
			result->errors[k] += r->errors[k];
	}
	if (rc == 0)
		meter_result_print(o, result, stdout);
	else
		(void)fprintf(stderr, "phoenix-bench: %s\n", strerror(-rc));
	free(result);
	return rc;
}

static int run_client(struct client *c)
{
	const struct meter_options *o = c->options;
	struct phx_status status = {0};
	int rc;

	rc = phx_channel_open(c->context, o->targets[0], NULL, &c->channel, &status);
	if (rc != 0) {
		bench_print_status(o->targets[0], rc, &status);
		return rc;
	}
	for (unsigned i = 0; rc == 0 && i < (o->idle_s > 0 ? IDLE_CALLS : 1); i++)
		rc = one_call(c);
	if (rc == 0 && o->idle_s > 0)
		meter_idle(o, stdout);
	else if (rc == 0)
		rc = measure(c);
	return rc;
}

int bench_client_main(const struct meter_options *o)
{
	struct client c = {.options = o, .lock = PTHREAD_MUTEX_INITIALIZER};
	pthread_condattr_t attr;
	int rc = -ENOMEM;

	(void)pthread_condattr_init(&attr);
	(void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC); // exists since Linux 2.6
	(void)pthread_cond_init(&c.ended, &attr);
	c.payload = calloc(1, o->size > 0 ? o->size : 1);
	c.loops = calloc(o->threads, sizeof(*c.loops));
	c.threads = calloc(o->threads, sizeof(*c.threads));
	if (c.payload != NULL && c.loops != NULL && c.threads != NULL) {
		memset(c.payload, 'Z', o->size);
		rc = bench_attach(o, &c.context);
	}
	if (rc == 0)
		rc = run_client(&c);
	phx_channel_close(c.channel);
	phx_detach(c.context);
	for (unsigned i = 0; c.loops != NULL && i < o->threads; i++)
		bench_loop_fini(&c.loops[i]);
	free(c.threads);
	free(c.loops);
	free(c.payload);
	(void)pthread_cond_destroy(&c.ended);
	(void)pthread_condattr_destroy(&attr);
	return rc == 0 ? 0 : 1;
}
