// SPDX-License-Identifier: BSD-3-Clause
// The metadata of a call as one canonical block, checked once and then passed on as bytes.
//
// No metadata is a block of 0 bytes. Else: uint16 number of pairs (1..64, little-endian),
// then for each pair uint8 key length (1..255), uint16 value length (little-endian), the
// key, the value; nothing after the last pair; at most PHX_LIMIT_METADATA_BYTES in all.
// Keys consist of 0-9 a-z _ . - and may occur more than once; their order is kept. Values
// of keys that end in "-bin" are raw bytes, all others printable ASCII (0x20..0x7e).
// Keys that start with "phx-" or "grpc-" are reserved and refused.
// No function here keeps a pointer; any thread.
#pragma once

#include "lib/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// A pair inside a block; pointers are into the block, without NUL.
struct phx_metadata_pair {
	const char *key;
	const uint8_t *value;
	uint8_t key_len;
	uint16_t value_len;
};

// Checks a block that somebody else wrote, in one pass. Bytes that can change meanwhile
// must be copied first. 0; -EINVAL not a canonical block; -EMSGSIZE over a limit;
// -EPERM a reserved key.
int phx_metadata_check(const void *block, size_t len);

// Appends one pair to the block of *len bytes (0 to start) in a buffer of cap bytes.
// 0 and *len grown; else *len untouched: -EINVAL bad key or value, -EPERM reserved key,
// -EMSGSIZE over a limit or over cap.
int phx_metadata_add(void *block, size_t cap, size_t *len, const char *key, size_t key_len,
	const void *value, size_t value_len);

// Number of pairs of a checked block.
uint32_t phx_metadata_count(const void *block, size_t len);

// Steps through a checked block: *pos starts at 0. True with *out_pair filled; false at the end.
bool phx_metadata_next(
	const void *block, size_t len, size_t *pos, struct phx_metadata_pair *out_pair);

// First pair with this key in a checked block. False: none.
bool phx_metadata_lookup(const void *block, size_t len, const char *key, size_t key_len,
	struct phx_metadata_pair *out_pair);
