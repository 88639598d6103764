// SPDX-License-Identifier: BSD-3-Clause
// Waiting for completions: spin, yield, sleep. The descriptor for event loops: queue_fd.c.
//
// A futex and the socket cannot be waited for together, so a sleep is cut into slices of
// 100 ms, and after each one without a bell the socket is looked at: a dataplane that dies
// is noticed within a slice, and there is no helper thread.
//
// Several threads may sleep on one queue. Each sleep makes a new epoch under the lock and
// looks at the ring behind it; a bell wakes all of them; the last one to leave disarms. Who waits
// looks at words of a session without the lock, which keeps that session mapped (wait_enter).
#include "lib/app/queue.h"
#include "lib/base/clock.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>

#define WAIT_YIELDS	   200		   // about 80 us alone on a core, then sleeping is cheaper
#define WAIT_YIELD_LONG_NS UINT64_C(50000) // a yield that somebody else ran in
#define WAIT_SLICE_NS	   (100 * PHX_NS_PER_MS)
#define WAIT_SLICE_FULL_NS (1 * PHX_NS_PER_MS) // while something waits for room in a ring
#define WAIT_SPIN_MAX_NS   UINT64_C(5000)      // longer gaps are cheaper to yield through
#define WAIT_SPIN_MIN_NS   UINT64_C(250)
#define WAIT_SPIN_PROBE	   64 // waits without spinning between two tries

