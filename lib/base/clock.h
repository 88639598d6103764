// SPDX-License-Identifier: BSD-3-Clause
// The one clock of the data path: monotonic nanoseconds (CLOCK_MONOTONIC).
// Wall time appears in logs and JSON only.
#pragma once

#include <stdint.h>
#include <time.h>

#define PHX_NS_PER_US UINT64_C(1000)
#define PHX_NS_PER_MS UINT64_C(1000000)
#define PHX_NS_PER_S  UINT64_C(1000000000)

// Nanoseconds since boot; about 20 ns a call, so once per burst, never per message.
static inline uint64_t phx_clock_ns(void)
{
	struct timespec ts;

	(void)clock_gettime(CLOCK_MONOTONIC, &ts); // cannot fail for this clock
	return (uint64_t)ts.tv_sec * PHX_NS_PER_S + (uint64_t)ts.tv_nsec;
}

// Tell the core that this is a spin loop.
static inline void phx_cpu_relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#endif
}
