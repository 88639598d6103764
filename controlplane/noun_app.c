// SPDX-License-Identifier: BSD-3-Clause
// Handlers of the noun app that the control plane answers itself.
#include "controlplane/rules.h"

void noun_app_rule_list(void *arg, struct phx_ctl_call *call)
{
	rules_list(arg, call, "attach");
}

void noun_app_rule_set(void *arg, struct phx_ctl_call *call)
{
	rules_set(arg, call, "attach");
}

void noun_app_rule_del(void *arg, struct phx_ctl_call *call)
{
	rules_del(arg, call, "attach");
}
