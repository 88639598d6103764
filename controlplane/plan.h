// SPDX-License-Identifier: BSD-3-Clause
// What lies between two intent documents, as operators read it before they say yes. Pure.
#pragma once

#include <jansson.h>

// Entries {op: add, change or remove, kind, name, from, to, disruptive} that make `to` of
// `from` (canonical documents, borrowed). disruptive: links may close. An order of rules that
// differs is one entry of kind "..._order" with lists of names. New reference, NULL without
// memory.
json_t *plan_make(json_t *from, json_t *to);
