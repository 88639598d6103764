// SPDX-License-Identifier: BSD-3-Clause
// Further queues of a session.
#include "lib/app/queue.h"

#include <errno.h>

static int create_map(struct phx_session *s, const struct phx_attach_queue_rep *rep,
	const struct phx_attach_answer *answer)
{
	const struct phx_attach_queue *q = &rep->queue;
	const char *text = phx_queue_check(q);
	int rc;

	if (text != NULL)
		return -EPROTO;
	rc = phx_space_map(&s->send, answer->fds[0], q->app_offset, q->app_size, &text);
	if (rc == 0)
		rc = phx_space_map(&s->recv, answer->fds[1], q->dp_offset, q->dp_size, &text);
	if (rc && rc != -ENOMEM)
		phx_session_end(s, PHX_UNAVAILABLE, PHX_REASON_INTERNAL,
			"bad queue offered by the dataplane: %s", text);
	return rc;
}

int phx_queue_ask(struct phx_session *s, const struct phx_attach_queue_sizes *sizes,
	struct phx_attach_queue *out_queue)
{
	struct phx_attach_queue_create req = {.sizes = *sizes};
	struct phx_attach_request request = {.h = &req.h,
		.size = sizeof(req),
		.type = PHX_ATTACH_QUEUE_CREATE,
		.answer_size = sizeof(struct phx_attach_queue_rep),
		.answer_fds = 2};
	struct phx_attach_queue_rep rep;
	struct phx_attach_answer answer;
	int rc;

	rc = phx_session_request(s, &request, &answer, NULL);
	if (rc)
		return rc;
	rep = *(const struct phx_attach_queue_rep *)(const void *)answer.h;
	rc = create_map(s, &rep, &answer);
	phx_attach_answer_fini(&answer);
	if (rc)
		return rc == -ENOMEM ? rc : -ENOTCONN;
	rc = phx_session_mapped(s, 0, rep.app_region, NULL);
	if (rc == 0)
		rc = phx_session_mapped(s, 1, rep.dp_region, NULL);
	if (rc == 0)
		*out_queue = rep.queue;
	return rc;
}

static int queue_create(struct phx_context *ctx, const struct phx_queue_options *options,
	struct phx_queue **out_queue) PHX_REQUIRES(ctx->control)
{
	struct phx_attach_queue_sizes sizes = {0};
	struct phx_attach_queue offered;
	struct phx_queue *q;
	int rc;

	if (options != NULL)
		sizes = (struct phx_attach_queue_sizes){.sub_slots = options->sub_slots,
			.ret_slots = options->ret_slots,
			.comp_slots = options->comp_slots};
	rc = phx_queue_ask(ctx->session, &sizes, &offered);
	if (rc)
		return rc;
	if (ctx->queues[offered.index] != NULL)
		return -ENOTCONN;
	rc = phx_queue_init(ctx->session, &offered, &q);
	if (rc)
		return rc;
	q->asked = sizes;
	ctx->queues[offered.index] = q;
	*out_queue = q;
	return 0;
}

int phx_queue_create(struct phx_context *ctx, const struct phx_queue_options *options,
	struct phx_queue **out_queue)
{
	int rc;

	if (ctx == NULL || out_queue == NULL)
		return -EINVAL;
	if (options != NULL && options->size < sizeof(*options))
		return -EINVAL;
	rc = phx_context_check(ctx);
	if (rc)
		return rc;
	phx_lock_take(&ctx->control);
	rc = queue_create(ctx, options, out_queue);
	phx_lock_give(&ctx->control);
	return rc;
}

struct phx_queue *phx_queue_default(struct phx_context *ctx)
{
	return ctx != NULL ? ctx->default_queue : NULL;
}
