// SPDX-License-Identifier: BSD-3-Clause
// How the parties of the floor model wait and wake each other: spin, yield, sleep on an eventfd.
#include "tests/bench/peers/floor.h"

#include <sched.h>
#include <sys/epoll.h>
#include <unistd.h>

// The exchange of the index is sequentially consistent with the sleeper's store of `asleep` and
// its load of the index: either we see it asleep or it sees our entries.
void floor_ring_bell(struct floor_bell *bell, struct floor_ring *ring)
{
	uint32_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
	uint64_t one = 1;

	(void)atomic_exchange_explicit(&ring->head, head, memory_order_seq_cst);
	if (atomic_load_explicit(&bell->asleep, memory_order_seq_cst) == 0)
		return;
	if (atomic_exchange_explicit(&bell->asleep, 0, memory_order_acq_rel) != 0)
		(void)!write(bell->fd, &one, sizeof(one)); // a full counter wakes as well
}

static bool has_work(struct floor_ring *r)
{
	uint32_t tail;

	if (r == NULL)
		return false;
	tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	return atomic_load_explicit(&r->head, memory_order_seq_cst) != tail;
}

static void sleep_on_bell(struct floor_waiter *w)
{
	struct epoll_event event[2];
	uint64_t value;
	int n;

	if (w->epoll_fd < 0) {
		(void)!read(w->bell->fd, &value, sizeof(value)); // only its return matters
		return;
	}
	n = epoll_wait(w->epoll_fd, event, 2, -1);
	for (int i = 0; i < n; i++) {
		if (event[i].data.fd == w->bell->fd)
			(void)!read(w->bell->fd, &value, sizeof(value));
	}
}

void floor_idle(struct floor_waiter *w, struct floor_ring *in, struct floor_ring *in2)
{
	if (w->how == FLOOR_SPIN) {
		phx_cpu_relax();
		return;
	}
	if (w->how == FLOOR_YIELD || (w->how == FLOOR_HYBRID && ++w->yields < FLOOR_YIELDS)) {
		(void)sched_yield(); // always succeeds
		return;
	}
	w->yields = 0;
	atomic_store_explicit(&w->bell->asleep, 1, memory_order_seq_cst);
	if (!has_work(in) && !has_work(in2))
		sleep_on_bell(w);
	atomic_store_explicit(&w->bell->asleep, 0, memory_order_relaxed);
}
