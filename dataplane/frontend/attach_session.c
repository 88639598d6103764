// SPDX-License-Identifier: BSD-3-Clause
// The boundary between app.sock (control thread) and the session (worker): each change is a job
// that runs on the worker and comes back with its result. Works with session.h and registry.h.
#include "dataplane/frontend/attach_app.h"

#include "dataplane/core/chain.h"
#include "dataplane/core/event.h"
#include "dataplane/core/registry.h"
#include "lib/base/clock.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

// ---- jobs ----

static void job_returned(struct worker *worker, struct cmd *cmd)
{
	struct attach_job *job = phx_container_of(cmd, struct attach_job, cmd);
	struct attach_app *app = job->app;

	(void)worker;
	attach_set_busy(app, false);
	if (app->state != ATTACH_CLOSING)
		job->done(job);
}

static void job_run(struct worker *worker, struct cmd *cmd)
{
	struct attach_job *job = phx_container_of(cmd, struct attach_job, cmd);

	(void)worker;
	job->rc = job->run(job);
	ctl_post(job->app->server->config.loop, cmd, job_returned);
}

void attach_job_post(struct attach_app *app, uint64_t id, int (*run)(struct attach_job *),
	void (*done)(struct attach_job *))
{
	struct attach_job *job = &app->job;

	job->app = app;
	job->run = run;
	job->done = done;
	job->id = id;
	attach_set_busy(app, true);
	worker_post(app->worker, &job->cmd, job_run);
}

// Answer without a body.
static void job_answer(struct attach_job *job)
{
	if (job->rc == 0)
		attach_reply(job->app, job->id);
	else
		attach_refuse_errno(job->app, job->id, job->rc, strerrorname_np(-job->rc));
}

static void job_answer_handle(struct attach_job *job)
{
	struct phx_attach_handle_rep rep = {.handle = job->handle};

	if (job->rc == 0)
		attach_send(job->app, &rep, sizeof(rep), PHX_ATTACH_REPLY, job->id, NULL, 0);
	else
		job_answer(job);
}

// ---- what the session says (worker) ----

static void failed_on_control(struct worker *worker, struct cmd *cmd)
{
	struct attach_app *app = phx_container_of(cmd, struct attach_app, fail_cmd);

	(void)worker;
	attach_close(app, app->fail_reason, app->fail_text);
}

static void session_failed(void *ctl, enum phx_reason reason, const char *text)
{
	struct attach_app *app = ctl;

	if (atomic_exchange_explicit(&app->failed, true, memory_order_relaxed))
		return;
	app->fail_reason = reason;
	(void)snprintf(app->fail_text, sizeof(app->fail_text), "%s", text != NULL ? text : "");
	ctl_post(app->server->config.loop, &app->fail_cmd, failed_on_control);
}

// The last of a wish, on the worker.
static void want_answered(struct worker *worker, struct cmd *cmd)
{
	struct attach_app *app = phx_container_of(cmd, struct attach_app, want_cmd);

	(void)worker;
	session_recv_region_answer(app->session, app->want_rc);
	// Release: control has read want_size, and the next wish writes it (session_wants_region).
	atomic_store_explicit(&app->wanting, false, memory_order_release);
}

static int want_region(struct attach_app *app)
{
	struct phx_attach_region_rep event = {0};
	struct attach_region *r;
	int fd, rc = attach_object_grow(&app->objects[1], app->want_size, &r);

	if (rc != 0)
		return rc; // counted by the budget; the waiting message runs into its time limit
	rc = phx_region_export(&r->region, &fd);
	if (rc != 0) {
		attach_object_undo(&app->objects[1]);
		return rc;
	}
	event.region = attach_region_describe(&app->objects[1], r);
	attach_send(app, &event, sizeof(event), PHX_ATTACH_EVENT_REGION, 0, &fd, 1);
	return 0;
}

