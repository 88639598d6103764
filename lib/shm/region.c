// SPDX-License-Identifier: BSD-3-Clause
// The creator's side of memory objects, and address ranges. Works with region.h; the
// application's side is region_map.c.
#include "lib/shm/region.h"

#include "lib/base/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef MFD_NOEXEC_SEAL // since Linux 6.3
#define MFD_NOEXEC_SEAL 0x0008U
#endif
#ifndef MFD_HUGE_2MB
#define MFD_HUGE_2MB (21U << 26)
#endif
#ifndef F_SEAL_FUTURE_WRITE // since Linux 5.1
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

#define HUGE_SIZE UINT64_C(0x200000)

static uint64_t page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}

int phx_range_reserve(uint64_t size, struct phx_range *out)
{
	uint64_t page = page_size();
	uint64_t map_size;
	void *base;

	if (size == 0 || size > PHX_RANGE_MAX)
		return -EINVAL;
	size = phx_align_up(size, page);
	map_size = size + HUGE_SIZE + page; // room to align, and the guard
	base = mmap(NULL, map_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (base == MAP_FAILED)
		return -errno;
	(void)madvise(base, map_size, MADV_DONTFORK); // best effort: a child gains nothing here
	out->base = (uint8_t *)phx_align_up((uintptr_t)base, HUGE_SIZE);
	out->size = size;
	out->map_base_ = base;
	out->map_size_ = map_size;
	return 0;
}

void phx_range_release(struct phx_range *range)
{
	if (range->map_base_ != NULL)
		(void)munmap(range->map_base_, range->map_size_); // our own mapping
	*range = (struct phx_range){0};
}

static int open_memfd(bool huge)
{
	const char *name = "phoenix";
	unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
	int fd;

	if (huge)
		flags |= MFD_HUGETLB | MFD_HUGE_2MB;
	fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);
	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	return fd < 0 ? -errno : fd;
}

static int populate(int fd, uint64_t size)
{
	while (fallocate(fd, 0, 0, (off_t)size) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

static int map_one(int fd, uint64_t size, int prot, void *addr, uint8_t **out)
{
	int flags = MAP_SHARED | MAP_POPULATE | (addr != NULL ? MAP_FIXED : 0);
	void *base = mmap(addr, size, prot, flags, fd, 0);

	if (base == MAP_FAILED) {
		int ret = -errno;

		// A failed MAP_FIXED may have removed the reservation already.
		phx_region_unmap(addr, size, true);
		return ret;
	}
	// Best effort both: a core file or child with these pages is not wrong, only larger.
	(void)madvise(base, size, MADV_DONTDUMP);
	(void)madvise(base, size, MADV_DONTFORK);
	*out = base;
	return 0;
}

// A new open of our own object: unlike a duplicate it has a mode of its own.
static int reopen_readonly(int fd)
{
	char path[32];
	int ret;

	(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	ret = open(path, O_RDONLY | O_CLOEXEC);
	return ret < 0 ? -errno : ret;
}

static int map_creator(struct phx_region *r, void *addr)
{
	int fd, ret;

	if (r->writer == PHX_REGION_DP_WRITTEN)
		return map_one(r->fd, r->size, PROT_READ | PROT_WRITE, addr, &r->base);
	ret = map_one(r->fd, r->size, PROT_READ | PROT_WRITE, NULL, &r->registration_base);
	if (ret < 0)
		return ret;
	// Of a read-only open, so that mprotect cannot turn it writable either.
	fd = reopen_readonly(r->fd);
	if (fd < 0)
		return fd;
	ret = map_one(fd, r->size, PROT_READ, addr, &r->base);
	(void)close(fd); // nothing to flush; the mapping stays
	return ret;
}

static int create_one(struct phx_region *r, void *addr)
{
	int seals = F_SEAL_SHRINK | F_SEAL_GROW;
	int ret;

	r->fd = open_memfd(r->huge);
	if (r->fd < 0) {
		ret = r->fd;
		r->fd = -1;
		return ret;
	}
	if (fchmod(r->fd, 0600) < 0 || ftruncate(r->fd, (off_t)r->size) < 0)
		return -errno;
	ret = populate(r->fd, r->size);
	if (ret < 0)
		return ret;
	ret = map_creator(r, addr);
	if (ret < 0)
		return ret;
	r->sealed = r->writer == PHX_REGION_DP_WRITTEN;
	if (r->sealed)
		seals |= F_SEAL_FUTURE_WRITE | F_SEAL_SEAL;
	if (fcntl(r->fd, F_ADD_SEALS, seals) < 0)
		return -errno;
	r->locked = mlock(r->base, r->size) == 0; // needs RLIMIT_MEMLOCK; shown by `mem show`
	return 0;
}

static void close_region(struct phx_region *r)
{
	phx_region_unmap(r->base, r->size, r->fixed_);
	phx_region_unmap(r->registration_base, r->size, false);
	if (r->fd >= 0)
		(void)close(r->fd); // nothing to flush
}

int phx_region_create(enum phx_region_writer writer, uint64_t size, unsigned flags, void *addr,
	struct phx_region *out)
{
	bool huge = (flags & PHX_REGION_HUGE) != 0 && size % HUGE_SIZE == 0 &&
		    (uintptr_t)addr % HUGE_SIZE == 0;
	uint64_t page = page_size();
	struct phx_region r;
	int ret;

	if (size == 0 || size > PHX_RANGE_MAX || size % page != 0 || (uintptr_t)addr % page != 0 ||
		(flags & ~(unsigned)PHX_REGION_HUGE) != 0)
		return -EINVAL;
	for (;;) {
		r = (struct phx_region){.writer = writer,
			.fd = -1,
			.size = size,
			.huge = huge,
			.fixed_ = addr != NULL};
		ret = create_one(&r, addr);
		if (ret == 0)
			break;
		close_region(&r);
		if (!huge)
			return ret;
		huge = false; // an empty pool is no reason to fail
	}
	*out = r;
	return 0;
}

int phx_region_export(const struct phx_region *region, int *out_fd)
{
	int fd;

	if (region->writer == PHX_REGION_APP_WRITTEN && region->sealed)
		return -EALREADY;
	if (region->writer == PHX_REGION_APP_WRITTEN) {
		fd = fcntl(region->fd, F_DUPFD_CLOEXEC, 0);
		if (fd < 0)
			return -errno;
	} else {
		fd = reopen_readonly(region->fd);
		if (fd < 0)
			return fd;
	}
	*out_fd = fd;
	return 0;
}

int phx_region_seal(struct phx_region *region)
{
	if (region->sealed)
		return 0;
	if (fcntl(region->fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SEAL) < 0)
		return -errno;
	region->sealed = true;
	return populate(region->fd, region->size);
}

void phx_region_fini(struct phx_region *region)
{
	if (region->size == 0)
		return;
	close_region(region);
	*region = (struct phx_region){.fd = -1};
}

void phx_region_unmap(const void *base, uint64_t size, bool in_range)
{
	if (base == NULL)
		return;
	// Both can fail only for want of kernel memory to split a mapping; the address space
	// is lost then, and goes with the range.
	if (in_range)
		(void)mmap((void *)(uintptr_t)base, size, PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
	else
		(void)munmap((void *)(uintptr_t)base, size);
}
