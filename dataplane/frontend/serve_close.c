// SPDX-License-Identifier: BSD-3-Clause
// The end of a session's server calls, wherever they stand. Works with serve.c.
#include "dataplane/core/chain.h"
#include "dataplane/frontend/pack.h"
#include "dataplane/frontend/serve.h"

bool rcall_unhold(struct rcall *r)
{
	if (r->policy.hold == NULL)
		return false;
	chain_unhold(r->session->worker, &r->policy);
	return true;
}

// Answer for an application that is gone.
static void rcall_close(struct rcall *r, enum phx_executed executed)
{
	phx_list_del(&r->node);	     // of those that wait for room
	phx_list_del(&r->work.node); // or are being copied to it
	message_release(r->session, &r->message);
	r->reply_inline = true;
	r->status = (struct call_status){
		.code = PHX_UNAVAILABLE,
		.origin = PHX_ORIGIN_REMOTE_DATAPLANE,
		.executed = (uint8_t)executed,
		.reason = PHX_REASON_APP_GONE,
	};
	r->state = RCALL_REPLYING;
	rcall_send(r);
}

void serve_close(struct session *session)
{
	for (uint32_t i = 0; i < session->rcall_size; i++) {
		struct rcall *r = session->rcalls[i];
		bool packing = r->work.pack != NULL;
		bool held = rcall_unhold(r);

		if (packing)
			pack_reply_abort(r);
		if (r->state == RCALL_FREE || (r->state == RCALL_REPLYING && !held && !packing))
			continue; // its reply is on its way
		rcall_close(r, r->state == RCALL_REPLYING    ? PHX_EXECUTED_YES
			       : r->state == RCALL_DELIVERED ? PHX_EXECUTED_MAYBE
							     : PHX_EXECUTED_NO);
	}
}
