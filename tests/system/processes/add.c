// SPDX-License-Identifier: BSD-3-Clause
// What the roles share: attaching, one call, words.
#include "tests/system/processes/processes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "sum.phx.h"

#define CALL_NS UINT64_C(30000000000)

uint64_t now_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); // exists since Linux 2.6
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

void say_line(const char *line)
{
	(void)puts(line);
	(void)fflush(stdout); // a reader that went away is not our failure
}

void say_status(const char *what, int rc, const struct phx_status *status)
{
	(void)fprintf(stderr, "processes: %s: %s: %s (%s) %s\n", what, strerror(-rc),
		phx_code_name(status->code), phx_reason_name(status->reason), status->text);
}

int attach(const struct roles_options *o, const char *name, struct phx_context **out_context)
{
	struct phx_attach_options options = PHX_ATTACH_OPTIONS_INIT;
	struct phx_status status;
	int rc;

	options.rundir = o->rundir;
	options.name = name;
	options.timeout_ns = CALL_NS;
	rc = phx_attach(&options, out_context, &status);
	if (rc != 0)
		say_status("attach", rc, &status);
	return rc;
}

struct phx_message *add_request(struct phx_context *context, uint64_t left, uint64_t right)
{
	struct phoenix_processes_Pair *pair;
	struct phx_message *m;

	if (phx_message_new(context, &m) != 0)
		return NULL;
	pair = phoenix_processes_Pair_new(m);
	if (pair == NULL) {
		phx_message_release(m);
		return NULL;
	}
	phoenix_processes_Pair_set_left(pair, left);
	phoenix_processes_Pair_set_right(pair, right);
	return m;
}

bool add_is_right(
	struct phx_context *context, struct phx_channel *channel, uint64_t left, uint64_t right)
{
	struct phx_call_options options = PHX_CALL_OPTIONS_INIT;
	struct phx_message *request = add_request(context, left, right), *reply;
	struct phx_status status;
	uint64_t sum;
	int rc;

	if (request == NULL)
		return false;
	options.timeout_ns = CALL_NS;
	options.wait_for_ready = true;
	rc = phoenix_processes_Adder_Add(channel, request, &options, &reply, &status);
	if (rc != 0) {
		say_status("call", rc, &status);
		return false;
	}
	sum = phoenix_processes_Sum_value(phoenix_processes_Sum_root(reply));
	phx_message_release(reply);
	if (sum != left + right)
		(void)fprintf(stderr, "processes: %" PRIu64 " + %" PRIu64 " is not %" PRIu64 "\n",
			left, right, sum);
	return sum == left + right;
}
