// SPDX-License-Identifier: BSD-3-Clause
// UTF-8 checks as protobuf wants them (RFC 3629): no overlong forms, no surrogates,
// nothing above U+10FFFF. Pure functions, any thread.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// True when the n bytes at p are complete, well-formed UTF-8. p may be NULL when n is 0.
bool phx_utf8_ok(const void *p, size_t n);

// The same in pieces, cut anywhere. *state starts at 0 and is 0 again whenever the bytes so
// far end with a complete character. False: malformed, *state is then meaningless.
bool phx_utf8_feed(uint32_t *state, const void *p, size_t n);
