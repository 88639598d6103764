// SPDX-License-Identifier: BSD-3-Clause
// Blocks of the heap: slabs of equal blocks up to 32 KiB, runs of pages above. Works with
// heap_page.c, which keeps the runs.
#include "lib/shm/heap.h"

#include "lib/base/bits.h"
#include "lib/base/compiler.h"
#include "lib/shm/heap_page.h"

#include <errno.h>
#include <stdlib.h>

#define SLAB_PAGES_MAX 8

// 16, 32, 48; 64 to 512 in steps of 64; then four a power of two up to 32 KiB.
static uint32_t class_size(unsigned i)
{
	if (i < 3)
		return 16 * (i + 1);
	if (i < 11)
		return 64 * (i - 2);
	return (128u * (5 + (i - 11) % 4)) << ((i - 11) / 4);
}

// Smallest class that holds size, size in [1, PHX_HEAP_SMALL_MAX].
static inline unsigned class_of(uint32_t size)
{
	unsigned exp;

	if (size <= 48)
		return (size + 15) / 16 - 1;
	if (size <= 512)
		return (size + 63) / 64 + 2;
	exp = phx_log2(size - 1);
	return 11 + (exp - 9) * 4 + (((size - 1) >> (exp - 2)) & 3);
}

// The fewest pages that waste at most an eighth behind the last block.
static void class_init(struct heap_class *c, unsigned i)
{
	uint32_t bytes = 0;

	c->size = class_size(i);
	c->recip = (uint32_t)((UINT64_C(1) << 32) / c->size + 1);
	for (c->pages = 1; c->pages <= SLAB_PAGES_MAX; c->pages++) {
		bytes = c->pages * PHX_HEAP_PAGE;
		if (bytes >= c->size && bytes % c->size <= bytes / 8)
			break;
	}
	c->blocks = (uint16_t)(bytes / c->size);
	c->list = HEAP_NONE;
	c->empty = HEAP_NONE;
}

int phx_heap_create(struct phx_heap **out)
{
	struct phx_heap *h = calloc(1, sizeof(*h));

	if (h == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < HEAP_CLASSES; i++)
		class_init(&h->class[i], i);
	for (unsigned i = 0; i < HEAP_BINS; i++)
		h->bin[i] = HEAP_NONE;
	*out = h;
	return 0;
}

void phx_heap_destroy(struct phx_heap *heap)
{
	if (heap == NULL)
		return;
	free(heap->page);
	free(heap);
}

static uint64_t heap_end(const struct phx_heap *h)
{
	const struct heap_region *last;

	if (h->stats.regions == 0)
		return 0;
	last = &h->region[h->stats.regions - 1];
	return last->off + last->size;
}

int phx_heap_add_region(struct phx_heap *heap, uint64_t off, uint64_t size)
{
	uint32_t first, pages, len;
	struct heap_page *page;

	if (size == 0 || ((off | size) & (PHX_HEAP_PAGE - 1)) != 0 || off < heap_end(heap) ||
		!phx_range_ok(off, size, PHX_HEAP_SIZE_MAX) ||
		heap->stats.regions == PHX_LIMIT_HEAP_REGIONS_MAX)
		return -EINVAL;
	first = (uint32_t)(off >> HEAP_PAGE_SHIFT);
	pages = (uint32_t)(size >> HEAP_PAGE_SHIFT);
	len = first + pages;
	if (len > heap->pages_len) {
		page = reallocarray(heap->page, len, sizeof(*page));
		if (page == NULL)
			return -ENOMEM;
		memset(&page[heap->pages_len], 0, (len - heap->pages_len) * sizeof(*page));
		heap->page = page;
		heap->pages_len = len;
	}
	heap->region[heap->stats.regions++] = (struct heap_region){.off = off, .size = size};
	heap->stats.size += size;
	heap->page[first].region_start = true;
	phx_heap_run_add(heap, first, pages);
	return 0;
}

static void list_push(struct phx_heap *h, struct heap_class *c, uint32_t first)
{
	struct heap_page *p = &h->page[first];

	p->prev = HEAP_NONE;
	p->next = c->list;
	if (p->next != HEAP_NONE)
		h->page[p->next].prev = first;
	c->list = first;
}

static void list_remove(struct phx_heap *h, struct heap_class *c, uint32_t first)
{
	struct heap_page *p = &h->page[first];

	if (p->next != HEAP_NONE)
		h->page[p->next].prev = p->prev;
	if (p->prev != HEAP_NONE)
		h->page[p->prev].next = p->next;
	else
		c->list = p->next;
}

