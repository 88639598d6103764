// SPDX-License-Identifier: BSD-3-Clause
// The hello: rules decide, then memory, first queue and session are made and announced.
// Works with attach_region.c and rules.c.
#include "dataplane/frontend/attach_app.h"

#include "lib/base/bits.h"
#include "lib/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define SUB_SLOTS_DEFAULT  1024
#define RET_SLOTS_DEFAULT  1024
#define COMP_SLOTS_DEFAULT 4096
#define QUEUE_APP_MAX	   (PHX_Q_SLOTS + 2 * PHX_LIMIT_RING_SLOTS_MAX * PHX_SLOT_SIZE)
#define QUEUE_DP_MAX	   (PHX_Q_SLOTS + PHX_LIMIT_CQ_SLOTS_MAX * PHX_SLOT_SIZE)

static bool slots_ok(uint32_t asked, uint32_t def, uint32_t max, uint32_t *out)
{
	*out = asked == 0 ? def : asked;
	return phx_is_pow2(*out) && *out >= PHX_LIMIT_RING_SLOTS_MIN && *out <= max;
}

bool attach_sizes_ok(const struct phx_attach_queue_sizes *sizes, struct phx_attach_queue_sizes *out)
{
	*out = (struct phx_attach_queue_sizes){0};
	return slots_ok(sizes->sub_slots, SUB_SLOTS_DEFAULT, PHX_LIMIT_RING_SLOTS_MAX,
		       &out->sub_slots) &&
	       slots_ok(sizes->ret_slots, RET_SLOTS_DEFAULT, PHX_LIMIT_RING_SLOTS_MAX,
		       &out->ret_slots) &&
	       slots_ok(sizes->comp_slots, COMP_SLOTS_DEFAULT, PHX_LIMIT_CQ_SLOTS_MAX,
		       &out->comp_slots);
}

int attach_queue_make(struct attach_app *app, const struct phx_attach_queue_sizes *sizes)
{
	uint64_t app_size =
		PHX_Q_SLOTS + ((uint64_t)sizes->sub_slots + sizes->ret_slots) * PHX_SLOT_SIZE;
	uint64_t dp_size = PHX_Q_SLOTS + (uint64_t)sizes->comp_slots * PHX_SLOT_SIZE;
	uint32_t index = app->queue_count;
	struct attach_queue *q = &app->queues[index];
	struct attach_region *a, *d;
	// Calls and lent blocks together never exceed the return ring; half of the completion ring
	// is left to requests.
	uint32_t most = phx_min(sizes->ret_slots, sizes->comp_slots / 2);
	uint32_t calls = phx_min(most, PHX_LIMIT_INFLIGHT_MAX - app->call_slots);
	int rc;

	if (index >= PHX_LIMIT_QUEUES_MAX || calls == 0)
		return -ENOSPC;
	rc = attach_object_queue(&app->objects[0], app_size, index, &a);
	if (rc != 0)
		return rc;
	rc = attach_object_queue(&app->objects[1], dp_size, index, &d);
	if (rc != 0) {
		attach_object_undo(&app->objects[0]);
		return rc;
	}
	*q = (struct attach_queue){
		.desc =
			{
				.index = index,
				.sub_slots = sizes->sub_slots,
				.ret_slots = sizes->ret_slots,
				.comp_slots = sizes->comp_slots,
				.call_slots = calls,
				.app_offset = a->offset,
				.app_size = a->size,
				.dp_offset = d->offset,
				.dp_size = d->size,
			},
		.app_region = (uint32_t)(a - app->objects[0].regions),
		.dp_region = (uint32_t)(d - app->objects[1].regions),
		.notify_fd = -1,
	};
	app->queue_count++;
	app->call_slots += calls;
	return 0;
}

void attach_queue_undo(struct attach_app *app)
{
	app->call_slots -= app->queues[--app->queue_count].desc.call_slots;
	attach_object_undo(&app->objects[1]);
	attach_object_undo(&app->objects[0]);
}

static uint64_t quota(uint64_t asked, uint64_t limit)
{
	if (asked == 0)
		return limit;
	return phx_max(phx_align_up(phx_min(asked, limit), attach_page_size()),
		(uint64_t)PHX_LIMIT_HEAP_FIRST_BYTES);
}

// Both objects, queue 0 (the first region of both), the first heap regions and the doorbell.
static int hello_memory(struct attach_app *app, const struct phx_attach_hello_req *req,
	const struct phx_attach_queue_sizes *sizes)
{
	struct attach_budget *budget = &app->server->budget;
	struct attach_region *r;
	int rc = attach_object_init(&app->objects[0], 0, budget,
		quota(req->send_quota, PHX_LIMIT_SEND_QUOTA_DEFAULT), QUEUE_APP_MAX);

	if (rc == 0)
		rc = attach_object_init(&app->objects[1], 1, budget,
			quota(req->recv_quota, PHX_LIMIT_RECV_QUOTA_DEFAULT), QUEUE_DP_MAX);
	if (rc == 0)
		rc = attach_queue_make(app, sizes);
	if (rc == 0)
		rc = attach_object_grow(&app->objects[0], 1, &r);
	if (rc == 0)
		rc = attach_object_grow(&app->objects[1], 1, &r);
	if (rc != 0)
		return rc;
	app->doorbell = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return app->doorbell < 0 ? -errno : 0;
}

