// SPDX-License-Identifier: BSD-3-Clause
// Counts and answers. Some requests are answered by another thread, so that replies are under way
// when the dataplane dies.
#include "tests/system/restart/restart.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>

#include "restart.phx.h"

#define LATER 64

static struct phx_server *server;
static _Atomic uint8_t *counters;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static struct phx_request *later[LATER];
static unsigned later_count;
static bool later_stop;

static void answer(struct phx_request *request)
{
	const struct phoenix_restart_Numbered *in =
		phoenix_restart_Numbered_root(phx_request_message(request));
	struct phoenix_restart_Numbered *out;
	struct phx_message *m;
	int rc;

	CHECK(in != NULL, "request without a message");
	CHECK(phx_message_new(phx_request_context(request), &m) == 0, "memory");
	out = phoenix_restart_Numbered_new(m);
	phoenix_restart_Numbered_set_number(out, phoenix_restart_Numbered_number(in));
	CHECK(phoenix_restart_Numbered_set_payload(m, out, phoenix_restart_Numbered_payload(in)) ==
			0,
		"memory");
	rc = phx_reply(request, m, NULL);
	CHECK(rc == 0 || rc == -ENOTCONN, "reply: %s", strerror(-rc));
}

static void on_once(
	void *arg, struct phx_request *request, const struct phoenix_restart_Numbered *in)
{
	uint64_t number = phoenix_restart_Numbered_number(in);

	(void)arg;
	CHECK(number < RESTART_CALLS, "number");
	atomic_fetch_add(&counters[number], 1);
	if (number % 4 == 0) {
		bool kept;

		(void)pthread_mutex_lock(&lock);
		kept = later_count < LATER;
		if (kept)
			later[later_count++] = request;
		(void)pthread_cond_signal(&more);
		(void)pthread_mutex_unlock(&lock);
		if (kept)
			return;
	}
	answer(request);
}

static void *later_main(void *)
{
	(void)pthread_mutex_lock(&lock);
	while (!later_stop) {
		if (later_count == 0) {
			(void)pthread_cond_wait(&more, &lock);
			continue;
		}
		struct phx_request *request = later[--later_count];

		(void)pthread_mutex_unlock(&lock);
		answer(request);
		(void)pthread_mutex_lock(&lock);
	}
	(void)pthread_mutex_unlock(&lock);
	return NULL;
}

static void on_term(int)
{
	phx_server_stop(server);
}

int restart_server(struct phx_context *context, _Atomic uint8_t *executed)
{
	static const struct phoenix_restart_Counted_handlers handlers = {.Once = on_once};
	struct phx_status status;
	pthread_t thread;
	int rc;

	counters = executed;
	CHECK(phx_server_create(context, NULL, &server) == 0, "server");
	rc = phoenix_restart_Counted_register(server, "restart", &handlers, &status);
	CHECK(rc == 0, "%s", status.text);
	CHECK(pthread_create(&thread, NULL, later_main, NULL) == 0, "thread");
	(void)signal(SIGTERM, on_term);
	puts("ready");
	(void)fflush(stdout);
	rc = phx_server_run(server);
	CHECK(rc == 0, "phx_server_run: %s", strerror(-rc));
	(void)pthread_mutex_lock(&lock);
	later_stop = true;
	(void)pthread_cond_signal(&more);
	(void)pthread_mutex_unlock(&lock);
	(void)pthread_join(thread, NULL);
	phx_server_destroy(server);
	return 0;
}
