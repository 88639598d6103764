// SPDX-License-Identifier: BSD-3-Clause
// The rows of limits.h as data, for `rpc limits`.
#include "lib/base/limits.h"

#include "lib/base/compiler.h"

const struct phx_limit *phx_limits(size_t *out_len)
{
	static const struct phx_limit rows[] = {
#define PHX_LIMIT_ROW(name, value, unit, text) {#name, value, unit, text},
		PHX_LIMITS(PHX_LIMIT_ROW)
#undef PHX_LIMIT_ROW
	};

	*out_len = PHX_ARRAY_LEN(rows);
	return rows;
}
