// SPDX-License-Identifier: BSD-3-Clause
// The fake dataplane's worker side: rings by hand, and an echo thread.
#include "lib/base/bits.h"
#include "lib/base/clock.h"
#include "lib/base/status.h"
#include "tests/unit/lib/app/fake_dp.h"

#include <poll.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

static bool sub_try(struct fake_queue *q, struct phx_sub_entry *e, uint8_t *inl)
{
	uint64_t slots[4][8];
	int avail = phx_ring_cons_avail(&q->sub);

	assert_true(avail >= 0);
	if (avail == 0)
		return false;
	phx_shm_copy_slot(slots[0], phx_ring_cons_slot(&q->sub, 0));
	memcpy(e, slots[0], sizeof(*e));
	assert_true(e->slots >= 1 && e->slots <= 4 && e->slots <= avail);
	for (uint32_t i = 1; i < e->slots; i++)
		phx_shm_copy_slot(slots[i], phx_ring_cons_slot(&q->sub, i));
	if (inl != NULL)
		memcpy(inl, (uint8_t *)slots + offsetof(struct phx_sub_entry, inl),
			sizeof(slots) - offsetof(struct phx_sub_entry, inl));
	phx_ring_cons_advance(&q->sub, e->slots);
	phx_ring_cons_publish(&q->sub);
	return true;
}

struct phx_sub_entry fake_sub(struct fake_dp *dp, unsigned queue, uint8_t *inl)
{
	struct phx_sub_entry e;

	fake_until(sub_try(&dp->queues[queue], &e, inl));
	return e;
}

bool fake_sub_none(struct fake_dp *dp, unsigned queue)
{
	return phx_ring_cons_avail(&dp->queues[queue].sub) == 0;
}

struct phx_ret_entry fake_ret(struct fake_dp *dp, unsigned queue)
{
	struct fake_queue *q = &dp->queues[queue];
	struct phx_ret_entry e;

	fake_until(phx_ring_cons_avail(&q->ret) > 0);
	phx_shm_copy_slot(&e, phx_ring_cons_slot(&q->ret, 0));
	phx_ring_cons_advance(&q->ret, 1);
	phx_ring_cons_publish(&q->ret);
	return e;
}

bool fake_ret_none(struct fake_dp *dp, unsigned queue)
{
	return phx_ring_cons_avail(&dp->queues[queue].ret) == 0;
}

static void fake_ring(struct fake_queue *q)
{
	int fd = atomic_load(&q->fd);

	atomic_fetch_add(&q->rings, 1);
	phx_bell_ring_futex(&q->waker, (void *)(q->dp + PHX_QD_BELL));
	if (fd >= 0)
		(void)send(fd, "", 1, MSG_DONTWAIT | MSG_NOSIGNAL); // full: it is readable
}

void fake_comp(struct fake_dp *dp, unsigned queue, struct phx_comp_entry e, const void *inl,
	uint32_t inl_len)
{
	struct fake_queue *q = &dp->queues[queue];
	uint8_t slots[4][PHX_SLOT_SIZE] = {{0}};

	e.slots = 1;
	if (inl_len > sizeof(e.inl))
		e.slots += (uint8_t)((inl_len - sizeof(e.inl) + PHX_SLOT_SIZE - 1) / PHX_SLOT_SIZE);
	if (inl != NULL)
		e.flags |= PHX_COMP_INLINE;
	memcpy(slots[0], &e, sizeof(e));
	if (inl_len != 0)
		memcpy((uint8_t *)slots + offsetof(struct phx_comp_entry, inl), inl, inl_len);
	fake_until(phx_ring_prod_room(&q->comp, e.slots) >= e.slots);
	for (uint32_t i = 0; i < e.slots; i++)
		memcpy(phx_ring_prod_slot(&q->comp, i), slots[i], PHX_SLOT_SIZE);
	phx_ring_prod_advance(&q->comp, e.slots);
	if (phx_ring_prod_publish_bell(&q->comp, &q->waker))
		fake_ring(q);
}

uint32_t fake_recv_put(struct fake_dp *dp, const void *bytes, uint32_t len)
{
	const struct fake_region *heap = &dp->objects[1].regions[1];
	uint32_t at = dp->recv_used;

	assert_true(at + len <= heap->size);
	memcpy(heap->region.base + at, bytes, len);
	dp->recv_used += (uint32_t)phx_align_up(len, 64);
	return heap->off + at;
}

void fake_reply(struct fake_dp *dp, unsigned queue, const struct phx_sub_entry *call,
	const void *message, uint32_t len)
{
	struct phx_comp_entry e = {
		.kind = PHX_COMP_CALL,
		.flags = PHX_COMP_HAS_MESSAGE,
		.call = call->call,
		.handle = call->handle,
		.msg_len = len,
		.executed = PHX_EXECUTED_YES,
	};

	fake_comp(dp, queue, e, message, len);
}

// Sleep on the doorbell as a worker does: arm, recheck, wait.
static void echo_sleep(struct fake_echo *echo, struct fake_queue *q)
{
	struct pollfd p = {.fd = echo->dp->doorbell, .events = POLLIN};
	uint64_t count;

	phx_bell_arm(&q->sleeper);
	if (phx_ring_cons_recheck(&q->sub) == 0 && phx_ring_cons_recheck(&q->ret) == 0 &&
		!atomic_load(&echo->stop)) {
		atomic_fetch_add(&echo->sleeps, 1);
		// A lost bell shows as a timeout, which fails the test.
		assert_true(poll(&p, 1, 20000) > 0 || atomic_load(&echo->stop));
		(void)!read(p.fd, &count, sizeof(count)); // reset for the next bell
	}
	phx_bell_disarm(&q->sleeper);
}

static void *echo_main(void *arg)
{
	struct fake_echo *echo = arg;
	struct fake_queue *q = &echo->dp->queues[echo->queue];
	unsigned idle = 0, seed = 1;

	while (!atomic_load(&echo->stop)) {
		struct phx_sub_entry e;
		uint8_t inl[256];
		int returns = phx_ring_cons_avail(&q->ret);

		assert_true(returns >= 0);
		phx_ring_cons_advance(&q->ret, (uint32_t)returns);
		phx_ring_cons_publish(&q->ret);
		if (sub_try(q, &e, inl)) {
			for (unsigned i = echo->jitter ? rand_r(&seed) % echo->jitter : 0; i > 0;
				i--)
				phx_cpu_relax();
			atomic_store(&echo->replied_ns, phx_clock_ns());
			fake_reply(echo->dp, echo->queue, &e, inl, e.msg_len);
			atomic_fetch_add(&echo->calls, 1);
			idle = 0;
		} else if (++idle > 20) {
			echo_sleep(echo, q);
			idle = 0;
		} else {
			(void)sched_yield();
		}
	}
	return NULL;
}

void fake_echo_start(struct fake_echo *echo)
{
	atomic_store(&echo->stop, false);
	assert_int_equal(0, pthread_create(&echo->thread, NULL, echo_main, echo));
}

void fake_echo_stop(struct fake_echo *echo)
{
	uint64_t one = 1;

	atomic_store(&echo->stop, true);
	assert_int_equal(sizeof(one), write(echo->dp->doorbell, &one, sizeof(one)));
	pthread_join(echo->thread, NULL);
}
