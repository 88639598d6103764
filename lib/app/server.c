// SPDX-License-Identifier: BSD-3-Clause
// Servers: registering, running, ending. Requests themselves are in request.c.
#include "lib/app/server.h"

#include "lib/app/channel.h"
#include "lib/app/queue.h"
#include "lib/app/runner.h"
#include "lib/base/clock.h"
#include "lib/shm/layout.h"

#include <errno.h>
#include <stdlib.h>

#define SERVER_SLICE_NS (100 * PHX_NS_PER_MS) // longest sleep between two looks at `stop`

int phx_server_create_with(struct phx_context *ctx, struct phx_queue *q,
	const struct phx_server_options *options, struct phx_server **out_server)
{
	struct phx_server_options o = PHX_SERVER_OPTIONS_INIT;
	struct phx_server *s;
	int rc;

	if (ctx == NULL || out_server == NULL || (q != NULL && q->context != ctx))
		return -EINVAL;
	if (options != NULL && options->size < sizeof(size_t))
		return -EINVAL;
	rc = phx_context_check(ctx);
	if (rc)
		return rc;
	if (options != NULL)
		memcpy(&o, options, phx_min(options->size, sizeof(o)));
	s = calloc(1, sizeof(*s));
	if (s == NULL)
		return -ENOMEM;
	s->context = ctx;
	s->queue = q != NULL ? q : ctx->default_queue;
	rc = phx_runner_create(&o, s->queue, &s->runner);
	if (rc) {
		free(s);
		return rc;
	}
	phx_lock_take(&ctx->control);
	phx_list_add_tail(&ctx->servers, &s->link);
	phx_lock_give(&ctx->control);
	*out_server = s;
	return 0;
}

int phx_server_create(struct phx_context *ctx, struct phx_queue *q, struct phx_server **out_server)
{
	return phx_server_create_with(ctx, q, NULL, out_server);
}

const struct phx_server_entry *phx_server_entry_find(struct phx_queue *q, uint32_t service)
{
	for (const struct phx_server_entry *e = q->entries; e != NULL; e = e->next)
		if (e->handle == service)
			return e;
	return NULL;
}

static void entry_free(struct phx_server_entry *e)
{
	free((void *)(uintptr_t)e->handlers);
	free(e->group);
	free(e);
}

void phx_server_entries_free(struct phx_server_entry *entries)
{
	while (entries != NULL) {
		struct phx_server_entry *e = entries;

		entries = e->next;
		entry_free(e);
	}
}

void phx_servers_free(struct phx_context *ctx)
{
	struct phx_list *node;

	while ((node = phx_list_pop(&ctx->servers)) != NULL) {
		struct phx_server *s = phx_list_entry(node, struct phx_server, link);

		phx_runner_put(s->runner);
		free(s);
	}
}

static int entry_register(struct phx_session *session, const struct phx_server_entry *e,
	uint32_t *out_handle, struct phx_status *out_status)
{
	struct phx_attach_register req = {.service = e->service->index,
		.queue = e->server->queue->index,
		.group_len = (uint32_t)strlen(e->group)};
	int rc = phx_session_schema(session, e->service->file, &req.schema, out_status);

	if (rc)
		return rc;
	return phx_session_request_handle(session, &req.h, sizeof(req), PHX_ATTACH_REGISTER,
		e->group, req.group_len, out_handle, out_status);
}

static struct phx_server_entry *entry_create(struct phx_server *s, const char *group,
	const struct phx_service *service, const phx_handler_fn *handlers, void *arg)
{
	struct phx_server_entry *e = calloc(1, sizeof(*e));
	phx_handler_fn *copy = calloc(service->method_count + 1, sizeof(*copy));
	char *name = strdup(group);

	if (e == NULL || copy == NULL || name == NULL) {
		free(e);
		free(copy);
		free(name);
		return NULL;
	}
	memcpy(copy, handlers, service->method_count * sizeof(*copy));
	*e = (struct phx_server_entry){.server = s,
		.service = service,
		.handlers = copy,
		.arg = arg,
		.group = name,
		.handle = PHX_NO_HANDLE};
	return e;
}

// Requests can arrive before the answer to the registration is read; they are parked then.
static void server_registering(struct phx_queue *q, int change)
{
	phx_lock_take(&q->lock);
	q->registering += (uint32_t)change;
	phx_lock_give(&q->lock);
}

int phx_server_add(struct phx_server *s, const char *group, const struct phx_service *service,
	const phx_handler_fn *handlers, void *arg, struct phx_status *out_status)
{
	struct phx_server_entry *e;
	int rc;

	phx_status_begin(out_status);
	if (s == NULL || service == NULL || handlers == NULL)
		return phx_status_end(out_status, -EINVAL);
	rc = phx_context_check(s->context);
	if (rc) {
		phx_context_end_status(s->context, out_status);
		return rc;
	}
	group = group != NULL ? group : "";
	if (strlen(group) > PHX_LIMIT_NAME_BYTES)
		return phx_status_end(out_status, -EINVAL);
	e = entry_create(s, group, service, handlers, arg);
	if (e == NULL)
		return phx_status_end(out_status, -ENOMEM);
	server_registering(s->queue, 1);
	phx_lock_take(&s->context->control);
	rc = entry_register(s->context->session, e, &e->handle, out_status);
	if (rc == 0) {
		phx_lock_take(&s->queue->lock);
		e->next = s->queue->entries;
		s->queue->entries = e;
		phx_lock_give(&s->queue->lock);
	} else {
		entry_free(e);
	}
	phx_lock_give(&s->context->control);
	server_registering(s->queue, -1);
	phx_queue_wake(s->queue); // what was parked can go on
	return phx_status_end(out_status, rc);
}

