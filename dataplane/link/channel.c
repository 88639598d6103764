// SPDX-License-Identifier: BSD-3-Clause
// The client end: channels and admission of their calls to paths. Hot part: channel_admit(). See
// link.h and path.c.
#include "dataplane/link/cluster.h"
#include "dataplane/link/link.h"
#include "dataplane/link/schema_fetch.h"

#include <stdio.h>
#include <stdlib.h>

// Of one service, so that a SUBSCRIBE stays below a chunk.
#define METHODS_MAX 7000u

// ---- admission ----

// Why a call cannot wait; the text goes with the status.
struct failure {
	struct call_status status;
	char text[768];
};

// What the paths that have a link say about a service.
struct answers {
	bool waiting; // one has not answered yet, or has the service and no credit
	bool down, ambiguous, unknown;
	const struct path *refused;
};

static struct answers answers_collect(const struct channel *channel, uint16_t binding)
{
	struct answers a = {.waiting = false};
	const struct phx_list *n;

	phx_list_for_each (n, &channel->paths) {
		const struct path *p = phx_list_entry(n, struct path, node);

		if (p->member == CLUSTER_NONE)
			continue; // to one who has left the cluster
		if (p->state == PATH_LOST)
			continue; // counts as no path until it has a link again
		if (p->state == PATH_REFUSED) {
			a.refused = p;
			continue;
		}
		if (p->state == PATH_OPENING) {
			a.waiting = true;
			continue;
		}
		switch ((enum service_state)p->bindings[binding].state) {
		case SERVICE_ASKED:
		case SERVICE_UP:
			a.waiting = true;
			break;
		case SERVICE_DOWN:
			a.down = true;
			break;
		case SERVICE_UNKNOWN:
			a.unknown = true;
			break;
		case SERVICE_AMBIGUOUS:
			a.ambiguous = true;
			break;
		case SERVICE_ELSEWHERE: // a path that has it is there or comes, but not for ever
			if (channel->worker->now_ns - p->bindings[binding].since_ns <
				LINK_ELSEWHERE_NS)
				a.waiting = true;
			else
				a.down = true;
			break;
		}
	}
	return a;
}

static void failure_set(struct failure *out, enum phx_code code, enum phx_reason reason)
{
	out->status = (struct call_status){
		.code = (uint8_t)code,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.reason = (uint8_t)reason,
		.text = out->text,
		.text_len = (uint16_t)strlen(out->text),
	};
}

const char *channel_unreachable(const struct channel *channel)
{
	const char *why =
		cluster_is(channel->peer) ? cluster_unreachable(channel) : channel->home->why;

	return why != NULL && why[0] != '\0' ? why : "the peer cannot be reached";
}

static PHX_COLD void failure_link(const struct channel *channel, struct failure *out)
{
	(void)snprintf(
		out->text, sizeof(out->text), "no connection: %s", channel_unreachable(channel));
	failure_set(out, PHX_UNAVAILABLE, PHX_REASON_LINK_DOWN);
}

static PHX_COLD void failure_service(const struct channel *channel, const struct call *call,
	const struct answers *a, struct failure *out)
{
	const struct channel_binding *b = &channel->bindings[call->binding];
	const char *name = phx_schema_service_name(b->schema, b->service);
	const char *group = channel->group;
	bool any = group[0] == '\0';

	if (a->ambiguous) {
		(void)snprintf(out->text, sizeof(out->text),
			"service %s is offered by several groups (%s): name one in the target",
			name, b->groups != NULL ? b->groups : "not listed");
		failure_set(out, PHX_FAILED_PRECONDITION, PHX_REASON_AMBIGUOUS_GROUP);
	} else if (a->down || (a->unknown && b->known)) {
		// Unknown to a peer that has started again: its servers come back one by one.
		(void)snprintf(out->text, sizeof(out->text),
			"service %s%s%s is known, but no instance is up", name,
			any ? "" : " of group ", group);
		failure_set(out, PHX_UNAVAILABLE, PHX_REASON_SERVICE_DOWN);
	} else if (a->unknown) {
		(void)snprintf(out->text, sizeof(out->text), "no service %s in %s%s", name,
			any ? "any group" : "group ", group);
		failure_set(out, PHX_UNIMPLEMENTED, PHX_REASON_NO_SERVICE);
	} else {
		(void)snprintf(out->text, sizeof(out->text), "the peer refuses the channel: %s",
			phx_reason_name(a->refused->refused_reason));
		failure_set(out, a->refused->refused_code, a->refused->refused_reason);
	}
}