void attach_session_want(struct attach_app *app)
{
	app->want_deferred = app->moving; // its worker is not known
	if (app->want_deferred || app->state != ATTACH_READY)
		return;
	app->want_rc = want_region(app);
	worker_post(app->worker, &app->want_cmd, want_answered);
}

static void want_on_control(struct worker *worker, struct cmd *cmd)
{
	(void)worker;
	attach_session_want(phx_container_of(cmd, struct attach_app, want_cmd));
}

static void session_wants_region(void *ctl, uint64_t size)
{
	struct attach_app *app = ctl;

	if (atomic_exchange_explicit(&app->wanting, true, memory_order_acquire))
		return;
	app->want_size = size;
	ctl_post(app->server->config.loop, &app->want_cmd, want_on_control);
}

// ---- life ----

// The policies that apply to an application depend on who it is.
static int chains_add(struct attach_app *app, const struct rules_attach *rule, uint32_t *out_slot)
{
	struct chain_label labels[PHX_LIMIT_LABELS_MAX];
	struct chain_session session = {
		.app = app->id,
		.uid = app->identity.uid,
		.gid = app->identity.gid,
		.name = app->name,
		.labels = labels,
	};
	struct attach_server *server = app->server;

	*out_slot = CHAIN_SLOT_NONE;
	if (server->config.chains == NULL)
		return 0;
	for (size_t i = 0; rule != NULL && i < rule->label_count && i < PHX_LIMIT_LABELS_MAX; i++)
		labels[session.label_count++] =
			(struct chain_label){rule->labels[i].key, rule->labels[i].value};
	return chain_session_add(server->config.chains, &session, out_slot);
}

int attach_session_create(struct attach_app *app)
{
	struct attach_server *server = app->server;
	struct session_config config = {
		.id = app->id,
		.app_base = app->objects[0].range.base,
		.dp_base = app->objects[1].range.base,
		.doorbell_fd = app->doorbell,
		.recv_quota = app->objects[1].heap_quota,
		.max_message = server->config.max_message,
		.snapshot_quota = PHX_LIMIT_SNAPSHOT_QUOTA,
		.ctl = app,
		.failed = session_failed,
		.want_region = session_wants_region,
	};
	const struct rules_attach *rule = NULL;
	int rc;

	(void)rules_attach_decide(server->config.rules, &app->identity, &rule); // it was admitted
	rc = chains_add(app, rule, &config.chain_slot);
	if (rc != 0)
		return rc;
	attach_place(app, rule);
	rc = session_create(&config, &app->session);
	if (rc != 0 && server->config.chains != NULL)
		chain_session_remove(server->config.chains, config.chain_slot);
	return rc;
}

static int queue_add(struct attach_app *app, uint32_t index)
{
	const struct phx_attach_queue *q = &app->queues[index].desc;
	const struct session_queue_config config = {
		.index = index,
		.sub_slots = q->sub_slots,
		.ret_slots = q->ret_slots,
		.comp_slots = q->comp_slots,
		.call_slots = q->call_slots,
		.app_offset = q->app_offset,
		.dp_offset = q->dp_offset,
	};

	return session_queue_add(app->session, &config);
}

static int run_start(struct attach_job *job)
{
	struct attach_app *app = job->app;
	const struct attach_region *a = &app->objects[0].regions[1];
	const struct attach_region *d = &app->objects[1].regions[1];
	int rc = session_start(app->session, app->worker);

	if (rc != 0)
		return rc;
	app->started = true; // read by control after this job has come back
	rc = queue_add(app, 0);
	if (rc == 0)
		rc = session_send_region_add(app->session, a->offset, a->size);
	if (rc == 0)
		rc = session_recv_region_add(app->session, d->offset, d->size);
	return rc;
}

