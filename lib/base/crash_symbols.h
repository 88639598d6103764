// SPDX-License-Identifier: BSD-3-Clause
// Names of the program's own functions, static ones too, from the symbol table of its file. Inside
// crash.c.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Map the table of the running program and note its build id. Once. Without them (stripped, no
// memory) there are no names.
void phx_crash_symbols_load(void);
// The function that holds an address; NULL: none of ours. *out_offset is how far in. Async-signal
// safe.
const char *phx_crash_symbol(uintptr_t address, size_t *out_offset);
// Is the address of the program's own code? *out_offset is relative to where it was loaded, as
// addr2line(1) wants it. Async-signal safe.
int phx_crash_is_ours(uintptr_t address, uintptr_t *out_offset);
// In hexadecimal, "" = unknown. Static.
const char *phx_crash_build_id(void);
