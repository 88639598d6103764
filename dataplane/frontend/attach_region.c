// SPDX-License-Identifier: BSD-3-Clause
// Makes the regions of an application on lib/shm/region; works with attach_hello.c and
// attach_request.c.
#include "dataplane/frontend/attach_region.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"

#include <errno.h>
#include <unistd.h>

#define HUGE_PAGE UINT64_C(0x200000)

uint64_t attach_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

int attach_budget_take(struct attach_budget *budget, uint64_t size)
{
	if (size > budget->limit || budget->used > budget->limit - size) {
		budget->refused++;
		return -ENOMEM;
	}
	budget->used += size;
	return 0;
}

void attach_budget_give(struct attach_budget *budget, uint64_t size)
{
	budget->used -= size;
}

int attach_object_init(struct attach_object *o, uint32_t number, struct attach_budget *budget,
	uint64_t heap_quota, uint64_t queue_max)
{
	// Each heap region may lose up to a huge page to alignment.
	uint64_t size = heap_quota + queue_max * PHX_LIMIT_QUEUES_MAX +
			HUGE_PAGE * (PHX_LIMIT_HEAP_REGIONS_MAX + 1);

	*o = (struct attach_object){.number = number, .budget = budget, .heap_quota = heap_quota};
	return phx_range_reserve(phx_min(size, PHX_RANGE_MAX), &o->range);
}

void attach_object_fini(struct attach_object *o)
{
	while (o->region_count > 0)
		attach_object_undo(o);
	phx_range_release(&o->range);
	*o = (struct attach_object){0};
}

void attach_object_undo(struct attach_object *o)
{
	struct attach_region *r = &o->regions[--o->region_count];

	phx_region_fini(&r->region);
	o->bytes -= r->size;
	attach_budget_give(o->budget, r->size);
	o->budget->regions--;
	o->end = r->offset;
	if (r->kind == PHX_REGION_HEAP) {
		o->heap_bytes -= r->size;
		o->heap_count--;
	}
	*r = (struct attach_region){0};
}

// size is a multiple of the page.
static int object_add(struct attach_object *o, enum phx_region_kind kind, uint64_t size,
	uint32_t queue, struct attach_region **out)
{
	bool huge = size >= HUGE_PAGE;
	uint64_t offset = phx_align_up(o->end, huge ? HUGE_PAGE : attach_page_size());
	struct attach_budget *budget = o->budget;
	struct attach_region *r;
	int rc;

	if (o->region_count == ATTACH_REGIONS_MAX || !phx_range_ok(offset, size, o->range.size))
		return -ENOSPC;
	rc = attach_budget_take(budget, size);
	if (rc != 0)
		return rc;
	r = &o->regions[o->region_count];
	rc = phx_region_create(o->number == 0 ? PHX_REGION_APP_WRITTEN : PHX_REGION_DP_WRITTEN,
		size, huge ? PHX_REGION_HUGE : 0, o->range.base + offset, &r->region);
	if (rc != 0) {
		attach_budget_give(budget, size);
		budget->refused++;
		return rc == -ENOSPC ? -ENOMEM : rc;
	}
	r->kind = kind;
	r->offset = (uint32_t)offset;
	r->size = (uint32_t)size;
	r->queue = queue;
	r->mapped = false;
	o->region_count++;
	o->end = offset + size;
	o->bytes += size;
	budget->regions++;
	*out = r;
	return 0;
}

int attach_object_grow(struct attach_object *o, uint64_t size, struct attach_region **out)
{
	uint64_t left = o->heap_quota - o->heap_bytes, wish, least;
	int rc;

	if (size > o->heap_quota || size == 0)
		return -E2BIG;
	least = phx_align_up(size, attach_page_size());
	if (least > left || o->heap_count == PHX_LIMIT_HEAP_REGIONS_MAX)
		return -ENOSPC;
	wish = phx_max(least,
		o->heap_count == 0 ? (uint64_t)PHX_LIMIT_HEAP_FIRST_BYTES : 2 * o->heap_last);
	wish = phx_min(wish, left);
	if (wish >= HUGE_PAGE)
		wish = phx_max(phx_align_down(wish, HUGE_PAGE), least);
	rc = object_add(o, PHX_REGION_HEAP, wish, 0, out);
	// Short of memory for the generous size: what was asked for may still fit.
	if (rc == -ENOMEM && wish > least) {
		wish = least;
		rc = object_add(o, PHX_REGION_HEAP, wish, 0, out);
	}
	if (rc != 0)
		return rc;
	o->heap_bytes += wish;
	o->heap_last = wish;
	o->heap_count++;
	return 0;
}

int attach_object_queue(
	struct attach_object *o, uint64_t size, uint32_t queue, struct attach_region **out)
{
	return object_add(o, PHX_REGION_QUEUE, phx_align_up(size, attach_page_size()), queue, out);
}

int attach_object_mapped(struct attach_object *o, uint32_t index)
{
	struct attach_region *r;
	int rc = 0;

	if (index >= o->region_count || o->regions[index].mapped)
		return -EINVAL;
	r = &o->regions[index];
	if (o->number == 0)
		rc = phx_region_seal(&r->region);
	if (rc == 0)
		r->mapped = true;
	return rc;
}

struct phx_attach_region attach_region_describe(
	const struct attach_object *o, const struct attach_region *r)
{
	return (struct phx_attach_region){
		.object = o->number,
		.kind = r->kind,
		.offset = r->offset,
		.size = r->size,
		.index = (uint32_t)(r - o->regions),
		.queue = r->queue,
	};
}
