// SPDX-License-Identifier: BSD-3-Clause
// Says hello to NAME: greeter_client [NAME [TARGET]]
#include "helloworld.phx.h"
#include <stdio.h>

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : "world", *target = argc > 2 ? argv[2] : "local:";
	struct phx_call_options options = PHX_CALL_OPTIONS_INIT;
	struct phx_context *context = NULL;
	struct phx_channel *channel = NULL;
	struct phx_message *request, *reply;
	struct phx_status status = {0};
	int rc;

	options.timeout_ns = 5000000000; // a deadline of five seconds
	options.wait_for_ready = true;	 // in which the server may start
	rc = phx_attach(NULL, &context, &status);
	if (rc == 0)
		rc = phx_channel_open(context, target, NULL, &channel, &status);
	if (rc == 0)
		rc = phx_message_new(context, &request);
	if (rc == 0) {
		struct helloworld_HelloRequest *r = helloworld_HelloRequest_new(request);

		if (r != NULL && helloworld_HelloRequest_set_name(request, r, phx_str(name)) == 0)
			rc = helloworld_Greeter_SayHello(
				channel, request, &options, &reply, &status);
		else
			rc = -ENOMEM;
	}
	if (rc == 0) {
		const struct helloworld_HelloReply *r = helloworld_HelloReply_root(reply);

		printf("%.*s\n", PHX_STR_ARG(helloworld_HelloReply_message(r)));
		phx_message_release(reply);
	} else {
		fprintf(stderr, "greeter_client: %s, %s (%s) %s\n", strerror(-rc),
			phx_code_name(status.code), phx_reason_name(status.reason), status.text);
	}
	phx_channel_close(channel);
	phx_detach(context);
	return rc != 0;
}
