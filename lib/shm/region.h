// SPDX-License-Identifier: BSD-3-Clause
// Memory objects shared by an application and the dataplane: sealed memfds with one writer
// each (design.md 3, reliability.md 5.1 and findings 2 to 4). The dataplane creates both
// kinds; the application maps descriptors it receives; the dataplane accepts none.
//
// Steps of a dataplane-written object: phx_region_create() (mapped, sealed for ever),
// phx_region_export(), send the descriptor, the application calls phx_region_map_readonly().
// Steps of an application-written object: phx_region_create(), phx_region_export(), send,
// the application calls phx_region_map_writable() and says so, phx_region_seal(). No byte
// of it is read before the last step.
//
// All functions: control thread of the dataplane, or any one thread of the application;
// they make system calls and may block on page allocation. A region belongs to one owner,
// there is no locking.
// If the peer dies: nothing here changes; its mappings vanish with it.
#pragma once

#include <stdbool.h>
#include <stdint.h>

// Largest address range of one heap: references inside are int32 (design.md 4).
#define PHX_RANGE_MAX UINT64_C(0x80000000)

// Reserved address space without memory behind it: touching it faults until a region is
// mapped there. base is 2 MiB aligned, and a guard of at least one page follows the end.
struct phx_range {
	uint8_t *base;
	uint64_t size; // bytes usable from base

	void *map_base_; // private: the reservation as the kernel knows it
	uint64_t map_size_;
};

// Reserve size bytes (1 .. PHX_RANGE_MAX, rounded up to pages). -EINVAL: size; -ENOMEM: no
// address space. Ended by phx_range_release().
int phx_range_reserve(uint64_t size, struct phx_range *out);

// Unmap the range, after phx_region_fini() or phx_region_unmap() of everything inside.
// Legal on a range of zeroes.
void phx_range_release(struct phx_range *range);

enum phx_region_writer {
	PHX_REGION_DP_WRITTEN,	// the creator writes, the application reads
	PHX_REGION_APP_WRITTEN, // the application writes, the creator reads
};

enum {
	PHX_REGION_HUGE = 1, // 2 MiB pages if size is a multiple and the pool has them
};

// One object at its creator.
struct phx_region {
	enum phx_region_writer writer;
	int fd;	       // read-write, the creator's own; never sent for DP_WRITTEN
	uint64_t size; // bytes
	uint8_t *base; // DP_WRITTEN: read-write mapping; APP_WRITTEN: read-only mapping

	// APP_WRITTEN only: a writable mapping for registration with an RDMA device, never
	// for access by the CPU. NULL for DP_WRITTEN (register base).
	uint8_t *registration_base;

	bool huge;   // 2 MiB pages
	bool locked; // mlock succeeded
	bool sealed; // no further writable mapping, no hole punching

	bool fixed_; // private: base lies in a reserved range
};

// Create, populate, map and begin to seal an object of size bytes (multiple of the page
// size, at most PHX_RANGE_MAX). addr is NULL for anywhere or a page-aligned address inside
// a phx_range of the caller with room for size bytes (2 MiB aligned to get huge pages).
// Mode 0600, close-on-exec, not dumped into cores, not inherited by fork. Pages are
// allocated now, so that no later touch fails for want of memory; locking is best effort.
// DP_WRITTEN is sealed SHRINK|GROW|FUTURE_WRITE|SEAL, APP_WRITTEN only SHRINK|GROW yet.
// 0; -EINVAL: size, flags or alignment of addr; -ENOMEM, -ENOSPC: no memory;
// -EMFILE, -ENFILE: descriptors; other negative errno of the kernel. *out untouched then.
// Ended by phx_region_fini().
int phx_region_create(enum phx_region_writer writer, uint64_t size, unsigned flags, void *addr,
	struct phx_region *out);

// A new descriptor to send to the application, closed by the caller: read-only for
// DP_WRITTEN (a re-open, its mode cannot be changed), read-write for APP_WRITTEN.
// -EALREADY: APP_WRITTEN and sealed already; -EMFILE and other negative errno values.
int phx_region_export(const struct phx_region *region, int *out_fd);

// After the application said that it has mapped an APP_WRITTEN object: add FUTURE_WRITE|SEAL
// and populate again what it may have punched out meanwhile. From here on no process can
// map it writable, shrink it or remove pages. 0 also when sealed before; -ENOMEM,
// -ENOSPC: no memory for the holes, the object must not be used.
int phx_region_seal(struct phx_region *region);

// Unmap, close. Inside a range the address space stays reserved (PROT_NONE) until
// phx_range_release(). Legal on a region of zeroes.
void phx_region_fini(struct phx_region *region);

// Application side: check a received descriptor and map size bytes of it, at addr (inside a
// phx_range) or anywhere when NULL. fd stays the caller's and may be closed afterwards.
// Checked: memfd (regular file on tmpfs or hugetlbfs), exact size, seals (SHRINK and GROW;
// for reading also FUTURE_WRITE), open mode. -EBADF: any of them fails, *out_text says which
// ("descriptor is not sealed against shrinking"; static string); -EINVAL: size or addr;
// -ENOMEM and other values of mmap. out_text may be NULL.
int phx_region_map_readonly(
	int fd, uint64_t size, void *addr, const uint8_t **out_base, const char **out_text);
int phx_region_map_writable(
	int fd, uint64_t size, void *addr, uint8_t **out_base, const char **out_text);

// Undo one of the two; in_range: put the reservation back. base may be NULL.
void phx_region_unmap(const void *base, uint64_t size, bool in_range);
