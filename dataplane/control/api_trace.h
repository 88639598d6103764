// SPDX-License-Identifier: BSD-3-Clause
// Inside the noun trace: the trace that there is, and its records as rows. Control thread.
#pragma once

#include "dataplane/control/api.h"
#include "dataplane/core/trace.h"

// The calls of a trace that have ended, in the order in which they were taken. No worker has it
// any more.
json_t *api_trace_calls(const struct trace *trace);
