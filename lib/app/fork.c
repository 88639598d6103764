// SPDX-License-Identifier: BSD-3-Clause
// The page that tells parent from child; every entry point looks at it first.
#include "lib/app/fork.h"

#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <unistd.h>

int phx_fork_page_create(struct phx_fork_page **out_page)
{
	size_t size = (size_t)sysconf(_SC_PAGESIZE);
	struct phx_fork_page *page;

	page = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return -ENOMEM;
	if (madvise(page, size, MADV_WIPEONFORK) != 0) {
		(void)munmap(page, size); // our own mapping
		return -ENOTSUP;
	}
	atomic_store_explicit(&page->alive, 1, memory_order_relaxed);
	*out_page = page;
	return 0;
}

void phx_fork_page_destroy(struct phx_fork_page *page)
{
	if (page != NULL)
		(void)munmap(page, (size_t)sysconf(_SC_PAGESIZE)); // our own mapping
}
