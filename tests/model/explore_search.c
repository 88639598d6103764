// SPDX-License-Identifier: BSD-3-Clause
// All states of a model, depth first, each once; then backwards from the endings: a state that no
// ending follows is one in which somebody waits for ever. Works with explore.c.
#include "tests/model/explore_world.h"

#include "lib/base/compiler.h"
#include "lib/base/hash.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NO_STATE UINT32_MAX

static_assert(sizeof(struct world) % 8 == 0, "compared in words");

struct print {
	uint64_t a, b;
};

// How a state was reached first.
struct origin {
	uint32_t parent;
	struct step step; // kind STEP_NONE: a buffered store reached memory
	int8_t thread;
	uint8_t choice;
};

struct edge {
	uint32_t from, to;
};

struct search {
	const struct model *model;
	uint32_t *table; // fingerprint -> number + 1
	uint32_t table_size;
	struct print *prints; // of each state
	struct origin *origins;
	uint32_t count, room;
	struct edge *edges;
	size_t edge_count, edge_room;
	struct world *stack;
	uint32_t *stack_number;
	size_t depth, stack_room;
	uint8_t *ending; // of each state
	const char *violation;
	uint32_t violation_at;
};

static void *grow(void *p, size_t size)
{
	void *q = realloc(p, size);

	if (q == NULL)
		abort();
	return q;
}

static struct print fingerprint(const struct world *w)
{
	struct print p = {1, 2};
	uint64_t word;

	for (size_t i = 0; i < sizeof(*w); i += 8) {
		memcpy(&word, (const uint8_t *)w + i, 8);
		p.a = (p.a ^ word) * UINT64_C(0x9e3779b97f4a7c15);
		p.a ^= p.a >> 29;
		p.b = (p.b + word) * UINT64_C(0xbf58476d1ce4e5b9);
		p.b ^= p.b >> 32;
	}
	return (struct print){phx_mix64(p.a), phx_mix64(p.b)};
}

static void rehash(struct search *s)
{
	uint32_t size = s->table_size == 0 ? 1u << 16 : s->table_size * 2;

	free(s->table);
	s->table = calloc(size, sizeof(*s->table));
	if (s->table == NULL)
		abort();
	s->table_size = size;
	for (uint32_t i = 0; i < s->count; i++) {
		uint32_t at = (uint32_t)s->prints[i].a & (size - 1);

		while (s->table[at] != 0)
			at = (at + 1) & (size - 1);
		s->table[at] = i + 1;
	}
}

// Number of the state; *out_new: it was not known.
static uint32_t number_of(struct search *s, const struct world *w, bool *out_new)
{
	struct print p = fingerprint(w);
	uint32_t at;

	if (s->count * 2 >= s->table_size)
		rehash(s);
	at = (uint32_t)p.a & (s->table_size - 1);
	*out_new = false;
	for (; s->table[at] != 0; at = (at + 1) & (s->table_size - 1)) {
		const struct print *q = &s->prints[s->table[at] - 1];

		if (q->a == p.a && q->b == p.b)
			return s->table[at] - 1;
	}
	if (s->count == s->room) {
		s->room = s->room == 0 ? 1u << 15 : s->room * 2;
		s->prints = grow(s->prints, s->room * sizeof(*s->prints));
		s->origins = grow(s->origins, s->room * sizeof(*s->origins));
		s->ending = grow(s->ending, s->room);
	}
	s->prints[s->count] = p;
	s->ending[s->count] = w->done[0] && w->done[1];
	s->table[at] = s->count + 1;
	*out_new = true;
	return s->count++;
}

static void push(struct search *s, const struct world *w, uint32_t number)
{
	if (s->depth == s->stack_room) {
		s->stack_room = s->stack_room == 0 ? 1024 : s->stack_room * 2;
		s->stack = grow(s->stack, s->stack_room * sizeof(*s->stack));
		s->stack_number = grow(s->stack_number, s->stack_room * sizeof(uint32_t));
	}
	memcpy(&s->stack[s->depth], w, sizeof(*w));
	s->stack_number[s->depth++] = number;
}

// One way on from state `from` leads to w.
static void arrive(struct search *s, const struct world *w, const struct origin *origin)
{
	bool is_new;
	uint32_t to = number_of(s, w, &is_new);

	if (is_new) {
		s->origins[to] = *origin;
		push(s, w, to);
	}
	if (s->edge_count == s->edge_room) {
		s->edge_room = s->edge_room == 0 ? 1u << 16 : s->edge_room * 2;
		s->edges = grow(s->edges, s->edge_room * sizeof(*s->edges));
	}
	s->edges[s->edge_count++] = (struct edge){origin->parent, to};
}

static bool violated(struct search *s, const char *text, uint32_t at)
{
	if (text == NULL)
		return false;
	s->violation = text;
	s->violation_at = at;
	return true;
}

