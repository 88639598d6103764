// SPDX-License-Identifier: BSD-3-Clause
// C11 for locations with one writer each: every store is a numbered message; a thread may read any
// message not older than its view of that location; acquiring a released message takes over the
// view of its writer; seq_cst accesses happen in the order of the exploration and a seq_cst load
// reads nothing older than the last seq_cst store (the view machine of Kang et al., A promising
// semantics for relaxed-memory concurrency, POPL 2017, without promises). What promises would add,
// loads delayed past later stores, is caught as a race instead: accesses to plain data must be
// ordered by happens-before, followed with vector clocks. Works with memory.h.
#include "tests/model/memory.h"

#include "lib/base/compiler.h"

#include <stdlib.h>
#include <string.h>

static struct memory_layout layout;

static void weak_init(
	struct memory *m, const struct memory_layout *new_layout, const uint32_t *values)
{
	memset(m, 0, sizeof(*m));
	layout = *new_layout;
	for (int i = 0; i < layout.count; i++)
		m->weak.message[i][0].value = values[i];
	for (int t = 0; t < MEMORY_THREADS; t++)
		m->weak.clock[t][t] = 1;
}

static bool acquires(int order)
{
	return order == __ATOMIC_ACQUIRE || order == __ATOMIC_SEQ_CST || order == __ATOMIC_ACQ_REL;
}

static bool releases(int order)
{
	return order == __ATOMIC_RELEASE || order == __ATOMIC_SEQ_CST || order == __ATOMIC_ACQ_REL;
}

static uint8_t oldest_readable(const struct weak *w, int thread, const struct step *s)
{
	uint8_t oldest = w->view[thread][s->location];

	if (s->kind == STEP_SLEEP)
		oldest = phx_max(oldest, w->kernel_view[s->location]);
	return s->order == __ATOMIC_SEQ_CST ? phx_max(oldest, w->last_sc[s->location]) : oldest;
}

static bool is_load(const struct step *s)
{
	return s->kind == STEP_LOAD || (s->kind == STEP_SLEEP && s->location >= 0);
}

static unsigned weak_choices(const struct memory *m, int thread, const struct step *s)
{
	const struct weak *w = &m->weak;

	if (!is_load(s))
		return 1;
	return 1u + w->newest[s->location] - oldest_readable(w, thread, s);
}

// Messages that the reader can no longer see go, so that equal futures are equal bytes.
static void forget(struct weak *w, int location)
{
	uint8_t keep = w->view[1 - layout.writer[location]][location];
	unsigned gone = keep - w->first[location];
	unsigned have = 1u + w->newest[location] - w->first[location];

	if (gone == 0)
		return;
	memmove(&w->message[location][0], &w->message[location][gone],
		(have - gone) * sizeof(w->message[0][0]));
	memset(&w->message[location][have - gone], 0, gone * sizeof(w->message[0][0]));
	w->first[location] = keep;
}

static uint32_t weak_load(
	struct weak *w, int thread, const struct step *s, unsigned choice, const char **error)
{
	int loc = s->location, writer = layout.writer[loc];
	uint8_t number = (uint8_t)(w->newest[loc] - choice); // the newest first
	struct weak_message got = w->message[loc][number - w->first[loc]];

	w->view[thread][loc] = number;
	if (acquires(s->order)) {
		for (int i = 0; i < layout.count; i++)
			w->view[thread][i] = phx_max(w->view[thread][i], got.view[i]);
		for (int t = 0; t < MEMORY_THREADS; t++)
			w->clock[thread][t] = phx_max(w->clock[thread][t], got.clock[t]);
		for (int i = 0; i < layout.count; i++)
			forget(w, i);
	}
	if (layout.data[loc]) {
		if (w->clock[thread][writer] < w->written[loc])
			*error = "data read before its write is known to have happened";
		w->read[loc] = w->clock[thread][thread];
	}
	forget(w, loc);
	return got.value;
}

static void weak_store(struct weak *w, int thread, const struct step *s, const char **error)
{
	int loc = s->location, reader = 1 - thread;
	uint8_t number = ++w->newest[loc];
	struct weak_message *message = &w->message[loc][number - w->first[loc]];

	if (layout.writer[loc] != thread || number - w->first[loc] >= WEAK_MESSAGES)
		abort(); // the model itself is wrong
	*message = (struct weak_message){.value = s->value};
	w->view[thread][loc] = number;
	if (releases(s->order)) {
		memcpy(message->view, w->view[thread], sizeof(message->view));
		memcpy(message->clock, w->clock[thread], sizeof(message->clock));
		w->clock[thread][thread]++;
	}
	if (s->order == __ATOMIC_SEQ_CST)
		w->last_sc[loc] = number;
	if (layout.data[loc]) {
		if (w->clock[thread][reader] < w->read[loc])
			*error = "data overwritten before its read is known to have happened";
		w->written[loc] = w->clock[thread][thread];
	}
}

static uint32_t weak_apply(
	struct memory *m, int thread, const struct step *s, unsigned choice, const char **error)
{
	struct weak *w = &m->weak;
	uint32_t old = 0;

	if (s->kind == STEP_BELL && s->location >= 0) {
		// Waker and sleeper meet under the lock of the futex, in one order or the other.
		memcpy(w->kernel_view, w->view[thread], sizeof(w->kernel_view));
		return 0;
	}
	if (is_load(s))
		return weak_load(w, thread, s, choice, error);
	if (s->kind == STEP_EXCHANGE) // only the writer exchanges, so it finds its own last store
		old = w->message[s->location][w->newest[s->location] - w->first[s->location]].value;
	if (s->kind == STEP_STORE || s->kind == STEP_EXCHANGE)
		weak_store(w, thread, s, error);
	return old;
}

static bool weak_drain(struct memory *m, int thread)
{
	(void)m;
	(void)thread;
	return false;
}

const struct machine machine_weak = {"c11", weak_init, weak_choices, weak_apply, weak_drain};
