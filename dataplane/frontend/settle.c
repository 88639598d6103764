// SPDX-License-Identifier: BSD-3-Clause
// See settle.h. Works with lib/schema/pack.h: a repack whose source is the image itself.
#include "dataplane/frontend/settle.h"

#include "dataplane/core/chain.h"
#include "dataplane/frontend/pack.h"

#include <stdlib.h>

struct settle {
	struct phx_pack pack; // first: pack_abort() gives the block back
	struct phx_image out;
};
static_assert(sizeof(struct settle) <= PHX_BLOCK_SMALL, "a small block");

static void settle_end(struct session *session, struct call_work *work)
{
	session->account.pool.put(&session->account.pool, work->pack, PHX_BLOCK_SMALL);
	work->pack = NULL;
}

int settle_step(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema)
{
	struct phx_work budget = {
		.bytes = PHX_LIMIT_WORK_BYTES, .elements = PHX_LIMIT_WORK_ELEMENTS};
	struct settle *settle = phx_container_of(work->pack, struct settle, pack);
	int rc;

	pack_inspect(session, work, message, schema);
	rc = phx_pack_run(&settle->pack, &budget);
	if (rc == 0)
		return 0;
	if (rc > 0) {
		phx_image_release(&message->image, &session->account.pool);
		message->image = settle->out;
	}
	settle_end(session, work);
	return rc;
}

static const struct phx_pack_limits limits = {
	.max_bytes = PHX_LIMIT_MESSAGE_BYTES_MAX,
	.max_elements = PHX_LIMIT_MESSAGE_ELEMENTS_MAX,
	.leaf_copy_bytes = UINT32_MAX,
};

static struct settle *settle_begin(
	struct session *session, struct call_work *work, struct message *message)
{
	struct settle *settle = session->account.pool.get(&session->account.pool, PHX_BLOCK_SMALL);

	// What stands for the old content.
	message_encoded_put(session, message);
	message->rewritten = false;
	if (settle != NULL)
		work->pack = &settle->pack;
	return settle;
}

int settle_fill(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema, uint32_t type)
{
	struct settle *settle = settle_begin(session, work, message);

	if (settle == NULL)
		return -ENOMEM;
	message->inspect_id = chain_id(session_chain(session));
	phx_pack_start_fill(&settle->pack, schema, type, &message->image, &session->app,
		&session->account.pool, &limits, &settle->out);
	return settle_step(session, work, message, schema);
}

int settle_start(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema, uint32_t type)
{
	struct settle *settle = settle_begin(session, work, message);

	if (settle == NULL)
		return -ENOMEM;
	if (!message->image.dirty) { // a number in its place
		settle_end(session, work);
		return 1;
	}
	phx_pack_start_image(&settle->pack, schema, type, &message->image, &session->account.pool,
		&limits, &settle->out);
	return settle_step(session, work, message, schema);
}
