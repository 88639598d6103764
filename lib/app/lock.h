// SPDX-License-Identifier: BSD-3-Clause
// A mutex that clang's thread-safety analysis knows. Uncontended lock and unlock cost about
// 10 ns together. Order: control lock of a context, then queue lock, then the leaf locks
// (heap, message caches); none is held while a callback runs.
#pragma once

#include "lib/base/compiler.h"

#include <pthread.h>
#include <stdbool.h>

#if defined(__clang__)
#define PHX_NO_ANALYSIS	     __attribute__((no_thread_safety_analysis))
#define PHX_TRY_ACQUIRE(...) __attribute__((try_acquire_capability(__VA_ARGS__)))
#else
#define PHX_NO_ANALYSIS
#define PHX_TRY_ACQUIRE(...)
#endif

struct PHX_CAPABILITY("mutex") phx_lock {
	pthread_mutex_t mutex;
};

static inline void phx_lock_init(struct phx_lock *l)
{
	(void)pthread_mutex_init(&l->mutex, NULL); // default attributes: cannot fail in glibc
}

static inline void phx_lock_fini(struct phx_lock *l)
{
	(void)pthread_mutex_destroy(&l->mutex); // nobody holds it
}

static PHX_ALWAYS_INLINE void phx_lock_take(struct phx_lock *l) PHX_ACQUIRE(*l) PHX_NO_ANALYSIS
{
	(void)pthread_mutex_lock(&l->mutex); // not recursive, not robust: cannot fail
}

static PHX_ALWAYS_INLINE void phx_lock_give(struct phx_lock *l) PHX_RELEASE(*l) PHX_NO_ANALYSIS
{
	(void)pthread_mutex_unlock(&l->mutex); // held by us
}

static inline bool phx_lock_try(struct phx_lock *l) PHX_TRY_ACQUIRE(true, *l) PHX_NO_ANALYSIS
{
	return pthread_mutex_trylock(&l->mutex) == 0;
}
