// SPDX-License-Identifier: BSD-3-Clause
// Methods of the noun trace: the stages of the next calls, one by one.
#include "lib/ctl/methods.h"

#define WHICH                                                                                      \
	{.name = "method",                                                                         \
		.type = PHX_CTL_GLOB,                                                              \
		.help = "only calls of this SERVICE/METHOD, all when absent"},                     \
		{.name = "app",                                                                    \
			.type = PHX_CTL_GLOB,                                                      \
			.help = "only those of this client: id (app-3) or name"},                  \
	{                                                                                          \
		.name = "count", .type = PHX_CTL_INT, .min = 1, .max = 1000,                       \
		.help = "the next so many calls (5)"                                               \
	}
#define DURATION(waits)                                                                            \
	{                                                                                          \
		.name = "duration_ms", .type = PHX_CTL_INT, .min = 1, .max = 60000, .unit = "ms",  \
		.lasts = (waits), .help = "no longer than this, however few calls came (5000)"     \
	}
#define TRACE_ID                                                                                   \
	{                                                                                          \
		.name = "trace", .type = PHX_CTL_NAME, .required = true,                           \
		.help = "id, as trace rpc_start answered"                                          \
	}
#define TRACE_COLUMNS                                                                              \
	PHX_CTL_COLUMNS({"trace", "TRACE"}, {"state", "STATE"}, {"ended_by", "ENDED_BY"},          \
		{"count", "COUNT"}, {"calls", "CALLS"})
#define TRACE_RESULT                                                                               \
	"trace, state: running or done, ended_by: count, duration or stop, count (asked for), "    \
	"calls: [{app, service, method, status, lcore, started_at, total_ns, link, peer, stages: " \
	"[{side: client, network or server, stage, at_ns: when it began, took_ns}]}]"

const struct phx_ctl_method phx_ctl_methods_trace[] = {
	{
		.name = "trace.rpc",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_ACTION,
		.summary = "the stages of the next calls with their times, on both hosts",
		.params = PHX_CTL_PARAMS(WHICH, DURATION(true)),
		.columns = TRACE_COLUMNS,
		.result = TRACE_RESULT,
		.example = "trace rpc count 5 method hello.Greeter/SayHello",
	},
	{
		.name = "trace.rpc_start",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_FORWARD | PHX_CTL_ACTION,
		.summary = "begin such a trace and do not wait for it; there is one at a time",
		.params = PHX_CTL_PARAMS(WHICH, DURATION(false)),
		.columns = PHX_CTL_COLUMNS({"trace", "TRACE"}),
		.result = "trace, changed",
		.example = "trace rpc_start count 100 duration_ms 30000",
	},
	{
		.name = "trace.rpc_get",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_FORWARD,
		.summary = "a trace: whether it still runs, then its calls",
		.params = PHX_CTL_PARAMS(TRACE_ID),
		.columns = TRACE_COLUMNS,
		.result = TRACE_RESULT "; a trace is kept until the next one begins",
		.example = "trace rpc_get trace-1",
	},
	{
		.name = "trace.rpc_stop",
		.role = PHX_CTL_OP,
		.flags = PHX_CTL_FORWARD | PHX_CTL_ACTION,
		.summary = "end a trace before its time",
		.params = PHX_CTL_PARAMS(TRACE_ID),
		.columns = PHX_CTL_COLUMNS({"trace", "TRACE"}, {"changed", "CHANGED"}),
		.result = "trace, changed",
		.example = "trace rpc_stop trace-1",
	},
	{.name = NULL},
};
