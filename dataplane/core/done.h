// SPDX-License-Identifier: BSD-3-Clause
// The notice that a gather list handed to a transport is no longer read in place. Embed it.
#pragma once

#include "lib/base/list.h"

#include <stdint.h>

struct conn_done {
	// Worker thread, once, after send() returned 1: from poll, flush, close or a command. The
	// memory of `done` is the caller's again when this is called.
	void (*fn)(struct conn_done *done);
	struct phx_list node; // transport's
	uint64_t position;    // transport's
};
