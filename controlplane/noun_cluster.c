// SPDX-License-Identifier: BSD-3-Clause
// Handlers of the noun cluster.
#include "controlplane/control.h"

void noun_cluster_list(void *arg, struct phx_ctl_call *call)
{
	control_object_list(arg, call, "cluster");
}

void noun_cluster_get(void *arg, struct phx_ctl_call *call)
{
	control_object_get(arg, call, "cluster");
}

void noun_cluster_add(void *arg, struct phx_ctl_call *call)
{
	control_object_add(arg, call, "cluster");
}

void noun_cluster_set(void *arg, struct phx_ctl_call *call)
{
	control_object_set(arg, call, "cluster");
}

void noun_cluster_del(void *arg, struct phx_ctl_call *call)
{
	control_object_del(arg, call, "cluster");
}
