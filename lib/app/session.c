// SPDX-License-Identifier: BSD-3-Clause
// The life of a session, what the dataplane sends unasked, and its end. Works with context.c.
#include "lib/app/session.h"

#include "lib/app/context.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void session_on_event(void *arg, const struct phx_attach_header *h, int fd)
{
	struct phx_session *s = arg;
	struct phx_region_event *event;

	if (h->type == PHX_ATTACH_EVENT_DETACH) {
		const struct phx_attach_refused *r = phx_attach_refused_of(h);

		phx_session_end(s, PHX_UNAVAILABLE,
			r->reason < PHX_REASON_COUNT ? r->reason : (uint32_t)PHX_REASON_DETACHED,
			"detached by the dataplane: %s%s%.*s", phx_reason_name(r->reason),
			r->text_len ? ": " : "", (int)r->text_len, (const char *)(r + 1));
		return;
	}
	event = malloc(sizeof(*event));
	if (event == NULL) {
		// The dataplane keeps the region unused as long as nobody says that it is mapped.
		(void)close(fd); // received, not wanted
		return;
	}
	event->region = ((const struct phx_attach_region_rep *)(const void *)h)->region;
	event->fd = fd;
	event->next = s->region_events;
	s->region_events = event;
}

int phx_session_create(struct phx_context *ctx, struct phx_session **out_session)
{
	struct phx_session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return -ENOMEM;
	s->context = ctx;
	s->doorbell = -1;
	s->patience_ns = PHX_CONTROL_NS;
	if (phx_attach_client_init(&s->client, session_on_event, s) != 0) {
		free(s);
		return -ENOMEM;
	}
	phx_lock_init(&s->heap_lock);
	atomic_store_explicit(&s->refs, 1, memory_order_relaxed);
	phx_lock_take(&ctx->sessions_lock);
	phx_list_add_tail(&ctx->sessions, &s->link);
	phx_lock_give(&ctx->sessions_lock);
	*out_session = s;
	return 0;
}

void phx_session_destroy(struct phx_session *s, bool forked)
{
	phx_lock_take(&s->context->sessions_lock);
	phx_list_del(&s->link);
	phx_lock_give(&s->context->sessions_lock);
	while (s->region_events != NULL) {
		struct phx_region_event *event = s->region_events;

		s->region_events = event->next;
		(void)close(event->fd); // received, not used
		free(event);
	}
	phx_attach_client_fini(&s->client);
	if (s->doorbell >= 0)
		(void)close(s->doorbell); // received with the hello
	phx_heap_destroy(s->heap);
	if (!forked) {
		// A child has none of these mappings; others may stand in their place.
		phx_space_fini(&s->send);
		phx_space_fini(&s->recv);
	}
	phx_lock_fini(&s->heap_lock);
	free(s);
}

void phx_session_put(struct phx_session *s, uint32_t parts)
{
	// Release what was done in the mappings, acquire what others did, before they go.
	if (atomic_fetch_sub_explicit(&s->refs, parts, memory_order_acq_rel) == parts)
		phx_session_destroy(s, false);
}

void phx_session_end(struct phx_session *s, uint32_t code, uint32_t reason, const char *fmt,
	...) PHX_NO_ANALYSIS // `control` is held or the session is ours alone
{
	va_list args;

	if (s->end.code != 0)
		return;
	s->end.code = code;
	s->end.reason = reason;
	va_start(args, fmt);
	(void)vsnprintf(s->end.text, sizeof(s->end.text), fmt, args); // cut off when long
	va_end(args);
	if (s == s->context->session)
		phx_context_end(s->context, &s->end);
}

static void session_map_event(struct phx_session *s, const struct phx_region_event *event)
{
	struct phx_attach_mapped mapped = {.object = 1, .index = event->region.index};
	const char *text = "region of the wrong object";
	int rc = -EPROTO;

	if (event->region.object == 1)
		rc = phx_space_map(
			&s->recv, event->fd, event->region.offset, event->region.size, &text);
	if (rc == -EPROTO || rc == -EBADF)
		phx_session_end(s, PHX_UNAVAILABLE, PHX_REASON_INTERNAL,
			"dataplane announced a bad receive region: %s", text);
	else if (rc == 0)
		// Nobody needs the answer; a socket without room is one without a reader.
		(void)phx_attach_client_post(
			&s->client, &mapped.h, sizeof(mapped), PHX_ATTACH_MAPPED);
}

void phx_session_map_events(struct phx_session *s)
{
	while (s->region_events != NULL) {
		struct phx_region_event *event = s->region_events;

		s->region_events = event->next;
		session_map_event(s, event);
		(void)close(event->fd); // mapped, or of no use
		free(event);
	}
}

void phx_session_service(struct phx_session *s)
{
	int rc;

	if (s->end.code != 0)
		return;
	rc = phx_attach_client_poll(&s->client);
	phx_session_map_events(s);
	if (rc == -EPROTO)
		phx_session_end(s, PHX_UNAVAILABLE, PHX_REASON_INTERNAL,
			"dataplane sent a packet that is not of the protocol");
	else if (rc < 0)
		phx_session_end(
			s, PHX_UNAVAILABLE, PHX_REASON_DATAPLANE_GONE, "the dataplane is gone");
}
