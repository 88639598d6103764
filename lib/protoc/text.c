// SPDX-License-Identifier: BSD-3-Clause
// Arena, text buffers and the set of C names of the plug-in.
#include "lib/protoc/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct arena_block {
	struct arena_block *next;
	max_align_t data[];
};

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = calloc(1, sizeof(*b) + size);

	if (!b) {
		a->failed = true;
		return NULL;
	}
	b->next = a->blocks;
	a->blocks = b;
	return b->data;
}

char *arena_printf(struct arena *a, const char *format, ...)
{
	va_list args;
	char *s;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	s = n < 0 ? NULL : arena_alloc(a, (size_t)n + 1);
	if (!s)
		return NULL;
	va_start(args, format);
	(void)vsnprintf(s, (size_t)n + 1, format, args); // measured above
	va_end(args);
	return s;
}

void arena_fini(struct arena *a)
{
	while (a->blocks) {
		struct arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
}

static bool text_room(struct text *t, size_t len)
{
	size_t cap = t->cap ? t->cap : 4096;
	char *data;

	if (t->failed)
		return false;
	while (cap - t->len < len)
		cap *= 2;
	if (cap == t->cap)
		return true;
	data = realloc(t->data, cap);
	if (!data) {
		t->failed = true;
		return false;
	}
	t->data = data;
	t->cap = cap;
	return true;
}

void text_put(struct text *t, const void *data, size_t len)
{
	if (len == 0 || !text_room(t, len))
		return;
	memcpy(t->data + t->len, data, len);
	t->len += len;
}

void text_zero(struct text *t, size_t len)
{
	if (len == 0 || !text_room(t, len))
		return;
	memset(t->data + t->len, 0, len);
	t->len += len;
}

void text_printf(struct text *t, const char *format, ...)
{
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(NULL, 0, format, args);
	va_end(args);
	if (n < 0 || !text_room(t, (size_t)n + 1))
		return;
	va_start(args, format);
	(void)vsnprintf(t->data + t->len, (size_t)n + 1, format, args); // measured above
	va_end(args);
	t->len += (size_t)n;
}

void text_fini(struct text *t)
{
	free(t->data);
	*t = (struct text){0};
}

struct names_entry {
	const char *name;
	const char *what;
};

static size_t names_hash(const char *name)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); // FNV-1a

	for (; *name; name++)
		h = (h ^ (uint8_t)*name) * UINT64_C(0x100000001b3);
	return (size_t)h;
}

static struct names_entry *names_find(const struct names *n, const char *name)
{
	size_t i = names_hash(name) & (n->cap - 1);

	while (n->entries[i].name && strcmp(n->entries[i].name, name) != 0)
		i = (i + 1) & (n->cap - 1);
	return &n->entries[i];
}

const char *names_take(struct names *n, const char *name, const char *what)
{
	struct names_entry *e;

	if (n->count * 2 >= n->cap) {
		struct names bigger = {.cap = n->cap ? n->cap * 2 : 256, .count = n->count};

		bigger.entries = calloc(bigger.cap, sizeof(bigger.entries[0]));
		if (!bigger.entries) {
			n->failed = true;
			return NULL;
		}
		for (size_t i = 0; i < n->cap; i++)
			if (n->entries[i].name)
				*names_find(&bigger, n->entries[i].name) = n->entries[i];
		free(n->entries);
		*n = bigger;
	}
	e = names_find(n, name);
	if (e->name)
		return e->what;
	e->name = name;
	e->what = what;
	n->count++;
	return NULL;
}

void names_fini(struct names *n)
{
	free(n->entries);
	*n = (struct names){0};
}
