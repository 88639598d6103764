// SPDX-License-Identifier: BSD-3-Clause
// The noun event of dataplane.sock. Works with controlplane/follow.c at the other end.
#include "dataplane/control/api_event.h"

#include "dataplane/control/api.h"
#include "dataplane/core/event.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EVENTS_ROUND 256 // of one answer

static void answer(struct api_events *e, struct phx_ctl_call *call, uint64_t since)
{
	uint64_t first = phx_ctl_events_first(&e->ring);
	uint64_t seq = since + 1 < first ? first : since + 1;
	json_t *rows = json_array();

	for (; seq < e->ring.next && json_array_size(rows) < EVENTS_ROUND; seq++) {
		json_t *event = phx_ctl_events_at(&e->ring, seq);

		if (event != NULL)
			(void)json_array_append(rows, event); // a row lost without memory
	}
	phx_ctl_call_reply(
		call, json_pack("{s:s, s:o, s:I, s:I}", "instance", e->instance, "events", rows,
			      "lost", (json_int_t)(since + 1 < first ? first - since - 1 : 0),
			      "seq", (json_int_t)phx_max(seq - 1, since)));
}

static void wait_end(struct api_event_wait *w)
{
	struct phx_ctl_call *call = w->call;

	w->call = NULL;
	ctl_timer_stop(w->events->loop, &w->timer);
	answer(w->events, call, w->since);
}

static void wait_over(struct worker *worker, struct timer *timer)
{
	(void)worker;
	wait_end(phx_container_of(timer, struct api_event_wait, timer));
}

static void told(void *arg, const char *type, const char *object, const struct event_field *fields,
	size_t count)
{
	struct api_events *e = arg;
	json_t *detail = json_object();

	for (size_t i = 0; i < count; i++) {
		const char *text = fields[i].text;

		if (text == NULL || text[0] == '\0')
			continue;
		(void)json_object_set_new(detail, fields[i].key,
			fields[i].is_number ? json_integer(strtoll(text, NULL, 10))
					    : api_text(text));
	}
	phx_ctl_events_add(&e->ring, 0, type, object, detail);
	for (size_t i = 0; i < PHX_ARRAY_LEN(e->waits); i++)
		if (e->waits[i].call != NULL)
			wait_end(&e->waits[i]);
}

int api_events_init(struct api_events *e, struct ctl_loop *loop, const char *instance)
{
	*e = (struct api_events){.loop = loop, .instance = instance};
	if (phx_ctl_events_init(&e->ring, PHX_LIMIT_EVENTS_MAX) != 0)
		return -ENOMEM;
	for (size_t i = 0; i < PHX_ARRAY_LEN(e->waits); i++) {
		e->waits[i].events = e;
		timer_init(&e->waits[i].timer);
	}
	event_set_sink(told, e);
	return 0;
}

void api_events_fini(struct api_events *e)
{
	if (e->ring.ring == NULL)
		return;
	event_set_sink(NULL, NULL);
	for (size_t i = 0; i < PHX_ARRAY_LEN(e->waits); i++)
		if (e->waits[i].call != NULL)
			wait_end(&e->waits[i]);
	phx_ctl_events_fini(&e->ring);
	free(e->up);
}

void api_events_services(struct api_events *e, const struct service_set *set)
{
	if (set->count > e->up_count) {
		uint8_t *up = realloc(e->up, set->count);

		if (up == NULL)
			return; // told with the next change
		memset(up + e->up_count, 0, set->count - e->up_count);
		e->up = up;
		e->up_count = set->count;
	}
	for (uint32_t i = 0; i < set->count; i++) {
		const struct service_entry *s = &set->entries[i];
		bool up = s->instance_count != 0;

		if (up == (e->up[i] != 0))
			continue;
		e->up[i] = up;
		EVENT_TELL(up ? "service.up" : "service.down", s->name, {"group", s->group});
	}
}

void api_event_poll(void *arg, struct phx_ctl_call *call)
{
	struct api_events *e = ((struct api *)arg)->config.events;
	uint64_t since = (uint64_t)phx_ctl_call_int(call, "since_seq", 0);
	uint64_t wait_ms = (uint64_t)phx_ctl_call_int(call, "wait_ms", 0);
	struct api_event_wait *w = NULL;

	for (size_t i = 0; i < PHX_ARRAY_LEN(e->waits) && w == NULL; i++)
		if (e->waits[i].call == NULL)
			w = &e->waits[i];
	// One who asks for what has not happened yet (of an earlier instance) need not wait for it.
	if (since + 1 != e->ring.next || wait_ms == 0 || w == NULL) {
		answer(e, call, since);
		return;
	}
	w->call = call;
	w->since = since;
	ctl_timer_start(e->loop, &w->timer, e->loop->now_ns + wait_ms * PHX_NS_PER_MS, wait_over);
}
