// SPDX-License-Identifier: BSD-3-Clause
// Subscriptions of events.h over the streams of the server.
#include "controlplane/events.h"

#include "lib/base/compiler.h"
#include "lib/base/hash.h"
#include "lib/base/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct subscription {
	struct phx_list node;
	struct events *events;
	struct phx_ctl_stream *stream;
	json_t *types; // array or NULL
	bool all;      // audit lines too
	char name[24];
	uint64_t seq; // of the next event to look at
};

int events_init(struct events *e)
{
	uint8_t uuid[16];
	int rc = phx_random_bytes(uuid, sizeof(uuid));

	*e = (struct events){.next_subscription = 1};
	phx_list_init(&e->subscriptions);
	if (rc != 0)
		return rc;
	phx_ctl_uuid_text(uuid, e->instance);
	return phx_ctl_events_init(&e->ring, PHX_LIMIT_EVENTS_MAX);
}

void events_fini(struct events *e)
{
	phx_ctl_events_fini(&e->ring);
}

void events_add(struct events *e, const char *type, const char *object, json_t *take_detail)
{
	phx_ctl_events_add(&e->ring, 0, type, object, take_detail);
	if (e->server != NULL && e->subscription_count != 0)
		phx_ctl_server_wake(e->server);
}

void events_take(struct events *e, json_t *event)
{
	const char *type = json_string_value(json_object_get(event, "type"));
	const char *object = json_string_value(json_object_get(event, "object"));
	json_t *detail = json_object_get(event, "detail");
	json_t *at = json_object_get(event, "at");
	json_t *own;

	if (type == NULL || object == NULL || !json_is_object(detail) || !json_is_string(at))
		return; // no event of any version
	events_add(e, type, object, json_incref(detail));
	own = phx_ctl_events_at(&e->ring, e->ring.next - 1);
	if (own != NULL)
		(void)json_object_set(own, "at", at); // when it happened, not when it came
}

// Who did what is for those who may do it.
static bool may_see(bool all, json_t *event)
{
	return all || strcmp(json_string_value(json_object_get(event, "type")), "audit") != 0;
}

static bool wanted(json_t *types, bool all, json_t *event)
{
	return event != NULL && may_see(all, event) &&
	       phx_ctl_events_match(types, json_string_value(json_object_get(event, "type")));
}

static bool is_operator(const struct phx_ctl_call *call)
{
	return phx_ctl_call_peer(call)->role >= PHX_CTL_OP;
}

// The number behind since_seq. One that has not been given yet was given by another control plane,
// and everything is new to who has it.
static uint64_t behind(const struct events *e, const struct phx_ctl_call *call, int64_t missing)
{
	uint64_t since = (uint64_t)phx_ctl_call_int(call, "since_seq", missing) + 1;

	return since > e->ring.next ? phx_ctl_events_first(&e->ring) : since;
}

// ---- history ----

void events_history(struct events *e, struct phx_ctl_call *call, uint64_t generation)
{
	json_t *types = json_object_get(phx_ctl_call_params(call), "types");
	uint64_t since = behind(e, call, -1);
	uint64_t first = phx_ctl_events_first(&e->ring), seq = e->ring.next;
	uint64_t lost = since != 0 && since < first ? first - since : 0;
	size_t left = (size_t)phx_ctl_call_int(call, "limit", 100);
	json_t *rows = json_array();

	while (left > 0 && seq-- > phx_max(first, since)) {
		json_t *event = phx_ctl_events_at(&e->ring, seq);

		if (!wanted(types, is_operator(call), event))
			continue;
		(void)json_array_insert(rows, 0, event); // a row lost without memory
		left--;
	}
	phx_ctl_call_reply(
		call, json_pack("{s:o, s:I, s:s, s:o, s:n}", "events", rows, "lost",
			      (json_int_t)lost, "instance", e->instance, "generation",
			      json_sprintf("%llu", (unsigned long long)generation), "next"));
}

// ---- subscriptions ----

static json_t *notification(const struct subscription *s, json_t *take_params)
{
	if (take_params != NULL)
		(void)json_object_set_new(take_params, "subscription", json_string(s->name));
	return json_pack(
		"{s:s, s:s, s:o}", "jsonrpc", "2.0", "method", "event", "params", take_params);
}

// The next text for the subscriber, NULL when there is none now.
static json_t *next(void *arg)
{
	struct subscription *s = arg;
	const struct phx_ctl_events *ring = &s->events->ring;
	uint64_t first = phx_ctl_events_first(ring);

	if (s->seq < first) {
		json_t *lost = json_pack("{s:I, s:o, s:s, s:s, s:{s:I}}", "seq",
			(json_int_t)(first - 1), "at", phx_ctl_wall_time(0), "type", "event.lost",
			"object", s->name, "detail", "count", (json_int_t)(first - s->seq));

		s->seq = first;
		return notification(s, lost);
	}
	while (s->seq < ring->next) {
		json_t *event = phx_ctl_events_at(ring, s->seq++);

		if (wanted(s->types, s->all, event))
			return notification(s, json_copy(event));
	}
	return NULL;
}

static void ended(void *arg)
{
	struct subscription *s = arg;

	phx_list_del(&s->node);
	s->events->subscription_count--;
	json_decref(s->types);
	free(s);
}

void events_subscribe(struct events *e, struct phx_ctl_call *call)
{
	struct subscription *s = calloc(1, sizeof(*s));
	int rc = -ENOMEM;

	if (s != NULL)
		rc = phx_ctl_call_stream(call, next, ended, s, &s->stream);
	if (rc != 0) {
		free(s);
		phx_ctl_call_fail_code(call, PHX_RESOURCE_EXHAUSTED,
			rc == -ENOSPC ? "too many subscriptions on this connection"
				      : "out of memory");
		return;
	}
	s->events = e;
	s->types = json_incref(json_object_get(phx_ctl_call_params(call), "types"));
	s->all = is_operator(call);
	// Without since_seq: from now on.
	s->seq = behind(e, call, (int64_t)e->ring.next - 1);
	(void)snprintf(
		s->name, sizeof(s->name), "sub-%llu", (unsigned long long)e->next_subscription++);
	phx_list_add_tail(&e->subscriptions, &s->node);
	e->subscription_count++;
	phx_ctl_call_reply(call, json_pack("{s:s, s:I, s:s}", "subscription", s->name, "seq",
					 (json_int_t)(s->seq - 1), "instance", e->instance));
}

void events_unsubscribe(struct events *e, struct phx_ctl_call *call)
{
	const char *name = phx_ctl_call_string(call, "subscription", "");
	json_t *names = json_array();
	struct phx_list *n;

	phx_list_for_each (n, &e->subscriptions) {
		struct subscription *s = phx_list_entry(n, struct subscription, node);

		if (!phx_ctl_stream_is_of(s->stream, call))
			continue;
		if (strcmp(s->name, name) == 0) {
			phx_ctl_stream_end(s->stream);
			phx_ctl_call_reply(call, json_pack("{s:b}", "changed", 1));
			json_decref(names);
			return;
		}
		(void)json_array_append_new(names, json_string(s->name));
	}
	phx_ctl_call_not_found(call, "subscription", "subscription", name, names, NULL);
	json_decref(names);
}
