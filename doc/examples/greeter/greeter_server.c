// SPDX-License-Identifier: BSD-3-Clause
// Serves helloworld.Greeter until it is killed: greeter_server
#include "helloworld.phx.h"
#include <stdio.h>

static void say_hello(
	void *arg, struct phx_request *request, const struct helloworld_HelloRequest *in)
{
	struct phx_str name = helloworld_HelloRequest_name(in);
	struct helloworld_HelloReply *out;
	struct phx_message *reply = NULL;
	char text[256];

	(void)arg;
	(void)phx_message_new(phx_request_context(request), &reply);
	out = helloworld_HelloReply_new(reply); // NULL when there is no memory
	if (snprintf(text, sizeof(text), "Hello %.*s", PHX_STR_ARG(name)) < (int)sizeof(text) &&
		out != NULL && helloworld_HelloReply_set_message(reply, out, phx_str(text)) == 0) {
		phx_reply(request, reply, NULL);
	} else {
		phx_message_release(reply);
		phx_reply_status(
			request, PHX_RESOURCE_EXHAUSTED, "no memory, or a long name", NULL);
	}
}

int main(void)
{
	struct helloworld_Greeter_handlers handlers = {.SayHello = say_hello};
	struct phx_context *context = NULL;
	struct phx_server *server = NULL;
	struct phx_status status = {0};
	int rc = phx_attach(NULL, &context, &status);

	if (rc == 0)
		rc = phx_server_create(context, NULL, &server);
	if (rc == 0)
		rc = helloworld_Greeter_register(server, NULL, &handlers, &status);
	if (rc == 0)
		rc = phx_server_run(server);
	fprintf(stderr, "greeter_server: %s %s\n", strerror(-rc), status.text);
	phx_server_destroy(server);
	phx_detach(context);
	return rc != 0;
}
