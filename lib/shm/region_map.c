// SPDX-License-Identifier: BSD-3-Clause
// The application's side of memory objects: check a received descriptor, map it. Works with
// region.h.
#include "lib/shm/region.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef F_SEAL_FUTURE_WRITE // since Linux 5.1
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

// NULL, or why fd is not what the dataplane sends (reliability.md F-05).
static const char *check_fd(int fd, uint64_t size, bool writable)
{
	struct statfs fs;
	struct stat st;
	int seals, mode;

	if (fstat(fd, &st) < 0)
		return "descriptor is not open";
	if (!S_ISREG(st.st_mode))
		return "descriptor is not a memory object";
	if (fstatfs(fd, &fs) < 0 || (fs.f_type != TMPFS_MAGIC && fs.f_type != HUGETLBFS_MAGIC))
		return "descriptor is not on tmpfs or hugetlbfs";
	if (st.st_size < 0 || (uint64_t)st.st_size != size)
		return "descriptor has another size than announced";
	mode = fcntl(fd, F_GETFL);
	if (mode < 0 || (mode & O_ACCMODE) == O_WRONLY)
		return "descriptor cannot be read";
	if (writable && (mode & O_ACCMODE) != O_RDWR)
		return "descriptor cannot be written";
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0)
		return "descriptor cannot be sealed";
	if ((seals & F_SEAL_SHRINK) == 0)
		return "descriptor is not sealed against shrinking";
	if ((seals & F_SEAL_GROW) == 0)
		return "descriptor is not sealed against growing";
	if (!writable && (seals & F_SEAL_FUTURE_WRITE) == 0)
		return "descriptor is not sealed against writing";
	return NULL;
}

static int map_checked(
	int fd, uint64_t size, bool writable, void *addr, void **out_base, const char **out_text)
{
	const char *text = check_fd(fd, size, writable);
	int prot = writable ? PROT_READ | PROT_WRITE : PROT_READ;
	void *base;

	if (out_text != NULL)
		*out_text = text;
	if (text != NULL)
		return -EBADF;
	if (size == 0 || size > PHX_RANGE_MAX)
		return -EINVAL;
	base = mmap(addr, size, prot, MAP_SHARED | MAP_POPULATE | (addr ? MAP_FIXED : 0), fd, 0);
	if (base == MAP_FAILED) {
		int ret = -errno;

		if (out_text != NULL)
			*out_text = "descriptor cannot be mapped";
		// A failed MAP_FIXED may have removed the reservation already.
		phx_region_unmap(addr, size, true);
		return ret;
	}
	// Best effort both: see the creator's side.
	(void)madvise(base, size, MADV_DONTDUMP);
	(void)madvise(base, size, MADV_DONTFORK);
	*out_base = base;
	return 0;
}

int phx_region_map_readonly(
	int fd, uint64_t size, void *addr, const uint8_t **out_base, const char **out_text)
{
	void *base = NULL;
	int ret = map_checked(fd, size, false, addr, &base, out_text);

	if (ret == 0)
		*out_base = base;
	return ret;
}

int phx_region_map_writable(
	int fd, uint64_t size, void *addr, uint8_t **out_base, const char **out_text)
{
	void *base = NULL;
	int ret = map_checked(fd, size, true, addr, &base, out_text);

	if (ret == 0)
		*out_base = base;
	return ret;
}
