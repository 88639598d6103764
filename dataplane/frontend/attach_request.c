// SPDX-License-Identifier: BSD-3-Clause
// Requests of an application: sizes and states are checked here against one table; semantic
// mistakes are refused, impossible packets disconnect.
#include "dataplane/frontend/attach_app.h"

#include "lib/base/bits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void on_mapped(struct attach_app *app, const void *packet)
{
	const struct phx_attach_mapped *req = packet;
	struct attach_object *o = req->object < 2 ? &app->objects[req->object] : NULL;
	const struct attach_region *r;
	int rc = o == NULL ? -EINVAL : attach_object_mapped(o, req->index);

	if (rc == -EINVAL) {
		attach_close(app, PHX_REASON_DESC_REGION, "mapped a region that does not exist");
		return;
	}
	if (rc != 0) {
		attach_close(app, PHX_REASON_NO_MEMORY, "region cannot be sealed");
		return;
	}
	r = &o->regions[req->index];
	if (app->state == ATTACH_MAPPING) {
		// The first two regions of each object belong to the hello.
		const struct attach_object *a = &app->objects[0], *d = &app->objects[1];

		if (a->regions[0].mapped && a->regions[1].mapped && d->regions[0].mapped &&
			d->regions[1].mapped)
			attach_session_start(app, req->h.id);
		else
			attach_reply(app, req->h.id);
	} else if (r->kind == PHX_REGION_HEAP) {
		attach_session_region(app, req->h.id, r, o->number == 1);
	} else if (app->objects[0].regions[app->queues[r->queue].app_region].mapped &&
		   app->objects[1].regions[app->queues[r->queue].dp_region].mapped) {
		attach_session_queue(app, req->h.id, r->queue);
	} else {
		attach_reply(app, req->h.id);
	}
}

static void on_queue_create(struct attach_app *app, const void *packet)
{
	const struct phx_attach_queue_create *req = packet;
	struct phx_attach_queue_rep rep = {0};
	struct phx_attach_queue_sizes sizes;
	struct attach_queue *q;
	int fds[2], rc;

	if (!attach_sizes_ok(&req->sizes, &sizes)) {
		attach_refuse(app, req->h.id, PHX_INVALID_ARGUMENT, PHX_REASON_RING_CFG,
			"ring sizes must be powers of two within the limits");
		return;
	}
	if (!app->queues[app->queue_count - 1].live) {
		attach_refuse(app, req->h.id, PHX_FAILED_PRECONDITION, PHX_REASON_INVALID,
			"the queue before is not mapped");
		return;
	}
	rc = attach_queue_make(app, &sizes);
	if (rc != 0) {
		attach_refuse_errno(app, req->h.id, rc, "no room for a queue");
		return;
	}
	q = &app->queues[app->queue_count - 1];
	rep.queue = q->desc;
	rep.app_region = q->app_region;
	rep.dp_region = q->dp_region;
	rc = phx_region_export(&app->objects[0].regions[q->app_region].region, &fds[0]);
	if (rc == 0) {
		rc = phx_region_export(&app->objects[1].regions[q->dp_region].region, &fds[1]);
		if (rc != 0)
			close(fds[0]);
	}
	if (rc != 0) {
		attach_queue_undo(app);
		attach_refuse_errno(app, req->h.id, rc, "no descriptors for a queue");
		return;
	}
	attach_send(app, &rep, sizeof(rep), PHX_ATTACH_REPLY, req->h.id, fds, 2);
}

static void on_queue_fd(struct attach_app *app, const void *packet)
{
	const struct phx_attach_queue_fd *req = packet;

	if (req->queue >= app->queue_count || !app->queues[req->queue].live)
		attach_refuse_errno(app, req->h.id, -ENOENT, "no such queue");
	else if (app->queues[req->queue].notify_fd >= 0)
		attach_refuse_errno(app, req->h.id, -EEXIST, "the queue has a descriptor");
	else
		attach_session_notify(app, req->h.id, req->queue);
}

