// SPDX-License-Identifier: BSD-3-Clause
// The server: adds, until SIGTERM.
#include "tests/system/processes/processes.h"

#include <signal.h>

#include "sum.phx.h"

static struct phx_server *the_server;

static void on_term(int number)
{
	(void)number;
	phx_server_stop(the_server);
}

static void add(void *arg, struct phx_request *request, const struct phoenix_processes_Pair *in)
{
	struct phoenix_processes_Sum *sum;
	struct phx_message *m;

	(void)arg;
	if (phx_message_new(phx_request_context(request), &m) != 0) {
		(void)phx_reply_status(request, PHX_RESOURCE_EXHAUSTED, "no message", NULL);
		return;
	}
	sum = phoenix_processes_Sum_new(m); // the first block of a message has room for it
	if (sum != NULL)
		phoenix_processes_Sum_set_value(
			sum, phoenix_processes_Pair_left(in) + phoenix_processes_Pair_right(in));
	(void)phx_reply(request, m, NULL); // fails only when the session is over
}

int role_serve(const struct roles_options *o)
{
	static const struct phoenix_processes_Adder_handlers handlers = {.Add = add};
	struct phx_server_options options = PHX_SERVER_OPTIONS_INIT;
	struct phx_context *context;
	struct phx_status status = {0};
	int rc = attach(o, "server", &context);

	if (rc != 0)
		return 1;
	options.handlers = o->threads != 0 ? PHX_HANDLERS_POOL : PHX_HANDLERS_INLINE;
	options.threads = o->threads;
	rc = phx_server_create_with(context, NULL, &options, &the_server);
	if (rc == 0)
		rc = phoenix_processes_Adder_register(the_server, o->target, &handlers, &status);
	if (rc == 0) {
		(void)signal(SIGTERM, on_term);
		say_line("ready");
		rc = phx_server_run(the_server);
	}
	if (rc != 0)
		say_status("server", rc, &status);
	phx_server_destroy(the_server);
	phx_detach(context);
	return rc == 0 ? 0 : 1;
}
