// SPDX-License-Identifier: BSD-3-Clause
// Messages that applications send: requests of clients, replies of servers. See chained.h; what
// they receive is chained_in.c.
#include "dataplane/frontend/chained.h"

#include "dataplane/frontend/complete.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/serve.h"
#include "dataplane/frontend/settle.h"

// A message could not be settled or filled: no memory, or text that went bad meanwhile.
static struct call_status settle_status(int rc, enum phx_executed executed)
{
	return (struct call_status){
		.code = rc == -EPROTO ? PHX_INVALID_ARGUMENT : PHX_RESOURCE_EXHAUSTED,
		.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
		.executed = (uint8_t)executed,
		.reason = rc == -EPROTO	 ? PHX_REASON_INVALID
			  : rc == -E2BIG ? PHX_REASON_TOO_LARGE
					 : PHX_REASON_NO_MEMORY,
	};
}

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

static void call_unsettled(struct call *call, struct path *path, int rc)
{
	const struct call_status st = settle_status(rc, PHX_EXECUTED_NO);

	path_release(path);
	call_complete(call, &st, NULL);
}

// In turn with other work, like the pack before; the path keeps its credit.
static void call_settle_later(struct call *call, struct path *path, int (*step)(struct call_work *))
{
	call->path = path;
	call->state = CALL_PACK;
	call->work.step = step;
	session_work_add(call->session, &call->work);
}

// One step of either. 0: not done. Else *out_path has come back.
static int call_step(struct call *call, struct path **out_path)
{
	int rc = settle_step(call->session, &call->work, &call->message, call->schema);

	if (rc == 0)
		return 0;
	*out_path = call->path;
	call->path = NULL;
	call->state = CALL_QUEUED;
	return rc;
}

static int call_settle_step(struct call_work *work)
{
	struct call *call = phx_container_of(work, struct call, work);
	struct path *path;
	int rc = call_step(call, &path);

	if (rc < 0)
		call_unsettled(call, path, rc);
	else if (rc > 0)
		path_send(path, call);
	return rc != 0;
}

// Rewritten: canonical again before it goes on.
static PHX_COLD void call_settle(struct call *call, struct path *path)
{
	int rc =
		settle_start(call->session, &call->work, &call->message, call->schema, call->input);

	if (rc < 0)
		call_unsettled(call, path, rc);
	else if (rc > 0)
		path_send(path, call);
	else
		call_settle_later(call, path, call_settle_step);
}

static int call_fill_step(struct call_work *work)
{
	struct call *call = phx_container_of(work, struct call, work);
	struct path *path;
	int rc = call_step(call, &path);

	if (rc < 0)
		call_unsettled(call, path, rc);
	else if (rc > 0)
		chained_calls(call->session, &call, &path, 1);
	return rc != 0;
}

