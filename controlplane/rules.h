// SPDX-License-Identifier: BSD-3-Clause
// Ordered lists of rules under one key ("attach", "register").
#pragma once

#include "controlplane/control.h"

void rules_list(struct control *c, struct phx_ctl_call *call, const char *key);
// Add or replace the rule of params.name, before params.before when given.
void rules_set(struct control *c, struct phx_ctl_call *call, const char *key);
void rules_del(struct control *c, struct phx_ctl_call *call, const char *key);
