// SPDX-License-Identifier: BSD-3-Clause
// Messages in shared memory: what generated code builds and reads them with. Applications use the
// generated accessors and phx_message_new()/phx_message_release(); the rest serves generated code.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <phoenix/status.h>

#ifdef __cplusplus
extern "C" {
#endif

struct phx_context;
struct phx_message;

// A string or bytes value inside a message (not NUL-terminated) or of the caller.
struct phx_str {
	const char *data;
	uint32_t len;
};
struct phx_bytes {
	const void *data;
	uint32_t len;
};

// View of a C string. For printing: printf("%.*s", PHX_STR_ARG(s)).
static inline struct phx_str phx_str(const char *s)
{
	struct phx_str v;

	v.data = s;
	v.len = (uint32_t)strlen(s);
	return v;
}
#define PHX_STR_ARG(s) (int)(s).len, (s).data

// A reference: offset from its own address, and bytes or elements. {0, 0} is null.
struct phx_ref {
	int32_t off;
	uint32_t count;
};

static inline const void *phx_ref_get(const struct phx_ref *ref)
{
	return ref->off == 0 ? NULL : (const char *)ref + ref->off;
}

// The descriptor table of one .proto file with everything it reaches.
struct phx_file {
	const void *table;
	uint32_t size;
};

// A message type of a file.
struct phx_type {
	const struct phx_file *file;
	uint32_t index; // message index in the table
	uint32_t size;	// bytes of the fixed part
	const char *name;
};

// An empty message to be built in shared memory. Any thread; one thread at a time builds it.
// -ENOMEM: the send quota is used up.
PHX_API int phx_message_new(struct phx_context *context, struct phx_message **out_message);

// Give a received message, or one that was not sent, back. NULL is legal. Any thread.
PHX_API void phx_message_release(struct phx_message *message);

// ---- for generated code ----

// Zeroed memory of `size` bytes (rounded up to 8) in the message, 8-byte aligned; NULL: no memory
// or the message was sent. Valid until the message is sent or released.
PHX_API void *phx_message_alloc(struct phx_message *message, uint32_t size);

// Make `root` (from phx_message_alloc of type->size bytes) the root. -EINVAL: there is one.
PHX_API int phx_message_set_root(
	struct phx_message *message, void *root, const struct phx_type *type);

// The root if the message is of that type, else NULL.
PHX_API const void *phx_message_root(
	const struct phx_message *message, const struct phx_type *type);

// Point `ref` at `part` (inside the same message), of `count` bytes or elements.
static inline void phx_ref_set(struct phx_ref *ref, const void *part, uint32_t count)
{
	ref->off = (int32_t)((const char *)part - (const char *)ref);
	ref->count = count;
}

#ifdef __cplusplus
}
#endif