static void on_heap_grow(struct attach_app *app, const void *packet)
{
	const struct phx_attach_heap_grow *req = packet;
	struct phx_attach_region_rep rep = {0};
	struct attach_region *r;
	int fd, rc = attach_object_grow(&app->objects[0], req->size, &r);

	if (rc != 0) {
		attach_refuse_errno(app, req->h.id, rc,
			rc == -ENOMEM ? "memory of all applications is used up"
				      : "send quota is used up");
		return;
	}
	rc = phx_region_export(&r->region, &fd);
	if (rc != 0) {
		attach_object_undo(&app->objects[0]);
		attach_refuse_errno(app, req->h.id, rc, "no descriptor for a region");
		return;
	}
	rep.region = attach_region_describe(&app->objects[0], r);
	attach_send(app, &rep, sizeof(rep), PHX_ATTACH_REPLY, req->h.id, &fd, 1);
}

// What a table takes together with its bound form, in its own size: 128 bytes for the 24 of a type
// without fields, less for all else.
#define SCHEMA_COST 6

static int schema_charge(struct attach_app *app, uint64_t size)
{
	int rc = attach_budget_take(&app->server->budget, size * SCHEMA_COST);

	if (rc == 0)
		app->schema_bytes += size * SCHEMA_COST;
	return rc;
}

static void schema_uncharge(struct attach_app *app, uint64_t size)
{
	attach_budget_give(&app->server->budget, size * SCHEMA_COST);
	app->schema_bytes -= size * SCHEMA_COST;
}

static void upload_drop(struct attach_app *app)
{
	if (app->upload != NULL)
		schema_uncharge(app, app->upload_size);
	free(app->upload);
	app->upload = NULL;
}

// The last part of a table has come.
static void schema_complete(struct attach_app *app, uint64_t id)
{
	struct phx_schema *schema;
	const char *error = "bad schema";
	int rc = phx_schema_bind(app->upload, app->upload_size, &schema, &error);
	bool sound = rc == 0 || rc == -ENOMEM;

	if (rc == 0)
		rc = attach_session_schema(app, id, schema);
	if (rc != 0)
		schema_uncharge(app, app->upload_size);
	free(app->upload);
	app->upload = NULL;
	if (!sound)
		attach_refuse(app, id, PHX_INVALID_ARGUMENT, PHX_REASON_SCHEMA, error);
	else if (rc != 0)
		attach_refuse_errno(app, id, rc, "no memory for a schema");
}

static int upload_start(struct attach_app *app, uint32_t size)
{
	int rc = schema_charge(app, size);

	if (rc != 0)
		return rc;
	app->upload = malloc(size);
	app->upload_size = size;
	app->upload_fill = 0;
	if (app->upload != NULL)
		return 0;
	schema_uncharge(app, size);
	return -ENOMEM;
}

static void on_schema_put(struct attach_app *app, const void *packet)
{
	const struct phx_attach_schema_put *req = packet;
	struct phx_attach_handle_rep rep = {0};

	if (req->offset == 0) { // also gives up a table that was not finished
		upload_drop(app);
		if (req->total == 0 || req->total > PHX_LIMIT_SCHEMA_BYTES_MAX) {
			attach_refuse_errno(app, req->h.id, -E2BIG, "schema too large");
			return;
		}
		if (app->schema_count == PHX_LIMIT_SCHEMAS_MAX) {
			attach_refuse_errno(app, req->h.id, -ENOSPC, "too many schemas");
			return;
		}
		if (upload_start(app, req->total) != 0) {
			attach_refuse_errno(app, req->h.id, -ENOMEM, "no memory for a schema");
			return;
		}
	}
	if (app->upload == NULL || req->total != app->upload_size ||
		req->offset != app->upload_fill || req->len == 0 ||
		!phx_range_ok(req->offset, req->len, req->total)) {
		attach_refuse_errno(app, req->h.id, -EINVAL, "parts of a schema out of order");
		return;
	}
	memcpy(app->upload + req->offset, req + 1, req->len);
	app->upload_fill += req->len;
	if (app->upload_fill == app->upload_size)
		schema_complete(app, req->h.id);
	else
		attach_send(app, &rep, sizeof(rep), PHX_ATTACH_REPLY, req->h.id, NULL, 0);
}

