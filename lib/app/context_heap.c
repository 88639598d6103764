// SPDX-License-Identifier: BSD-3-Clause
// The send heap of a session: blocks from lib/shm/heap, further regions from the dataplane.
#include "lib/app/context.h"

#include "lib/base/clock.h"

#include <errno.h>

// One more region that has room for `size` bytes. Only the thread that needs it waits.
PHX_COLD static int heap_grow(struct phx_context *ctx, uint64_t size) PHX_REQUIRES(ctx->control)
{
	struct phx_attach_heap_grow req = {.size = size};
	struct phx_attach_request request = {.h = &req.h,
		.size = sizeof(req),
		.type = PHX_ATTACH_HEAP_GROW,
		.answer_size = sizeof(struct phx_attach_region_rep),
		.answer_fds = 1};
	struct phx_attach_answer answer;
	struct phx_attach_region region;
	const char *text;
	int rc;

	rc = phx_context_request(ctx, &request, &answer, NULL);
	if (rc)
		return rc == -ENOTCONN || rc == -ETIMEDOUT ? rc : -ENOMEM;
	region = ((const struct phx_attach_region_rep *)(const void *)answer.h)->region;
	rc = region.object == 0
		     ? phx_space_map(&ctx->send, answer.fds[0], region.offset, region.size, &text)
		     : -EPROTO;
	phx_attach_answer_fini(&answer);
	if (rc == 0) {
		rc = phx_context_mapped(ctx, 0, region.index, NULL);
		if (rc)
			return rc == -ENOTCONN || rc == -ETIMEDOUT ? rc : -ENOMEM;
		phx_lock_take(&ctx->heap_lock);
		rc = phx_heap_add_region(ctx->heap, region.offset, region.size);
		phx_lock_give(&ctx->heap_lock);
	}
	return rc ? -ENOMEM : 0;
}

static int heap_try(struct phx_context *ctx, uint64_t size, uint32_t *out_off)
{
	uint64_t off;
	int rc;

	phx_lock_take(&ctx->heap_lock);
	rc = phx_heap_alloc(ctx->heap, size, &off);
	phx_lock_give(&ctx->heap_lock);
	if (rc == 0)
		*out_off = (uint32_t)off;
	return rc;
}

int phx_context_heap_alloc(struct phx_context *ctx, uint64_t size, uint32_t *out_off)
{
	int rc = heap_try(ctx, size, out_off);

	if (phx_likely(rc != -ENOMEM))
		return rc;
	phx_lock_take(&ctx->control);
	// Another thread may have grown the heap while this one waited for the lock.
	rc = heap_try(ctx, size, out_off);
	if (rc == -ENOMEM) {
		rc = heap_grow(ctx, size);
		if (rc == 0)
			rc = heap_try(ctx, size, out_off);
	}
	phx_lock_give(&ctx->control);
	return rc;
}

void phx_context_heap_free(struct phx_context *ctx, uint32_t off)
{
	phx_lock_take(&ctx->heap_lock);
	(void)phx_heap_free(ctx->heap, off); // ours, from phx_context_heap_alloc()
	phx_lock_give(&ctx->heap_lock);
}
