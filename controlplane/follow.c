// SPDX-License-Identifier: BSD-3-Clause
// The long polls behind follow.h. Works with dataplane/control/api_event.c at the other end.
#include "controlplane/follow.h"

#include "controlplane/dial.h"
#include "lib/base/clock.h"
#include "lib/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_MS	   10000
#define TIMEOUT_NS (15 * PHX_NS_PER_S)
#define RETRY_NS   PHX_NS_PER_S
#define TRIES	   5 // before the next follow_now()

struct follow {
	struct loop *loop;
	const char *path;
	struct events *events;
	struct phx_ctl_client *client; // NULL: not connected
	struct loop_source source;
	struct loop_source timer; // dial again
	unsigned tries;
	char instance[64]; // whose events seq counts
	uint64_t seq;	   // the last one that was taken
};

static void ask(struct follow *f, unsigned wait_ms);

static void take(struct follow *f, json_t *result)
{
	json_t *events = json_object_get(result, "events"), *event;
	json_int_t lost = json_integer_value(json_object_get(result, "lost"));
	json_int_t seq = json_integer_value(json_object_get(result, "seq"));
	size_t i;

	if (lost > 0)
		events_add(f->events, "event.lost", "dataplane", json_pack("{s:I}", "count", lost));
	json_array_foreach(events, i, event)
	{
		events_take(f->events, event);
	}
	if (seq > 0)
		f->seq = (uint64_t)seq;
}

static void answered(void *arg, json_t *result, const struct phx_ctl_error *e)
{
	struct follow *f = arg;
	const char *instance = json_string_value(json_object_get(result, "instance"));

	if (instance == NULL) {
		if (e != NULL && e->code != PHX_UNAVAILABLE)
			phx_log_warn("follow", "no events from the dataplane: %s", e->text);
		loop_set_timer(&f->timer, RETRY_NS);
		return;
	}
	f->tries = 0;
	if (strcmp(instance, f->instance) == 0) {
		take(f, result);
		ask(f, WAIT_MS);
		return;
	}
	// Another dataplane counts from 1.
	(void)snprintf(f->instance, sizeof(f->instance), "%s", instance);
	f->seq = 0;
	ask(f, 0);
}

static void hang_up(struct follow *f)
{
	loop_del(f->loop, &f->source);
	phx_ctl_client_destroy(f->client);
	f->client = NULL;
}

static void ask(struct follow *f, unsigned wait_ms)
{
	json_t *params =
		json_pack("{s:I, s:i}", "since_seq", (json_int_t)f->seq, "wait_ms", (int)wait_ms);

	if (phx_ctl_client_send(f->client, "event.poll", params, TIMEOUT_NS, answered, f) != 0)
		loop_set_timer(&f->timer, RETRY_NS);
	json_decref(params);
}

static void client_ready(void *arg)
{
	struct follow *f = arg;

	if (phx_ctl_client_process(f->client) == 0)
		return;
	hang_up(f);
	loop_set_timer(&f->timer, RETRY_NS);
}

static int dial(struct follow *f)
{
	int rc = dial_dataplane(f->path, &f->client);

	if (rc != 0)
		return rc;
	f->source.fd = phx_ctl_client_fd(f->client);
	rc = loop_add(f->loop, &f->source);
	if (rc != 0) {
		phx_ctl_client_destroy(f->client);
		f->client = NULL;
	}
	return rc;
}

static void timer_fired(void *arg)
{
	struct follow *f = arg;

	loop_set_timer(&f->timer, 0);
	if (f->client == NULL && dial(f) != 0) {
		if (++f->tries < TRIES)
			loop_set_timer(&f->timer, RETRY_NS);
		return;
	}
	ask(f, 0); // who is it?
}

int follow_create(
	struct loop *loop, const char *path, struct events *events, struct follow **out_follow)
{
	struct follow *f = calloc(1, sizeof(*f));
	int rc;

	if (f == NULL)
		return -ENOMEM;
	f->loop = loop;
	f->path = path;
	f->events = events;
	f->source = (struct loop_source){.fd = -1, .fn = client_ready, .arg = f};
	f->timer = (struct loop_source){.fd = -1, .fn = timer_fired, .arg = f};
	rc = loop_add_timer(loop, &f->timer);
	if (rc != 0) {
		free(f);
		return rc;
	}
	*out_follow = f;
	return 0;
}

void follow_destroy(struct follow *f)
{
	if (f == NULL)
		return;
	if (f->client != NULL)
		hang_up(f);
	loop_del_timer(f->loop, &f->timer);
	free(f);
}

void follow_now(struct follow *f)
{
	f->tries = 0;
	if (f->client == NULL)
		loop_set_timer(&f->timer, 1);
}
