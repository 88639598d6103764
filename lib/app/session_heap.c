// SPDX-License-Identifier: BSD-3-Clause
// The send heap of a session: blocks from lib/shm/heap, further regions from the dataplane.
#include "lib/app/session.h"

#include "lib/app/context.h"
#include "lib/base/bits.h"

#include <errno.h>
#include <unistd.h>

// One more region that has room for `size` bytes. Only the thread that needs it waits.
PHX_COLD static int heap_grow(struct phx_session *s, uint64_t size)
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

	rc = phx_session_request(s, &request, &answer, NULL);
	if (rc)
		return -ENOMEM;
	region = ((const struct phx_attach_region_rep *)(const void *)answer.h)->region;
	rc = region.object == 0
		     ? phx_space_map(&s->send, answer.fds[0], region.offset, region.size, &text)
		     : -EPROTO;
	phx_attach_answer_fini(&answer);
	if (rc == 0) {
		rc = phx_session_mapped(s, 0, region.index, NULL);
		if (rc)
			return -ENOMEM;
		phx_lock_take(&s->heap_lock);
		rc = phx_heap_add_region(s->heap, region.offset, region.size);
		phx_lock_give(&s->heap_lock);
	}
	return rc ? -ENOMEM : 0;
}

// Without a dataplane a message can still be begun, for a call that waits for the next session; it
// is moved there.
PHX_COLD static int heap_grow_alone(struct phx_session *s, uint64_t size)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t want = phx_align_up(phx_max(size, (uint64_t)PHX_LIMIT_HEAP_FIRST_BYTES), page);
	uint32_t off;
	int rc = phx_space_fill(&s->send, want, &off);

	if (rc)
		return rc;
	phx_lock_take(&s->heap_lock);
	rc = phx_heap_add_region(s->heap, off, want);
	phx_lock_give(&s->heap_lock);
	return rc ? -ENOMEM : 0;
}

static int heap_try(struct phx_session *s, uint64_t size, uint32_t *out_off)
{
	uint64_t off;
	int rc;

	phx_lock_take(&s->heap_lock);
	rc = phx_heap_alloc(s->heap, size, &off);
	phx_lock_give(&s->heap_lock);
	if (rc == 0)
		*out_off = (uint32_t)off;
	return rc;
}

int phx_session_heap_alloc(struct phx_session *s, uint64_t size, uint32_t *out_off)
{
	int rc = heap_try(s, size, out_off);

	if (phx_likely(rc != -ENOMEM))
		return rc;
	phx_lock_take(&s->context->control);
	// Another thread may have grown the heap while this one waited for the lock.
	rc = heap_try(s, size, out_off);
	if (rc == -ENOMEM) {
		if (s->end.code == 0)
			rc = heap_grow(s, size);
		if (rc != 0 && s->end.code != 0) // perhaps only now
			rc = heap_grow_alone(s, size);
		if (rc == 0)
			rc = heap_try(s, size, out_off);
	}
	phx_lock_give(&s->context->control);
	return rc;
}

void phx_session_heap_free(struct phx_session *s, uint32_t off)
{
	phx_lock_take(&s->heap_lock);
	(void)phx_heap_free(s->heap, off); // ours, from phx_session_heap_alloc()
	phx_lock_give(&s->heap_lock);
}
