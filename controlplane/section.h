// SPDX-License-Identifier: BSD-3-Clause
// The sections of the intent document and the keys of the store that they are made of: a list
// whose order is its meaning is one key, a named object of the others is one key each.
#pragma once

#include <jansson.h>
#include <stdbool.h>

#define SECTION_KEY_BYTES 96 // of a key, with its end

struct section {
	const char *name; // member of the document, and key of an ordered list; NULL ends the table
	const char *noun; // objects are kept under "NOUN/NAME"; NULL: an ordered list
	const char *kind; // what a plan calls an element
};

extern const struct section sections[];

// The section of a noun ("listener"), or NULL.
const struct section *section_of_noun(const char *noun);

// "NOUN/NAME" into key; returns it.
const char *section_key(char key[SECTION_KEY_BYTES], const char *noun, const char *name);
// The name behind "NOUN/" in key, or NULL when the key is none of the noun.
const char *section_key_name(const char *key, const char *noun);

// The document of keys without version and generation. New reference, NULL without memory.
json_t *sections_document(json_t *keys);
// The keys of a document. New reference, NULL without memory. Elements without a name are left
// out: check the document first.
json_t *sections_keys(json_t *document);

// Index of the element of an array of named objects, or -1.
int section_find(json_t *list, const char *name);
