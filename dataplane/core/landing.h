// SPDX-License-Identifier: BSD-3-Clause
// Private memory in which an announced message lands when a policy has to judge it: the application
// must not see a byte of it before. As large as the block of the receive heap that waits for it,
// so the receive quota bounds it. Worker thread.
#pragma once

#include "dataplane/core/call.h"

#include <stdlib.h>

// Room for `size` bytes. -ENOMEM.
static inline int landing_get(struct memory_account *account, struct incoming *in, uint32_t size)
{
	in->landing = aligned_alloc(64, phx_align_up((uint64_t)size + 8, 64));
	if (in->landing == NULL)
		return -ENOMEM;
	in->landing_size = size;
	atomic_store_explicit(&account->landing_bytes,
		atomic_load_explicit(&account->landing_bytes, memory_order_relaxed) + size,
		memory_order_relaxed);
	return 0;
}

// Legal without one.
static inline void landing_put(struct memory_account *account, struct incoming *in)
{
	if (in->landing == NULL)
		return;
	atomic_store_explicit(&account->landing_bytes,
		atomic_load_explicit(&account->landing_bytes, memory_order_relaxed) -
			in->landing_size,
		memory_order_relaxed);
	free(in->landing);
	in->landing = NULL;
}
