// SPDX-License-Identifier: BSD-3-Clause
// Timer wheel of a worker: hierarchical, 64 us ticks, intrusive, O(1) start and cancel. Timers
// fire at or after their time, never before. Worker thread only.
#pragma once

#include "lib/base/list.h"

#include <stdbool.h>
#include <stdint.h>

#define TIMER_TICK_NS UINT64_C(65536) // 64 us as a power of two: no division

struct worker;

struct timer {
	struct phx_list node; // linked to itself when not running
	uint64_t expires_tick;
	void (*fn)(struct worker *worker, struct timer *timer);
};

#define TIMER_LEVELS 5
#define TIMER_SLOTS  64
struct timer_wheel {
	uint64_t tick;			 // current tick; its timers have run unless `max` said no
	uint64_t armed;			 // timers pending
	uint64_t occupied[TIMER_LEVELS]; // bitmap of slots that are not empty
	struct phx_list slot[TIMER_LEVELS][TIMER_SLOTS];
	struct phx_list far; // beyond the wheel's span (at most 19.5 h), looked at once a span
};

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ns);
void timer_init(struct timer *t);
// Start or restart: fn runs at or after at_ns (monotonic), at the earliest in the next tick.
void timer_start(struct timer_wheel *w, struct timer *t, uint64_t at_ns,
	void (*fn)(struct worker *, struct timer *));
// Legal on a timer that is not running.
void timer_stop(struct timer_wheel *w, struct timer *t);
bool timer_is_running(const struct timer *t);
// Run what is due, at most `max`; returns how many.
unsigned timer_run(struct timer_wheel *w, struct worker *worker, uint64_t now_ns, unsigned max);
// When timer_run() has to be called next, never later than the next expiry; up to four earlier
// calls may be needed for a far timer. UINT64_MAX when none is pending.
uint64_t timer_next_ns(const struct timer_wheel *w);
