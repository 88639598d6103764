// SPDX-License-Identifier: BSD-3-Clause
// A message as one contiguous image, by the codec of lib/schema, whose names for messages and
// references are not those of <phoenix/message.h>: hence nothing of either here.
#pragma once

#include <stddef.h>
#include <stdint.h>

struct phx_flat;

struct phx_flat_region {
	uint32_t off;
	uint32_t size;
};

// What is to be flattened: type `type` of a table, its fixed part at `root` of memory that is
// mapped in `regions` of `base`.
struct phx_flat_source {
	const void *table;
	size_t table_size;
	uint32_t type;
	const uint8_t *base;
	const struct phx_flat_region *regions; // in any order, at most PHX_SPACE_REGIONS_MAX
	uint32_t region_count;
	uint64_t root;
};

// A private copy. 0; -ENOMEM; -EINVAL: the content is not of the type. phx_flat_destroy() ends it.
int phx_flat_create(const struct phx_flat_source *source, struct phx_flat **out_flat);
uint32_t phx_flat_size(const struct phx_flat *flat);
void phx_flat_read(const struct phx_flat *flat, void *dst); // phx_flat_size() bytes, root first
void phx_flat_destroy(struct phx_flat *flat);
