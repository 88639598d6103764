// SPDX-License-Identifier: BSD-3-Clause
// A hundred connections to where nobody answers, under way at once on the only thread, which makes
// calls meanwhile.
#include "tests/system/processes/processes.h"

#include <stdio.h>
#include <string.h>

#define CONNECTS   100
#define TIMEOUT_NS UINT64_C(500000000)
#define LATE_NS	   UINT64_C(5000000000) // the machine is shared
#define QUICK_NS   UINT64_C(2000000000) // to start them all, which waits for nobody

struct attempt {
	unsigned ended;
	uint64_t end_ns;
	uint32_t code;
	char text[256];
};

static void on_connected(void *arg, struct phx_message *none, const struct phx_status *status)
{
	struct attempt *a = arg;

	(void)none;
	a->ended++;
	a->end_ns = now_ns();
	a->code = status->code;
	(void)snprintf(a->text, sizeof(a->text), "%.255s", status->text);
}

static bool poll_until_ended(struct phx_queue *queue, struct attempt *a, unsigned count)
{
	uint64_t until = now_ns() + 2 * LATE_NS;
	unsigned ended = 0;

	while (ended < count && now_ns() < until) {
		if (phx_poll(queue, 0) == 0 && phx_wait(queue, 100000000) < 0)
			return false;
		ended = 0;
		for (unsigned i = 0; i < count; i++)
			ended += a[i].ended != 0;
	}
	return ended == count;
}

static int start(struct phx_context *context, const char *target, uint64_t timeout_ns,
	struct attempt *a, struct phx_channel **out_channel, struct phx_call **out_call)
{
	struct phx_channel_options options = PHX_CHANNEL_OPTIONS_INIT;
	struct phx_status status;
	int rc;

	options.timeout_ns = timeout_ns;
	rc = phx_channel_open(context, target, &options, out_channel, &status);
	if (rc == 0)
		rc = phx_channel_connect_start(
			*out_channel, phx_queue_default(context), on_connected, a, out_call);
	else
		say_status(target, rc, &status);
	return rc;
}

// The one that has a peer connects; cancelled and closed ones say so.
static bool others_end_well(struct phx_context *context, const char *local, const char *nobody)
{
	struct phx_queue *queue = phx_queue_default(context);
	struct attempt a[4] = {{0}};
	struct phx_channel *channel[4];
	struct phx_call *call[4];

	if (start(context, local, LATE_NS, &a[0], &channel[0], &call[0]) != 0 ||
		start(context, nobody, PHX_NO_TIMEOUT, &a[1], &channel[1], &call[1]) != 0 ||
		start(context, nobody, PHX_NO_TIMEOUT, &a[2], &channel[2], &call[2]) != 0)
		return false;
	phx_call_cancel(call[1]);
	phx_channel_close(channel[2]);
	if (!poll_until_ended(queue, a, 3))
		return false;
	// Again on one that is connected.
	if (phx_channel_connect_start(channel[0], queue, on_connected, &a[3], NULL) != 0 ||
		!poll_until_ended(queue, &a[3], 1))
		return false;
	(void)printf("connected: %s, cancelled: %s, closed: %s, again: %s\n",
		phx_code_name(a[0].code), phx_code_name(a[1].code), phx_code_name(a[2].code),
		phx_code_name(a[3].code));
	return a[0].code == PHX_OK && a[1].code == PHX_CANCELLED && a[2].code == PHX_CANCELLED &&
	       a[3].code == PHX_OK;
}

static bool all_exceeded(const struct attempt *a, uint64_t start_ns)
{
	for (unsigned i = 0; i < CONNECTS; i++) {
		uint64_t took = a[i].end_ns - start_ns;

		if (a[i].ended == 1 && a[i].code == PHX_DEADLINE_EXCEEDED && took >= TIMEOUT_NS &&
			took < TIMEOUT_NS + LATE_NS)
			continue;
		(void)fprintf(stderr, "connect %u: %u times, %s after %llu ms: %s\n", i, a[i].ended,
			phx_code_name(a[i].code), (unsigned long long)(took / 1000000), a[i].text);
		return false;
	}
	return true;
}

int role_connect(const struct roles_options *o, char **targets, unsigned count)
{
	static struct attempt attempts[CONNECTS];
	struct phx_channel *channel, *local;
	struct phx_context *context;
	uint64_t start_ns, started_ns;
	unsigned calls = 0, early;

	if (count == 0 || attach(o, "connect", &context) != 0 ||
		phx_channel_open(context, o->target, NULL, &local, NULL) != 0 ||
		!add_is_right(context, local, 1, 2))
		return 1;
	start_ns = now_ns();
	for (unsigned i = 0; i < CONNECTS; i++)
		if (start(context, targets[i % count], TIMEOUT_NS, &attempts[i], &channel, NULL) !=
			0)
			return 1;
	started_ns = now_ns();
	// Blocking calls poll the same queue.
	while (now_ns() < start_ns + TIMEOUT_NS * 9 / 10 && add_is_right(context, local, 3, calls))
		calls++;
	early = 0;
	for (unsigned i = 0; i < CONNECTS; i++)
		early += attempts[i].ended != 0 && attempts[i].end_ns < start_ns + TIMEOUT_NS;
	if (!poll_until_ended(phx_queue_default(context), attempts, CONNECTS) ||
		!all_exceeded(attempts, start_ns) || early != 0 || calls == 0)
		return 1;
	(void)printf("%u connects started in %llu us, %u calls meanwhile; last text: %s\n",
		CONNECTS, (unsigned long long)((started_ns - start_ns) / 1000), calls,
		attempts[0].text);
	if (started_ns - start_ns > QUICK_NS || !others_end_well(context, o->target, targets[0]))
		return 1;
	phx_detach(context);
	say_line("all right");
	return 0;
}