// What to answer when no path can take the call now: 0 = wait, else fail with *out (design.md
// 12.11).
static int admit_failure(
	const struct channel *channel, const struct call *call, struct failure *out)
{
	struct answers a;
	bool down;

	if (phx_unlikely(channel->stopped != 0)) {
		(void)snprintf(out->text, sizeof(out->text), "%s", channel_stopped_why(channel));
		failure_set(out, PHX_UNAVAILABLE, PHX_REASON_ADMIN);
		return -ESHUTDOWN;
	}
	if (call->wait_for_ready || channel->frozen)
		return 0;
	a = answers_collect(channel, call->binding);
	if (a.waiting)
		return 0;
	if (a.down || a.unknown || a.ambiguous || a.refused != NULL) {
		failure_service(channel, call, &a, out);
		return -ENOENT;
	}
	down = cluster_is(channel->peer) ? cluster_unreachable(channel) != NULL
					 : channel->home->state == PEER_BACKOFF;
	if (!down)
		return 0; // connecting
	failure_link(channel, out);
	return -ENOTCONN;
}

void channel_waits_for(const struct call *call, char *out_text, size_t size)
{
	const struct channel *channel = call->channel;
	struct failure failure;
	struct answers a;

	if (call->connect) {
		connect_waits_for(channel, out_text, size);
		return;
	}
	a = answers_collect(channel, call->binding);
	if (call->policy.hold != NULL) {
		(void)snprintf(out_text, size, "held by a policy");
	} else if (a.waiting) {
		(void)snprintf(out_text, size, "waited for the peer's answer or credit");
	} else {
		if (a.down || a.unknown || a.ambiguous || a.refused != NULL)
			failure_service(channel, call, &a, &failure);
		else
			failure_link(channel, &failure);
		(void)snprintf(out_text, size, "%s", failure.text);
	}
}

// The next path, round robin, that can take a call of this binding now, or NULL.
static struct path *path_pick(struct channel *channel, uint16_t binding)
{
	struct path *first = channel->next_path, *p = first;

	if (phx_unlikely(cluster_is(channel->peer)))
		return cluster_pick(channel, binding);
	if (first == NULL)
		return NULL;
	do {
		struct phx_list *n = p->node.next;

		if (n == &channel->paths)
			n = n->next;
		channel->next_path = phx_list_entry(n, struct path, node);
		if (path_usable(p, binding))
			return p;
		p = channel->next_path;
	} while (p != first);
	return NULL;
}

struct path *channel_admit(struct call *call)
{
	struct channel *channel = call->channel;
	struct channel_binding *b = &channel->bindings[call->binding];
	struct failure failure;
	struct path *path = NULL;

	if (phx_likely(phx_list_empty(&b->pending) && !channel->frozen && channel->stopped == 0))
		path = path_pick(channel, call->binding);
	if (phx_likely(path != NULL)) {
		path->admitted++;
		return path;
	}
	if (admit_failure(channel, call, &failure) == 0) {
		phx_list_add_tail(&b->pending, &call->node);
		return NULL;
	}
	call_complete(call, &failure.status, NULL);
	return NULL;
}

void path_release(struct path *path)
{
	path->admitted--;
}