// Names are of [A-Za-z0-9_.-]: they appear in logs, lists and on the wire.
static bool copy_name(char *out, const void *bytes, size_t len)
{
	size_t i;

	if (len > PHX_LIMIT_NAME_BYTES)
		return false;
	for (i = 0; i < len; i++) {
		char c = ((const char *)bytes)[i];

		if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
			c != '_' && c != '.' && c != '-')
			return false;
		out[i] = c;
	}
	out[len] = '\0';
	return true;
}

static void on_channel_open(struct attach_app *app, const void *packet)
{
	const struct phx_attach_channel_open *req = packet;
	const struct attach_config *config = &app->server->config;
	static const char local[] = "local:";
	size_t skip = sizeof(local) - 1, len = req->target_len;
	const char *target = (const char *)(req + 1);
	char group[PHX_LIMIT_NAME_BYTES + 1];

	if (len <= PHX_LIMIT_NAME_BYTES && len >= skip && memcmp(target, local, skip) == 0) {
		if (copy_name(group, target + skip, len - skip))
			attach_session_channel(app, req->h.id, group, 0);
		else
			attach_refuse_errno(
				app, req->h.id, -EINVAL, "a group is named with [A-Za-z0-9_.-]");
		return;
	}
	if (len == 0 || len > PHX_LIMIT_NAME_BYTES || memchr(target, '\0', len) != NULL) {
		attach_refuse_errno(app, req->h.id, -EINVAL, "bad target");
		return;
	}
	if (config->open_remote == NULL) {
		attach_refuse(app, req->h.id, PHX_UNIMPLEMENTED, PHX_REASON_UNIMPLEMENTED,
			"no transport for this target");
		return;
	}
	app->job.id = req->h.id;
	app->job.remote = true;
	memcpy(app->job.name, target, len);
	app->job.name[len] = '\0';
	attach_set_busy(app, true);
	config->open_remote(config->open_remote_arg, &app->job, app->job.name, app->worker->index,
		req->timeout_ns);
}

static void on_channel_close(struct attach_app *app, const void *packet)
{
	const struct phx_attach_handle_req *req = packet;

	attach_session_channel_close(app, req->h.id, req->handle);
}

static void on_bind(struct attach_app *app, const void *packet)
{
	const struct phx_attach_bind *req = packet;

	attach_session_bind(app, req->h.id, req);
}

static void refuse_register(
	struct attach_app *app, uint64_t id, const char *group, const char *service)
{
	char text[PHX_LIMIT_STATUS_TEXT_BYTES];

	(void)snprintf(text, sizeof(text), "no rule allows uid %u to register %s in group %s",
		(unsigned)app->identity.uid, service, group);
	attach_refuse_errno(app, id, -EACCES, text);
}

static void on_register(struct attach_app *app, const void *packet)
{
	const struct phx_attach_register *req = packet;
	const struct attach_config *config = &app->server->config;
	char group[PHX_LIMIT_NAME_BYTES + 1] = "default", name[PHX_LIMIT_NAME_BYTES + 1];
	const struct phx_schema *schema;
	const char *service;

	if (req->schema >= app->schema_count || req->queue >= app->queue_count ||
		!app->queues[req->queue].live) {
		attach_refuse_errno(app, req->h.id, -ENOENT, "no such schema or queue");
		return;
	}
	schema = app->schemas[req->schema];
	if (req->service >= phx_schema_service_count(schema)) {
		attach_refuse_errno(app, req->h.id, -ENOENT, "no such service in the schema");
		return;
	}
	service = phx_schema_service_name(schema, req->service);
	if (!copy_name(name, service, strlen(service)) || name[0] == '\0' ||
		(req->group_len != 0 && !copy_name(group, req + 1, req->group_len))) {
		attach_refuse_errno(app, req->h.id, -EINVAL, "bad name of a service or group");
		return;
	}
	if (rules_register_decide(config->rules, &app->identity, group, name, NULL) !=
		RULES_VERDICT_ALLOW) {
		refuse_register(app, req->h.id, group, name);
		return;
	}
	attach_session_register(app, req->h.id, req, group);
}

