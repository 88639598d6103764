// SPDX-License-Identifier: BSD-3-Clause
// An application that stops receiving: it has calls in flight whose replies come, and a group that
// it serves and calls itself, and does not poll any more. And one that goes on calling that group.
#include "tests/system/processes/processes.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "sum.phx.h"

#define FEED_MAX	256
#define FEED_TIMEOUT_NS UINT64_C(50000000)

static unsigned in_flight;

static void on_reply(void *arg, struct phx_message *reply, const struct phx_status *status)
{
	(void)arg;
	(void)status;
	phx_message_release(reply);
	in_flight--;
}

static void keep_request(
	void *arg, struct phx_request *request, const struct phoenix_processes_Pair *in)
{
	(void)arg;
	(void)request;
	(void)in;
}

// Calls until so many are in flight, or there is no room: then 0 as well.
static int calls_start(struct phx_context *context, struct phx_channel *channel, unsigned max,
	const struct phx_call_options *options)
{
	struct phx_queue *queue = phx_queue_default(context);
	int rc = 0;

	while (rc == 0 && in_flight < max) {
		struct phx_message *request = add_request(context, 1, 1);

		rc = request == NULL ? -EAGAIN
				     : phoenix_processes_Adder_Add_start(channel, queue, request,
					       options, on_reply, NULL, NULL);
		if (rc == 0)
			in_flight++;
		else
			phx_message_release(request);
	}
	return rc == -EAGAIN ? 0 : rc;
}

int role_deaf(const struct roles_options *o)
{
	static const struct phoenix_processes_Adder_handlers handlers = {.Add = keep_request};
	struct phx_channel *there, *self;
	struct phx_context *context;
	struct phx_server *server;
	char line[64];
	int rc = attach(o, "deaf", &context);

	if (rc == 0)
		rc = phx_server_create(context, NULL, &server);
	if (rc == 0)
		rc = phoenix_processes_Adder_register(server, "deaf", &handlers, NULL);
	if (rc == 0)
		rc = phx_channel_open(context, o->target, NULL, &there, NULL);
	if (rc == 0)
		rc = phx_channel_open(context, "local:deaf", NULL, &self, NULL);
	if (rc != 0 || !add_is_right(context, there, 1, 2)) // it could hear
		return 1;
	rc = calls_start(context, there, 500, NULL);
	if (rc == 0)
		rc = calls_start(context, self, UINT32_MAX, NULL);
	if (rc != 0)
		return 1;
	(void)snprintf(line, sizeof(line), "deaf with %u calls", in_flight);
	say_line(line);
	for (;;)
		(void)pause(); // until somebody ends it
}

int role_feed(const struct roles_options *o)
{
	struct phx_call_options options = PHX_CALL_OPTIONS_INIT;
	struct phx_channel *channel;
	struct phx_context *context;
	struct phx_queue *queue;
	int rc = attach(o, "feed", &context);

	if (rc == 0)
		rc = phx_channel_open(context, o->target, NULL, &channel, NULL);
	if (rc != 0)
		return 1;
	queue = phx_queue_default(context);
	options.timeout_ns = FEED_TIMEOUT_NS;
	options.wait_for_ready = true;
	say_line("feeding");
	while (rc >= 0) {
		rc = calls_start(context, channel, FEED_MAX, &options);
		if (rc == 0)
			rc = phx_poll(queue, 0);
		if (rc == 0)
			rc = phx_wait(queue, FEED_TIMEOUT_NS);
	}
	return 1;
}
