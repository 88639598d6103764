// SPDX-License-Identifier: BSD-3-Clause
// The server end: the schema of a service for the policies of the client's side. Nothing is kept
// between two parts; the client asks for each. Worker thread.
#include "dataplane/link/server.h"

#define PART_BYTES 32768u
// A client that does not take what it asks for gets no more; it gives up by itself.
#define BACKLOG_MAX 16u

// The oldest instance on this worker speaks for all: what they have in common keeps its numbers.
static const struct phx_schema *schema_of(const struct rchannel *rc, uint32_t subscription)
{
	const struct worker *worker = rc->link->worker;
	const struct service_set *set =
		atomic_load_explicit(worker->services, memory_order_acquire);
	int service = rc->subscriptions[subscription]->service;
	const struct service_entry *e;

	if (service < 0)
		return NULL;
	e = &set->entries[service];
	for (uint32_t i = 0; i < e->instance_count; i++) {
		if (e->instances[i].worker == worker->index)
			return e->instances[i].schema;
	}
	return NULL;
}

int server_schema(struct rchannel *rc, const struct phx_frame *f, enum phx_reason *reason)
{
	struct phx_frame part = {
		.type = PHX_FRAME_SCHEMA,
		.epoch = rc->epoch,
		.channel = rc->id,
		.arg = f->arg,
	};
	const struct phx_schema *schema;
	const uint8_t *table = NULL;
	struct iovec iov = {NULL, 0};
	size_t size = 0;

	if (f->service >= rc->subscription_count) {
		*reason = PHX_REASON_W_STATE;
		return -EPROTO;
	}
	if (rc->link->backlog_count > BACKLOG_MAX) {
		conn_count(&rc->link->dropped_frames, 1);
		return 0;
	}
	schema = schema_of(rc, f->service);
	if (schema != NULL)
		table = phx_schema_table(schema, &size);
	if (f->arg < size) { // else nothing: it has gone, or has changed meanwhile
		iov.iov_base = (void *)(uintptr_t)(table + f->arg);
		iov.iov_len = phx_min(size - f->arg, (size_t)PART_BYTES);
		part.limit = (uint32_t)size;
	}
	part.service = rc->subscriptions[f->service]->binding;
	part.payload_len = (uint32_t)iov.iov_len;
	link_send(rc->link, &part, &iov, part.payload_len != 0);
	return 0;
}
