// SPDX-License-Identifier: BSD-3-Clause
// Announced messages on their way in: chunks land in a block of the receive heap, in order, and
// the whole is checked before anybody sees it. Both ends use this. Worker thread.
#include "dataplane/link/link.h"

#include "dataplane/core/landing.h"

#include "lib/schema/validate.h"

#include <stdlib.h>

void *incoming_sink(
	struct incoming *in, struct link *link, struct session *session, const struct phx_frame *f)
{
	if (!in->active || !in->has_block || f->arg != in->received ||
		f->payload_len > in->total - in->received)
		return NULL;
	in->sink = link;
	return incoming_base(in, session) + in->received;
}

int incoming_room(struct incoming *in, struct session *session, uint32_t block, uint32_t size,
	enum policy_point point)
{
	if (session_judges(session, point) &&
		landing_get(session_account(session), in, size) != 0) {
		session_recv_free(session, block);
		return -ENOMEM;
	}
	in->block = block;
	in->has_block = true;
	return 0;
}

uint8_t *incoming_base(const struct incoming *in, struct session *session)
{
	return in->landing != NULL ? in->landing : session_recv_address(session, in->block);
}

bool incoming_landed(struct incoming *in, const struct phx_frame *f)
{
	in->sink = NULL;
	in->received += f->payload_len;
	return in->received == in->total;
}

void incoming_drop(struct incoming *in, struct session *session)
{
	struct phx_block_pool *pool = &session_account(session)->pool;
	struct conn *bulk;

	session_recv_cancel(&in->waiter);
	if (in->sink != NULL && (bulk = in->sink->lane[PHX_LANE_BULK]) != NULL)
		bulk->ops->sink_cancel(bulk);
	in->sink = NULL;
	if (in->validate != NULL)
		pool->put(pool, in->validate, PHX_BLOCK_LARGE);
	in->validate = NULL;
	if (in->has_block)
		session_recv_free(session, in->block);
	landing_put(session_account(session), in);
	in->has_block = false;
	in->active = false;
	free(in->meta);
	in->meta = NULL;
}

int incoming_check(struct incoming *in, struct session *session, const struct phx_schema *schema,
	uint32_t type)
{
	const struct phx_validate_limits lim = {.max_elements = PHX_LIMIT_MESSAGE_ELEMENTS_MAX};
	struct phx_block_pool *pool = &session_account(session)->pool;
	struct phx_work work = {.bytes = PHX_LIMIT_WORK_BYTES, .elements = PHX_LIMIT_WORK_ELEMENTS};
	int rc;

	static_assert(sizeof(struct phx_validate) <= PHX_BLOCK_LARGE, "fits a block");
	if (in->validate == NULL) {
		in->validate = pool->get(pool, PHX_BLOCK_LARGE);
		if (in->validate == NULL)
			return -ENOMEM;
		phx_validate_start(
			in->validate, schema, type, incoming_base(in, session), in->total, &lim);
	}
	rc = phx_validate_run(in->validate, &work);
	if (rc == 0)
		return 0;
	pool->put(pool, in->validate, PHX_BLOCK_LARGE);
	in->validate = NULL;
	return rc;
}
