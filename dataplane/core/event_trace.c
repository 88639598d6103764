// SPDX-License-Identifier: BSD-3-Clause
// Registers the trace point of event_trace.h.
#define ALLOW_EXPERIMENTAL_API
#include <rte_trace_point_register.h>

#include "dataplane/core/event_trace.h"

RTE_TRACE_POINT_REGISTER(event_trace_point, phoenix.event)