void phx_queue_wake(struct phx_queue *q)
{
	int saved = errno;

	atomic_fetch_add_explicit(&q->wakes, 1, memory_order_release); // phx_wait
	(void)syscall(SYS_futex, atomic_load_explicit(&q->bell_word, memory_order_acquire),
		FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
	errno = saved; // this runs in signal handlers
}

// 1: work, 0: none, -ENOTCONN: over. Shows what is pending before anybody sleeps.
static int wait_look(struct phx_queue *q, uint32_t *out_seen) PHX_REQUIRES(q->lock)
{
	phx_queue_flush(q);
	*out_seen = q->comp.next;
	if (phx_queue_has_work(q, phx_ring_cons_avail(&q->comp)))
		return 1;
	return q->ended && phx_context_over(q->context) ? -ENOTCONN : 0;
}

// What a waiting thread looks at without the lock.
struct wait_view {
	struct phx_session *session;
	const struct phx_shm_u32 *comp_prod, *bell;
	uint32_t seen;
};

static void wait_enter(struct phx_queue *q, uint32_t seen, struct wait_view *v)
	PHX_REQUIRES(q->lock)
{
	v->session = q->session;
	v->comp_prod = q->comp.prod_word;
	v->bell = atomic_load_explicit(&q->bell_word, memory_order_relaxed); // under the lock
	v->seen = seen;
	q->users++;
}

static void wait_leave(struct phx_queue *q, const struct wait_view *v) PHX_REQUIRES(q->lock)
{
	if (phx_likely(v->session == q->session))
		q->users--;
	else
		phx_session_put(v->session, 1); // it was counted when its session was replaced
}

static bool wait_changed(const struct phx_queue *q, const struct wait_view *v)
{
	return phx_shm_load32_acquire(v->comp_prod) != v->seen || phx_context_gone(q->context);
}

// Learn from one wait: how long spinning pays. Other threads may interleave; it is a guess.
static uint64_t wait_spin_budget(struct phx_queue *q) PHX_REQUIRES(q->lock)
{
	if (q->context->cpus < 2)
		return 0;
	if (q->spin_ns == 0 && ++q->spin_skipped >= WAIT_SPIN_PROBE) {
		q->spin_skipped = 0;
		q->spin_ns = WAIT_SPIN_MAX_NS / 2;
	}
	return q->spin_ns;
}

static void wait_spin_learn(struct phx_queue *q, uint64_t budget, uint64_t gap_ns, bool hit)
	PHX_REQUIRES(q->lock)
{
	if (budget == 0)
		return;
	if (hit)
		q->spin_ns = phx_min(WAIT_SPIN_MAX_NS, budget / 2 + gap_ns + WAIT_SPIN_MIN_NS);
	else
		q->spin_ns = budget / 2 < WAIT_SPIN_MIN_NS ? 0 : budget / 2;
}

// Spin within the budget, then yield. True: something changed.
static bool wait_awake(struct phx_queue *q, const struct wait_view *v, uint64_t deadline_ns,
	uint64_t budget, uint64_t *out_spun)
{
	uint64_t start = 0, now = 0, then;

	*out_spun = 0;
	if (budget != 0) {
		start = phx_clock_ns();
		do {
			for (int i = 0; i < 8; i++) {
				if (wait_changed(q, v)) {
					*out_spun = phx_clock_ns() - start;
					return true;
				}
				phx_cpu_relax();
			}
			now = phx_clock_ns();
		} while (now - start < budget);
		*out_spun = UINT64_MAX;
	}
	then = phx_clock_ns();
	for (int i = 0; i < WAIT_YIELDS; i++) {
		if (wait_changed(q, v))
			return true;
		(void)sched_yield(); // cannot fail
		now = phx_clock_ns();
		// Others keep the core for their whole turn: who sleeps is let in before them.
		if (now - then > WAIT_YIELD_LONG_NS || now >= deadline_ns)
			break;
		then = now;
	}
	return wait_changed(q, v);
}

// No longer than until a call that waits for a session has something to do.
PHX_COLD static uint64_t wait_slice_of_calls(const struct phx_queue *q, uint64_t slice)
	PHX_REQUIRES(q->lock)
{
	uint64_t next = phx_call_wait_next(q), now = phx_clock_ns();

	return next > now ? phx_min(slice, next - now) : 0;
}

// One sleep. As wait_look(); *out_timeout: the slice passed without a bell.
static int wait_sleep(struct phx_queue *q, uint64_t left_ns, bool *out_timeout)
{
	uint64_t slice = WAIT_SLICE_NS;
	struct wait_view v = {.session = NULL};
	uint32_t seen, bell = 0;
	int rc;

	*out_timeout = false;
	phx_lock_take(&q->lock);
	rc = wait_look(q, &seen);
	if (rc == 0) {
		// It changes under the lock only.
		bell = phx_bell_seen(atomic_load_explicit(&q->bell_word, memory_order_relaxed));
		phx_bell_disarm(&q->sleeper);
		phx_bell_arm(&q->sleeper);
		rc = phx_queue_has_work(q, phx_ring_cons_recheck(&q->comp));
		if (rc == 0) {
			q->waiters++;
			wait_enter(q, seen, &v);
		} else if (q->waiters == 0) {
			phx_bell_disarm(&q->sleeper);
		}
	}
	if (q->replies != NULL || q->return_count != 0 || q->cancels != 0)
		slice = WAIT_SLICE_FULL_NS;
	if (phx_unlikely(q->waiting != NULL))
		slice = wait_slice_of_calls(q, slice);
	phx_lock_give(&q->lock);
	if (rc != 0)
		return rc;
	rc = phx_bell_wait_futex(v.bell, bell, phx_min(slice, left_ns));
	*out_timeout = rc == -ETIMEDOUT;
	phx_lock_take(&q->lock);
	wait_leave(q, &v);
	if (--q->waiters == 0 && !q->fd_armed)
		phx_bell_disarm(&q->sleeper);
	rc = wait_look(q, &seen);
	phx_lock_give(&q->lock);
	return rc;
}

static int wait_sleep_until(struct phx_queue *q, uint64_t deadline_ns, uint32_t wakes)
{
	for (;;) {
		uint64_t now = deadline_ns == UINT64_MAX ? 0 : phx_clock_ns();
		bool timeout;
		int rc;

		if (now >= deadline_ns ||
			atomic_load_explicit(&q->wakes, memory_order_acquire) != wakes) {
			uint32_t seen;

			phx_lock_take(&q->lock);
			rc = wait_look(q, &seen);
			phx_lock_give(&q->lock);
			return rc;
		}
		rc = wait_sleep(q, deadline_ns - now, &timeout);
		if (rc != 0)
			return rc;
		if (timeout) {
			phx_context_service(q->context);
			phx_lock_take(&q->lock);
			phx_call_overdue_look(q, phx_clock_ns());
			phx_lock_give(&q->lock);
		}
	}
}

int phx_wait(struct phx_queue *q, uint64_t timeout_ns)
{
	uint64_t deadline_ns = UINT64_MAX, budget, spun, now;
	struct wait_view v = {.session = NULL};
	uint32_t seen, wakes;
	bool awake = false, quiet;
	int rc;

	if (q == NULL)
		return -EINVAL;
	if (phx_context_forked(q->context))
		return -EPERM;
	wakes = atomic_load_explicit(&q->wakes, memory_order_acquire); // phx_queue_wake
	phx_lock_take(&q->lock);
	rc = wait_look(q, &seen);
	quiet = q->quiet && rc == 0;
	q->quiet = false;
	budget = quiet ? 0 : wait_spin_budget(q);
	if (rc == 0 && timeout_ns != 0 && !quiet)
		wait_enter(q, seen, &v);
	phx_lock_give(&q->lock);
	if (rc != 0 || timeout_ns == 0)
		return rc;
	if (timeout_ns != PHX_NO_TIMEOUT) {
		now = phx_clock_ns();
		deadline_ns = timeout_ns < UINT64_MAX - now ? now + timeout_ns : UINT64_MAX;
	}
	if (!quiet) {
		awake = wait_awake(q, &v, deadline_ns, budget, &spun);
		phx_lock_take(&q->lock);
		wait_leave(q, &v);
		wait_spin_learn(q, budget, spun, spun != UINT64_MAX);
		rc = awake ? wait_look(q, &seen) : 0;
		phx_lock_give(&q->lock);
		if (rc != 0)
			return rc;
	}
	rc = wait_sleep_until(q, deadline_ns, wakes);
	if (rc == 0) {
		phx_lock_take(&q->lock);
		q->quiet = true;
		phx_lock_give(&q->lock);
	}
	return rc;
}
