// SPDX-License-Identifier: BSD-3-Clause
// Life of a session and the commands that change it, see session.h. Not hot.
#include "dataplane/frontend/session.h"

#include "dataplane/core/chain.h"
#include "dataplane/core/worker.h"
#include "dataplane/frontend/complete.h"
#include "dataplane/frontend/lent.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/serve.h"
#include "dataplane/frontend/submit.h"

#include <stdlib.h>

int session_create(const struct session_config *config, struct session **out_session)
{
	struct session *session = calloc(1, sizeof(*session));
	int rc;

	if (session == NULL)
		return -ENOMEM;
	rc = phx_heap_create(&session->recv);
	if (rc != 0) {
		free(session);
		return rc;
	}
	session->config = *config;
	session->source.ops = &session_source_ops;
	session->source.fd = config->doorbell_fd;
	phx_list_init(&session->source.node);
	session->app.base = config->app_base;
	session->app.regions = session->regions;
	phx_list_init(&session->recv_waiters[0]);
	phx_list_init(&session->recv_waiters[1]);
	phx_list_init(&session->work);
	session->rcall_free = UINT32_MAX;
	session->lent_free = UINT32_MAX;
	*out_session = session;
	return 0;
}

void session_destroy(struct session *session)
{
	if (session == NULL)
		return;
	for (uint32_t i = 0; i < session->queue_count; i++) {
		free(session->queues[i]->calls);
		free(session->queues[i]);
	}
	for (uint32_t i = 0; i < session->rcall_size; i++)
		free(session->rcalls[i]);
	for (uint32_t i = 0; i < session->schema_count; i++)
		phx_schema_free(session->schemas[i]);
	for (uint32_t i = 0; i < session->registration_count; i++)
		free(session->registrations[i].series);
	free(session->rcalls);
	free(session->rcall_history);
	free(session->lent);
	free(session->channels);
	free(session->registrations);
	phx_heap_destroy(session->recv);
	free(session);
}

bool session_is_quiet(const struct session *session)
{
	return atomic_load_explicit(&session->quiet, memory_order_acquire);
}

int session_start(struct session *session, struct worker *worker)
{
	session->worker = worker;
	memory_account_init(&session->account, &worker->memory, session->config.snapshot_quota);
	return worker_source_add(worker, &session->source);
}

static void queue_calls_init(struct session_queue *q)
{
	for (uint32_t i = 0; i < q->call_slots; i++) {
		struct call *call = &q->calls[i];

		call->queue = q;
		call->session = q->session;
		call->slot = i;
		phx_list_init(&call->node);
		phx_list_init(&call->work.node);
		phx_list_init(&call->out.node);
		timer_init(&call->timer);
	}
}

int session_queue_add(struct session *session, const struct session_queue_config *c)
{
	uint8_t *app = (uint8_t *)(uintptr_t)session->config.app_base + c->app_offset;
	uint8_t *dp = session->config.dp_base + c->dp_offset;
	struct session_queue *q;
	int rc;

	if (c->index != session->queue_count || c->index >= PHX_LIMIT_QUEUES_MAX)
		return -EINVAL;
	q = calloc(1, sizeof(*q));
	if (q == NULL)
		return -ENOMEM;
	q->calls = calloc(c->call_slots, sizeof(*q->calls));
	if (q->calls == NULL) {
		free(q);
		return -ENOMEM;
	}
	q->session = session; // before the call table, which copies it
	q->index = c->index;
	q->sub_slots = c->sub_slots;
	q->ret_slots = c->ret_slots;
	q->comp_slots = c->comp_slots;
	q->call_slots = c->call_slots;
	q->notify_fd = -1;
	q->bell_word = (struct phx_shm_u32 *)(dp + PHX_QD_BELL);
	timer_init(&q->room);
	phx_list_init(&q->waiting);
	phx_list_init(&q->parked);
	queue_calls_init(q);
	rc = phx_ring_cons_init(&q->sub, app + PHX_Q_SLOTS, c->sub_slots,
		(struct phx_shm_u32 *)(app + PHX_QA_SUB_PROD),
		(struct phx_shm_u32 *)(dp + PHX_QD_SUB_CONS), 0);
	if (rc == 0)
		rc = phx_ring_cons_init(&q->ret,
			app + PHX_Q_SLOTS + (size_t)c->sub_slots * PHX_SLOT_SIZE, c->ret_slots,
			(struct phx_shm_u32 *)(app + PHX_QA_RET_PROD),
			(struct phx_shm_u32 *)(dp + PHX_QD_RET_CONS), 0);
	if (rc == 0)
		rc = phx_ring_prod_init(&q->comp, dp + PHX_Q_SLOTS, c->comp_slots,
			(struct phx_shm_u32 *)(dp + PHX_QD_COMP_PROD),
			(struct phx_shm_u32 *)(app + PHX_QA_COMP_CONS), 0);
	if (rc != 0) {
		free(q->calls);
		free(q);
		return rc;
	}
	phx_bell_sleeper_init(&q->bell, (struct phx_shm_u32 *)(dp + PHX_QD_SLEEP));
	phx_bell_waker_init(&q->app_bell, (struct phx_shm_u32 *)(app + PHX_QA_SLEEP));
	session->queues[session->queue_count++] = q;
	worker_source_wake(session->worker, &session->source);
	return 0;
}

