// SPDX-License-Identifier: BSD-3-Clause
// The policy types that are part of the dataplane; one entry per line.
#include "dataplane/policyhost/host.h"

extern const struct phx_policy phx_policy_null;

const struct phx_policy *const builtin_types[] = {
	&phx_policy_null,
};
const unsigned builtin_type_count = PHX_ARRAY_LEN(builtin_types);