static void tell_attached(const struct attach_app *app)
{
	char id[EVENT_ID_BYTES], uid[16], pid[16];

	(void)snprintf(uid, sizeof(uid), "%u", app->identity.uid);
	(void)snprintf(pid, sizeof(pid), "%d", app->identity.pid);
	EVENT_TELL("app.attached", event_id(id, "app", app->id), {"name", app->name},
		{"claimed_name", app->claim}, {"rule", app->rule}, {"uid", uid, true},
		{"pid", pid, true});
}

static void done_start(struct attach_job *job)
{
	struct attach_app *app = job->app;

	if (job->rc != 0) {
		job_answer(job);
		attach_close(app, PHX_REASON_NO_MEMORY, "session cannot start");
		return;
	}
	app->state = ATTACH_READY;
	app->queues[0].live = true;
	app->server->pending_count--;
	ctl_timer_stop(app->server->config.loop, &app->timer);
	attach_reply(app, job->id);
	tell_attached(app);
}

void attach_session_start(struct attach_app *app, uint64_t id)
{
	attach_job_post(app, id, run_start, done_start);
}

// ---- regions and queues ----

static int run_send_region(struct attach_job *job)
{
	return session_send_region_add(job->app->session, job->offset, job->size);
}

static int run_recv_region(struct attach_job *job)
{
	return session_recv_region_add(job->app->session, job->offset, job->size);
}

void attach_session_region(
	struct attach_app *app, uint64_t id, const struct attach_region *r, bool receive)
{
	app->job.offset = r->offset;
	app->job.size = r->size;
	attach_job_post(app, id, receive ? run_recv_region : run_send_region, job_answer);
}

static int run_queue(struct attach_job *job)
{
	return queue_add(job->app, job->queue);
}

static void done_queue(struct attach_job *job)
{
	job->app->queues[job->queue].live = job->rc == 0;
	job_answer(job);
}

void attach_session_queue(struct attach_app *app, uint64_t id, uint32_t queue)
{
	app->job.queue = queue;
	attach_job_post(app, id, run_queue, done_queue);
}

static int run_notify(struct attach_job *job)
{
	return session_queue_set_notify(
		job->app->session, job->queue, job->app->queues[job->queue].notify_fd);
}

// handle carries the application's end; the other one never leaves this process.
static void done_notify(struct attach_job *job)
{
	struct phx_attach_header h;
	int fd = (int)job->handle;

	if (job->rc == 0) {
		attach_send(job->app, &h, sizeof(h), PHX_ATTACH_REPLY, job->id, &fd, 1);
		job->handle = 0;
		job->notify = false;
		return;
	}
	close(fd);
	job->notify = false;
	job_answer(job);
}

void attach_session_notify(struct attach_app *app, uint64_t id, uint32_t queue)
{
	int pair[2];

	// A socket pair, because the application could make writes to a shared eventfd block.
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0) {
		attach_refuse_errno(app, id, -errno, "no descriptor for a queue");
		return;
	}
	app->queues[queue].notify_fd = pair[0];
	app->job.queue = queue;
	app->job.handle = (uint32_t)pair[1];
	app->job.notify = true;
	attach_job_post(app, id, run_notify, done_notify);
}

// ---- schemas, channels, services ----

static int run_schema(struct attach_job *job)
{
	int rc = session_schema_add(job->app->session, job->owned_schema, &job->handle);

	if (rc != 0)
		return rc;
	job->lent_schema = job->owned_schema;
	job->owned_schema = NULL;
	return 0;
}

static void done_schema(struct attach_job *job)
{
	struct attach_app *app = job->app;

	assert(job->rc == 0); // the limit was looked at before
	app->schemas[job->handle] = job->lent_schema;
	app->schema_count = job->handle + 1;
	job_answer_handle(job);
}

