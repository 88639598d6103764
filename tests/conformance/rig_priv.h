// SPDX-License-Identifier: BSD-3-Clause
// Between rig.c and rig_app.c.
#pragma once

#include "tests/conformance/rig.h"

#define RIG_SLOTS    4096
#define RIG_QUEUE_AT 0x1000
#define RIG_HEAP_AT  0x200000
#define RIG_HEAP     (UINT32_C(32) << 20)

void rig_app_init(struct rig_app *app, struct rig *rig);
void rig_app_fini(struct rig_app *app);
// Take completions, answer requests. Returns the work done.
unsigned rig_app_run(struct rig_app *app);
