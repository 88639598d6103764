// SPDX-License-Identifier: BSD-3-Clause
// The two address spaces of one application at the dataplane: a reserved range each, regions
// of kind QUEUE and HEAP inside, and what they are charged to. Control thread.
#pragma once

#include "lib/attach/attach.h"
#include "lib/shm/layout.h"
#include "lib/shm/region.h"

#include <stdbool.h>
#include <stdint.h>

#define ATTACH_REGIONS_MAX (PHX_LIMIT_HEAP_REGIONS_MAX + PHX_LIMIT_QUEUES_MAX)

// Bytes mapped by all applications together, and taken by their schemas (--app-memory).
struct attach_budget {
	uint64_t limit;
	uint64_t used;
	uint64_t regions; // gauge
	uint64_t refused;
};

// Charge. -ENOMEM: no room, counted.
int attach_budget_take(struct attach_budget *budget, uint64_t size);
void attach_budget_give(struct attach_budget *budget, uint64_t size);

struct attach_region {
	struct phx_region region;
	enum phx_region_kind kind;
	uint32_t offset;
	uint32_t size;
	uint32_t queue;
	bool mapped; // the application said so
};

struct attach_object {
	uint32_t number; // 0 application-written, 1 dataplane-written
	struct attach_budget *budget;
	struct phx_range range;
	uint64_t heap_quota;
	uint64_t heap_bytes;
	uint64_t heap_last; // size of the newest heap region
	uint32_t heap_count;
	uint64_t end; // next free offset
	uint64_t bytes;
	struct attach_region regions[ATTACH_REGIONS_MAX];
	uint32_t region_count;
};

// What regions are rounded to: 4 KiB, but 16 or 64 KiB on some arm64 hosts.
uint64_t attach_page_size(void);

// Reserve address space for heaps of heap_quota bytes and PHX_LIMIT_QUEUES_MAX queues of at most
// queue_max bytes. -ENOMEM.
int attach_object_init(struct attach_object *o, uint32_t number, struct attach_budget *budget,
	uint64_t heap_quota, uint64_t queue_max);

// Unmap and close everything, give the charge back. Legal on zeroes.
void attach_object_fini(struct attach_object *o);

// One more heap region with room for `size` bytes: 256 KiB first, then the larger of twice the
// last and the request, cut to what the quota leaves, 2 MiB pages from 2 MiB on when there are
// any. -E2BIG: more than the quota can ever give; -ENOSPC: the quota or the number of regions;
// -ENOMEM: --app-memory or the system. *out is the object's.
int attach_object_grow(struct attach_object *o, uint64_t size, struct attach_region **out);

// A QUEUE region of size bytes. Errors as above.
int attach_object_queue(
	struct attach_object *o, uint64_t size, uint32_t queue, struct attach_region **out);

// Take the newest region back, before anybody heard of it.
void attach_object_undo(struct attach_object *o);

// The application has mapped region `index`: seal it if it writes there. -EINVAL: no such region
// or mapped already; -ENOMEM and others: sealing failed, the region must not be used.
int attach_object_mapped(struct attach_object *o, uint32_t index);

// How the region is announced.
struct phx_attach_region attach_region_describe(
	const struct attach_object *o, const struct attach_region *r);
