// SPDX-License-Identifier: BSD-3-Clause
// One value as operators write it, to JSON as the method table wants it: numbers with
// units, lists with commas, objects as key=value, JSON, or @FILE. What the value may be is
// the validator's business; what it means is decided here.
#pragma once

#include "lib/ctl/method.h"

// Put the value that word says into object: under p's name, or deeper when rest (the path
// after the name, "uid" in filter.uid, or NULL) is not NULL. Lists and objects grow, scalars
// are given once. 0, -EINVAL with e set, or -ENOMEM.
int value_put(json_t *object, const struct phx_ctl_param *p, const char *rest, const char *word,
	struct phx_ctl_error *e);

// What a parameter wants, for help and errors: "tcp", "on|off", "MS", "K=V,...". Static or
// part of p.
const char *value_hint(const struct phx_ctl_param *p);
