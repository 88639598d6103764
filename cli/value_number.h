// SPDX-License-Identifier: BSD-3-Clause
// Whole numbers with units: durations, sizes, counts and rates, in the unit of the
// parameter. Pure functions; any thread.
#pragma once

#include <stddef.h>
#include <stdint.h>

// unit is that of the parameter: ns, us, ms, s (word may end in ns, us, ms, s, m, h), bytes
// (K, M, G, T: powers of 1024), NULL or another (k, M, G: powers of 1000, then maybe /s). A
// number without a unit counts as the parameter does; fractions are fine where the result
// is whole. 0, or -EINVAL with the reason in why.
int value_number(const char *word, const char *unit, int64_t *out, char *why, size_t why_size);

// What to write: "DURATION", "SIZE", "N". Static.
const char *value_number_hint(const char *unit);
