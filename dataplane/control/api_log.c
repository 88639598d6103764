// SPDX-License-Identifier: BSD-3-Clause
// The noun log: levels of this dataplane's components.
#include "dataplane/control/api.h"

#include "lib/ctl/log_levels.h"

void api_log_get(void *arg, struct phx_ctl_call *call)
{
	(void)arg;
	phx_ctl_log_answer_get(call, "dataplane");
}

void api_log_set(void *arg, struct phx_ctl_call *call)
{
	(void)arg;
	phx_ctl_log_answer_set(call, "dataplane");
}