// Policies first: a schema that they do not know must not be one of the session's.
int attach_session_schema(struct attach_app *app, uint64_t id, struct phx_schema *take_schema)
{
	struct chain_host *chains = app->server->config.chains;
	int rc = chains == NULL ? 0
				: chain_session_schema(
					  chains, session_chain_slot(app->session), take_schema);

	if (rc != 0) {
		phx_schema_free(take_schema);
		return rc;
	}
	app->job.owned_schema = take_schema;
	attach_job_post(app, id, run_schema, done_schema);
	return 0;
}

static int run_channel(struct attach_job *job)
{
	return session_channel_open(job->app->session, job->name, job->peer, &job->handle);
}

void attach_session_channel(struct attach_app *app, uint64_t id, const char *group, uint64_t peer)
{
	if (group != app->job.name)
		(void)snprintf(app->job.name, sizeof(app->job.name), "%s", group); // checked
	app->job.peer = peer;
	attach_job_post(app, id, run_channel, job_answer_handle);
}

void attach_channel_opened(struct attach_job *job, int rc, uint64_t peer, const char *group,
	enum phx_code code, enum phx_reason reason, const char *text)
{
	struct attach_app *app = phx_container_of(job, struct attach_app, job);

	job->remote = false;
	attach_set_busy(app, false);
	if (app->state == ATTACH_CLOSING)
		return;
	if (rc == 0)
		attach_session_channel(app, job->id, group != NULL ? group : "", peer);
	else
		attach_refuse(app, job->id, code, reason, text);
}

static int run_channel_close(struct attach_job *job)
{
	return session_channel_close(job->app->session, job->channel);
}

void attach_session_channel_close(struct attach_app *app, uint64_t id, uint32_t handle)
{
	app->job.channel = handle;
	attach_job_post(app, id, run_channel_close, job_answer);
}

static int run_bind(struct attach_job *job)
{
	return session_bind(
		job->app->session, job->channel, job->schema, job->service, &job->handle);
}

void attach_session_bind(struct attach_app *app, uint64_t id, const struct phx_attach_bind *req)
{
	app->job.channel = req->channel;
	app->job.schema = req->schema;
	app->job.service = req->service;
	attach_job_post(app, id, run_bind, job_answer_handle);
}

static int run_register(struct attach_job *job)
{
	return session_register(
		job->app->session, job->schema, job->service, job->queue, &job->handle);
}

static int run_unregister(struct attach_job *job)
{
	session_unregister(job->app->session, job->handle);
	return job->rc; // of a registration that is undone
}

// The session serves it: now the workers may find it.
static void done_register(struct attach_job *job)
{
	struct attach_app *app = job->app;
	const struct phx_schema *schema = app->schemas[job->schema];
	const struct service_instance instance = {
		.session = app->session,
		.worker = app->worker->index,
		.handle = job->handle,
		.schema = schema,
		.service = job->service,
		.hash = phx_schema_service_hash(schema, job->service),
	};

	if (job->rc == 0) {
		app->registered = true;
		job->rc = registry_add(app->server->config.registry, job->name,
			phx_schema_service_name(schema, job->service), app->identity.uid,
			&instance);
		if (job->rc != 0) {
			attach_job_post(app, job->id, run_unregister, job_answer);
			return;
		}
	}
	job_answer_handle(job);
}

void attach_session_register(struct attach_app *app, uint64_t id,
	const struct phx_attach_register *req, const char *group)
{
	app->job.schema = req->schema;
	app->job.service = req->service;
	app->job.queue = req->queue;
	(void)snprintf(app->job.name, sizeof(app->job.name), "%s", group); // checked
	attach_job_post(app, id, run_register, done_register);
}

void attach_session_unregister(struct attach_app *app, uint64_t id, uint32_t handle)
{
	if (handle == UINT32_MAX) { // means all of them to the registry
		attach_refuse_errno(app, id, -ENOENT, "no such service");
		return;
	}
	registry_remove(app->server->config.registry, app->session, handle);
	app->job.handle = handle;
	app->job.rc = 0;
	attach_job_post(app, id, run_unregister, job_answer);
}
