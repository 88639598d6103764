// SPDX-License-Identifier: BSD-3-Clause
// Where intent is kept: a map from key to JSON value that changes in transactions. One
// implementation now, a file (store_file.c); a distributed store may take its place.
// Keys: "attach", "register" (lists of rules), "listener/NAME", "peer/NAME".
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

struct store;

struct store_ops {
	// Everything: a new reference to an object of keys, and the generation of the last
	// transaction (0: empty). 0 or -errno with why.
	int (*load)(struct store *s, json_t **out_keys, uint64_t *out_generation, char *why,
		size_t why_size);
	// Apply changes (key -> value, null removes; borrowed) as one durable transaction that
	// makes `generation`, which is above all before. keys is the state after it (borrowed; it
	// is not changed in place later).
	// 0, or -errno and nothing has changed.
	int (*commit)(struct store *s, json_t *changes, json_t *keys, uint64_t generation);
	void (*close)(struct store *s);
};

struct store {
	const struct store_ops *ops;
};

// The store in DIR/intent.journal. 0 or -errno with why.
int store_file_open(const char *dir, struct store **out_store, char *why, size_t why_size);
