// SPDX-License-Identifier: BSD-3-Clause
// Static probes (USDT) of provider "phoenix" at the stages of every call, for perf, bpftrace and
// SystemTap: a nop each, with its place and where its arguments are noted in the program. Without
// <sys/sdt.h> (meson option usdt) there is no code. The first argument tells calls apart while they
// last. See core/trace.h for what the stages mean.
//
//	call_taken(call, app, "service", "method")	request_received(request, sequence)
//	call_admitted(call)				request_complete(request)
//	call_packed(call)				request_delivered(request)
//	call_chained(call)				request_replied(request)
//	call_sent(call, sequence)			request_chained(request)
//	call_received(call, sequence)			request_sent(request, sequence, code)
//	call_delivered(call, code)
#pragma once

#ifdef PHX_USDT
#include <sys/sdt.h>
#define PROBE1(name, a)		 DTRACE_PROBE1(phoenix, name, a)
#define PROBE2(name, a, b)	 DTRACE_PROBE2(phoenix, name, a, b)
#define PROBE3(name, a, b, c)	 DTRACE_PROBE3(phoenix, name, a, b, c)
#define PROBE4(name, a, b, c, d) DTRACE_PROBE4(phoenix, name, a, b, c, d)
#else
#define PROBE1(name, a)		 ((void)0)
#define PROBE2(name, a, b)	 ((void)0)
#define PROBE3(name, a, b, c)	 ((void)0)
#define PROBE4(name, a, b, c, d) ((void)0)
#endif
