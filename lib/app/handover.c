// SPDX-License-Identifier: BSD-3-Clause
// Requests from threads that poll to threads that run handlers. Works with runner.c.
#include "lib/app/handover.h"

#include "lib/base/bits.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

int phx_handover_init(struct phx_handover *h, uint32_t count)
{
	uint32_t size = (uint32_t)phx_pow2_up(phx_min(phx_max(count, 2u), PHX_HANDOVER_MAX));

	h->cells = calloc(size, sizeof(*h->cells));
	if (h->cells == NULL)
		return -ENOMEM;
	h->mask = size - 1;
	for (uint32_t i = 0; i < size; i++)
		atomic_store_explicit(&h->cells[i].turn, i, memory_order_relaxed);
	return 0;
}

void phx_handover_fini(struct phx_handover *h)
{
	free(h->cells);
	h->cells = NULL;
}

bool phx_handover_put(struct phx_handover *h, struct phx_request *r)
{
	uint32_t at = atomic_load_explicit(&h->put, memory_order_relaxed);
	struct phx_handover_cell *cell;

	for (;;) {
		int32_t ahead;

		cell = &h->cells[at & h->mask];
		ahead = (int32_t)(atomic_load_explicit(&cell->turn, memory_order_acquire) - at);
		if (ahead < 0)
			return false;
		if (ahead > 0)
			at = atomic_load_explicit(&h->put, memory_order_relaxed);
		else if (atomic_compare_exchange_weak_explicit(
				 &h->put, &at, at + 1, memory_order_relaxed, memory_order_relaxed))
			break;
	}
	cell->request = r;
	atomic_store_explicit(&cell->turn, at + 1, memory_order_release); // phx_handover_take
	return true;
}

struct phx_request *phx_handover_take(struct phx_handover *h)
{
	uint32_t at = atomic_load_explicit(&h->take, memory_order_relaxed);
	struct phx_handover_cell *cell;
	struct phx_request *r;

	for (;;) {
		int32_t ahead;

		cell = &h->cells[at & h->mask];
		ahead = (int32_t)(atomic_load_explicit(&cell->turn, memory_order_acquire) -
				  (at + 1));
		if (ahead < 0)
			return NULL;
		if (ahead > 0)
			at = atomic_load_explicit(&h->take, memory_order_relaxed);
		else if (atomic_compare_exchange_weak_explicit(
				 &h->take, &at, at + 1, memory_order_relaxed, memory_order_relaxed))
			break;
	}
	r = cell->request;
	atomic_store_explicit(
		&cell->turn, at + h->mask + 1, memory_order_release); // phx_handover_put
	return r;
}

void phx_handover_wake(struct phx_handover *h, unsigned count)
{
	// Behind what was put, before the look at who sleeps; phx_handover_wait() counts itself
	// first and has the kernel look at the epoch then.
	atomic_fetch_add_explicit(&h->epoch, 1, memory_order_seq_cst);
	if (atomic_load_explicit(&h->sleepers, memory_order_seq_cst) != 0)
		(void)syscall(SYS_futex, &h->epoch, FUTEX_WAKE_PRIVATE, (int)count, NULL, NULL, 0);
}

struct phx_request *phx_handover_wait(struct phx_handover *h)
{
	for (;;) {
		uint32_t seen = atomic_load_explicit(&h->epoch, memory_order_seq_cst);
		struct phx_request *r;

		if (atomic_load_explicit(&h->stop, memory_order_acquire))
			return NULL;
		r = phx_handover_take(h);
		if (r != NULL)
			return r;
		atomic_fetch_add_explicit(&h->sleepers, 1, memory_order_seq_cst);
		// Whatever ends the sleep, the next round looks.
		(void)syscall(SYS_futex, &h->epoch, FUTEX_WAIT_PRIVATE, seen, NULL, NULL, 0);
		atomic_fetch_sub_explicit(&h->sleepers, 1, memory_order_relaxed);
	}
}

void phx_handover_stop(struct phx_handover *h, bool stop)
{
	atomic_store_explicit(&h->stop, stop, memory_order_release); // phx_handover_wait
	if (stop)
		phx_handover_wake(h, INT_MAX);
}
