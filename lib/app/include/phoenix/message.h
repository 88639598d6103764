// SPDX-License-Identifier: BSD-3-Clause
// Messages in shared memory: what generated code builds and reads them with. Applications use the
// generated accessors and phx_message_new()/phx_message_release(); the rest serves generated code.
#pragma once

#include <errno.h>
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

static inline void *phx_ref_mut(struct phx_ref *ref)
{
	return ref->off == 0 ? NULL : (char *)ref + ref->off;
}

// The value of a string or bytes field; the empty string has data "" and not NULL.
static inline struct phx_str phx_ref_str(const struct phx_ref *ref)
{
	struct phx_str v;

	v.data = ref->count == 0 ? "" : (const char *)ref + ref->off;
	v.len = ref->count;
	return v;
}

static inline struct phx_bytes phx_ref_bytes(const struct phx_ref *ref)
{
	struct phx_bytes v;

	v.data = phx_ref_get(ref);
	v.len = ref->count;
	return v;
}

// Copy len bytes into the message and point `ref` at the copy; what it pointed at before stays
// unused memory of the message. 0; -EINVAL: no data for len > 0; -ENOMEM: ref is unchanged.
static inline int phx_ref_copy(
	struct phx_message *message, struct phx_ref *ref, const void *data, uint32_t len)
{
	void *copy;

	if (len == 0) {
		ref->off = 0;
		ref->count = 0;
		return 0;
	}
	if (!data)
		return -EINVAL;
	copy = phx_message_alloc(message, len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, data, len);
	phx_ref_set(ref, copy, len);
	return 0;
}

// `to` refers to the same part as `from`, which stands elsewhere in the same message.
static inline void phx_ref_move(struct phx_ref *to, const struct phx_ref *from)
{
	const void *part = phx_ref_get(from);

	if (part) {
		phx_ref_set(to, part, from->count);
	} else {
		to->off = 0;
		to->count = 0;
	}
}

// Moves one element of a list: references must not be copied by value.
typedef void (*phx_move_fn)(void *to, const void *from);

static inline void phx_ref_move_one(void *to, const void *from)
{
	phx_ref_move((struct phx_ref *)to, (const struct phx_ref *)from);
}

// Elements that a list of `count` has room for. A function of count alone, because a
// reference does not store a capacity: doubling, above 4,096 elements in steps of a quarter.
static inline uint64_t phx_list_room(uint32_t count)
{
	uint64_t room = 1;

	while (room < count)
		room *= 2;
	if (room > 4096)
		room = ((uint64_t)count + room / 8 - 1) / (room / 8) * (room / 8);
	return room;
}

// Make a list `count` elements of `size` bytes long; new ones are zero. move NULL: elements
// hold no references. Elements may move. 0; -ENOMEM: the list is unchanged.
static inline int phx_list_resize(struct phx_message *message, struct phx_ref *list, uint32_t count,
	uint32_t size, phx_move_fn move)
{
	char *from = (char *)phx_ref_mut(list), *to = from;
	uint32_t old = list->count, i;
	uint64_t room = phx_list_room(count) * size;

	if (count == 0) {
		list->off = 0;
		list->count = 0;
		return 0;
	}
	if (old == 0 || count > phx_list_room(old)) {
		if (room > INT32_MAX)
			return -ENOMEM;
		to = (char *)phx_message_alloc(message, (uint32_t)room);
		if (!to)
			return -ENOMEM;
		if (!move && old > 0)
			memcpy(to, from, (size_t)old * size);
		for (i = 0; move && i < old; i++)
			move(to + (size_t)i * size, from + (size_t)i * size);
	} else if (count > old) {
		memset(to + (size_t)old * size, 0, (size_t)(count - old) * size);
	}
	phx_ref_set(list, to, count);
	return 0;
}

#ifdef __cplusplus
#define PHX_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define PHX_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif
#define PHX_ALIGNED_8 __attribute__((aligned(8)))

#ifdef __cplusplus
}
#endif
