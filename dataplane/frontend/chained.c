// SPDX-License-Identifier: BSD-3-Clause
// See chained.h. Works with core/chain.h (implemented by the policy host).
#include "dataplane/frontend/chained.h"

#include "dataplane/core/chain.h"
#include "dataplane/core/worker.h"
#include "dataplane/frontend/complete.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/serve.h"

#include "lib/schema/path.h"

// A rewritten image is made canonical before it goes on. 0 or a negative errno value.
static int image_settle(struct session *session, struct message *message,
	const struct phx_schema *schema, uint32_t type)
{
	struct phx_image out;
	int rc;

	if (phx_likely(!message->image.dirty))
		return 0;
	rc = phx_image_canonicalise(&message->image, schema, type, &session->account.pool, &out);
	if (rc != 0)
		return rc;
	phx_image_release(&message->image, &session->account.pool);
	message->image = out;
	return 0;
}

static const struct call_status settle_failed = {
	.code = PHX_RESOURCE_EXHAUSTED,
	.origin = PHX_ORIGIN_LOCAL_DATAPLANE,
	.executed = PHX_EXECUTED_NO,
	.reason = PHX_REASON_NO_MEMORY,
};

static void names_fill(
	struct chain_item *item, const struct phx_schema *schema, uint32_t service, uint32_t method)
{
	item->schema = schema;
	item->service = phx_schema_service_name(schema, service);
	item->method = phx_schema_method(schema, service, method)->name;
}

// ---- calls, request out ----

static void call_resume(void *owner, const struct chain_item *item)
{
	struct call *call = owner;
	struct path *path;

	if (item->verdict == CHAIN_DENY) {
		channel_forget(call);
		call_complete(call, &item->status, NULL);
		return;
	}
	// Its credit went back while it was held: ask again, the snapshot is kept.
	path = channel_admit(call);
	if (path != NULL)
		path_send(path, call);
}

static void call_verdict(
	struct session *session, struct call *call, struct path *path, struct chain_item *item)
{
	if (item->verdict == CHAIN_PASS &&
		image_settle(session, &call->message, call->schema, call->input) != 0) {
		item->verdict = CHAIN_DENY;
		item->status = settle_failed;
	}
	switch (item->verdict) {
	case CHAIN_PASS:
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
	struct chain_item items[PHX_LIMIT_BURST];

	if (phx_likely(session->chain == NULL)) {
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
	chain_run(session->chain, POINT_REQUEST_OUT, items, n);
	for (unsigned i = 0; i < n; i++)
		call_verdict(session, calls[i], paths[i], &items[i]);
}

// ---- server calls ----

static void rcall_item(struct rcall *r, struct chain_item *item, uint32_t type,
	void (*resume)(void *, const struct chain_item *))
{
	*item = (struct chain_item){
		.session = r->session,
		.message = &r->message,
		.type = type,
		.policy = &r->policy,
		.deadline_ns = r->deadline_ns,
		.resume = resume,
		.owner = r,
	};
	names_fill(item, r->schema, r->session->registrations[r->service].service, r->method);
}

static void rcall_deny(struct rcall *r, const struct call_status *status)
{
	message_release(r->session, &r->message);
	r->status = *status;
	r->state = RCALL_REPLYING;
	rcall_send(r);
}

static void request_resume(void *owner, const struct chain_item *item)
{
	struct rcall *r = owner;

	if (item->verdict == CHAIN_DENY)
		rcall_deny(r, &item->status);
	else if (image_settle(r->session, &r->message, r->schema, r->input) != 0)
		rcall_deny(r, &settle_failed);
	else {
		if (!r->has_block)
			r->msg_len = (uint32_t)r->message.image.total_len;
		serve_ready(r);
	}
}

void chained_request_in(struct rcall *r)
{
	struct chain_item item;

	if (r->has_block)
		phx_image_borrow(
			&r->message.image, session_recv_address(r->session, r->block), r->msg_len);
	r->state = RCALL_WAITING;
	rcall_item(r, &item, r->input, request_resume);
	chain_run(r->session->chain, POINT_REQUEST_IN, &item, 1);
	if (item.verdict != CHAIN_HOLD)
		request_resume(r, &item);
}

static void reply_resume(void *owner, const struct chain_item *item)
{
	struct rcall *r = owner;

	if (item->verdict == CHAIN_DENY) {
		message_release(r->session, &r->message);
		r->status = item->status;
		r->status.executed = PHX_EXECUTED_YES;
	} else if (image_settle(r->session, &r->message, r->schema, r->output) != 0) {
		message_release(r->session, &r->message);
		r->status = settle_failed;
		r->status.executed = PHX_EXECUTED_YES;
	}
	rcall_send(r);
}

void chained_reply_out(struct rcall *r)
{
	struct chain_item item;

	rcall_item(r, &item, r->output, reply_resume);
	chain_run(r->session->chain, POINT_REPLY_OUT, &item, 1);
	if (item.verdict != CHAIN_HOLD)
		reply_resume(r, &item);
}
