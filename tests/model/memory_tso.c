// SPDX-License-Identifier: BSD-3-Clause
// x86-TSO: stores wait in a first-in first-out buffer of their thread, loads look there first,
// locked instructions wait until it is empty (Owens, Sarkar, Sewell: A better x86 memory model,
// TPHOLs 2009). Works with memory.h.
#include "tests/model/memory.h"

#include <string.h>

static void tso_init(struct memory *m, const struct memory_layout *layout, const uint32_t *values)
{
	memset(m, 0, sizeof(*m));
	memcpy(m->tso.value, values, (size_t)layout->count * sizeof(*values));
}

// How compilers translate: a seq_cst store is an exchange, every load a plain one. The kernel takes
// the lock of a futex before it looks for waiters.
static bool is_locked(const struct step *s)
{
	return s->kind == STEP_EXCHANGE ||
	       (s->kind == STEP_STORE && s->order == __ATOMIC_SEQ_CST) ||
	       (s->kind == STEP_BELL && s->location >= 0);
}

static unsigned tso_choices(const struct memory *m, int thread, const struct step *s)
{
	uint32_t buffered = m->tso.buffered[thread];

	if (is_locked(s))
		return buffered == 0;
	return s->kind != STEP_STORE || buffered < TSO_BUFFER;
}

static uint32_t tso_load(const struct tso *t, int thread, int location)
{
	for (uint32_t i = t->buffered[thread]; i-- > 0;)
		if (t->buffer[thread][i].location == (uint32_t)location)
			return t->buffer[thread][i].value;
	return t->value[location];
}

static uint32_t tso_apply(
	struct memory *m, int thread, const struct step *s, unsigned choice, const char **error)
{
	struct tso *t = &m->tso;
	uint32_t old = s->location < 0 ? 0 : tso_load(t, thread, s->location), at;

	(void)choice;
	(void)error;
	if (s->kind == STEP_BELL)
		return 0;
	if (is_locked(s)) {
		t->value[s->location] = s->value;
	} else if (s->kind == STEP_STORE) {
		at = t->buffered[thread]++;
		t->buffer[thread][at].location = (uint32_t)s->location;
		t->buffer[thread][at].value = s->value;
	}
	return old;
}

static bool tso_drain(struct memory *m, int thread)
{
	struct tso *t = &m->tso;
	uint32_t left;

	if (t->buffered[thread] == 0)
		return false;
	t->value[t->buffer[thread][0].location] = t->buffer[thread][0].value;
	left = --t->buffered[thread];
	memmove(&t->buffer[thread][0], &t->buffer[thread][1], left * sizeof(t->buffer[0][0]));
	memset(&t->buffer[thread][left], 0,
		sizeof(t->buffer[0][0])); // equal states are equal bytes
	return true;
}

const struct machine machine_tso = {"tso", tso_init, tso_choices, tso_apply, tso_drain};
