// SPDX-License-Identifier: BSD-3-Clause
// Runs of free pages in two-level bins, with boundary tags for merging. Works with heap.c.
#include "lib/shm/heap_page.h"

#include "lib/base/bits.h"

#define SMALL_PAGES 8

static uint32_t bin_of(uint32_t pages)
{
	unsigned fl;

	if (pages < 16)
		return pages;
	fl = phx_log2(pages);
	return ((fl - 3) << 4) + ((pages >> (fl - 4)) & 15);
}

// First bin >= i that is not empty, or HEAP_BINS.
static uint32_t bin_next(const struct phx_heap *h, uint32_t i)
{
	uint64_t word;
	uint32_t w = i / 64;

	if (i >= HEAP_BINS)
		return HEAP_BINS;
	word = h->bin_bits[w] & (~UINT64_C(0) << (i % 64));
	while (word == 0) {
		if (++w == HEAP_BIN_WORDS)
			return HEAP_BINS;
		word = h->bin_bits[w];
	}
	return w * 64 + (uint32_t)__builtin_ctzll(word);
}

void heap_run_add(struct phx_heap *h, uint32_t first, uint32_t pages)
{
	struct heap_page *p = &h->page[first], *last = &h->page[first + pages - 1];
	uint32_t bin = bin_of(pages);

	last->kind = HEAP_FREE;
	last->head = first;
	p->kind = HEAP_FREE;
	p->pages = pages;
	p->prev = HEAP_NONE;
	p->next = h->bin[bin];
	if (p->next != HEAP_NONE)
		h->page[p->next].prev = first;
	h->bin[bin] = first;
	h->bin_bits[bin / 64] |= UINT64_C(1) << (bin % 64);
}

void heap_run_remove(struct phx_heap *h, uint32_t first)
{
	struct heap_page *p = &h->page[first];
	uint32_t bin = bin_of(p->pages);

	if (p->next != HEAP_NONE)
		h->page[p->next].prev = p->prev;
	if (p->prev != HEAP_NONE)
		h->page[p->prev].next = p->next;
	else
		h->bin[bin] = p->next;
	if (h->bin[bin] == HEAP_NONE)
		h->bin_bits[bin / 64] &= ~(UINT64_C(1) << (bin % 64));
	h->page[first + p->pages - 1].kind = HEAP_INNER;
	p->kind = HEAP_INNER;
}

static bool run_fits(const struct phx_heap *h, uint32_t first, uint32_t pages, uint32_t align)
{
	uint64_t start = phx_align_up(first, align);

	return start + pages <= (uint64_t)first + h->page[first].pages;
}

// A run of this one bin that fits; bins of equal length need one look only.
static uint32_t bin_search(const struct phx_heap *h, uint32_t bin, uint32_t pages, uint32_t align)
{
	uint32_t first = h->bin[bin];

	for (int i = 0; first != HEAP_NONE && i < HEAP_SCAN_MAX; i++) {
		if (run_fits(h, first, pages, align))
			return first;
		first = h->page[first].next;
	}
	return HEAP_NONE;
}

static uint32_t run_find(const struct phx_heap *h, uint32_t pages, uint32_t align)
{
	uint64_t certain = (uint64_t)pages + align - 1; // holds an aligned run wherever it starts
	uint32_t bin = bin_of(pages);
	uint32_t first = bin_search(h, bin, pages, align);

	// The smallest larger bin: every run there is long enough unless it must be aligned.
	for (bin = bin_next(h, bin + 1); first == HEAP_NONE && bin < HEAP_BINS;
		bin = bin_next(h, bin + 1)) {
		first = align == 1 ? h->bin[bin] : bin_search(h, bin, pages, align);
		if (h->page[h->bin[bin]].pages >= certain && first == HEAP_NONE)
			first = h->bin[bin];
	}
	return first;
}

uint32_t heap_run_alloc(struct phx_heap *h, uint32_t pages, uint32_t align_pages)
{
	uint32_t first = run_find(h, pages, align_pages);
	uint32_t start, len, rest;

	if (first == HEAP_NONE)
		return HEAP_NONE;
	len = h->page[first].pages;
	// Slabs from the front, large blocks from the back: small blocks live longer on average
	// and would otherwise cut up what large ones need.
	start = (uint32_t)phx_align_up(first, align_pages);
	if (pages > SMALL_PAGES)
		start = (uint32_t)phx_align_down(first + len - pages, align_pages);
	rest = len - (start - first) - pages;
	heap_run_remove(h, first);
	if (start > first)
		heap_run_add(h, first, start - first);
	if (rest > 0)
		heap_run_add(h, start + pages, rest);
	h->page[start].pages = pages;
	return start;
}

void heap_run_free(struct phx_heap *h, uint32_t first, uint32_t pages)
{
	uint32_t after = first + pages;

	if (!h->page[first].region_start && h->page[first - 1].kind == HEAP_FREE) {
		uint32_t before = h->page[first - 1].head;

		pages += h->page[before].pages;
		heap_run_remove(h, before);
		first = before;
	}
	if (after < h->pages_len && !h->page[after].region_start &&
		h->page[after].kind == HEAP_FREE) {
		pages += h->page[after].pages;
		heap_run_remove(h, after);
	}
	heap_run_add(h, first, pages);
}

uint32_t heap_run_longest(const struct phx_heap *h)
{
	uint32_t longest = 0;

	for (int w = HEAP_BIN_WORDS - 1; w >= 0; w--) {
		uint32_t bin, first;

		if (h->bin_bits[w] == 0)
			continue;
		bin = (uint32_t)w * 64 + (uint32_t)phx_log2(h->bin_bits[w]);
		first = h->bin[bin];
		for (int i = 0; first != HEAP_NONE && i < HEAP_SCAN_MAX; i++) {
			if (h->page[first].pages > longest)
				longest = h->page[first].pages;
			first = h->page[first].next;
		}
		return longest;
	}
	return 0;
}
