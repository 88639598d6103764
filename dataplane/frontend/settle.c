// SPDX-License-Identifier: BSD-3-Clause
// See settle.h. Works with lib/schema/pack.h: a repack whose source is the image itself.
#include "dataplane/frontend/settle.h"

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

int settle_step(struct session *session, struct call_work *work, struct message *message)
{
	struct phx_work budget = {
		.bytes = PHX_LIMIT_WORK_BYTES, .elements = PHX_LIMIT_WORK_ELEMENTS};
	struct settle *settle = phx_container_of(work->pack, struct settle, pack);
	int rc = phx_pack_run(&settle->pack, &budget);

	if (rc == 0)
		return 0;
	if (rc > 0) {
		phx_image_release(&message->image, &session->account.pool);
		message->image = settle->out;
	}
	settle_end(session, work);
	return rc;
}

int settle_start(struct session *session, struct call_work *work, struct message *message,
	const struct phx_schema *schema, uint32_t type)
{
	static const struct phx_pack_limits limits = {
		.max_bytes = PHX_LIMIT_MESSAGE_BYTES_MAX,
		.max_elements = PHX_LIMIT_MESSAGE_ELEMENTS_MAX,
		.leaf_copy_bytes = UINT32_MAX,
	};
	struct settle *settle;

	// What stands for the old content.
	free(message->encoded);
	message->encoded = NULL;
	message->encoded_len = 0;
	message->rewritten = false;
	if (!message->image.dirty)
		return 1; // a number in its place
	settle = session->account.pool.get(&session->account.pool, PHX_BLOCK_SMALL);
	if (settle == NULL)
		return -ENOMEM;
	work->pack = &settle->pack;
	phx_pack_start_image(&settle->pack, schema, type, &message->image, &session->account.pool,
		&limits, &settle->out);
	return settle_step(session, work, message);
}
