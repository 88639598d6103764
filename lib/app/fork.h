// SPDX-License-Identifier: BSD-3-Clause
// How the library knows that it runs in a child after fork: one private page that the kernel
// fills with zeros in the child (MADV_WIPEONFORK). No handler, no getpid() on the fast path; also
// right after a raw clone(). Any thread.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct phx_fork_page {
	_Atomic uint32_t alive; // [const] 1 in the process that attached, 0 in a child
};

// A page for one context. 0; -ENOMEM; -ENOTSUP: the kernel cannot wipe pages on fork.
int phx_fork_page_create(struct phx_fork_page **out_page);

// Legal on NULL and in a child.
void phx_fork_page_destroy(struct phx_fork_page *page);

static inline bool phx_fork_page_forked(const struct phx_fork_page *page)
{
	return atomic_load_explicit(&page->alive, memory_order_relaxed) == 0;
}