// Packed before its policies came: what they inspect is copied first.
static PHX_COLD void call_fill(struct call *call, struct path *path)
{
	int rc = settle_fill(call->session, &call->work, &call->message, call->schema, call->input);

	if (rc < 0)
		call_unsettled(call, path, rc);
	else if (rc > 0)
		chained_calls(call->session, &call, &path, 1);
	else
		call_settle_later(call, path, call_fill_step);
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

static int call_held_step(struct call_work *work)
{
	struct call *call = phx_container_of(work, struct call, work);
	int rc = settle_step(call->session, work, &call->message, call->schema);
	struct call_status st;

	if (rc < 0) {
		st = settle_status(rc, PHX_EXECUTED_NO);
		call_complete(call, &st, NULL);
	}
	return rc != 0;
}

// The same for one that a policy holds: it stays where it is.
static int call_fill_held(void *owner)
{
	struct call *call = owner;
	struct call_status st;
	int rc;

	if (call->work.pack != NULL)
		return 0;
	rc = settle_fill(call->session, &call->work, &call->message, call->schema, call->input);
	if (rc == 0) {
		call->work.step = call_held_step;
		session_work_add(call->session, &call->work);
	} else if (rc < 0) {
		st = settle_status(rc, PHX_EXECUTED_NO);
		call_complete(call, &st, NULL);
	}
	return rc;
}

static void call_item(struct call *call, struct chain_item *item)
{
	*item = (struct chain_item){
		.session = call->session,
		.message = &call->message,
		.schema = call->schema,
		.type = call->input,
		.trust = channel_trust(call->channel, call->binding),
		.service = call->service_name,
		.method = call->method_name,
		.policy = &call->policy,
		.deadline_ns = call->deadline_ns,
		.resume = call_resume,
		.fill = call_fill_held,
		.owner = call,
	};
}

void chained_calls(struct session *session, struct call **calls, struct path **paths, unsigned n)
{
	const struct chain *chain = session_chain(session);
	struct chain_item items[PHX_LIMIT_BURST];
	struct path *item_paths[PHX_LIMIT_BURST];
	unsigned count = 0;

	if (phx_likely(chain == NULL)) {
		for (unsigned i = 0; i < n; i++) {
			if (phx_unlikely(calls[i]->message.rewritten)) // by one that has gone
				call_settle(calls[i], paths[i]);
			else
				path_send(paths[i], calls[i]);
		}
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		if (phx_unlikely(chain_lacks(chain, &calls[i]->message))) {
			call_fill(calls[i], paths[i]);
			continue;
		}
		item_paths[count] = paths[i];
		call_item(calls[i], &items[count++]);
	}
	chain_run(session->worker, chain, POINT_REQUEST_OUT, items, count);
	for (unsigned i = 0; i < count; i++)
		call_verdict(items[i].owner, item_paths[i], &items[i]);
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

static void reply_unsettled(struct rcall *r, int rc)
{
	const struct call_status st = settle_status(rc, PHX_EXECUTED_YES);

	reply_fail(r, &st);
}

static int reply_settle_step(struct call_work *work)
{
	struct rcall *r = phx_container_of(work, struct rcall, work);
	int rc = settle_step(r->session, work, &r->message, r->schema);

	if (rc < 0)
		reply_unsettled(r, rc);
	else if (rc > 0)
		rcall_send(r);
	return rc != 0;
}

static void reply_later(struct rcall *r, int (*step)(struct call_work *))
{
	r->work.step = step;
	session_work_add(r->session, &r->work);
}

static PHX_COLD void reply_settle(struct rcall *r)
{
	int rc = settle_start(r->session, &r->work, &r->message, r->schema, r->output);

	if (rc < 0)
		reply_unsettled(r, rc);
	else if (rc > 0)
		rcall_send(r);
	else
		reply_later(r, reply_settle_step);
}

static void reply_out_verdict(struct rcall *r, const struct chain_item *item)
{
	if (item->verdict == CHAIN_DENY)
		reply_fail(r, &item->status);
	else if (phx_unlikely(r->message.rewritten))
		reply_settle(r);
	else
		rcall_send(r);
}

// The chain once more, for policies that have come while it was held.
static void reply_out_resume(void *owner, const struct chain_item *item)
{
	if (item->verdict == CHAIN_DENY)
		reply_out_verdict(owner, item);
	else
		chained_reply_out(owner);
}

static int reply_fill_step(struct call_work *work)
{
	struct rcall *r = phx_container_of(work, struct rcall, work);
	int rc = settle_step(r->session, work, &r->message, r->schema);

	if (rc < 0)
		reply_unsettled(r, rc);
	else if (rc > 0)
		chained_reply_out(r);
	return rc != 0;
}

static PHX_COLD void reply_fill(struct rcall *r)
{
	int rc = settle_fill(r->session, &r->work, &r->message, r->schema, r->output);

	if (rc < 0)
		reply_unsettled(r, rc);
	else if (rc > 0)
		chained_reply_out(r);
	else
		reply_later(r, reply_fill_step);
}

static int reply_held_step(struct call_work *work)
{
	struct rcall *r = phx_container_of(work, struct rcall, work);
	int rc = settle_step(r->session, work, &r->message, r->schema);

	if (rc < 0) {
		(void)rcall_unhold(r); // it is
		reply_unsettled(r, rc);
	}
	return rc != 0;
}

static int reply_fill_held(void *owner)
{
	struct rcall *r = owner;
	int rc;

	if (r->work.pack != NULL)
		return 0;
	rc = settle_fill(r->session, &r->work, &r->message, r->schema, r->output);
	if (rc == 0) {
		reply_later(r, reply_held_step);
	} else if (rc < 0) {
		(void)rcall_unhold(r); // it is
		reply_unsettled(r, rc);
	}
	return rc;
}

void chained_reply_out(struct rcall *r)
{
	const struct chain *chain = session_chain(r->session);
	struct chain_item item;

	if (phx_likely(!chain_runs(chain, POINT_REPLY_OUT))) {
		item.verdict = CHAIN_PASS;
		reply_out_verdict(r, &item);
		return;
	}
	if (phx_unlikely(chain_lacks(chain, &r->message))) {
		reply_fill(r);
		return;
	}
	chained_rcall_item(r, r->output, reply_out_resume, &item);
	item.fill = reply_fill_held;
	chain_run(r->session->worker, chain, POINT_REPLY_OUT, &item, 1);
	if (item.verdict != CHAIN_HOLD)
		reply_out_verdict(r, &item);
}

void chained_rcall_item(struct rcall *r, uint32_t type,
	void (*resume)(void *, const struct chain_item *), struct chain_item *item)
{
	uint32_t service = registration_at(r->session, r->service)->service;

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
