// SPDX-License-Identifier: BSD-3-Clause
// The trace point phoenix.event of DPDK (rte_trace, CTF): each event of event.h, its strings cut to
// 31 bytes. Enabled by EAL's --trace=phoenix.*, free but for a load otherwise. There is none on the
// path of calls: Debian's DPDK is built without RTE_ENABLE_TRACE_FP, which leaves such points out.
//
// Included twice, as DPDK wants it: event_trace.c registers the point, event.c emits it. The
// interface is marked experimental in DPDK 22.11, and nothing else here is.
#pragma once

#define ALLOW_EXPERIMENTAL_API
#include <rte_trace_point.h>
#include <stdio.h>

// clang-format off
RTE_TRACE_POINT(event_trace_point,
	RTE_TRACE_POINT_ARGS(const char *type, const char *object),
	rte_trace_point_emit_string(type);
	rte_trace_point_emit_string(object);
)
// clang-format on