// Service, credit or a link came: let waiting calls go, or fail those that must not wait.
void channel_kick(struct channel *channel)
{
	if (phx_unlikely(!phx_list_empty(&channel->connects)))
		connect_kick(channel);
	if (phx_unlikely(channel->frozen || channel->stopped != 0))
		return;
	for (uint32_t i = 0; i < channel->binding_count; i++) {
		struct phx_list *pending = &channel->bindings[i].pending;
		struct phx_list *n;

		while ((n = phx_list_first(pending)) != NULL) {
			struct call *call = phx_list_entry(n, struct call, node);
			struct path *path = path_pick(channel, (uint16_t)i);

			if (path == NULL)
				break;
			phx_list_del(n);
			path->admitted++;
			call_admitted(call, path);
		}
	}
}

// A state got worse: fail-fast calls that wait may have to end.
void channel_reconsider(struct channel *channel)
{
	for (uint32_t i = 0; i < channel->binding_count; i++) {
		struct phx_list *pending = &channel->bindings[i].pending;
		struct phx_list *n, *tmp;

		phx_list_for_each_safe (n, tmp, pending) {
			struct call *call = phx_list_entry(n, struct call, node);
			struct failure failure;

			if (admit_failure(channel, call, &failure) == 0)
				continue;
			phx_list_del(n);
			call_complete(call, &failure.status, NULL);
		}
	}
	channel_kick(channel);
}

// ---- channels ----

int channel_open_paths(struct channel *channel)
{
	struct link_table *table = link_table(channel->worker);
	struct phx_list *n;
	int rc = 0;

	phx_list_for_each (n, &table->links) {
		struct link *link = phx_list_entry(n, struct link, node);

		if (link->client && !link->down && rc == 0 && channel_uses(channel, link->peer))
			rc = path_create(channel, link);
	}
	return rc;
}

void channel_close_paths(struct channel *channel)
{
	struct phx_list *n;

	while ((n = phx_list_pop(&channel->paths)) != NULL) {
		struct path *path = phx_list_entry(n, struct path, node);
		const struct phx_frame f = {
			.type = PHX_FRAME_GOAWAY,
			.epoch = path->epoch,
			.channel = path->id,
		};

		if (path->link != NULL)
			link_send(path->link, &f, NULL, 0);
		for (uint32_t i = 0; i < channel->binding_count; i++)
			schema_fetch_lost(channel->bindings[i].fetch, path);
		path_destroy(path);
	}
	channel->path_count = 0;
	channel->next_path = NULL;
}

int channel_create(const struct channel_config *config, struct channel **out_channel)
{
	struct peer_links *peer = peer_get(link_table(config->worker), config->peer);
	struct channel *channel;

	if (peer == NULL)
		return -ENOMEM;
	channel = calloc(1, sizeof(*channel));
	if (channel == NULL)
		return -ENOMEM;
	channel->session = config->session;
	channel->worker = config->worker;
	channel->handle = config->handle;
	channel->peer = config->peer;
	channel->home = peer;
	channel->stopped = link_table(config->worker)->stopped ? CHANNEL_STOPPED_HOST : 0;
	memcpy(channel->group, config->group, sizeof(channel->group));
	phx_list_init(&channel->paths);
	timer_init(&channel->drain);
	phx_list_init(&channel->connects);
	phx_list_add_tail(&peer->channels, &channel->node);
	if (channel_open_paths(channel) != 0) {
		channel_destroy(channel, NULL);
		return -ENOMEM;
	}
	*out_channel = channel;
	return 0;
}

void channel_destroy(struct channel *channel, const struct call_status *status)
{
	(void)status; // the frontend has aborted every call of the channel
	phx_list_del(&channel->node);
	timer_stop(&channel->worker->timers, &channel->drain);
	channel_close_paths(channel);
	for (uint32_t i = 0; i < channel->binding_count; i++) {
		schema_fetch_destroy(channel->bindings[i].fetch);
		free(channel->bindings[i].series);
		free(channel->bindings[i].methods);
		free(channel->bindings[i].groups);
	}
	free(channel->bindings);
	free(channel);
}

