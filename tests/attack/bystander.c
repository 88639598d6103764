// SPDX-License-Identifier: BSD-3-Clause
// An honest server and an honest client that notice nothing: bystander RUNDIR. Calls go round until
// stdin closes. Prints "ready" after the first call and "CALLS FAILED LONGEST_US" at the end; exit
// 1 when a call failed.
#include "bystander.phx.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define CALL_NS UINT64_C(20000000000)

static uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void die(const char *what, int rc, const struct phx_status *status)
{
	fprintf(stderr, "bystander: %s: %s: %s (%s) %s\n", what, strerror(-rc),
		phx_code_name(status->code), phx_reason_name(status->reason), status->text);
	exit(1);
}

static struct phx_context *attach(const char *rundir)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct phx_context *context = NULL;
	struct phx_status status = {0};
	int rc;

	options.rundir = rundir;
	options.timeout_ns = CALL_NS;
	rc = phx_attach(&options, &context, &status);
	if (rc != 0)
		die("attach", rc, &status);
	return context;
}

// The same text back.
static void say(void *arg, struct phx_request *request, const struct attack_Text *in)
{
	struct phx_message *reply = NULL;
	struct attack_Text *out;

	(void)arg;
	(void)phx_message_new(phx_request_context(request), &reply);
	out = attack_Text_new(reply);
	if (out != NULL && attack_Text_set_text(reply, out, attack_Text_text(in)) == 0)
		(void)phx_reply(request, reply, NULL);
	else
		(void)phx_reply_status(request, PHX_INTERNAL, "no memory", NULL);
}

static void *serve(void *arg)
{
	(void)phx_server_run(arg);
	return NULL;
}

// One call; 0 when the answer is what was said.
static int call(struct phx_context *context, struct phx_channel *channel, unsigned n)
{
	struct phx_call_options options = PHX_CALL_OPTIONS_INIT;
	struct phx_message *request, *reply;
	struct phx_status status = {0};
	struct attack_Text *text;
	char words[600];
	int len, rc;

	// From what stands in a ring entry to what has to be allocated.
	len = snprintf(words, sizeof(words), "call %u %*s", n, (int)(n % 500), "");
	options.timeout_ns = CALL_NS;
	options.wait_for_ready = true;
	rc = phx_message_new(context, &request);
	if (rc != 0)
		die("message", rc, &status);
	text = attack_Text_new(request);
	if (text == NULL || attack_Text_set_text(request, text, phx_str(words)) != 0)
		die("message", -ENOMEM, &status);
	rc = attack_Bystander_Say(channel, request, &options, &reply, &status);
	if (rc == 0) {
		struct phx_str back = attack_Text_text(attack_Text_root(reply));

		rc = back.len == (size_t)len && memcmp(back.data, words, back.len) == 0 ? 0
											: -EPROTO;
		phx_message_release(reply);
	}
	if (rc != 0)
		fprintf(stderr, "bystander: call %u: %s: %s (%s) %s\n", n, strerror(-rc),
			phx_code_name(status.code), phx_reason_name(status.reason), status.text);
	return rc;
}

static int told_to_end(void)
{
	struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};

	return poll(&p, 1, 0) != 0;
}

int main(int argc, char **argv)
{
	struct attack_Bystander_handlers handlers = {.Say = say};
	struct phx_context *serving, *calling;
	struct phx_server *server = NULL;
	struct phx_channel *channel = NULL;
	struct phx_status status = {0};
	unsigned calls = 0, failed = 0;
	uint64_t longest = 0;
	pthread_t thread;
	int rc;

	if (argc != 2)
		return 2;
	serving = attach(argv[1]);
	calling = attach(argv[1]);
	rc = phx_server_create(serving, NULL, &server);
	if (rc == 0)
		rc = attack_Bystander_register(server, "bystander", &handlers, &status);
	if (rc == 0)
		rc = phx_channel_open(calling, "local:bystander", NULL, &channel, &status);
	if (rc == 0)
		rc = -pthread_create(&thread, NULL, serve, server);
	if (rc != 0)
		die("start", rc, &status);
	do {
		uint64_t start = now_ns();

		failed += call(calling, channel, calls) != 0;
		if (calls++ == 0) {
			puts("ready");
			(void)fflush(stdout);
		} else if (now_ns() - start > longest) {
			longest = now_ns() - start;
		}
	} while (!told_to_end());
	printf("%u %u %llu\n", calls, failed, (unsigned long long)(longest / 1000));
	phx_channel_close(channel);
	phx_server_stop(server);
	(void)pthread_join(thread, NULL);
	phx_server_destroy(server);
	phx_detach(calling);
	phx_detach(serving);
	return failed != 0;
}
