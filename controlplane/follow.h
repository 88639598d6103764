// SPDX-License-Identifier: BSD-3-Clause
// Follows the events of the dataplane over a connection of its own, where a question waits for
// the next one. After a loss it goes on behind the last event it has. One thread.
#pragma once

#include "controlplane/events.h"
#include "controlplane/loop.h"

struct follow;

// path and events are kept by reference; nothing is dialled before follow_now(). 0 or -errno.
int follow_create(
	struct loop *loop, const char *path, struct events *events, struct follow **out_follow);
void follow_destroy(struct follow *f);

// The dataplane is there.
void follow_now(struct follow *f);
