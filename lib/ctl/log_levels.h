// SPDX-License-Identifier: BSD-3-Clause
// The noun log in a daemon: rows of log.get and log.set from the levels of lib/base/log. One
// thread.
#pragma once

#include "lib/base/log.h"
#include "lib/ctl/server.h"

// Rows {daemon, component, level} of the components that match glob (NULL: all), sorted. New
// reference, NULL without memory.
json_t *phx_ctl_log_rows(const char *daemon, const char *glob);

// Set the level of those that match ("*": of everything). *out_changed when one was another.
// Returns how many match.
size_t phx_ctl_log_set(const char *glob, enum phx_log_level level, bool *out_changed);

// Handlers for a daemon that answers for itself alone; daemon as in the rows. A component that
// it does not have is an empty answer.
void phx_ctl_log_answer_get(struct phx_ctl_call *call, const char *daemon);
void phx_ctl_log_answer_set(struct phx_ctl_call *call, const char *daemon);