static void expand(struct search *s, const struct world *from, uint32_t number)
{
	static struct world next;
	struct origin origin = {.parent = number};

	for (int t = 0; t < MEMORY_THREADS; t++) {
		unsigned ways;

		origin.thread = (int8_t)t;
		origin.step = (struct step){.kind = STEP_NONE};
		memcpy(&next, from, sizeof(next));
		if (s->model->machine->drain(&next.memory, t))
			arrive(s, &next, &origin);
		if (from->done[t] || from->asleep[t])
			continue;
		memcpy(&next, from, sizeof(next));
		if (violated(s, world_peek(s->model, &next, t, &origin.step), number))
			return;
		ways = s->model->machine->choices(&from->memory, t, &origin.step);
		for (unsigned i = 0; i < ways; i++) {
			const char *error;

			memcpy(&next, from, sizeof(next));
			error = world_advance(s->model, &next, t, i);
			origin.choice = (uint8_t)i;
			arrive(s, &next, &origin);
			if (violated(s, error, s->edges[s->edge_count - 1].to))
				return;
		}
	}
}

// Mark all states from which an ending can be reached; the first other one is the violation.
static void look_back(struct search *s)
{
	uint32_t *first = calloc((size_t)s->count + 1, sizeof(*first)), *from, *todo;
	size_t n = 0;

	from = calloc(s->edge_count + 1, sizeof(*from));
	todo = calloc((size_t)s->count + 1, sizeof(*todo));
	if (first == NULL || from == NULL || todo == NULL)
		abort();
	for (size_t i = 0; i < s->edge_count; i++)
		first[s->edges[i].to]++;
	for (uint32_t i = 1; i <= s->count; i++)
		first[i] += first[i - 1];
	for (size_t i = 0; i < s->edge_count; i++)
		from[--first[s->edges[i].to]] = s->edges[i].from;
	for (uint32_t i = 0; i < s->count; i++)
		if (s->ending[i])
			todo[n++] = i;
	while (n > 0) {
		uint32_t state = todo[--n];

		for (uint32_t i = first[state]; i < first[state + 1]; i++) {
			if (s->ending[from[i]])
				continue;
			s->ending[from[i]] = 1;
			todo[n++] = from[i];
		}
	}
	for (uint32_t i = 0; i < s->count && s->violation == NULL; i++)
		if (!s->ending[i])
			(void)violated(s, "somebody waits for ever", i);
	free(first);
	free(from);
	free(todo);
}

static void print_step(const struct model *m, const struct origin *o)
{
	static const char *const kinds[] = {
		"buffered store becomes visible", "load", "store", "exchange", "sleep", "bell"};
	const struct step *s = &o->step;
	const char *name = s->kind == STEP_NONE || s->kind == STEP_BELL || s->location < 0
				   ? ""
				   : m->names[s->location];

	printf("    thread %d: %s %s", o->thread, kinds[s->kind], name);
	if (s->kind == STEP_STORE || s->kind == STEP_EXCHANGE || s->kind == STEP_SLEEP)
		printf(" %d", (int)s->value);
	printf("%s\n", o->choice != 0 ? " (an older value)" : "");
}

static void print_trace(const struct search *s)
{
	uint32_t path[512], n = 0;

	for (uint32_t i = s->violation_at; i != 0 && n < 512; i = s->origins[i].parent)
		path[n++] = i;
	while (n-- > 0)
		print_step(s->model, &s->origins[path[n]]);
	printf("    => %s\n", s->violation);
}

struct verdict explore(const struct model *model, bool trace)
{
	static struct world start, current;
	struct search s = {.model = model};
	struct verdict verdict = {0};
	bool is_new;

	memset(&start, 0, sizeof(start));
	model->machine->init(&start.memory, &model->layout, model->initial);
	for (int t = 0; t < MEMORY_THREADS; t++)
		memcpy(start.thread[t].private, model->private[t], model -> private_size[t]);
	push(&s, &start, number_of(&s, &start, &is_new));
	s.origins[0] = (struct origin){.parent = NO_STATE};
	while (s.depth > 0 && s.violation == NULL) {
		uint32_t number = s.stack_number[--s.depth];

		memcpy(&current, &s.stack[s.depth], sizeof(current));
		expand(&s, &current, number);
	}
	for (uint32_t i = 0; i < s.count; i++)
		verdict.endings += s.ending[i];
	if (s.violation == NULL)
		look_back(&s);
	if (s.violation != NULL && trace)
		print_trace(&s);
	world_forget();
	verdict.violation = s.violation;
	verdict.states = s.count;
	free(s.table);
	free(s.prints);
	free(s.origins);
	free(s.edges);
	free(s.stack);
	free(s.stack_number);
	free(s.ending);
	return verdict;
}