// An empty slab back to the runs.
static void slab_release(struct phx_heap *h, struct heap_class *c, uint32_t first)
{
	list_remove(h, c, first);
	for (uint32_t i = 0; i < c->pages; i++)
		h->page[first + i].kind = HEAP_INNER;
	h->stats.footprint -= (uint64_t)c->pages << HEAP_PAGE_SHIFT;
	phx_heap_run_free(h, first, c->pages);
}

// Release the empty slabs kept for speed; false when there were none.
static bool slabs_trim(struct phx_heap *h)
{
	bool any = false;

	for (unsigned i = 0; i < HEAP_CLASSES; i++) {
		struct heap_class *c = &h->class[i];

		if (c->empty == HEAP_NONE)
			continue;
		slab_release(h, c, c->empty);
		c->empty = HEAP_NONE;
		any = true;
	}
	return any;
}

static uint32_t run_alloc(struct phx_heap *h, uint32_t pages, uint32_t align_pages)
{
	uint32_t first = phx_heap_run_alloc(h, pages, align_pages);

	if (first == HEAP_NONE && slabs_trim(h))
		first = phx_heap_run_alloc(h, pages, align_pages);
	if (first == HEAP_NONE)
		h->stats.failures++;
	else
		h->stats.footprint += (uint64_t)pages << HEAP_PAGE_SHIFT;
	return first;
}

static PHX_NOINLINE uint32_t slab_create(struct phx_heap *h, unsigned class_index)
{
	struct heap_class *c = &h->class[class_index];
	uint32_t first = run_alloc(h, c->pages, 1);
	struct heap_page *p;

	if (first == HEAP_NONE)
		return HEAP_NONE;
	for (uint32_t i = 0; i < c->pages; i++) {
		h->page[first + i].kind = HEAP_SLAB;
		h->page[first + i].head = first;
	}
	p = &h->page[first];
	p->class_index = (uint8_t)class_index;
	p->free_blocks = c->blocks;
	for (unsigned w = 0; w < 4; w++) {
		unsigned left = c->blocks > w * 64 ? c->blocks - w * 64 : 0;

		p->bits[w] = left >= 64 ? ~UINT64_C(0) : (UINT64_C(1) << left) - 1;
	}
	list_push(h, c, first);
	return first;
}

static inline void count_alloc(struct phx_heap *h, uint64_t bytes)
{
	h->stats.used += bytes;
	h->stats.used_peak = phx_max(h->stats.used_peak, h->stats.used);
	h->stats.blocks++;
	h->stats.allocs++;
}

static int small_alloc(struct phx_heap *h, uint32_t size, uint64_t *out_off)
{
	unsigned class_index = class_of(size), w = 0, bit;
	struct heap_class *c = &h->class[class_index];
	uint32_t first = c->list;
	struct heap_page *p;

	if (phx_unlikely(first == HEAP_NONE)) {
		first = slab_create(h, class_index);
		if (first == HEAP_NONE)
			return -ENOMEM;
	}
	p = &h->page[first];
	while (p->bits[w] == 0)
		w++;
	bit = (unsigned)__builtin_ctzll(p->bits[w]);
	p->bits[w] &= p->bits[w] - 1;
	if (first == c->empty)
		c->empty = HEAP_NONE;
	if (--p->free_blocks == 0)
		list_remove(h, c, first);
	count_alloc(h, c->size);
	*out_off = ((uint64_t)first << HEAP_PAGE_SHIFT) + (uint64_t)(w * 64 + bit) * c->size;
	return 0;
}

static int large_alloc(struct phx_heap *h, uint64_t size, uint64_t align, uint64_t *out_off)
{
	uint32_t pages = (uint32_t)((size + PHX_HEAP_PAGE - 1) >> HEAP_PAGE_SHIFT);
	uint32_t align_pages = (uint32_t)phx_max(align >> HEAP_PAGE_SHIFT, UINT64_C(1));
	uint32_t first = run_alloc(h, pages, align_pages);

	if (first == HEAP_NONE)
		return -ENOMEM;
	h->page[first].kind = HEAP_LARGE;
	count_alloc(h, (uint64_t)pages << HEAP_PAGE_SHIFT);
	*out_off = (uint64_t)first << HEAP_PAGE_SHIFT;
	return 0;
}

int phx_heap_alloc(struct phx_heap *heap, uint64_t size, uint64_t *out_off)
{
	if (phx_likely(size - 1 < PHX_HEAP_SMALL_MAX)) // 0 wraps
		return small_alloc(heap, (uint32_t)size, out_off);
	if (size == 0 || size > PHX_HEAP_SIZE_MAX)
		return -EINVAL;
	return large_alloc(heap, size, 1, out_off);
}

