// SPDX-License-Identifier: BSD-3-Clause
// Requests for session.h. Works with explain.c.
#include "cli/session.h"

#include "lib/base/clock.h"
#include "lib/ctl/client.h"
#include "lib/ctl/message.h"
#include "lib/ctl/method.h"
#include "lib/ctl/rundir.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define RETRY_NS  (200 * PHX_NS_PER_MS)
#define ROWS_NS	  (200 * PHX_NS_PER_MS)
#define WHY_BYTES 256
// How much later than its timeout_ms a request may be answered; a job has steps of its own then.
#define LATE_NS	    PHX_NS_PER_S
#define JOB_LATE_NS (3 * PHX_NS_PER_S)

static atomic_bool interrupted; // set by the handler

static void on_interrupt(int)
{
	atomic_store_explicit(&interrupted, true, memory_order_relaxed);
}

int session_init(struct session *s, const struct options *options, struct phx_ctl_error *e)
{
	char dir[PHX_CTL_RUNDIR_BYTES], why[WHY_BYTES] = "";
	int n;

	*s = (struct session){.options = options};
	if (options->socket != NULL) {
		n = snprintf(s->path, sizeof(s->path), "%s", options->socket);
	} else {
		if (phx_ctl_rundir_find(options->rundir, options->instance, dir, sizeof(dir), why,
			    sizeof(why)) != 0) {
			(void)phx_ctl_error_set(e, PHX_INVALID_ARGUMENT, "%s", why);
			return CLI_USAGE;
		}
		n = snprintf(s->path, sizeof(s->path), "%s/control.sock", dir);
	}
	if (n >= 0 && (size_t)n < sizeof(s->path))
		return CLI_DONE;
	(void)phx_ctl_error_set(
		e, PHX_INVALID_ARGUMENT, "%s: longer than %zu bytes", s->path, sizeof(s->path) - 1);
	return CLI_USAGE;
}

static void disconnect(struct session *s)
{
	phx_ctl_client_destroy(s->client);
	s->client = NULL;
}

void session_fini(struct session *s)
{
	disconnect(s);
}

static int fail_interrupted(struct phx_ctl_error *e)
{
	(void)phx_ctl_error_set(e, PHX_CANCELLED, "interrupted");
	return CLI_INTERRUPTED;
}

static int connect_server(struct session *s, const sigset_t *sigmask, struct phx_ctl_error *e)
{
	const struct timespec pause = {.tv_nsec = RETRY_NS};
	int rc = phx_ctl_client_open(s->path, &s->client);

	for (unsigned i = 0; rc != 0 && i < s->options->retries; i++) {
		if (ppoll(NULL, 0, &pause, sigmask) < 0 &&
			atomic_load_explicit(&interrupted, memory_order_relaxed))
			return fail_interrupted(e);
		rc = phx_ctl_client_open(s->path, &s->client);
	}
	if (rc == 0)
		return CLI_DONE;
	session_explain(s->path, rc, e);
	return CLI_CONNECT;
}

int session_exit_code(int code)
{
	switch (code) {
	case PHX_CTL_PARSE:
	case PHX_CTL_INVALID_REQUEST:
	case PHX_CTL_INVALID_PARAMS:
		return CLI_STATUS + PHX_INVALID_ARGUMENT;
	case PHX_CTL_METHOD_NOT_FOUND:
		return CLI_STATUS + PHX_UNIMPLEMENTED;
	case PHX_CTL_INTERNAL:
		return CLI_STATUS + PHX_INTERNAL;
	default:
		return code > PHX_OK && code < PHX_CODE_COUNT ? CLI_STATUS + code : CLI_LOCAL;
	}
}

static int call_exit_code(struct session *s, int rc, struct phx_ctl_error *e)
{
	switch (rc) {
	case 0:
		return CLI_DONE;
	case -EREMOTEIO:
		return session_exit_code(e->code);
	case -ETIMEDOUT:
		return CLI_TIMEOUT;
	case -EINTR:
		disconnect(s);
		return fail_interrupted(e);
	default:
		disconnect(s);
		if (rc == -ECONNRESET)
			phx_ctl_error_add(
				e, "hint", json_string("the request may have been carried out"));
		return CLI_LOCAL;
	}
}

static void show_request(const char *method, json_t *params)
{
	json_t *request = phx_ctl_request_json(1, method, params);

	(void)json_dumpf(request, stderr, JSON_COMPACT); // only shown
	(void)fputc('\n', stderr);
	json_decref(request);
}

