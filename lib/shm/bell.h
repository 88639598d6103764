// SPDX-License-Identifier: BSD-3-Clause
// Sleep and wake-up between two sides of shared memory (design.md 12.4). The sleeper owns
// an epoch word that the waker can read: even = awake, odd = asleep or about to be. Nobody
// wakes anybody who is awake, and nobody is woken twice for one sleep by one waker.
//
//   sleeper                                  waker
//   phx_bell_arm()      store epoch (odd)    phx_ring_prod_publish_bell()
//   phx_ring_cons_recheck() load index           exchange index, load epoch
//   0: wait on the kernel object             true: phx_bell_ring_...()
//   phx_bell_disarm()   store epoch (even)
//
// All four accesses are seq_cst, so they have one order: either the sleeper's load sees the
// new index or the waker's load sees the odd epoch. Proved over all interleavings, with
// store buffers, by tests/model. After every return from the wait (a bell, a timeout, a
// signal) the sleeper disarms: the next bell comes for a new epoch only.
//
// A bell is rung once for an epoch, and it may be rung before the sleeper waits: for an entry that
// the recheck found already, by a waker that looked late. So the kernel object must remember it.
// An eventfd counts; a futex does not, hence its word holds the epoch rung last, and a wait ends at
// once when the word changed since before the sleeper armed. (An index as futex word loses a
// wake-up: the bell for an entry that was seen is gone, and the next entry rings no second one.)
//
// One thread owns a sleeper, one a waker; a sleeper may have many wakers, and wakers of
// several rings may share one epoch word. If the peer dies asleep, bells ring unheard; if it
// scribbles over its epoch word, it gets one bell for each publish at most.
#pragma once

#include "lib/shm/word.h"

#include <stdbool.h>
#include <stdint.h>

// Private to the sleeper.
struct phx_bell_sleeper {
	struct phx_shm_u32 *word; // shared, written by the sleeper only
	uint32_t epoch;
};

// Private to the waker.
struct phx_bell_waker {
	const struct phx_shm_u32 *word; // the sleeper's
	uint32_t rung;			// epoch rung last; even: none
};

// Start awake; stores 0 into the word. word stays valid as long as the sleeper is used.
static inline void phx_bell_sleeper_init(struct phx_bell_sleeper *s, struct phx_shm_u32 *word)
{
	s->word = word;
	s->epoch = 0;
	phx_shm_store32_release(word, 0);
}

static inline void phx_bell_waker_init(struct phx_bell_waker *w, const struct phx_shm_u32 *word)
{
	w->word = word;
	w->rung = 0;
}

// Announce sleep. Then recheck every source of work with a seq_cst load
// (phx_ring_cons_recheck) and wait only if none has any. Legal when armed already.
static inline void phx_bell_arm(struct phx_bell_sleeper *s)
{
	s->epoch += (s->epoch & 1) ^ 1;
	phx_shm_store32_seq_cst(s->word, s->epoch); // pairs with phx_bell_should_ring
}

// Announce that we are awake. Legal when not armed.
static inline void phx_bell_disarm(struct phx_bell_sleeper *s)
{
	s->epoch += s->epoch & 1;
	phx_shm_store32_release(s->word, s->epoch);
}

// After a seq_cst store or exchange that made work visible: true when the sleeper has to be
// woken, once for each epoch.
static PHX_ALWAYS_INLINE bool phx_bell_should_ring(struct phx_bell_waker *w)
{
	uint32_t epoch = phx_shm_load32_seq_cst(w->word); // pairs with phx_bell_arm

	if (phx_likely((epoch & 1) == 0) || epoch == w->rung)
		return false;
	w->rung = epoch;
	return true;
}

// Application to dataplane: add 1 to a non-blocking eventfd that the dataplane created and
// watches edge-triggered. 0; -EAGAIN: the counter is full, which only a hostile writer
// achieves; -EBADF and other values of write. Any thread; errno is preserved.
int phx_bell_ring_eventfd(int fd);

// Dataplane to application: remember the epoch rung in the futex word (PHX_QD_BELL in layout.h),
// which only this waker writes, and wake all waiters, of all processes. Any thread; errno is
// preserved.
void phx_bell_ring_futex(const struct phx_bell_waker *w, struct phx_shm_u32 *word);

// The first half of it.
static inline void phx_bell_mark(const struct phx_bell_waker *w, struct phx_shm_u32 *word)
{
	phx_shm_store32_release(word, w->rung); // pairs with phx_bell_seen
}

// The futex word before phx_bell_arm(): what the wait is told to expect.
static inline uint32_t phx_bell_seen(const struct phx_shm_u32 *word)
{
	return phx_shm_load32_acquire(word); // pairs with phx_bell_mark
}

// Sleep until a bell, a signal or timeout_ns (UINT64_MAX: none), unless the word already
// differs from seen. A read-only mapping is enough. 0: woken or the word differs; -ETIMEDOUT;
// -EINTR; -EFAULT: not mapped.
int phx_bell_wait_futex(const struct phx_shm_u32 *word, uint32_t seen, uint64_t timeout_ns);