int session_queue_set_notify(struct session *session, uint32_t queue, int fd)
{
	if (queue >= session->queue_count)
		return -EINVAL;
	session->queues[queue]->notify_fd = fd;
	return 0;
}

int session_send_region_add(struct session *session, uint64_t offset, uint64_t size)
{
	uint32_t n = session->app.region_count;

	if (n >= PHX_LIMIT_HEAP_REGIONS_MAX)
		return -ENOSPC;
	session->regions[n].off = offset;
	session->regions[n].size = size;
	session->app.region_count = n + 1;
	return 0;
}

int session_schema_add(struct session *session, struct phx_schema *schema, uint32_t *out_handle)
{
	if (session->schema_count >= PHX_LIMIT_SCHEMAS_MAX)
		return -ENOSPC;
	*out_handle = session->schema_count;
	session->schemas[session->schema_count++] = schema;
	return 0;
}

static int channel_slot(struct session *session, uint32_t *out_handle)
{
	struct channel **t;
	uint32_t size;

	for (uint32_t i = 0; i < session->channel_size; i++) {
		if (session->channels[i] == NULL) {
			*out_handle = i;
			return 0;
		}
	}
	if (session->channel_size >= PHX_LIMIT_CHANNELS_MAX)
		return -ENOSPC;
	size = session->channel_size == 0 ? 8 : session->channel_size * 2;
	t = realloc(session->channels, size * sizeof(struct channel *));
	if (t == NULL)
		return -ENOMEM;
	memset(t + session->channel_size, 0,
		(size - session->channel_size) * sizeof(struct channel *));
	*out_handle = session->channel_size;
	session->channels = t;
	session->channel_size = size;
	return 0;
}

int session_channel_open(
	struct session *session, const char *group, uint64_t peer, uint32_t *out_handle)
{
	struct channel_config config = {
		.session = session,
		.worker = session->worker,
		.peer = peer,
	};
	uint32_t handle;
	int rc = channel_slot(session, &handle);

	if (rc != 0)
		return rc;
	config.handle = handle;
	(void)strncpy(config.group, group, sizeof(config.group) - 1);
	rc = channel_create(&config, &session->channels[handle]);
	if (rc != 0)
		return rc;
	stat_add(&session->stats.channels, 1);
	*out_handle = handle;
	return 0;
}

int session_channel_close(struct session *session, uint32_t handle)
{
	static const struct call_status closed = {
		.code = PHX_CANCELLED,
		.origin = PHX_ORIGIN_APP,
		.executed = PHX_EXECUTED_MAYBE,
		.reason = PHX_REASON_CANCELLED,
	};
	struct channel *channel;

	if (handle >= session->channel_size || session->channels[handle] == NULL)
		return -ENOENT;
	// Calls that were submitted before are to end with it, not to go to its successor.
	submit_drain(session);
	channel = session->channels[handle];
	session->channels[handle] = NULL;
	stat_sub(&session->stats.channels, 1);
	session->binding_bytes -= channel_bytes(channel);
	calls_abort(session, channel, &closed);
	channel_destroy(channel, &closed);
	return 0;
}

int session_bind(struct session *session, uint32_t channel, uint32_t schema, uint32_t service,
	uint32_t *out_binding)
{
	const struct phx_schema *s;
	uint64_t bytes;
	int rc;

	if (channel >= session->channel_size || session->channels[channel] == NULL ||
		schema >= session->schema_count)
		return -ENOENT;
	s = session->schemas[schema];
	if (service >= phx_schema_service_count(s))
		return -ENOENT;
	bytes = channel_bind_bytes(s, service);
	if (bytes > PHX_LIMIT_BINDING_BYTES_MAX - session->binding_bytes)
		return -ENOSPC;
	rc = channel_bind(session->channels[channel], s, service);
	if (rc < 0)
		return rc;
	session->binding_bytes += bytes;
	*out_binding = (uint32_t)rc;
	return 0;
}