int phx_heap_alloc_aligned(struct phx_heap *heap, uint64_t size, uint64_t align, uint64_t *out_off)
{
	if (size == 0 || size > PHX_HEAP_SIZE_MAX || !phx_is_pow2(align) ||
		align > PHX_HEAP_ALIGN_MAX)
		return -EINVAL;
	if (align <= 16)
		return phx_heap_alloc(heap, size, out_off);
	if (align <= 64)
		return phx_heap_alloc(heap, phx_max(size, UINT64_C(64)), out_off);
	// Slabs start on a page, so a block of 2^n bytes, at most a page, is aligned to 2^n.
	size = phx_max(size, align);
	if (size <= PHX_HEAP_PAGE)
		return phx_heap_alloc(heap, phx_pow2_up(size), out_off);
	return large_alloc(heap, size, align, out_off);
}

// The first page of the run in which a live block starts at off, HEAP_NONE if none does;
// *out_block is its number in a slab.
static inline uint32_t block_find(const struct phx_heap *h, uint64_t off, uint32_t *out_block)
{
	uint64_t page = off >> HEAP_PAGE_SHIFT;
	const struct heap_class *c;
	const struct heap_page *p;
	uint32_t delta, block;

	if (phx_unlikely(page >= h->pages_len))
		return HEAP_NONE;
	p = &h->page[page];
	if (p->kind == HEAP_LARGE)
		return (off & (PHX_HEAP_PAGE - 1)) == 0 ? (uint32_t)page : HEAP_NONE;
	if (phx_unlikely(p->kind != HEAP_SLAB))
		return HEAP_NONE;
	delta = (uint32_t)(off - ((uint64_t)p->head << HEAP_PAGE_SHIFT));
	page = p->head;
	p = &h->page[page];
	c = &h->class[p->class_index];
	block = (uint32_t)(((uint64_t)delta * c->recip) >> 32);
	if (phx_unlikely(block * c->size != delta || block >= c->blocks ||
			 (p->bits[block / 64] >> (block % 64) & 1) != 0))
		return HEAP_NONE;
	*out_block = block;
	return (uint32_t)page;
}

static void small_free(struct phx_heap *h, uint32_t first, uint32_t block)
{
	struct heap_page *p = &h->page[first];
	struct heap_class *c = &h->class[p->class_index];

	p->bits[block / 64] |= UINT64_C(1) << (block % 64);
	h->stats.used -= c->size;
	if (p->free_blocks++ == 0)
		list_push(h, c, first);
	if (p->free_blocks < c->blocks)
		return;
	if (c->empty == HEAP_NONE)
		c->empty = first;
	else
		slab_release(h, c, first);
}

int phx_heap_free(struct phx_heap *heap, uint64_t off)
{
	uint32_t block = 0, first = block_find(heap, off, &block);
	struct heap_page *p;

	if (phx_unlikely(first == HEAP_NONE))
		return -EINVAL;
	heap->stats.blocks--;
	p = &heap->page[first];
	if (phx_likely(p->kind == HEAP_SLAB)) {
		small_free(heap, first, block);
		return 0;
	}
	p->kind = HEAP_INNER;
	heap->stats.used -= (uint64_t)p->pages << HEAP_PAGE_SHIFT;
	heap->stats.footprint -= (uint64_t)p->pages << HEAP_PAGE_SHIFT;
	phx_heap_run_free(heap, first, p->pages);
	return 0;
}

uint64_t phx_heap_size(const struct phx_heap *heap, uint64_t off)
{
	uint32_t block, first = block_find(heap, off, &block);

	if (first == HEAP_NONE)
		return 0;
	if (heap->page[first].kind == HEAP_SLAB)
		return heap->class[heap->page[first].class_index].size;
	return (uint64_t)heap->page[first].pages << HEAP_PAGE_SHIFT;
}

int phx_heap_remove_region(struct phx_heap *heap, uint64_t off)
{
	const struct heap_region *last;
	uint32_t first;

	if (heap->stats.regions == 0)
		return -EINVAL;
	last = &heap->region[heap->stats.regions - 1];
	if (last->off != off)
		return -EINVAL;
	(void)slabs_trim(heap); // none kept is fine
	first = (uint32_t)(off >> HEAP_PAGE_SHIFT);
	if (heap->page[first].kind != HEAP_FREE ||
		heap->page[first].pages != last->size >> HEAP_PAGE_SHIFT)
		return -EBUSY;
	phx_heap_run_remove(heap, first);
	heap->page[first].region_start = false;
	heap->stats.size -= last->size;
	heap->stats.regions--;
	return 0;
}

uint64_t phx_heap_largest_free(struct phx_heap *heap)
{
	(void)slabs_trim(heap); // none kept is fine
	return (uint64_t)phx_heap_run_longest(heap) << HEAP_PAGE_SHIFT;
}

void phx_heap_stats(const struct phx_heap *heap, struct phx_heap_stats *out)
{
	*out = heap->stats;
}
