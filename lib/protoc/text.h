// SPDX-License-Identifier: BSD-3-Clause
// Memory and text of the plug-in: an arena that lives until the program ends, and growing
// buffers. Running out of memory is remembered, not reported by each call: the program asks
// once, before it answers. Single thread.
#pragma once

#include "lib/base/compiler.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena {
	struct arena_block *blocks;
	bool failed;
};

// Zeroed memory, valid until arena_fini(). Never NULL after failure handling: when memory runs
// out `failed` is set and NULL returned.
void *arena_alloc(struct arena *a, size_t size);
char *arena_printf(struct arena *a, const char *format, ...) PHX_PRINTF(2, 3);
void arena_fini(struct arena *a);

// Bytes that grow. Zero-initialised is empty.
struct text {
	char *data; // not NUL-terminated
	size_t len;
	size_t cap;
	bool failed; // out of memory: content is cut
};

void text_put(struct text *t, const void *data, size_t len);
void text_printf(struct text *t, const char *format, ...) PHX_PRINTF(2, 3);
void text_zero(struct text *t, size_t len);
void text_fini(struct text *t);

// Names in use and what for: finds two things that need the same C name.
struct names {
	struct names_entry *entries;
	size_t count;
	size_t cap;
	bool failed;
};

// Take `name` for `what`; both must outlive the set. NULL, or what has it already.
const char *names_take(struct names *n, const char *name, const char *what);
void names_fini(struct names *n);