// Grow the table by a place, or find one that nobody names any more.
static int registration_place(struct session *session, struct registration **out)
{
	bool named[PHX_LIMIT_SERVICES_MAX] = {false};
	uint32_t n = session->registration_count;
	struct registration *t;

	if (n < PHX_LIMIT_SERVICES_MAX) {
		if ((n & (n - 1)) == 0) {
			t = realloc(session->registrations, (n == 0 ? 1 : 2 * n) * sizeof(*t));
			if (t == NULL)
				return -ENOMEM;
			session->registrations = t;
		}
		session->registrations[n] = (struct registration){.handle = n};
		session->registration_count = n + 1;
		*out = &session->registrations[n];
		return 0;
	}
	for (uint32_t i = 0; i < session->rcall_size; i++) {
		const struct rcall *r = session->rcalls[i];

		if (r->state != RCALL_FREE)
			named[registration_at(session, r->service) - session->registrations] = true;
	}
	for (uint32_t i = 0; i < n; i++) {
		*out = &session->registrations[i];
		if (!(*out)->live && !named[i])
			return 0;
	}
	return -ENOSPC;
}

int session_register(struct session *session, uint32_t schema, uint32_t service, uint32_t queue,
	uint32_t *out_handle)
{
	struct stats_series **series;
	struct registration *r;
	int rc;

	if (schema >= session->schema_count || queue >= session->queue_count ||
		service >= phx_schema_service_count(session->schemas[schema]))
		return -ENOENT;
	series = calloc(phx_schema_method_count(session->schemas[schema], service) + 1,
		sizeof(struct stats_series *));
	if (series == NULL)
		return -ENOMEM;
	rc = registration_place(session, &r);
	if (rc != 0) {
		free(series);
		return rc;
	}
	free(r->series); // of the one before
	*r = (struct registration){
		.handle = r->handle,
		.schema = session->schemas[schema],
		.service = service,
		.queue = session->queues[queue],
		.series = series,
		.live = true,
	};
	*out_handle = r->handle;
	return 0;
}

void session_unregister(struct session *session, uint32_t handle)
{
	struct registration *r = registration_at(session, handle);

	if (r == NULL || !r->live || r->handle != handle)
		return;
	r->live = false;
	// Not UINT32_MAX, which stands for all of them, for long enough.
	r->handle = (r->handle + (UINT32_C(1) << REGISTRATION_INDEX_BITS)) & INT32_MAX;
}

// Abort the calls of one channel, or of all.
void calls_abort(
	struct session *session, const struct channel *channel, const struct call_status *status)
{
	for (uint32_t i = 0; i < session->queue_count; i++) {
		struct session_queue *q = session->queues[i];

		for (uint32_t k = 0; k < q->call_slots && q->inflight != 0; k++) {
			struct call *call = &q->calls[k];

			if (call->state == CALL_FREE || call->zombie)
				continue;
			if (channel == NULL || call->channel == channel)
				call_abort(call, status);
		}
	}
}

// Quiet when no transport reads our memory and no server call waits for one.
void session_check_quiet(struct session *session)
{
	if (!session->closing || session->pins != 0 || session->rcall_count != 0)
		return;
	for (uint32_t i = 0; i < session->queue_count; i++) {
		if (session->queues[i]->inflight != 0)
			return;
	}
	if (!atomic_load_explicit(&session->quiet, memory_order_relaxed)) {
		worker_source_del(session->worker, &session->source);
		stats_app_ended(session->worker->calls, session->config.id);
		atomic_store_explicit(&session->quiet, true, memory_order_release);
	}
}

static void parked_drop(struct session *session)
{
	for (uint32_t i = 0; i < session->queue_count; i++)
		reply_drop_parked(session->queues[i]);
}

void session_close(struct session *session, enum phx_reason reason)
{
	const struct call_status st = {
		.code = PHX_UNAVAILABLE,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = PHX_EXECUTED_MAYBE,
		.reason = (uint8_t)reason,
	};

	if (session->closing)
		return;
	session->closing = true;
	for (uint32_t i = 0; i < session->registration_count; i++)
		session->registrations[i].live = false;
	calls_abort(session, NULL, &st);
	serve_close(session);
	for (uint32_t i = 0; i < session->channel_size; i++) {
		if (session->channels[i] != NULL)
			channel_destroy(session->channels[i], &st);
		session->channels[i] = NULL;
	}
	parked_drop(session);
	for (uint32_t i = 0; i < session->queue_count; i++)
		timer_stop(&session->worker->timers, &session->queues[i]->room);
	session_check_quiet(session);
}

void session_pin(struct session *session)
{
	session->pins++;
}

void session_unpin(struct session *session)
{
	session->pins--;
	session_check_quiet(session);
}

void session_work_add(struct session *session, struct call_work *work)
{
	phx_list_add_tail(&session->work, &work->node);
	worker_source_wake(session->worker, &session->source);
}

uint64_t session_id(const struct session *session)
{
	return session->config.id;
}

const struct phx_source *session_source(const struct session *session)
{
	return &session->app;
}

const struct chain *session_chain(const struct session *session)
{
	return chain_current(session->worker, session->config.chain_slot);
}

bool session_judges(const struct session *session, unsigned point)
{
	return chain_judges(session_chain(session), point);
}

struct worker *session_worker(const struct session *session)
{
	return session->worker;
}

struct memory_account *session_account(struct session *session)
{
	return &session->account;
}