static int hello_export(struct attach_app *app, int *fds)
{
	const struct attach_object *a = &app->objects[0], *d = &app->objects[1];
	const struct phx_region *regions[] = {&a->regions[0].region, &d->regions[0].region,
		&a->regions[1].region, &d->regions[1].region};
	int i, rc = 0;

	for (i = 0; i < 4 && rc == 0; i++)
		rc = phx_region_export(regions[i], &fds[i]);
	if (rc != 0) {
		i--; // the one that failed
	} else {
		fds[4] = fcntl(app->doorbell, F_DUPFD_CLOEXEC, 0);
		rc = fds[4] < 0 ? -errno : 0;
	}
	while (rc != 0 && i > 0)
		close(fds[--i]);
	return rc;
}

static void hello_answer(struct attach_app *app, uint64_t id)
{
	const struct attach_object *a = &app->objects[0], *d = &app->objects[1];
	const struct attach_config *config = &app->server->config;
	int fds[PHX_ATTACH_FDS_MAX];
	struct phx_attach_hello_rep rep = {
		.hello = {.magic = PHX_ATTACH_MAGIC,
			.min = PHX_ATTACH_MAX,
			.max = PHX_ATTACH_MAX,
			.features = PHX_ATTACH_FEATURE_CONNECT},
		.app_id = app->id,
		.send_quota = a->range.size,
		.recv_quota = d->range.size,
		.max_message = config->max_message,
		.queue = app->queues[0].desc,
		.send_heap = attach_region_describe(a, &a->regions[1]),
		.recv_heap = attach_region_describe(d, &d->regions[1]),
	};
	int rc = hello_export(app, fds);

	memcpy(rep.hello.uuid, config->uuid, sizeof(rep.hello.uuid));
	if (rc != 0) {
		attach_refuse_errno(app, id, rc, "no descriptors for shared memory");
		attach_close(app, PHX_REASON_NO_MEMORY, "no descriptors for shared memory");
		return;
	}
	app->state = ATTACH_MAPPING;
	attach_send(app, &rep, sizeof(rep), PHX_ATTACH_REPLY, id, fds, PHX_ATTACH_FDS_MAX);
}

static void refuse_and_close(struct attach_app *app, uint64_t id, enum phx_code code,
	enum phx_reason reason, const char *text)
{
	app->server->stats.refused++;
	attach_refuse(app, id, code, reason, text);
	attach_close(app, reason, text);
}

// True when a rule lets the application in; answered otherwise.
static bool hello_admit(struct attach_app *app, uint64_t id)
{
	const struct rules_attach *rule = NULL;

	if (app->server->draining) {
		refuse_and_close(app, id, PHX_UNAVAILABLE, PHX_REASON_ADMIN,
			"the host is being taken out of service");
		return false;
	}
	switch (rules_attach_decide(app->server->config.rules, &app->identity, &rule)) {
	case RULES_VERDICT_NONE:
		refuse_and_close(app, id, PHX_UNAVAILABLE, PHX_REASON_NO_RULES,
			"no rules from the control plane yet");
		return false;
	case RULES_VERDICT_DENY:
		refuse_and_close(app, id, PHX_PERMISSION_DENIED, PHX_REASON_DENIED,
			"no rule allows this process to attach");
		return false;
	case RULES_VERDICT_ALLOW:
		break;
	}
	(void)snprintf(app->rule, sizeof(app->rule), "%s", rule->name); // cut off when long
	if (rule->app != NULL)
		(void)snprintf(app->name, sizeof(app->name), "%s", rule->app);
	return true;
}

// A claim: printable characters only, for display.
static void copy_claim(char *out, const char *in, size_t size)
{
	size_t i, len = strnlen(in, size);

	for (i = 0; i < len; i++)
		out[i] = in[i] >= 0x20 && in[i] < 0x7f ? in[i] : '?';
	out[len] = '\0';
}

void attach_hello(struct attach_app *app, const struct phx_attach_hello_req *req)
{
	struct phx_attach_queue_sizes sizes;
	uint64_t id = req->h.id;
	int rc;

	copy_claim(app->claim, req->name, sizeof(req->name));
	copy_claim(app->library, req->library, sizeof(req->library));
	if (req->hello.magic != PHX_ATTACH_MAGIC || req->hello.min > req->hello.max ||
		req->hello.min > PHX_ATTACH_MAX || req->hello.max < PHX_ATTACH_MIN) {
		refuse_and_close(app, id, PHX_FAILED_PRECONDITION, PHX_REASON_HELLO_VERSION,
			"no common version");
		return;
	}
	if (!attach_sizes_ok(&req->queue, &sizes)) {
		refuse_and_close(app, id, PHX_INVALID_ARGUMENT, PHX_REASON_RING_CFG,
			"ring sizes must be powers of two within the limits");
		return;
	}
	if (!hello_admit(app, id))
		return;
	rc = hello_memory(app, req, &sizes);
	if (rc == 0)
		rc = attach_session_create(app);
	if (rc != 0) {
		phx_log_warn("attach", "app-%llu: no memory for a session: %s",
			(unsigned long long)app->id, strerrorname_np(-rc));
		refuse_and_close(app, id, PHX_RESOURCE_EXHAUSTED, PHX_REASON_NO_MEMORY,
			"no memory for a session");
		return;
	}
	hello_answer(app, id);
}