// Time for an answer: -t, else the server's own limit and a little, else the default.
static uint64_t timeout_of(const struct session *s, json_t *params)
{
	bool wait = json_is_true(json_object_get(params, "wait"));
	json_int_t asked_ms = json_integer_value(json_object_get(params, "timeout_ms"));
	uint64_t asked_ns = 0;

	if (asked_ms == 0 && wait)
		asked_ms = PHX_CTL_JOB_MS;
	if (asked_ms > 0 && asked_ms <= PHX_CTL_TIMEOUT_MAX_MS)
		asked_ns = (uint64_t)asked_ms * PHX_NS_PER_MS + (wait ? JOB_LATE_NS : LATE_NS);

	if (s->options->timeout_given || asked_ns < s->options->timeout_ns)
		return s->options->timeout_ns;
	return asked_ns;
}

// SIGINT is blocked except while waiting, so that none is lost in between; a SIGINT that was
// ignored stays ignored.
struct guard {
	struct sigaction before;
	sigset_t mask, wait_mask;
};

static void guard_begin(struct guard *g)
{
	struct sigaction handler = {.sa_handler = on_interrupt};
	sigset_t block;

	atomic_store_explicit(&interrupted, false, memory_order_relaxed);
	(void)sigemptyset(&block); // none of these can fail with valid arguments
	(void)sigaddset(&block, SIGINT);
	(void)sigprocmask(SIG_BLOCK, &block, &g->mask);
	g->wait_mask = g->mask;
	(void)sigdelset(&g->wait_mask, SIGINT);
	(void)sigaction(SIGINT, NULL, &g->before);
	if (g->before.sa_handler != SIG_IGN)
		(void)sigaction(SIGINT, &handler, NULL);
}

static void guard_end(const struct guard *g)
{
	(void)sigaction(SIGINT, &g->before, NULL);
	(void)sigprocmask(SIG_SETMASK, &g->mask, NULL);
}

static int call_guarded(struct session *s, const struct guard *g, const char *method,
	json_t *params, json_t **out_result, struct phx_ctl_error *e)
{
	int rc, code = CLI_DONE;

	if (s->options->show_request)
		show_request(method, params);
	if (s->client == NULL)
		code = connect_server(s, &g->wait_mask, e);
	if (code != CLI_DONE)
		return code;
	rc = phx_ctl_client_call(
		s->client, method, params, timeout_of(s, params), &g->wait_mask, out_result, e);
	return call_exit_code(s, rc, e);
}

int session_call(struct session *s, const char *method, json_t *params, json_t **out_result,
	struct phx_ctl_error *e)
{
	struct guard g;
	int code;

	guard_begin(&g);
	code = call_guarded(s, &g, method, params, out_result, e);
	guard_end(&g);
	return code;
}

struct stream {
	session_notify_fn notify;
	void *arg;
	bool over;
};

static void on_notify(void *arg, const char *method, json_t *params)
{
	struct stream *stream = arg;

	if (!stream->over)
		stream->over = !stream->notify(stream->arg, method, params);
}

int session_stream(struct session *s, const char *method, json_t *params, session_notify_fn notify,
	void *arg, struct phx_ctl_error *e)
{
	struct stream stream = {notify, arg, false};
	json_t *result = NULL;
	struct guard g;
	int code, rc = 0;

	disconnect(s); // the stream has a connection of its own, and ends with it
	guard_begin(&g);
	code = connect_server(s, &g.wait_mask, e);
	if (code == CLI_DONE) {
		phx_ctl_client_on_notify(s->client, on_notify, &stream);
		code = call_guarded(s, &g, method, params, &result, e);
	}
	while (code == CLI_DONE && !stream.over && rc == 0)
		rc = phx_ctl_client_wait(s->client, &g.wait_mask);
	guard_end(&g);
	json_decref(result);
	disconnect(s);
	if (code != CLI_DONE || stream.over)
		return code;
	if (rc == -EINTR)
		return fail_interrupted(e);
	(void)phx_ctl_error_set(e, PHX_UNAVAILABLE, "the connection was lost");
	return CLI_LOCAL;
}

json_int_t session_forward_ms(const struct session *s)
{
	uint64_t ns = s->options->timeout_ns;
	uint64_t ms = (ns - phx_min(ns / 10, 500 * PHX_NS_PER_MS)) / PHX_NS_PER_MS;

	return (json_int_t)phx_max(phx_min(ms, (uint64_t)PHX_CTL_TIMEOUT_MAX_MS), (uint64_t)1);
}

json_t *session_rows(void *arg, const struct phx_ctl_method *list)
{
	struct session *s = arg;
	struct phx_ctl_error e = PHX_CTL_ERROR_INIT;
	json_t *result = NULL, *rows;
	int rc = 0;

	if (s->client == NULL)
		rc = phx_ctl_client_open(s->path, &s->client);
	if (rc == 0) {
		rc = phx_ctl_client_call(s->client, list->name, NULL, ROWS_NS, NULL, &result, &e);
		if (rc != 0 && rc != -EREMOTEIO && rc != -ETIMEDOUT)
			disconnect(s);
	}
	phx_ctl_error_fini(&e);
	rows = json_incref(json_object_get(result, list->list_key));
	json_decref(result);
	return rows;
}
