// SPDX-License-Identifier: BSD-3-Clause
// Messages that applications send: requests of clients, replies of servers. See chained.h; what
// they receive is chained_in.c.
#include "dataplane/frontend/chained.h"

#include "dataplane/frontend/complete.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/serve.h"
#include "dataplane/frontend/settle.h"

static const struct call_status settle_failed = {
	.code = PHX_RESOURCE_EXHAUSTED,
	.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
	.executed = PHX_EXECUTED_NO,
	.reason = PHX_REASON_NO_MEMORY,
};

// ---- calls, request out ----

static void call_resume(void *owner, const struct chain_item *item)
{
	struct call *call = owner;
	struct path *path;

	if (item->verdict == CHAIN_DENY) {
		call_complete(call, &item->status, NULL);
		return;
	}
	// Its credit went back while it was held: ask again, the snapshot is kept. The chain runs
	// once more, for policies that have come meanwhile.
	path = channel_admit(call);
	if (path != NULL)
		chained_calls(call->session, &call, &path, 1);
}

static void call_settled(struct call *call, int rc)
{
	struct path *path = call->path;

	call->path = NULL;
	call->state = CALL_QUEUED;
	if (rc == 0) {
		path_send(path, call);
		return;
	}
	path_release(path);
	call_complete(call, &settle_failed, NULL);
}

static int call_settle_step(struct call_work *work)
{
	struct call *call = phx_container_of(work, struct call, work);
	int rc = settle_step(call->session, work, &call->message);

	if (rc == 0)
		return 0;
	call_settled(call, rc < 0 ? rc : 0);
	return 1;
}

// Rewritten: canonical again before it goes on; a large one in steps, like the pack before.
static PHX_COLD void call_settle(struct call *call, struct path *path)
{
	int rc =
		settle_start(call->session, &call->work, &call->message, call->schema, call->input);

	call->path = path;
	if (rc != 0) {
		call_settled(call, rc < 0 ? rc : 0);
		return;
	}
	call->state = CALL_PACK;
	call->work.step = call_settle_step;
	session_work_add(call->session, &call->work);
}

static void call_verdict(struct call *call, struct path *path, const struct chain_item *item)
{
	switch (item->verdict) {
	case CHAIN_PASS:
		if (phx_unlikely(call->message.rewritten))
			call_settle(call, path);
		else
			path_send(path, call);
		break;
	case CHAIN_DENY:
		path_release(path);
		call_complete(call, &item->status, NULL);
		break;
	case CHAIN_HOLD:
		path_release(path);
		break;
	}
}

void chained_calls(struct session *session, struct call **calls, struct path **paths, unsigned n)
{
	const struct chain *chain = session_chain(session);
	struct chain_item items[PHX_LIMIT_BURST];

	if (phx_likely(chain == NULL)) {
		for (unsigned i = 0; i < n; i++)
			path_send(paths[i], calls[i]);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		struct call *call = calls[i];

		items[i] = (struct chain_item){
			.session = session,
			.message = &call->message,
			.schema = call->schema,
			.type = call->input,
			.service = call->service_name,
			.method = call->method_name,
			.policy = &call->policy,
			.deadline_ns = call->deadline_ns,
			.resume = call_resume,
			.owner = call,
		};
	}
	chain_run(session->worker, chain, POINT_REQUEST_OUT, items, n);
	for (unsigned i = 0; i < n; i++)
		call_verdict(calls[i], paths[i], &items[i]);
}

void chained_call_end(struct call *call, const struct call_status *status)
{
	const struct chain_end end = {
		.status = status,
		.service = call->service_name,
		.method = call->method_name,
		.start_ns = call->start_ns,
	};

	if (call->policy.hold != NULL)
		chain_unhold(call->session->worker, &call->policy);
	if (call->policy.entered != 0)
		chain_call_end(call->session->worker, &call->policy, &end);
}

// ---- server calls, reply out ----

static void reply_fail(struct rcall *r, const struct call_status *status)
{
	serve_set_status(r, status);
	r->status.executed = PHX_EXECUTED_YES;
	rcall_send(r);
}

static int reply_settle_step(struct call_work *work)
{
	struct rcall *r = phx_container_of(work, struct rcall, work);
	int rc = settle_step(r->session, work, &r->message);

	if (rc == 0)
		return 0;
	if (rc < 0)
		reply_fail(r, &settle_failed);
	else
		rcall_send(r);
	return 1;
}

static void reply_out_resume(void *owner, const struct chain_item *item)
{
	struct rcall *r = owner;
	int rc;

	if (item->verdict == CHAIN_DENY) {
		reply_fail(r, &item->status);
		return;
	}
	if (phx_likely(!r->message.rewritten)) {
		rcall_send(r);
		return;
	}
	rc = settle_start(r->session, &r->work, &r->message, r->schema, r->output);
	if (rc < 0) {
		reply_fail(r, &settle_failed);
	} else if (rc > 0) {
		rcall_send(r);
	} else {
		r->work.step = reply_settle_step;
		session_work_add(r->session, &r->work);
	}
}

void chained_reply_out(struct rcall *r)
{
	const struct chain *chain = session_chain(r->session);
	struct chain_item item;

	if (phx_likely(!chain_runs(chain, POINT_REPLY_OUT))) {
		rcall_send(r);
		return;
	}
	chained_rcall_item(r, r->output, reply_out_resume, &item);
	chain_run(r->session->worker, chain, POINT_REPLY_OUT, &item, 1);
	if (item.verdict != CHAIN_HOLD)
		reply_out_resume(r, &item);
}

void chained_rcall_item(struct rcall *r, uint32_t type,
	void (*resume)(void *, const struct chain_item *), struct chain_item *item)
{
	uint32_t service = r->session->registrations[r->service].service;

	*item = (struct chain_item){
		.session = r->session,
		.message = &r->message,
		.schema = r->schema,
		.type = type,
		.service = phx_schema_service_name(r->schema, service),
		.method = phx_schema_method(r->schema, service, r->method)->name,
		.policy = &r->policy,
		.deadline_ns = r->deadline_ns,
		.resume = resume,
		.owner = r,
	};
}

void chained_rcall_end(struct rcall *r, const struct call_status *status)
{
	struct chain_item item;
	struct chain_end end;

	if (r->policy.hold != NULL)
		chain_unhold(r->session->worker, &r->policy);
	if (r->policy.entered == 0)
		return;
	chained_rcall_item(r, r->output, NULL, &item);
	end = (struct chain_end){
		.status = status,
		.service = item.service,
		.method = item.method,
		.start_ns = r->start_ns,
	};
	chain_call_end(r->session->worker, &r->policy, &end);
}