static void on_unregister(struct attach_app *app, const void *packet)
{
	const struct phx_attach_handle_req *req = packet;

	attach_session_unregister(app, req->h.id, req->handle);
}

static void on_goodbye(struct attach_app *app, const void *packet)
{
	const struct phx_attach_header *h = packet;

	attach_reply(app, h->id);
	attach_close(app, PHX_REASON_DETACHED, "goodbye");
}

static void on_hello(struct attach_app *app, const void *packet)
{
	attach_hello(app, packet);
}

#define IN_HELLO   (1u << ATTACH_HELLO)
#define IN_MAPPING (1u << ATTACH_MAPPING)
#define IN_READY   (1u << ATTACH_READY)

// Fixed size, where a 32-bit length of bytes that follow stands (0 = none), legal states.
static const struct request {
	void (*handle)(struct attach_app *app, const void *packet);
	size_t size;
	size_t tail_at;
	unsigned states;
} requests[] = {
	[PHX_ATTACH_HELLO] = {on_hello, sizeof(struct phx_attach_hello_req), 0, IN_HELLO},
	[PHX_ATTACH_MAPPED] = {on_mapped, sizeof(struct phx_attach_mapped), 0,
		IN_MAPPING | IN_READY},
	[PHX_ATTACH_QUEUE_CREATE] = {on_queue_create, sizeof(struct phx_attach_queue_create), 0,
		IN_READY},
	[PHX_ATTACH_QUEUE_FD] = {on_queue_fd, sizeof(struct phx_attach_queue_fd), 0, IN_READY},
	[PHX_ATTACH_HEAP_GROW] = {on_heap_grow, sizeof(struct phx_attach_heap_grow), 0, IN_READY},
	[PHX_ATTACH_SCHEMA_PUT] = {on_schema_put, sizeof(struct phx_attach_schema_put),
		offsetof(struct phx_attach_schema_put, len), IN_READY},
	[PHX_ATTACH_CHANNEL_OPEN] = {on_channel_open, sizeof(struct phx_attach_channel_open),
		offsetof(struct phx_attach_channel_open, target_len), IN_READY},
	[PHX_ATTACH_CHANNEL_CLOSE] = {on_channel_close, sizeof(struct phx_attach_handle_req), 0,
		IN_READY},
	[PHX_ATTACH_BIND] = {on_bind, sizeof(struct phx_attach_bind), 0, IN_READY},
	[PHX_ATTACH_REGISTER] = {on_register, sizeof(struct phx_attach_register),
		offsetof(struct phx_attach_register, group_len), IN_READY},
	[PHX_ATTACH_UNREGISTER] = {on_unregister, sizeof(struct phx_attach_handle_req), 0,
		IN_READY},
	[PHX_ATTACH_GOODBYE] = {on_goodbye, sizeof(struct phx_attach_header), 0,
		IN_HELLO | IN_MAPPING | IN_READY},
};

void attach_request(struct attach_app *app, const uint8_t *packet, size_t size)
{
	struct phx_attach_header h;
	const struct request *r;
	uint32_t tail = 0;

	memcpy(&h, packet, sizeof(h));
	r = h.type < PHX_ARRAY_LEN(requests) ? &requests[h.type] : NULL;
	if (r == NULL || r->handle == NULL) {
		attach_close(app, PHX_REASON_DESC_KIND, "packet of unknown type");
		return;
	}
	if ((r->states & (1u << app->state)) == 0) {
		attach_close(app, PHX_REASON_HELLO_STATE, "packet in the wrong state");
		return;
	}
	if (size >= r->size && r->tail_at != 0)
		memcpy(&tail, packet + r->tail_at, sizeof(tail));
	if (size < r->size || size - r->size != tail) {
		attach_close(app, PHX_REASON_HELLO_STATE, "packet of the wrong size");
		return;
	}
	r->handle(app, packet);
}
