// SPDX-License-Identifier: BSD-3-Clause
// Values for people: 9.8k, 2.0M, 41us, yes, -. The unit of a number is that of its key:
// _bytes, _ns, _us, _ms, and _total or _rps for counts; other numbers are printed whole.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>

// Print one value of any shape on one line: lists with commas, objects as key=value.
// Control characters become \xNN: names that applications claim are not ours.
void human_value(FILE *out, const char *key, json_t *value);
void human_text(FILE *out, const char *text);

// key without its unit of time, which its values carry: "uptime" for "uptime_ms". Cut at
// size.
void human_label(const char *key, char *out, size_t size);

// Columns that the text takes on a terminal.
size_t human_width(const char *text);

// Does the value fit in a cell? Lists of objects do not.
bool human_is_flat(json_t *value);
