// SPDX-License-Identifier: BSD-3-Clause
// Creates one of everything that an application can: two sessions, a queue, regions, a
// registration, a channel and calls, and takes all down again. For deny.py, which makes the
// dataplane fail in between.
//   creation SERVER_RUNDIR CLIENT_RUNDIR TARGET GROUP TIMEOUT_MS
// Exit status: 0 all worked; 3 something was refused, and a reason was given; else a fault.
#include <phoenix/phoenix.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ledger.phx.h"

#define BIG (3 << 20) // regions grow for it

struct creation {
	struct phx_context *server_context, *client_context;
	struct phx_server *server;
	struct phoenix_ledger_Ledger_handlers handlers;
	struct phx_channel *channel;
	pthread_t thread;
	bool serving;
	int rc;
};

static uint64_t timeout_ns; // of each step

// Refused: fine when the reason is there.
static int refused(const char *what, int rc, const struct phx_status *status)
{
	(void)printf("%s: %s: code %u reason %u: %s\n", what, strerror(-rc), status->code,
		status->reason, status->text);
	return rc == -ETIMEDOUT ||
			       (status->reason == PHX_REASON_NONE &&
				       status->origin != PHX_ORIGIN_APP) ||
			       status->code == PHX_DEADLINE_EXCEEDED
		       ? 4
		       : 3;
}

static void on_do(void *arg, struct phx_request *request, const struct phoenix_ledger_Entry *in)
{
	struct creation *c = arg;
	struct phoenix_ledger_Entry *out = NULL;
	struct phx_message *m = NULL;

	if (phx_message_new(c->server_context, &m) == 0)
		out = phoenix_ledger_Entry_new(m);
	if (out != NULL &&
		phoenix_ledger_Entry_set_payload(m, out, phoenix_ledger_Entry_payload(in)) == 0) {
		(void)phx_reply(request, m, NULL); // fails when the session is over
		return;
	}
	phx_message_release(m);
	(void)phx_reply_status(request, PHX_RESOURCE_EXHAUSTED, "no memory for a reply", NULL);
}

static void *serve(void *arg)
{
	struct creation *c = arg;

	c->rc = phx_server_run(c->server);
	return NULL;
}

static int attach(const char *rundir, struct phx_context **out)
{
	struct phx_attach_options o = PHX_ATTACH_OPTIONS_INIT;
	struct phx_status status = {.text = ""};
	int rc;

	o.rundir = rundir;
	o.timeout_ns = timeout_ns;
	rc = phx_attach(&o, out, &status);
	return rc == 0 ? 0 : refused("attach", rc, &status);
}

static int call(struct creation *c, const void *bytes, uint32_t size)
{
	const struct phx_call_options o = {.size = sizeof(o), .timeout_ns = timeout_ns};
	struct phoenix_ledger_Entry *root;
	struct phx_message *m, *reply;
	struct phx_status status;
	int rc = phx_message_new(c->client_context, &m);

	if (rc == 0) {
		root = phoenix_ledger_Entry_new(m);
		rc = root == NULL ? -ENOMEM
				  : phoenix_ledger_Entry_set_payload(
					    m, root, (struct phx_bytes){bytes, size});
		if (rc != 0)
			phx_message_release(m);
	}
	if (rc != 0) {
		(void)printf("message of %u bytes: %s\n", size, strerror(-rc));
		return rc == -ENOMEM || rc == -ENOTCONN ? 3 : 4;
	}
	rc = phoenix_ledger_Ledger_Do(c->channel, m, &o, &reply, &status);
	if (rc != 0)
		return refused("call", rc, &status);
	rc = phoenix_ledger_Entry_payload(phoenix_ledger_Entry_root(reply)).len == size ? 0 : 5;
	phx_message_release(reply);
	return rc;
}

static int server_side(struct creation *c, const char *rundir, const char *group)
{
	struct phx_status status = {.text = ""};
	struct phx_queue *queue;
	int rc = attach(rundir, &c->server_context);

	if (rc != 0)
		return rc;
	c->handlers = (struct phoenix_ledger_Ledger_handlers){.arg = c, .Do = on_do};
	rc = phx_queue_create(c->server_context, NULL, &queue);
	if (rc != 0) {
		(void)printf("queue: %s\n", strerror(-rc));
		return rc == -ETIMEDOUT ? 4 : 3;
	}
	rc = phx_server_create(c->server_context, queue, &c->server);
	if (rc != 0)
		return rc == -ENOTCONN ? 3 : 4;
	rc = phoenix_ledger_Ledger_register(c->server, group, &c->handlers, &status);
	if (rc != 0)
		return refused("register", rc, &status);
	c->serving = pthread_create(&c->thread, NULL, serve, c) == 0;
	return c->serving ? 0 : 4;
}

static int client_side(struct creation *c, const char *rundir, const char *target)
{
	struct phx_status status = {.text = ""};
	void *big = calloc(1, BIG);
	int rc = big == NULL ? 4 : attach(rundir, &c->client_context);

	if (rc == 0) {
		rc = phx_channel_open(c->client_context, target, NULL, &c->channel, &status);
		rc = rc == 0 ? 0 : refused("channel", rc, &status);
	}
	if (rc == 0)
		rc = call(c, big, 100);
	if (rc == 0)
		rc = call(c, big, BIG);
	free(big);
	return rc;
}

int main(int argc, char **argv)
{
	struct creation c = {.rc = 0};
	int rc;

	if (argc != 6) {
		(void)fprintf(stderr, "usage: creation SERVER_RUNDIR CLIENT_RUNDIR TARGET GROUP "
				      "TIMEOUT_MS\n");
		return 2;
	}
	timeout_ns = strtoul(argv[5], NULL, 10) * UINT64_C(1000000);
	(void)alarm(20); // whatever hangs is a fault
	rc = server_side(&c, argv[1], argv[4]);
	if (rc == 0)
		rc = client_side(&c, argv[2], argv[3]);
	phx_channel_close(c.channel);
	phx_detach(c.client_context);
	if (c.serving) {
		phx_server_stop(c.server);
		(void)pthread_join(c.thread, NULL); // it was created
	}
	phx_server_destroy(c.server);
	phx_detach(c.server_context);
	return rc;
}
