// SPDX-License-Identifier: BSD-3-Clause
// The threads of a model: rounds, their replay, steps. Works with explore_search.c, which chooses
// what happens next.
#include "tests/model/explore_world.h"

#include "lib/shm/word.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// The thread that runs at the moment.
static struct {
	const struct model *model;
	struct world *world;
	int thread;
	unsigned replayed; // steps of the round answered from the log
	unsigned budget;   // new steps it may make
	unsigned choice;
	struct step pending; // where it stopped
	const char *error;
	_Alignas(16) uint8_t private[EXPLORE_PRIVATE];
	jmp_buf out;
} now;

static uint32_t sleep_or_bell(const struct step *s)
{
	struct world *w = now.world;
	int t = now.thread, peer = 1 - t;
	uint32_t seen;

	if (s->kind == STEP_BELL) {
		(void)now.model->machine->apply(&w->memory, t, s, now.choice, &now.error);
		if (!w->asleep[peer] && s->location < 0)
			w->edge[peer] = 1;
		w->asleep[peer] = 0;
		return 0;
	}
	if (s->location < 0) {
		w->asleep[t] = !w->edge[t];
		w->edge[t] = 0;
		return 0;
	}
	seen = now.model->machine->apply(&w->memory, t, s, now.choice, &now.error);
	w->asleep[t] = seen == s->value;
	return 0;
}

static uint32_t take_step(struct step s)
{
	struct world *w = now.world;
	struct world_thread *t = &w->thread[now.thread];
	const struct weakening *weak = now.model->weakening;
	uint32_t result;

	for (int i = 0; i < 2; i++)
		if (weak[i].kind == s.kind && weak[i].location == s.location) {
			s.order = weak[i].order;
			if (s.kind == STEP_EXCHANGE)
				s.kind = STEP_STORE;
		}
	if (now.replayed < t->steps)
		return t->log[now.replayed++];
	if (now.budget == 0) {
		now.pending = s;
		longjmp(now.out, 1);
	}
	now.budget--;
	if (s.kind == STEP_SLEEP || s.kind == STEP_BELL)
		result = sleep_or_bell(&s);
	else
		result = now.model->machine->apply(
			&w->memory, now.thread, &s, now.choice, &now.error);
	if (now.error != NULL)
		longjmp(now.out, 1);
	if (t->steps == EXPLORE_LOG)
		abort(); // the model itself is wrong
	t->log[t->steps++] = result;
	now.replayed++;
	return result;
}

// Run the round from its start; true: it ended, and its private memory is the new one.
static bool run_round(void)
{
	struct world_thread *t = &now.world->thread[now.thread];

	now.replayed = 0;
	memcpy(now.private, t->private, sizeof(now.private));
	if (setjmp(now.out) != 0)
		return false;
	now.world->done[now.thread] = !now.model->round[now.thread](now.private);
	memcpy(now.world->thread[now.thread].private, now.private, sizeof(now.private));
	now.world->thread[now.thread].steps = 0;
	memset(now.world->thread[now.thread].log, 0, sizeof(t->log));
	return true;
}

const char *world_peek(const struct model *model, struct world *world, int thread, struct step *out)
{
	now.model = model;
	now.world = world;
	now.thread = thread;
	now.budget = 0;
	now.error = NULL;
	if (run_round())
		return "a round made no step";
	*out = now.pending;
	return now.error;
}

const char *world_advance(
	const struct model *model, struct world *world, int thread, unsigned choice)
{
	now.model = model;
	now.world = world;
	now.thread = thread;
	now.budget = 1;
	now.choice = choice;
	now.error = NULL;
	// To the next step, of this round or the one after it, or the end of the thread.
	if (run_round() && !world->done[thread])
		(void)run_round();
	return now.error;
}

void world_forget(void)
{
	now.model = NULL;
}

void explore_violation(const char *text)
{
	now.error = text;
	longjmp(now.out, 1);
}

// Words of a slot other than the first hold nothing and are no step.
static int locate(const void *address)
{
	const struct model *m = now.model;

	for (int i = 0; i < m->layout.count; i++) {
		size_t at = (size_t)((const uint8_t *)address - (const uint8_t *)m->address[i]);

		if (at == 0)
			return i;
		if (m->layout.data[i] && at < PHX_SHM_SLOT_SIZE)
			return -1;
	}
	abort();
}

uint64_t phx_shm_model_load(const void *addr, unsigned size, int order)
{
	int location = locate(addr);

	(void)size;
	return location < 0 ? 0 : take_step((struct step){STEP_LOAD, location, order, 0});
}

void phx_shm_model_store(void *addr, uint64_t value, unsigned size, int order)
{
	(void)size;
	if (now.model == NULL)
		return; // handles are being set up
	(void)take_step((struct step){STEP_STORE, locate(addr), order, (uint32_t)value});
}

uint64_t phx_shm_model_exchange(void *addr, uint64_t value, unsigned size, int order)
{
	(void)size;
	return take_step((struct step){STEP_EXCHANGE, locate(addr), order, (uint32_t)value});
}

void explore_store_plain(void *address, uint32_t value)
{
	(void)take_step((struct step){STEP_STORE, locate(address), __ATOMIC_RELAXED, value});
}

void explore_sleep_futex(const void *address, uint32_t seen)
{
	(void)take_step((struct step){STEP_SLEEP, locate(address), __ATOMIC_SEQ_CST, seen});
}

void explore_sleep_event(void)
{
	(void)take_step((struct step){STEP_SLEEP, -1, 0, 0});
}

void explore_bell_futex(void)
{
	(void)take_step((struct step){STEP_BELL, 0, 0, 0});
}

void explore_bell_event(void)
{
	(void)take_step((struct step){STEP_BELL, -1, 0, 0});
}