static int bindings_grow(struct channel *channel)
{
	uint32_t size = channel->binding_size == 0 ? 1 : channel->binding_size * 2;
	struct channel_binding *t;
	struct phx_list *n;

	phx_list_for_each (n, &channel->paths) {
		struct path *p = phx_list_entry(n, struct path, node);
		struct path_binding *pb = realloc(p->bindings, size * sizeof(*pb));

		if (pb == NULL)
			return -ENOMEM;
		p->bindings = pb;
	}
	// Lists point into themselves: move them one by one.
	t = calloc(size, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < channel->binding_count; i++) {
		struct phx_list *call;

		t[i] = channel->bindings[i];
		phx_list_init(&t[i].pending);
		while ((call = phx_list_pop(&channel->bindings[i].pending)) != NULL)
			phx_list_add_tail(&t[i].pending, call);
	}
	free(channel->bindings);
	channel->bindings = t;
	channel->binding_size = size;
	return 0;
}

// Methods go by name: the peer gets the list of ours.
static int binding_methods(
	struct channel_binding *b, const struct phx_schema *schema, uint32_t service)
{
	uint32_t n = phx_min(phx_schema_method_count(schema, service), METHODS_MAX);
	uint64_t *ids = malloc((n != 0 ? n : 1) * sizeof(*ids));

	if (ids == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < n; i++)
		phx_le64_store(
			&ids[i], service_method_id(phx_schema_method(schema, service, i)->name));
	b->methods = ids;
	b->method_count = n;
	return 0;
}

// With the subscription at the other end.
uint64_t channel_bind_bytes(const struct phx_schema *schema, uint32_t service)
{
	uint64_t methods = phx_min(phx_schema_method_count(schema, service), METHODS_MAX);

	return sizeof(struct channel_binding) + sizeof(struct schema_fetch) +
	       sizeof(struct subscription) +
	       methods * (2 * sizeof(uint64_t) + sizeof(struct stats_series *));
}

uint64_t channel_bytes(const struct channel *channel)
{
	uint64_t bytes = 0;

	for (uint32_t i = 0; i < channel->binding_count; i++)
		bytes += channel_bind_bytes(
			channel->bindings[i].schema, channel->bindings[i].service);
	return bytes;
}

int channel_bind(struct channel *channel, const struct phx_schema *schema, uint32_t service)
{
	uint32_t methods = phx_schema_method_count(schema, service);
	uint32_t i = channel->binding_count;
	struct channel_binding *b;
	struct phx_list *n;

	if (i >= PHX_LIMIT_SERVICES_MAX)
		return -ENOSPC;
	if (i == channel->binding_size && bindings_grow(channel) != 0)
		return -ENOMEM;
	b = &channel->bindings[i];
	if (binding_methods(b, schema, service) != 0)
		return -ENOMEM;
	b->series = calloc(methods + 1, sizeof(struct stats_series *));
	b->fetch = schema_fetch_create(channel, i);
	if (b->series == NULL || b->fetch == NULL) {
		schema_fetch_destroy(b->fetch);
		free(b->series);
		free(b->methods);
		return -ENOMEM;
	}
	b->schema = schema;
	b->service = service;
	b->hash = phx_schema_service_hash(schema, service);
	phx_list_init(&b->pending);
	channel->binding_count++;
	phx_list_for_each (n, &channel->paths) {
		struct path *p = phx_list_entry(n, struct path, node);

		memset(&p->bindings[i], 0, sizeof(p->bindings[i]));
		if (p->link != NULL)
			path_subscribe(p, i);
	}
	return (int)i;
}

const struct phx_method *channel_method(const struct channel *channel, uint16_t binding,
	uint16_t method, const struct phx_schema **out_schema, const char **out_service,
	struct stats_series ***out_series)
{
	const struct channel_binding *b;

	if (binding >= channel->binding_count)
		return NULL;
	b = &channel->bindings[binding];
	if (method >= phx_schema_method_count(b->schema, b->service))
		return NULL;
	*out_schema = b->schema;
	*out_service = phx_schema_service_name(b->schema, b->service);
	*out_series = &b->series[method];
	return phx_schema_method(b->schema, b->service, method);
}
