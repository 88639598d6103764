// SPDX-License-Identifier: BSD-3-Clause
// UTF-8 checks: eight ASCII bytes at a time, everything else byte by byte against the
// table of well-formed sequences (Unicode 15, table 3-7). Used by pack, validate and protobuf.
#include "lib/schema/utf8.h"

#include "lib/base/compiler.h"

#include <string.h>

// state = continuation bytes still due | lowest next byte << 8 | highest next byte << 16
static uint32_t utf8_state(uint32_t due, uint32_t low, uint32_t high)
{
	return due | low << 8 | high << 16;
}

// The state after a lead byte >= 0x80; 0 when it is none.
static uint32_t utf8_lead(uint8_t c)
{
	if (c < 0xc2 || c > 0xf4)
		return 0;
	if (c < 0xe0)
		return utf8_state(1, 0x80, 0xbf);
	if (c < 0xf0)
		return utf8_state(2, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf);
	return utf8_state(3, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf);
}

bool phx_utf8_feed(uint32_t *state, const void *p, size_t n)
{
	const uint8_t *s = p;
	uint32_t st = *state;
	size_t i = 0;

	while (i < n) {
		if (st == 0) {
			uint64_t word;

			while (n - i >= sizeof(word)) {
				memcpy(&word, s + i, sizeof(word));
				if (word & UINT64_C(0x8080808080808080))
					break;
				i += sizeof(word);
			}
			if (i == n)
				break;
			if (s[i] >= 0x80) {
				st = utf8_lead(s[i]);
				if (phx_unlikely(st == 0))
					return false;
			}
		} else {
			uint32_t due = st & 0xff;

			if (phx_unlikely(s[i] < ((st >> 8) & 0xff) || s[i] > (st >> 16)))
				return false;
			st = due == 1 ? 0 : utf8_state(due - 1, 0x80, 0xbf);
		}
		i++;
	}
	*state = st;
	return true;
}

bool phx_utf8_ok(const void *p, size_t n)
{
	uint32_t state = 0;

	return phx_utf8_feed(&state, p, n) && state == 0;
}
