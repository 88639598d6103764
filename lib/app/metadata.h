// SPDX-License-Identifier: BSD-3-Clause
// Metadata that the application builds: one canonical block that grows. Owned by one thread.
#pragma once

#include "lib/app/include/phoenix/phoenix.h"
#include "lib/schema/metadata.h"

struct phx_metadata {
	uint8_t *block;
	size_t len;
	size_t cap;
};
