// SPDX-License-Identifier: BSD-3-Clause
// Handlers of the noun listener.
#include "controlplane/control.h"

void noun_listener_list(void *arg, struct phx_ctl_call *call)
{
	control_object_list(arg, call, "listener");
}

void noun_listener_add(void *arg, struct phx_ctl_call *call)
{
	control_object_add(arg, call, "listener");
}

void noun_listener_del(void *arg, struct phx_ctl_call *call)
{
	control_object_del(arg, call, "listener");
}
