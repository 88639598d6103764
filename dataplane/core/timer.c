// SPDX-License-Identifier: BSD-3-Clause
// The timer wheel: a timer stands at the level of the highest 6-bit digit in which its tick
// differs from the current one, so all timers of a level come before those of the next, and
// the first occupied slot of the lowest level is the next event. Works with worker.c.
#include "dataplane/core/timer.h"

#include "lib/base/bits.h"

#include <assert.h>
#include <string.h>

#define SLOT_BITS 6
#define SPAN_BITS (SLOT_BITS * TIMER_LEVELS)

void timer_wheel_init(struct timer_wheel *w, uint64_t now_ns)
{
	unsigned level, i;

	*w = (struct timer_wheel){.tick = now_ns / TIMER_TICK_NS};
	for (level = 0; level < TIMER_LEVELS; level++) {
		for (i = 0; i < TIMER_SLOTS; i++)
			phx_list_init(&w->slot[level][i]);
	}
	phx_list_init(&w->far);
}

void timer_init(struct timer *t)
{
	*t = (struct timer){0};
	phx_list_init(&t->node);
}

bool timer_is_running(const struct timer *t)
{
	return !phx_list_empty(&t->node);
}

// Put t where its tick belongs; the tick is not before the wheel's.
static void timer_place(struct timer_wheel *w, struct timer *t)
{
	uint64_t diff = t->expires_tick ^ w->tick;
	unsigned level = diff == 0 ? 0 : phx_log2(diff) / SLOT_BITS;
	unsigned slot;

	assert(t->expires_tick >= w->tick);
	if (level >= TIMER_LEVELS) {
		phx_list_add_tail(&w->far, &t->node);
		return;
	}
	slot = (t->expires_tick >> (level * SLOT_BITS)) & (TIMER_SLOTS - 1);
	phx_list_add_tail(&w->slot[level][slot], &t->node);
	w->occupied[level] |= UINT64_C(1) << slot;
}

void timer_start(struct timer_wheel *w, struct timer *t, uint64_t at_ns,
	void (*fn)(struct worker *, struct timer *))
{
	uint64_t tick = at_ns / TIMER_TICK_NS + (at_ns % TIMER_TICK_NS != 0);

	timer_stop(w, t);
	t->expires_tick = tick > w->tick ? tick : w->tick + 1;
	t->fn = fn;
	timer_place(w, t);
	w->armed++;
}

void timer_stop(struct timer_wheel *w, struct timer *t)
{
	struct phx_list *first = &w->slot[0][0];
	struct phx_list *head = t->node.next;

	if (!timer_is_running(t))
		return;
	w->armed--;
	if (head == t->node.prev && head >= first && head < first + TIMER_LEVELS * TIMER_SLOTS) {
		// The only other node is the slot itself: it gets empty.
		size_t n = (size_t)(head - first);

		w->occupied[n / TIMER_SLOTS] &= ~(UINT64_C(1) << n % TIMER_SLOTS);
	}
	phx_list_del(&t->node);
}

// Tick of the next slot to look at, not before the current one; UINT64_MAX when none. *out_level
// is its level, TIMER_LEVELS for the far list.
static uint64_t timer_next_tick(const struct timer_wheel *w, unsigned *out_level)
{
	unsigned level;

	for (level = 0; level < TIMER_LEVELS; level++) {
		unsigned shift = level * SLOT_BITS;

		if (w->occupied[level] != 0) {
			uint64_t slot = (uint64_t)__builtin_ctzll(w->occupied[level]);

			*out_level = level;
			return (w->tick >> (shift + SLOT_BITS) << (shift + SLOT_BITS)) +
			       (slot << shift);
		}
	}
	*out_level = TIMER_LEVELS;
	return phx_list_empty(&w->far) ? UINT64_MAX : ((w->tick >> SPAN_BITS) + 1) << SPAN_BITS;
}

// The wheel stands at the start of a slot of a higher level: spread its timers.
static void timer_cascade(struct timer_wheel *w, unsigned level)
{
	struct phx_list all, *node;
	struct phx_list *head = &w->far;

	if (level < TIMER_LEVELS) {
		unsigned slot = (w->tick >> (level * SLOT_BITS)) & (TIMER_SLOTS - 1);

		head = &w->slot[level][slot];
		w->occupied[level] &= ~(UINT64_C(1) << slot);
	}
	phx_list_init(&all);
	while ((node = phx_list_pop(head)) != NULL)
		phx_list_add_tail(&all, node);
	while ((node = phx_list_pop(&all)) != NULL)
		timer_place(w, phx_list_entry(node, struct timer, node));
}

unsigned timer_run(struct timer_wheel *w, struct worker *worker, uint64_t now_ns, unsigned max)
{
	uint64_t now = now_ns / TIMER_TICK_NS;
	unsigned done = 0;

	while (done < max) {
		unsigned level;
		uint64_t tick = timer_next_tick(w, &level);
		struct timer *t;

		if (tick > now) {
			if (now > w->tick)
				w->tick = now;
			break;
		}
		w->tick = tick;
		if (level > 0) {
			timer_cascade(w, level);
			continue;
		}
		t = phx_list_entry(
			phx_list_first(&w->slot[0][tick & (TIMER_SLOTS - 1)]), struct timer, node);
		timer_stop(w, t);
		t->fn(worker, t);
		done++;
	}
	return done;
}

uint64_t timer_next_ns(const struct timer_wheel *w)
{
	unsigned level;
	uint64_t tick = timer_next_tick(w, &level);

	return tick > UINT64_MAX / TIMER_TICK_NS ? UINT64_MAX : tick * TIMER_TICK_NS;
}
