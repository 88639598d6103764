// SPDX-License-Identifier: BSD-3-Clause
// One address space ("object") of a session: a reserved range and what is mapped in it. The
// dataplane names offsets; nothing is mapped outside the reservation or over something else.
// Changed under the context's control lock; phx_space_has() may run in any thread.
#pragma once

#include "lib/shm/region.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

// Heap regions and queue regions of one object.
#define PHX_SPACE_REGIONS_MAX 128

struct phx_space {
	struct phx_range range; // [const]
	bool writable;		// [const] application-written
	_Atomic uint32_t count; // [control > any] regions below are complete
	struct {
		uint32_t off;
		uint32_t size;
	} regions[PHX_SPACE_REGIONS_MAX];
};

// Reserve `size` bytes of address space. 0, -EINVAL: size is 0 or above 2 GiB, -ENOMEM.
int phx_space_init(struct phx_space *s, uint64_t size, bool writable);

// Unmap everything. Legal on a zeroed space.
void phx_space_fini(struct phx_space *s);

// Map the region that fd is at [off, off + size); fd stays the caller's. -EPROTO: outside the
// reservation, unaligned, overlapping, too many; -EBADF: not an object as agreed; -ENOMEM.
// *out_text (static) says what was wrong.
int phx_space_map(struct phx_space *s, int fd, uint32_t off, uint32_t size, const char **out_text);

// Put `size` bytes (pages) of private memory behind the last region, for the application alone.
// -ENOMEM: no room.
int phx_space_fill(struct phx_space *s, uint64_t size, uint32_t *out_off);

// Is [off, off + len) inside one mapped region? Acquire, pairs with phx_space_map().
static inline bool phx_space_has(const struct phx_space *s, uint32_t off, uint64_t len)
{
	uint32_t count = atomic_load_explicit(&s->count, memory_order_acquire);

	for (uint32_t i = 0; i < count; i++)
		if (off - s->regions[i].off < s->regions[i].size &&
			len <= s->regions[i].size - (off - s->regions[i].off))
			return true;
	return false;
}

static inline uint8_t *phx_space_at(const struct phx_space *s, uint32_t off)
{
	return s->range.base + off;
}
