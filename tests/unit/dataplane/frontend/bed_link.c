// SPDX-License-Identifier: BSD-3-Clause
// The network of the bed: the functions that dataplane/link has, with the test deciding what
// happens and when. Works with bed.h.
#include "tests/unit/dataplane/frontend/bed.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct path {
	int nothing;
};

struct channel {
	const struct phx_schema *schema;
	uint32_t services[8];
	uint32_t bindings;
	struct stats_series *series[8][4];
};

static struct path the_path;
extern struct bed *bed_link_owner;

static struct bed_link *net(void)
{
	return &bed_link_owner->link;
}

// ---- channels ----

int channel_create(const struct channel_config *config, struct channel **out_channel)
{
	(void)config;
	*out_channel = calloc(1, sizeof(**out_channel));
	return *out_channel == NULL ? -ENOMEM : 0;
}

void channel_destroy(struct channel *channel, const struct call_status *status)
{
	(void)status; // session.c has aborted the calls
	free(channel);
}

uint64_t channel_bind_bytes(const struct phx_schema *schema, uint32_t service)
{
	(void)schema;
	(void)service;
	return 1000;
}

uint64_t channel_bytes(const struct channel *channel)
{
	(void)channel;
	return 0;
}

int channel_bind(struct channel *channel, const struct phx_schema *schema, uint32_t service)
{
	if (channel->bindings == PHX_ARRAY_LEN(channel->services))
		return -ENOSPC;
	channel->schema = schema;
	channel->services[channel->bindings] = service;
	return (int)channel->bindings++;
}

struct chain_trust *channel_trust(const struct channel *channel, uint16_t binding)
{
	(void)channel;
	(void)binding;
	return NULL;
}

const struct phx_method *channel_method(const struct channel *channel, uint16_t binding,
	uint16_t method, const struct phx_schema **out_schema, const char **out_service,
	struct stats_series ***out_series)
{
	uint32_t service;

	if (binding >= channel->bindings)
		return NULL;
	service = channel->services[binding];
	if (method >= phx_schema_method_count(channel->schema, service))
		return NULL;
	*out_series = (struct stats_series **)&channel->series[binding][method];
	*out_schema = channel->schema;
	*out_service = phx_schema_service_name(channel->schema, service);
	return phx_schema_method(channel->schema, service, method);
}

// ---- client calls ----

struct path *channel_admit(struct call *call)
{
	static const struct call_status down = {
		.code = PHX_UNAVAILABLE,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_NO,
		.reason = PHX_REASON_LINK_DOWN,
	};

	if (net()->on_admit != NULL)
		net()->on_admit(bed_link_owner);
	switch (net()->admit) {
	case BED_ADMIT_NOW:
		net()->paths++;
		return &the_path;
	case BED_ADMIT_LATER:
		phx_list_add_tail(&net()->pending, &call->node);
		return NULL;
	case BED_ADMIT_FAIL:
		break;
	}
	call_complete(call, &down, NULL);
	return NULL;
}

void path_release(struct path *path)
{
	(void)path;
	net()->paths--;
}

static const struct call_status connected = {.code = PHX_OK};

void channel_connect(struct call *call)
{
	if (net()->admit == BED_ADMIT_NOW)
		call_complete(call, &connected, NULL);
	else
		phx_list_add_tail(&net()->pending, &call->node);
}

static void out_unpinned(struct outgoing *out)
{
	call_unpinned(phx_container_of(out, struct call, out));
}

void path_send(struct path *path, struct call *call)
{
	net()->paths--;
	call->path = path;
	call->state = CALL_SENT;
	phx_list_add_tail(&net()->sent, &call->node);
	if (!net()->pin)
		return;
	call->out.session = call->session;
	call->out.in_place = 1;
	call->out.unpinned = out_unpinned;
	phx_list_init(&call->out.node);
	phx_list_add_tail(&net()->pinned, &call->out.node);
	session_pin(call->session);
}

void channel_waits_for(const struct call *call, char *out_text, size_t size)
{
	(void)call;
	(void)snprintf(out_text, size, "waits in the bed");
}

void channel_forget(struct call *call)
{
	phx_list_del(&call->node);
	phx_list_del(&call->work.node);
}

void bed_link_admit(struct bed *bed)
{
	struct phx_list *n;

	bed->link.admit = BED_ADMIT_NOW;
	while ((n = phx_list_pop(&bed->link.pending)) != NULL) {
		struct call *call = phx_list_entry(n, struct call, node);

		if (call->connect) {
			call_complete(call, &connected, NULL);
			continue;
		}
		bed->link.paths++;
		call_admitted(call, &the_path);
	}
}

bool bed_link_answer(struct bed *bed, enum phx_code code, const void *image, uint32_t len)
{
	const struct iovec iov = {(void *)(uintptr_t)image, len};
	const struct reply_view view = {
		.iov = &iov,
		.iov_count = 1,
		.msg_len = len,
		.has_message = true,
	};
	const struct call_status st = {
		.code = (uint8_t)code,
		.origin = PHX_ORIGIN_APP,
		.executed = PHX_EXECUTED_YES,
		.text = "why",
		.text_len = code == PHX_OK ? 0 : 3,
	};
	struct phx_list *n = phx_list_pop(&bed->link.sent);

	if (n == NULL)
		return false;
	call_complete(phx_list_entry(n, struct call, node), &st, image != NULL ? &view : NULL);
	return true;
}

void bed_link_unpin(struct bed *bed)
{
	struct phx_list *n;

	while ((n = phx_list_pop(&bed->link.pinned)) != NULL) {
		struct outgoing *out = phx_list_entry(n, struct outgoing, node);
		struct session *session = out->session;

		out->in_place = 0;
		out->unpinned(out);
		session_unpin(session);
	}
}

// ---- server calls ----

struct rcall *bed_link_request(struct bed *bed, const void *image, uint32_t len)
{
	const struct iovec iov = {(void *)(uintptr_t)image, len};
	struct rcall *r = rcall_create(bed->session, 0, 0);

	if (r != NULL)
		rcall_deliver(r, &iov, 1, len, NULL, 0);
	return r;
}

void rcall_send(struct rcall *rcall)
{
	unsigned executed = rcall->status.executed;

	if (net()->hold_replies)
		phx_list_add_tail(&net()->replies, &rcall->node);
	else
		rcall_released(rcall);
	net()->replied[executed]++;
}

void rcall_forget(struct rcall *rcall)
{
	(void)rcall; // nothing of the network refers to it
}

void bed_link_replies(struct bed *bed)
{
	struct phx_list *n;

	while ((n = phx_list_pop(&bed->link.replies)) != NULL)
		rcall_released(phx_list_entry(n, struct rcall, node));
}
