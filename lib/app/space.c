// SPDX-License-Identifier: BSD-3-Clause
// Maps the regions of a session where the dataplane says, after checking what it says.
#include "lib/app/space.h"

#include "lib/base/bits.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int phx_space_init(struct phx_space *s, uint64_t size, bool writable)
{
	memset(s, 0, sizeof(*s));
	s->writable = writable;
	return phx_range_reserve(size, &s->range);
}

void phx_space_fini(struct phx_space *s)
{
	phx_range_release(&s->range);
	memset(s, 0, sizeof(*s));
}

static const char *space_check(const struct phx_space *s, uint32_t off, uint32_t size)
{
	uint32_t count = atomic_load_explicit(&s->count, memory_order_relaxed); // we write it
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

	if (count == PHX_SPACE_REGIONS_MAX)
		return "too many regions";
	if (size == 0 || off % page != 0 || size % page != 0)
		return "region is not made of pages";
	if (!phx_range_ok(off, size, s->range.size))
		return "region lies outside the announced address space";
	for (uint32_t i = 0; i < count; i++)
		if (off < (uint64_t)s->regions[i].off + s->regions[i].size &&
			s->regions[i].off < (uint64_t)off + size)
			return "region overlaps another";
	return NULL;
}

static void space_add(struct phx_space *s, uint32_t off, uint32_t size)
{
	uint32_t count = atomic_load_explicit(&s->count, memory_order_relaxed); // we write it

	// A child has no session; best effort, since every call checks for it first.
	(void)madvise(s->range.base + off, size, MADV_DONTFORK);
	s->regions[count].off = off;
	s->regions[count].size = size;
	atomic_store_explicit(&s->count, count + 1, memory_order_release); // phx_space_has
}

int phx_space_fill(struct phx_space *s, uint64_t size, uint32_t *out_off)
{
	uint32_t count = atomic_load_explicit(&s->count, memory_order_relaxed); // we write it
	uint64_t off = 0;

	for (uint32_t i = 0; i < count; i++)
		if ((uint64_t)s->regions[i].off + s->regions[i].size > off)
			off = (uint64_t)s->regions[i].off + s->regions[i].size;
	if (size > UINT32_MAX || off > UINT32_MAX ||
		space_check(s, (uint32_t)off, (uint32_t)size) != NULL)
		return -ENOMEM;
	// The range is ours and nothing is mapped there.
	if (mmap(s->range.base + off, size, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		return -ENOMEM;
	space_add(s, (uint32_t)off, (uint32_t)size);
	*out_off = (uint32_t)off;
	return 0;
}

int phx_space_map(struct phx_space *s, int fd, uint32_t off, uint32_t size, const char **out_text)
{
	const char *text = space_check(s, off, size);
	const uint8_t *read_base;
	uint8_t *write_base;
	int rc;

	*out_text = text != NULL ? text : "region cannot be mapped";
	if (text != NULL)
		return -EPROTO;
	if (s->writable)
		rc = phx_region_map_writable(fd, size, s->range.base + off, &write_base, out_text);
	else
		rc = phx_region_map_readonly(fd, size, s->range.base + off, &read_base, out_text);
	if (rc)
		return rc;
	space_add(s, off, size);
	return 0;
}