void phx_servers_void(struct phx_context *ctx)
{
	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX && ctx->queues[i] != NULL; i++) {
		struct phx_queue *q = ctx->queues[i];

		phx_lock_take(&q->lock);
		for (struct phx_server_entry *e = q->entries; e != NULL; e = e->next)
			e->handle = PHX_NO_HANDLE;
		phx_lock_give(&q->lock);
	}
}

// The list changes under `control` only, which is held.
static int queue_replay(struct phx_queue *q, struct phx_session *s) PHX_NO_ANALYSIS
{
	int first = 0;

	for (struct phx_server_entry *e = q->entries; e != NULL; e = e->next) {
		uint32_t handle;
		int rc;

		if (e->handle != PHX_NO_HANDLE || e->gone)
			continue;
		server_registering(q, 1);
		rc = entry_register(s, e, &handle, NULL);
		phx_lock_take(&q->lock);
		if (rc == 0)
			e->handle = handle;
		q->registering--;
		phx_lock_give(&q->lock);
		if (first == 0)
			first = rc;
	}
	return first;
}

int phx_servers_replay(struct phx_context *ctx, struct phx_session *s)
{
	int first = 0;

	for (uint32_t i = 0; i < PHX_LIMIT_QUEUES_MAX && ctx->queues[i] != NULL; i++) {
		int rc = queue_replay(ctx->queues[i], s);

		if (first == 0)
			first = rc;
		phx_queue_wake(ctx->queues[i]); // what was parked can go on
	}
	return first;
}

// Until it is stopped, or there is nothing to serve any more.
static int server_loop(struct phx_server *s)
{
	while (!atomic_load_explicit(&s->stop, memory_order_acquire)) { // phx_server_stop
		int rc = phx_poll(s->queue, 0);

		if (rc == 0)
			rc = phx_wait(s->queue, SERVER_SLICE_NS);
		if (rc < 0)
			return rc;
	}
	atomic_store_explicit(&s->stop, false, memory_order_relaxed); // it may run again
	return 0;
}

int phx_server_run(struct phx_server *s)
{
	int rc;

	if (s == NULL)
		return -EINVAL;
	if (phx_context_forked(s->context))
		return -EPERM;
	rc = phx_runner_start(s->runner);
	if (rc)
		return rc;
	rc = server_loop(s);
	phx_runner_stop(s->runner);
	return rc;
}

void phx_server_stop(struct phx_server *s)
{
	if (s == NULL || phx_context_forked(s->context))
		return;
	atomic_store_explicit(&s->stop, true, memory_order_release); // phx_server_run
	// One store and one futex call, so that a signal handler may do it. A stop between the
	// look and the sleep is noticed at the end of the slice.
	phx_queue_wake(s->queue);
}

static void server_unregister(struct phx_context *ctx, uint32_t handle) PHX_REQUIRES(ctx->control)
{
	struct phx_attach_handle_req req = {.handle = handle};
	struct phx_attach_request request = {.h = &req.h,
		.size = sizeof(req),
		.type = PHX_ATTACH_UNREGISTER,
		.answer_size = sizeof(struct phx_attach_header)};
	struct phx_attach_answer answer;

	// The session may be over, then so is the registration.
	(void)phx_session_request(ctx->session, &request, &answer, NULL);
}

// Take the server's entries out of its queue and end what they still owe a reply.
static struct phx_server_entry *server_take_entries(struct phx_server *s)
{
	struct phx_queue *q = s->queue;
	struct phx_server_entry **at, *taken = NULL;

	phx_lock_take(&q->lock);
	for (struct phx_request *r = q->all_requests; r != NULL; r = r->all)
		if (r->entry != NULL && r->entry->server == s)
			phx_request_abandon(q, r);
	for (at = &q->entries; *at != NULL;) {
		struct phx_server_entry *e = *at;

		if (e->server != s) {
			at = &e->next;
			continue;
		}
		*at = e->next;
		e->next = taken;
		taken = e;
	}
	phx_queue_flush_soon(q);
	phx_lock_give(&q->lock);
	return taken;
}

void phx_server_destroy(struct phx_server *s)
{
	struct phx_server_entry *entries;

	if (s == NULL || phx_context_forked(s->context))
		return;
	phx_lock_take(&s->context->control);
	// First the dataplane, so that no further request comes for them.
	for (;;) {
		uint32_t handle = 0;
		bool found = false;

		phx_lock_take(&s->queue->lock);
		for (struct phx_server_entry *e = s->queue->entries; e != NULL; e = e->next) {
			if (e->server == s && !e->gone) {
				e->gone = true;
				handle = e->handle;
				found = true;
				break;
			}
		}
		phx_lock_give(&s->queue->lock);
		if (!found)
			break;
		if (handle != PHX_NO_HANDLE)
			server_unregister(s->context, handle);
	}
	entries = server_take_entries(s);
	phx_list_del(&s->link);
	phx_lock_give(&s->context->control);
	phx_server_entries_free(entries);
	phx_runner_close(s->runner); // its requests are orphans
	phx_lock_take(&s->queue->lock);
	phx_runner_put(s->runner);
	phx_lock_give(&s->queue->lock);
	free(s);
}
